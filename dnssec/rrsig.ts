/**
 * The octets that a signature covers, and RRSIG data (RFC 4034 3 and 6, RFC 6840 5.1).
 */
import { canonical, isWildcard, labelOffsets, type Name } from '../wire/name.ts';
import { namesIn } from '../wire/rdata.ts';
import { CLASS, TYPE } from '../wire/types.ts';

/** An RRset to sign. `rdata` is uncompressed. */
export type SignedSet = {
  readonly owner: Name;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly rdata: readonly Uint8Array[];
};

/** Seconds since 1970. */
export type Validity = { readonly inception: number; readonly expiration: number };

/** RFC 4034 6.2, RFC 6840 5.1: types whose names become lower case. Names of NSEC and of newer types stay unchanged. */
const LOWERED: ReadonlySet<number> = new Set([
  2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 17, 18, 21, 24, 26, 30, 33, 35, 36, 38, 39,
]);

/** The RRSIG data without the signature (RFC 4034 3.1). */
export function rrsigHead(
  { owner, type, ttlSeconds }: SignedSet,
  { inception, expiration }: Validity,
  key: { readonly algorithm: number; readonly tag: number; readonly signer: Name },
): Uint8Array {
  const signer = canonical(key.signer);
  const head = Buffer.alloc(18 + signer.length);
  head.writeUInt16BE(type, 0);
  head[2] = key.algorithm;
  // RFC 4034 3.1.3: the number of labels excludes the root and a leftmost `*`.
  head[3] = labelOffsets(owner).length - (isWildcard(owner) ? 1 : 0);
  head.writeUInt32BE(ttlSeconds, 4);
  head.writeUInt32BE(expiration >>> 0, 8);
  head.writeUInt32BE(inception >>> 0, 12);
  head.writeUInt16BE(key.tag, 16);
  head.set(signer, 18);
  return head;
}

/** RFC 4034 3.1.8.1: the octets that are signed. */
export function signedOctets(head: Uint8Array, { owner, type, ttlSeconds, rdata }: SignedSet): Buffer {
  const name = canonical(owner);
  const front = Buffer.alloc(name.length + 8);
  front.set(name);
  front.writeUInt16BE(type, name.length);
  front.writeUInt16BE(CLASS.IN, name.length + 2);
  front.writeUInt32BE(ttlSeconds, name.length + 4);
  const parts: Uint8Array[] = [head];
  for (const data of canonicalOrder(rdata.map((each) => canonicalRdata(type, each)))) {
    parts.push(front, Uint8Array.of(data.length >> 8, data.length & 0xff), data);
  }
  return Buffer.concat(parts);
}

/** RFC 4034 6.2. */
function canonicalRdata(type: number, rdata: Uint8Array): Uint8Array {
  if (!LOWERED.has(type)) return rdata;
  const out = rdata.slice();
  for (const at of namesIn(type, rdata, 0)) {
    for (let label = at; (rdata[label] ?? 0) !== 0; label += (rdata[label] ?? 0) + 1) {
      out.set(canonical(rdata.subarray(label, label + (rdata[label] ?? 0) + 1)), label);
    }
  }
  return out;
}

/** RFC 4034 6.3: sorted by octets, without duplicates. */
function canonicalOrder(rdata: readonly Uint8Array[]): readonly Uint8Array[] {
  if (rdata.length < 2) return rdata;
  const sorted = [...rdata].sort((a, b) => Buffer.compare(a, b));
  return sorted.filter((data, index) => index === 0 || Buffer.compare(data, sorted[index - 1] ?? data) !== 0);
}

/** RFC 4034 4.1: NSEC data. `types` must be sorted and without duplicates. */
export function nsecData(next: Name, types: readonly number[]): Uint8Array {
  const parts: Uint8Array[] = [next];
  for (let from = 0; from < types.length;) {
    const window = (types[from] ?? 0) >> 8;
    let to = from;
    while (to < types.length && (types[to] ?? 0) >> 8 === window) to++;
    const bits = new Uint8Array((((types[to - 1] ?? 0) & 0xff) >> 3) + 1);
    for (const type of types.slice(from, to)) {
      const bit = type & 0xff;
      bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
    }
    parts.push(Uint8Array.of(window, bits.length), bits);
    from = to;
  }
  return Uint8Array.from(Buffer.concat(parts));
}

/** The types that an NSEC itself adds to its bitmap. */
export const DENIAL_TYPES: readonly number[] = [TYPE.RRSIG, TYPE.NSEC];
