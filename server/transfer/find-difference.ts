/**
 * Finds the difference between two versions of a zone that a dynamic update has made: only the names that it changed
 * are compared, and in a signed zone the names before them, whose NSEC changes.
 */
import { canonical, compareCanonical, nameKey, type Name } from '../../wire/name.ts';
import { put16 } from '../../wire/octets.ts';
import { CLASS, TYPE } from '../../wire/types.ts';
import type { UpdateRecord } from '../../wire/update.ts';
import { decodeRrset } from '../../zones/image/decode-rrset.ts';
import {
  firstRrsetOf,
  type Image,
  nameAtOf,
  NODE,
  nodeWord,
  ROW_WORDS,
  RRSET,
  rrsetWord,
  ZONE,
  zoneWord,
} from '../../zones/image/image.ts';
import { isCompact, isPair, isSigned, isSignedRrset } from '../../zones/image/signed-rows.ts';
import type { ZoneDifference } from '../../zones/journal/zone-difference.ts';
import { nodesOf, zoneOfApex, type ServedZone } from './zone-messages.ts';

/**
 * `names` are those that the update changed; `was` is the zone before. Undefined if more may have changed: secondaries
 * then transfer the zone.
 */
export function findDifference(
  before: Image,
  next: Image,
  apex: Name,
  names: readonly Name[],
  was: ServedZone | undefined = zoneOfApex(before, apex),
): ZoneDifference | undefined {
  const is = zoneOfApex(next, apex);
  if (!was || !is || isCompact(next, is.zone)) return undefined;
  const hasNsec = isSigned(next, is.zone);
  if (hasNsec !== isSigned(before, was.zone)) return undefined;
  const affected = new Map([apex, ...names].map((name) => [nameKey(name), canonical(name)]));
  for (const name of hasNsec ? names : []) {
    for (const each of [nameBefore(before, was, name), nameBefore(next, is, name)]) affected.set(nameKey(each), each);
  }
  const removed = new Map<string, UpdateRecord>();
  const added = new Map<string, UpdateRecord>();
  for (const name of affected.values()) {
    const old = new Map(recordsAt(before, was, name, apex).map((record) => [keyOf(record), record]));
    for (const record of recordsAt(next, is, name, apex)) {
      const key = keyOf(record);
      if (!old.delete(key)) added.set(key, record);
    }
    for (const [key, record] of old) removed.set(key, record);
  }
  const all = [...removed.values(), ...added.values()];
  // A delegation that appears or goes changes which names below it are signed.
  if (hasNsec && all.some(({ type, name }) => type === TYPE.NS && name.length > apex.length)) return undefined;
  const isSoa = ({ type }: UpdateRecord): boolean => type === TYPE.SOA;
  const [soaBefore, soaAfter] = [[...removed.values()].find(isSoa), [...added.values()].find(isSoa)];
  if (!soaBefore || !soaAfter) return undefined;
  const others = (records: ReadonlyMap<string, UpdateRecord>): Uint8Array[] =>
    [...records.values()].filter((record) => !isSoa(record)).map(encode);
  return {
    ...{ soaBefore: encode(soaBefore), soaAfter: encode(soaAfter) },
    ...{ removed: others(removed), added: others(added) },
  };
}

/** The records of a name that a transfer has, in a steered zone without the answer of the service. */
function recordsAt(image: Image, served: ServedZone, name: Name, apex: Name): readonly UpdateRecord[] {
  const { words } = image;
  const records: UpdateRecord[] = [];
  const add = (rrset: number): void => {
    const type = rrsetWord(words, rrset, RRSET.TYPE) & 0xffff;
    const { ttlSeconds, data } = decodeRrset(image, apex, rrset);
    for (const each of data) records.push({ name, type, class: CLASS.IN, ttlSeconds, data: each });
  };
  for (const node of nodesOf(image, served, name)) {
    const isSteered = nodeWord(words, node, NODE.SERVICE) !== -1;
    const first = firstRrsetOf(node);
    const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
    for (let rrset = first; rrset < end; rrset++) {
      const type = rrsetWord(words, rrset, RRSET.TYPE);
      // Updates change no other records of a steered name.
      if (isPair(type) || (isSteered && type !== TYPE.NSEC)) continue;
      add(rrset);
      if (isSignedRrset(words, rrset)) add(rrset + 1);
    }
  }
  return records;
}

/** The last name of the NSEC chain before a name; the apex before the apex. */
function nameBefore({ words, bytes }: Image, { zone }: ServedZone, name: Name): Name {
  const chain = zone * ROW_WORDS + zoneWord(words, zone, ZONE.CHAIN_AT);
  const nameOf = (place: number): Name => {
    const node = zone + (words[chain + place] ?? 0);
    const at = nameAtOf(words, node);
    return Uint8Array.from(bytes.subarray(at, at + (nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff)));
  };
  const sought = canonical(name);
  let low = 0;
  let high = zoneWord(words, zone, ZONE.CHAIN_COUNT);
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (compareCanonical(nameOf(middle), sought) < 0) low = middle;
    else high = middle;
  }
  return nameOf(low);
}

function encode({ name, type, class: of, ttlSeconds, data }: UpdateRecord): Uint8Array {
  const octets = new Uint8Array(name.length + 10 + data.length);
  octets.set(name);
  put16(octets, name.length, type);
  put16(octets, name.length + 2, of);
  put16(octets, name.length + 4, ttlSeconds >>> 16);
  put16(octets, name.length + 6, ttlSeconds & 0xffff);
  put16(octets, name.length + 8, data.length);
  octets.set(data, name.length + 10);
  return octets;
}

function keyOf(record: UpdateRecord): string {
  return Buffer.from(encode(record)).toString('latin1');
}
