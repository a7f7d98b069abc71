/**
 * The hash of a canonical name that the image's table goes by: a polynomial over its octets, modulo 2^32. While a name
 * is read from left to right, the sums so far give the hash of every suffix of it without another pass: what the
 * search for the closest encloser needs.
 *
 *     sum(abc)    = a·F² + b·F + c        sum(bc) = sum(abc) − sum(a)·F²
 */
import { MAX_NAME_OCTETS } from './limits.ts';

/** FNV's prime: odd, so that no power of it is lost to the modulus. */
const FACTOR = 0x0100_0193;

const POWERS = new Int32Array(MAX_NAME_OCTETS + 1);
POWERS[0] = 1;
for (let i = 1; i <= MAX_NAME_OCTETS; i++) POWERS[i] = Math.imul(POWERS[i - 1] ?? 0, FACTOR);

/** The sum with one octet more to the right; the empty name's is 0. */
export function hashStep(sum: number, octet: number): number {
  return (Math.imul(sum, FACTOR) + octet) | 0;
}

/** Hash of the last `octets` octets of a name whose sum is `sum`, `before` being that of the octets in front of them. */
export function hashSuffix(sum: number, before: number, octets: number): number {
  return finish((sum - Math.imul(before, POWERS[octets] ?? 0)) | 0);
}

/** Hash of `octets` octets of `bytes` from `at`: a whole canonical name, the root's zero included. */
export function hashName(bytes: Uint8Array, at: number, octets: number): number {
  let sum = 0;
  for (let i = at; i < at + octets; i++) sum = hashStep(sum, bytes[i] ?? 0);
  return finish(sum);
}

/** Spreads the high bits over those that choose the row of the table (MurmurHash3's finaliser, shortened). */
function finish(sum: number): number {
  const mixed = Math.imul(sum ^ (sum >>> 16), 0x85eb_ca6b);
  return mixed ^ (mixed >>> 13);
}
