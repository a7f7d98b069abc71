/**
 * The octets that a signature covers, and RRSIG data (RFC 4034 3 and 6, RFC 6840 5.1).
 */
import { MAX_LABEL_OCTETS, MAX_NAME_OCTETS } from '../wire/limits.ts';
import { hashFoldedName, hashWord } from '../wire/name-hash.ts';
import { canonical, isWildcard, type Name } from '../wire/name.ts';
import { put16 } from '../wire/octets.ts';
import { namesIn } from '../wire/rdata.ts';
import { CLASS, TYPE } from '../wire/types.ts';

/** An RRset to sign. The owner is in canonical form, and `rdata` is uncompressed. */
export type SignedSet = {
  readonly owner: Name;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly rdata: readonly Uint8Array[];
};

/** Seconds since 1970. */
export type Validity = { readonly inception: number; readonly expiration: number };

/** RFC 6781 4.4.2: clocks of resolvers differ. */
const BACKDATED_SECONDS = 3600;
/** A signature ends up to this share of the lifetime earlier, so that not all end at once. */
const JITTER = 0.1;

/** Seconds since 1970. */
export function inceptionOf(signedAt: number): number {
  return signedAt - BACKDATED_SECONDS;
}

/** Seconds since 1970. The jitter depends on owner and type, so that every node and every start has the same. */
export function expirationOf(
  { owner, type }: Pick<SignedSet, 'owner' | 'type'>,
  signedAt: number,
  lifetimeSeconds: number,
): number {
  const share = ((hashWord(hashFoldedName(owner, 0), type) >>> 0) / 2 ** 32) * JITTER;
  return signedAt + Math.floor(lifetimeSeconds * (1 - share));
}

/** RFC 4034 6.2, RFC 6840 5.1: types whose names become lower case. Names of NSEC and of newer types stay unchanged. */
const LOWERED: ReadonlySet<number> = new Set([
  2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 17, 18, 21, 24, 26, 30, 33, 35, 36, 38, 39,
]);

/** Octets of RRSIG data before the signature. */
export function rrsigHeadOctets(signer: Name): number {
  return 18 + signer.length;
}

/** Writes the RRSIG data before the signature (RFC 4034 3.1). `owner` and `signer` are in canonical form. */
export function writeRrsigHead(
  out: Uint8Array,
  { owner, type, ttlSeconds }: SignedSet,
  { inception, expiration }: Validity,
  key: { readonly algorithm: number; readonly tag: number; readonly signer: Name },
): void {
  put16(out, 0, type);
  out[2] = key.algorithm;
  // RFC 4034 3.1.3: the number of labels excludes the root and a leftmost `*`.
  out[3] = countLabels(owner) - (isWildcard(owner) ? 1 : 0);
  put32(out, 4, ttlSeconds);
  put32(out, 8, expiration);
  put32(out, 12, inception);
  put16(out, 16, key.tag);
  out.set(key.signer, 18);
}

function countLabels(name: Name): number {
  let labels = 0;
  for (let at = 0; (name[at] ?? 0) !== 0; at += (name[at] ?? 0) + 1) labels++;
  return labels;
}

/** Memory for octets to sign, which is used again. */
export type Scratch = { octets: Uint8Array };

/**
 * Writes to `scratch.octets[at...]` what a signature covers after its own data (RFC 4034 3.1.8.1). `owner` is in
 * canonical form. Returns the end.
 */
export function writeSignedRecords(
  scratch: Scratch,
  at: number,
  { owner, type, ttlSeconds, rdata }: SignedSet,
): number {
  const sorted = rdata.length < 2 && !LOWERED.has(type) ? rdata : canonicalOrder(rdata.map((each) => canonicalRdata(type, each))); // prettier-ignore
  let octets = at;
  for (const data of sorted) octets += owner.length + 10 + data.length;
  if (octets > scratch.octets.length) {
    const larger = new Uint8Array(octets * 2);
    larger.set(scratch.octets.subarray(0, at));
    scratch.octets = larger;
  }
  const out = scratch.octets;
  let end = at;
  for (const data of sorted) {
    out.set(owner, end);
    end += owner.length;
    put16(out, end, type);
    put16(out, end + 2, CLASS.IN);
    put32(out, end + 4, ttlSeconds);
    put16(out, end + 8, data.length);
    out.set(data, end + 10);
    end += 10 + data.length;
  }
  return end;
}

function put32(out: Uint8Array, at: number, value: number): void {
  put16(out, at, value >>> 16);
  put16(out, at + 2, value & 0xffff);
}

/** Data in the form in which equal records are equal (RFC 4034 6.2). */
export function canonicalRdata(type: number, rdata: Uint8Array): Uint8Array {
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

/** RFC 9824 3.1: the name right after a name in canonical order, below it. */
export function nextBelow(name: Name): Name {
  if (name.length + 2 > MAX_NAME_OCTETS) return nextBeside(name);
  const next = new Uint8Array(name.length + 2);
  next[0] = 1;
  next.set(name, 2);
  return next;
}

/** RFC 9824 3.4: a name after a name and all names below it, with no other name between. */
export function nextBeside(name: Name): Name {
  const octets = name[0] ?? 0;
  if (octets < MAX_LABEL_OCTETS && name.length < MAX_NAME_OCTETS) {
    const next = new Uint8Array(name.length + 1);
    next.set(name.subarray(0, octets + 1));
    next[0] = octets + 1;
    next.set(name.subarray(octets + 1), octets + 2);
    return next;
  }
  // No label is longer: the last octet that can become greater does.
  let last = octets;
  while (last > 1 && name[last] === 0xff) last--;
  const next = new Uint8Array(name.length - (octets - last));
  next.set(name.subarray(0, last + 1));
  next[0] = last;
  // Of capital letters, names have only the small form.
  next[last] = name[last] === 0x40 ? 0x5b : (name[last] ?? 0) + 1;
  next.set(name.subarray(octets + 1), last + 1);
  return next;
}
