/**
 * Finds the signatures of steered answers in a signed zone. PACKET PATH: allocates nothing, except in `signedPart`.
 *
 * A set of VIPs has a key: a bit for each of the service's first 31 VIPs. Each later VIP has a key for itself alone,
 * and so has the set of all VIPs if it includes later ones. Other sets with later VIPs are signed when they are first
 * needed (zones/sign-sets.ts).
 */
import { TYPE } from '../../wire/types.ts';
import { firstRrsetOf, type Image, NODE, nodeWord, pairOf, RRSET, rrsetWord, SIGNED, ZONE, zoneWord } from './image.ts';

/** The key of `when_all_down`. */
export const STATIC_KEY = 0;
/** A set with VIPs after these has no bits. */
export const MAX_SET_VIPS = 31;
const LATER_VIP = 0x8000_0000 | 0;
const ALL_VIPS = LATER_VIP | 0xffff;
export const NO_KEY = -1;

/**
 * The key of the first `size` of `vips`, which are numbers within the service; NO_KEY if the set has none. `all` is the
 * number of VIPs that have data of the type.
 */
export function keyOfSet(vips: Int32Array, size: number, all: number): number {
  const first = vips[0] ?? 0;
  if (size === 1 && first >= MAX_SET_VIPS) return LATER_VIP | first;
  let key = 0;
  for (let i = 0; i < size; i++) {
    const vip = vips[i] ?? 0;
    if (vip >= MAX_SET_VIPS) return size === all ? ALL_VIPS : NO_KEY;
    key |= 1 << vip;
  }
  return key;
}

/** The type of a row with the signatures of sets. See RRSET.TYPE, and `findSet` for `place`. */
export function setPair(type: number, place: number): number {
  return pairOf(TYPE.RRSIG | (place << PLACE_SHIFT), type);
}

/** RRSIG has 6 bits. */
const PLACE_SHIFT = 8;

/** Whether a row has signatures, of a set or of an RRset. */
export function isSetPair(type: number): boolean {
  return isPair(type) && (type & ((1 << PLACE_SHIFT) - 1)) === TYPE.RRSIG;
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

/** Whether answering threads sign denials for a zone (RFC 9824). */
export function isCompact({ words }: Image, zone: number): boolean {
  return zoneWord(words, zone, ZONE.COMPACT) !== 0;
}

/**
 * The row with the signatures of a service's set. `place`: of a service that the node's service leads to
 * (`innerPlace`); 0 for the node's service.
 */
export function findSet({ words }: Image, node: number, type: number, key: number, place: number): number {
  const pair = setPair(type, place);
  const first = firstRrsetOf(node);
  const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
  for (let row = first + 1; row < end; row++) {
    // The signatures of an RRset have no key (0), but no RRset beside a service has a type that its answers can have.
    if (rrsetWord(words, row, RRSET.SET_KEY) === key && rrsetWord(words, row, RRSET.TYPE) === pair) return row;
  }
  return -1;
}

/**
 * The length of the longest prefix of `vips` that has signatures as a set, and the row of these; undefined if the zone
 * is not signed. `all` is as for `keyOfSet`, `place` as for `findSet`.
 */
export function signedPart(
  image: Image,
  node: number,
  type: number,
  vips: Int32Array,
  all: number,
  place: number,
): { readonly size: number; readonly row: number } | undefined {
  if (vips.length === 0) {
    const row = findSet(image, node, type, STATIC_KEY, place);
    return row < 0 ? undefined : { size: Infinity, row };
  }
  for (let size = vips.length; size > 0; size--) {
    const row = findSet(image, node, type, keyOfSet(vips, size, all), place);
    if (row >= 0) return { size, row };
  }
  return undefined;
}
