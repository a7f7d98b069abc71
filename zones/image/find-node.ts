/**
 * The search of the packet path: the node of a name, or its closest encloser (RFC 4592 2.2.1, RFC 9499).
 */
import { addLabel, hashLabel, hashSuffix } from '../../wire/name-hash.ts';
import { TYPE } from '../../wire/types.ts';
import {
  apexOf,
  ZONE_ENTRY,
  firstRrsetOf,
  type Image,
  nameAtOf,
  NODE,
  NODE_FLAG,
  nodeWord,
  ROW_WORDS,
  RRSET,
  rrsetWord,
  ZONE,
  zoneWord,
} from './image.ts';

/** A name to look for, in canonical form, and what was found. */
export type Search = {
  readonly name: Uint8Array;
  readonly nameView: DataView;
  nameOctets: number;
  /** As in wire/query.ts, with the sums from which wire/name-hash.ts computes hashes. */
  readonly labelAt: Uint8Array;
  labels: number;
  nameSum: number;
  readonly sumBefore: Int32Array;
  /** Number of the zone, valid if there is a node. */
  zone: number;
  /** Number of the zone's first service. */
  firstService: number;
  /** Number of the node; -1 if the name is in no zone. */
  node: number;
  /** Offset of the node's suffix in the name: 0 if the whole name exists. */
  suffixAt: number;
};

/** Creates a search for one name in canonical form. It allocates: not for the packet path. */
export function createSearch(name: Uint8Array): Search {
  const labelAt: number[] = [];
  for (let at = 0; at < name.length; at += (name[at] ?? 0) + 1) labelAt.push(at);
  const search: Search = {
    name,
    nameView: new DataView(name.buffer, name.byteOffset, name.byteLength),
    nameOctets: name.length,
    labelAt: Uint8Array.from(labelAt),
    labels: labelAt.length - 1,
    nameSum: 0,
    sumBefore: new Int32Array(labelAt.length),
    zone: 0,
    firstService: 0,
    node: -1,
    suffixAt: 0,
  };
  sumLabels(search);
  return search;
}

/** Computes the sums from name and labels. */
export function sumLabels(target: Search): void {
  let sum = 0;
  for (let label = 0; label < target.labels; label++) {
    target.sumBefore[label] = sum;
    sum = addLabel(sum, hashLabel(target.name, target.labelAt[label] ?? 0));
  }
  target.sumBefore[target.labels] = sum;
  target.nameSum = sum;
}

/** Finds the longest suffix of the name that exists, in the zone with the longest apex that the name ends with. */
export function search(image: Image, target: Search): void {
  target.node = -1;
  const label = findZone(image, target, Math.max(0, target.labels - image.maxApexLabels));
  if (label >= 0) searchZone(image, target, label);
}

/** Finds the zone and returns the label at which its apex begins; -1 if there is none at `label` or after it. */
function findZone(image: Image, target: Search, label: number): number {
  const { labelAt, labels, nameSum, sumBefore, nameOctets } = target;
  const { words, zones, zoneMask } = image;
  for (; label <= labels; label++) {
    const at = labelAt[label] ?? 0;
    const hash = hashSuffix(nameSum, sumBefore[label] ?? 0, labels - label);
    for (let entry = hash & zoneMask; ; entry = (entry + 1) & zoneMask) {
      const zone = zones[entry * ZONE_ENTRY.WORDS + ZONE_ENTRY.ZONE] ?? 0;
      if (zone === 0) break;
      if (zones[entry * ZONE_ENTRY.WORDS + ZONE_ENTRY.HASH] !== hash) continue;
      if (!isNamed(image, apexOf(words, zone), target, at, nameOctets - at)) continue;
      target.zone = zone;
      target.firstService = zones[entry * ZONE_ENTRY.WORDS + ZONE_ENTRY.FIRST_SERVICE] ?? 0;
      return label;
    }
  }
  return -1;
}

