/**
 * A signature by an algorithm's number. `node:crypto` is loaded when it is first needed: most answering threads sign
 * nothing.
 */
import type { KeyObject, SignKeyObjectInput } from 'node:crypto';

/** The hash, and how r and s of ECDSA are written: as they are, without ASN.1 (RFC 6605 4). */
const WAYS: ReadonlyMap<number, { readonly hash: string | null; readonly isPlain: boolean }> = new Map([
  [8, { hash: 'sha256', isPlain: false }],
  [13, { hash: 'sha256', isPlain: true }],
  [14, { hash: 'sha384', isPlain: true }],
  [15, { hash: null, isPlain: false }],
]);

export function signData(algorithm: number, data: Uint8Array, key: KeyObject): Uint8Array {
  const way = WAYS.get(algorithm);
  if (!way) throw new RangeError(`algorithm ${algorithm} cannot sign`);
  const input: SignKeyObjectInput = way.isPlain ? { key, dsaEncoding: 'ieee-p1363' } : { key };
  return process.getBuiltinModule('node:crypto').sign(way.hash, data, input);
}
