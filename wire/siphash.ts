/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012; in DNS: RFC 9018 4.4), on pairs of 32-bit integers. PACKET PATH: a BigInt
 * would allocate an object per step, and node:crypto has no SipHash.
 */

/** Words of a key. */
const SIPHASH_KEY_WORDS = 4;
/** Words of a hash. */
export const SIPHASH_WORDS = 2;

/** Converts a key of 16 octets to the words that `sipHash` needs. */
export function sipHashKey(octets: Uint8Array): Int32Array {
  return Int32Array.from({ length: SIPHASH_KEY_WORDS }, (_, word) => littleEndian(octets, word * 4));
}

/**
 * Writes the hash of the first `length` octets of `bytes` into `out`: its low 32 bits, then its high 32 bits.
 */
export function sipHash(key: Int32Array, bytes: Uint8Array, length: number, out: Int32Array): void {
  const key0 = key[0] ?? 0;
  const key1 = key[1] ?? 0;
  const key2 = key[2] ?? 0;
  const key3 = key[3] ?? 0;
  // v0 to v3 of the paper, initialised with "somepseudorandomlygeneratedbytes", each as its low and its high half.
  let a = key0 ^ 0x7073_6575;
  let aHigh = key1 ^ 0x736f_6d65;
  let b = key2 ^ 0x6e64_6f6d;
  let bHigh = key3 ^ 0x646f_7261;
  let c = key0 ^ 0x6e65_7261;
  let cHigh = key1 ^ 0x6c79_6765;
  let d = key2 ^ 0x7974_6573;
  let dHigh = key3 ^ 0x7465_6462;
  const whole = length & ~7;
  const rest = length & 7;
  for (let at = 0; at <= whole + 8; at += 8) {
    const isEnd = at > whole;
    let word = 0;
    let wordHigh = 0;
    if (at < whole) {
      word = littleEndian(bytes, at);
      wordHigh = littleEndian(bytes, at + 4);
    } else if (at === whole) {
      // The last word has the remaining octets, and the length in its top octet.
      wordHigh = length << 24;
      for (let i = 0; i < rest; i++) {
        const octet = bytes[at + i] ?? 0;
        if (i < 4) word |= octet << (i * 8);
        else wordHigh |= octet << ((i - 4) * 8);
      }
    }
    if (isEnd) {
      c ^= 0xff;
    } else {
      d ^= word;
      dHigh ^= wordHigh;
    }
    for (let rounds = isEnd ? 4 : 2; rounds > 0; rounds--) {
      let low = (a + b) | 0;
      aHigh = (aHigh + bHigh + carry(low, b)) | 0;
      a = low;
      low = (b << 13) | (bHigh >>> 19);
      bHigh = (bHigh << 13) | (b >>> 19);
      b = low ^ a;
      bHigh ^= aHigh;
      low = a;
      a = aHigh;
      aHigh = low;
      low = (c + d) | 0;
      cHigh = (cHigh + dHigh + carry(low, d)) | 0;
      c = low;
      low = (d << 16) | (dHigh >>> 16);
      dHigh = (dHigh << 16) | (d >>> 16);
      d = low ^ c;
      dHigh ^= cHigh;
      low = (a + d) | 0;
      aHigh = (aHigh + dHigh + carry(low, d)) | 0;
      a = low;
      low = (d << 21) | (dHigh >>> 11);
      dHigh = (dHigh << 21) | (d >>> 11);
      d = low ^ a;
      dHigh ^= aHigh;
      low = (c + b) | 0;
      cHigh = (cHigh + bHigh + carry(low, b)) | 0;
      c = low;
      low = (b << 17) | (bHigh >>> 15);
      bHigh = (bHigh << 17) | (b >>> 15);
      b = low ^ c;
      bHigh ^= cHigh;
      low = c;
      c = cHigh;
      cHigh = low;
    }
    if (!isEnd) {
      a ^= word;
      aHigh ^= wordHigh;
    }
  }
  out[0] = a ^ b ^ c ^ d;
  out[1] = aHigh ^ bHigh ^ cHigh ^ dHigh;
}

/** The carry of an addition: 1 if the 32-bit sum is less than one of its terms. */
function carry(sum: number, term: number): number {
  return sum >>> 0 < term >>> 0 ? 1 : 0;
}

function littleEndian(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}