/** Finds the longest suffix in `target.zone`, whose apex begins at `apexLabel`. */
function searchZone(image: Image, target: Search, apexLabel: number): void {
  const { zone, nameOctets, labelAt, labels, nameSum, sumBefore } = target;
  const { words } = image;
  // No name of the zone has more labels, so longer suffixes are skipped.
  for (let label = Math.max(0, labels - zoneWord(words, zone, ZONE.MAX_LABELS)); label < apexLabel; label++) {
    const at = labelAt[label] ?? 0;
    const hash = hashSuffix(nameSum, sumBefore[label] ?? 0, labels - label);
    target.node = probe(image, hash, target, at, nameOctets - at);
    target.suffixAt = at;
    if (target.node >= 0) return;
  }
  target.node = apexOf(words, zone);
  target.suffixAt = labelAt[apexLabel] ?? 0;
}

/**
 * Continues with the parent zone's side of the cut, if the name is an apex and its parent zone is served here too and
 * delegates it: DS belongs to the parent (RFC 4035 3.1.4.1).
 */
export function searchParent(image: Image, target: Search): void {
  const { zone, node, suffixAt, firstService } = target;
  const label = findZone(image, target, 1);
  if (label >= 0) {
    searchZone(image, target, label);
    if (target.suffixAt === 0 && (nodeWord(image.words, target.node, NODE.NAME_AND_FLAGS) & NODE_FLAG.CUT) !== 0)
      return;
  }
  target.zone = zone;
  target.node = node;
  target.suffixAt = suffixAt;
  target.firstService = firstService;
}

function probe(image: Image, hash: number, target: Search, at: number, octets: number): number {
  const { words } = image;
  const { zone } = target;
  const table = zone * ROW_WORDS + zoneWord(words, zone, ZONE.TABLE_AT);
  const mask = zoneWord(words, zone, ZONE.TABLE_MASK);
  for (let row = hash & mask; ; row = (row + 1) & mask) {
    const rows = words[table + row * 2 + 1] ?? 0;
    if (rows === 0) return -1;
    if (words[table + row * 2] === hash && isNamed(image, zone + rows, target, at, octets)) return zone + rows;
  }
}

function isNamed(
  { words, bytes, bytesView }: Image,
  node: number,
  { name, nameView }: Search,
  at: number,
  octets: number,
): boolean {
  if ((nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff) !== octets) return false;
  const nameAt = nameAtOf(words, node);
  let i = 0;
  for (; i + 4 <= octets; i += 4) {
    if (bytesView.getUint32(nameAt + i, true) !== nameView.getUint32(at + i, true)) return false;
  }
  for (; i < octets; i++) if (bytes[nameAt + i] !== name[at + i]) return false;
  return true;
}

/** The node after a node: the rows of its RRsets are between them, and node numbers are even (arrange.ts). */
export function nextNode(words: Int32Array, node: number): number {
  const rows = 1 + nodeWord(words, node, NODE.RRSET_COUNT);
  return node + rows + (rows & 1);
}

/** RFC 8482 4.1: one RRset of a node is enough for ANY. -1 if the node has none, or no other than an NSEC. */
export function anyRrset({ words }: Image, node: number): number {
  if (nodeWord(words, node, NODE.RRSET_COUNT) === 0) return -1;
  const first = firstRrsetOf(words, node);
  return rrsetWord(words, first, RRSET.TYPE) === TYPE.NSEC ? -1 : first;
}

/** Number of a node's RRset of a type, or -1. */
export function findRrset({ words }: Image, node: number, type: number): number {
  const first = firstRrsetOf(words, node);
  const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
  for (let rrset = first; rrset < end; rrset++) {
    if (rrsetWord(words, rrset, RRSET.TYPE) === type) return rrset;
  }
  return -1;
}

/** The number of the service at the node that was found, or -1. */
export function serviceAt({ words }: Image, { node, firstService }: Search): number {
  const service = nodeWord(words, node, NODE.SERVICE);
  return service < 0 ? -1 : firstService + service;
}
