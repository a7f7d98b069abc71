/**
 * The hash behind the image's table, over canonical wire form. It runs from the last octet to the first, so
 * that one pass over a name gives the hash of every suffix: what the search for the closest encloser needs.
 */

export const HASH_START = 0x811c9dc5 | 0;

/** One octet further to the left. FNV-1a's step. */
export function hashStep(hash: number, octet: number): number {
  return Math.imul(hash ^ octet, 0x01000193);
}

/** Spreads the high bits over those that choose the row of the table (MurmurHash3's finaliser, shortened). */
export function hashFinish(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

/** Hash of `octets` octets of `bytes` from `at`: a whole canonical name, the root's zero included. */
export function hashName(bytes: Uint8Array, at: number, octets: number): number {
  let hash = HASH_START;
  for (let i = at + octets - 1; i >= at; i--) hash = hashStep(hash, bytes[i] ?? 0);
  return hashFinish(hash);
}
