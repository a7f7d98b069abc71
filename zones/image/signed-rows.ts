/**
 * Finds the signatures of steered answers in a signed zone. PACKET PATH: allocates nothing, except in `signedPart`.
 *
 * A set of VIPs has a key: a bit for each of the service's first 31 VIPs. Each later VIP has a key for itself alone.
 */
import { TYPE } from '../../wire/types.ts';
import { firstRrsetOf, type Image, NODE, nodeWord, pairOf, RRSET, rrsetWord, SIGNED, ZONE, zoneWord } from './image.ts';

/** The key of `when_all_down`. */
export const STATIC_KEY = 0;
/** VIPs after these are signed one by one only. */
export const MAX_SET_VIPS = 31;
const LATER_VIP = 0x8000_0000 | 0;
const NO_KEY = -1;

/** The key of the first `size` of `vips`, which are numbers within the service. */
export function keyOfSet(vips: Int32Array, size: number): number {
  const first = vips[0] ?? 0;
  if (first >= MAX_SET_VIPS) return size === 1 ? LATER_VIP | first : NO_KEY;
  let key = 0;
  for (let i = 0; i < size; i++) {
    const vip = vips[i] ?? 0;
    if (vip >= MAX_SET_VIPS) return NO_KEY;
    key |= 1 << vip;
  }
  return key;
}

/** Whether the next row has the signatures of an RRset. */
export function isSignedRrset(words: Int32Array, rrset: number): boolean {
  return (rrsetWord(words, rrset, RRSET.COUNT) & SIGNED) !== 0;
}

/** Whether the type of a row is a pair: see RRSET.TYPE. */
export function isPair(type: number): boolean {
  return type >>> 16 !== 0;
}

/** Whether a zone is signed. */
export function isSigned({ words }: Image, zone: number): boolean {
  return zoneWord(words, zone, ZONE.CHAIN_COUNT) > 0;
}

/** The row with the signatures of a service's set. */
export function findSet({ words }: Image, node: number, type: number, key: number): number {
  const pair = pairOf(TYPE.RRSIG, type);
  const first = firstRrsetOf(words, node);
  const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
  for (let row = first + 1; row < end; row++) {
    if (rrsetWord(words, row, RRSET.SET_KEY) !== key || rrsetWord(words, row, RRSET.TYPE) !== pair) continue;
    // The signatures of static records have no key: they follow their RRset.
    if (key !== 0 || !isSignedRrset(words, row - 1)) return row;
  }
  return -1;
}

/**
 * The length of the longest prefix of `vips` that has signatures as a set, and the row of these; undefined if the zone
 * is not signed.
 */
export function signedPart(
  image: Image,
  node: number,
  type: number,
  vips: Int32Array,
): { readonly size: number; readonly row: number } | undefined {
  if (vips.length === 0) {
    const row = findSet(image, node, type, STATIC_KEY);
    return row < 0 ? undefined : { size: Infinity, row };
  }
  for (let size = vips.length; size > 0; size--) {
    const row = findSet(image, node, type, keyOfSet(vips, size));
    if (row >= 0) return { size, row };
  }
  return undefined;
}
