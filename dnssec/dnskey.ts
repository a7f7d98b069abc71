/**
 * DNSKEY, DS, CDS and CDNSKEY data (RFC 4034 2 and 5, RFC 7344 3, RFC 8078 4).
 */
import { createHash } from 'node:crypto';
import { canonical, type Name } from '../wire/name.ts';

/** RFC 4034 2.1.1: the key signs zone data. */
const ZONE_KEY = 0x0100;
/** RFC 4034 2.1.1: the parent's DS refers to the key (a key signing key). */
export const SECURE_ENTRY_POINT = 0x0001;
const PROTOCOL = 3;
const SHA_256 = 2;

/** DNSKEY data of a zone key. `flags` may have SECURE_ENTRY_POINT. */
export function dnskeyData(flags: number, algorithm: number, publicKey: Uint8Array): Uint8Array {
  const all = ZONE_KEY | flags;
  return Uint8Array.from(Buffer.concat([Uint8Array.of(all >> 8, all & 0xff, PROTOCOL, algorithm), publicKey]));
}

/** RFC 4034 B: the key tag. */
export function keyTag(dnskey: Uint8Array): number {
  let sum = 0;
  for (const [index, octet] of dnskey.entries()) sum += (index & 1) === 0 ? octet << 8 : octet;
  return (sum + (sum >> 16)) & 0xffff;
}

/** DS data with SHA-256 (RFC 4509). CDS data is the same (RFC 7344 3.1). */
export function dsData(owner: Name, dnskey: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(canonical(owner)).update(dnskey).digest();
  const tag = keyTag(dnskey);
  return Uint8Array.from(Buffer.concat([Uint8Array.of(tag >> 8, tag & 0xff, dnskey[3] ?? 0, SHA_256), digest]));
}

/** Digest types (IANA DS RR Type Digest Algorithms). */
const DIGESTS: ReadonlyMap<number, string> = new Map([
  [1, 'sha1'],
  [SHA_256, 'sha256'],
  [4, 'sha384'],
]);

/**
 * Whether DS data as text refers to the key. Key tags are not unique, so the digest decides; if its type is unknown,
 * tag and algorithm decide.
 */
export function isDsOf(owner: Name, dnskey: Uint8Array, text: string): boolean {
  const [tag, algorithm, type, ...digest] = text.trim().split(/\s+/);
  if (Number(tag) !== keyTag(dnskey) || Number(algorithm) !== (dnskey[3] ?? 0)) return false;
  const name = DIGESTS.get(Number(type));
  if (name === undefined) return true;
  const own = createHash(name).update(canonical(owner)).update(dnskey).digest('hex');
  return own === digest.join('').toLowerCase();
}

/** RFC 8078 4: asks the parent to remove all DS records. */
export const DELETE_CDS = Uint8Array.of(0, 0, 0, 0, 0);
export const DELETE_CDNSKEY = Uint8Array.of(0, 0, PROTOCOL, 0, 0);
