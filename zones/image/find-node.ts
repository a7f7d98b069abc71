/**
 * The search of the packet path: the node of a name, or its closest encloser (RFC 4592 2.2.1, RFC 9499).
 */
import { ALIAS, aliasWord } from '../../steering/plan.ts';
import { addLabel, hashLabel, hashSuffix } from '../../wire/name-hash.ts';
import { TYPE } from '../../wire/types.ts';
import {
  apexAt,
  apexOf,
  CHANGE,
  HEAD,
  headOf,
  headWord,
  nodeIn,
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
  /** Number of the zone, valid if there is a node, and the head of its version that was searched. */
  zone: number;
  head: number;
  /** Number of the zone's first service. */
  firstService: number;
  /** Row in the plan's `aliases` of the first service of another zone. */
  firstAlias: number;
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
    head: 0,
    firstService: 0,
    firstAlias: 0,
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

/**
 * Finds the longest suffix of the name that exists, in the zone with the longest apex that the name ends with. Returns
 * the place of the zone in the catalog; -1 if there is none.
 */
export function search(image: Image, target: Search): number {
  target.node = -1;
  const found = findZone(image, target, Math.max(0, target.labels - image.maxApexLabels));
  if (found < 0) return -1;
  searchZone(image, target, found & LABEL_MASK);
  return found >> LABEL_BITS;
}

/** A name has at most 127 labels (RFC 1035 2.3.4). */
const LABEL_BITS = 7;
const LABEL_MASK = (1 << LABEL_BITS) - 1;

/**
 * Finds the zone and returns the label at which its apex begins, with the zone's place in the catalog above; -1 if
 * there is none at `label` or after it.
 */
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
      target.head = headOf(words, zone);
      target.firstService = zones[entry * ZONE_ENTRY.WORDS + ZONE_ENTRY.FIRST_SERVICE] ?? 0;
      target.firstAlias = zones[entry * ZONE_ENTRY.WORDS + ZONE_ENTRY.FIRST_ALIAS] ?? 0;
      return ((zones[entry * ZONE_ENTRY.WORDS + ZONE_ENTRY.PLACE] ?? 0) << LABEL_BITS) | label;
    }
  }
  return -1;
}

/** Repeats a search in another version of `target.zone`. */
export function searchIn(image: Pick<Image, 'words' | 'bytes' | 'bytesView'>, target: Search, head: number): void {
  target.head = head;
  const apex = target.nameOctets - zoneWord(image.words, target.zone, ZONE.APEX_OCTETS);
  searchZone(image, target, target.labelAt.subarray(0, target.labels + 1).indexOf(apex));
}

/** Finds the longest suffix in the version `target.head` of `target.zone`, whose apex begins at `apexLabel`. */
function searchZone(image: Pick<Image, 'words' | 'bytes' | 'bytesView'>, target: Search, apexLabel: number): void {
  const { head, nameOctets, labelAt, labels, nameSum, sumBefore } = target;
  const { words } = image;
  // No name of the zone has more labels, so longer suffixes are skipped.
  for (let label = Math.max(0, labels - headWord(words, head, HEAD.MAX_LABELS)); label < apexLabel; label++) {
    const at = labelAt[label] ?? 0;
    const hash = hashSuffix(nameSum, sumBefore[label] ?? 0, labels - label);
    target.node = probe(image, hash, target, at, nameOctets - at);
    target.suffixAt = at;
    if (target.node >= 0) return;
  }
  target.node = apexAt(words, head);
  target.suffixAt = labelAt[apexLabel] ?? 0;
}

/**
 * Continues with the parent zone's side of the cut, if the name is an apex and its parent zone is served here too and
 * delegates it: DS belongs to the parent (RFC 4035 3.1.4.1). `place` is that of the zone found so far. Returns that of
 * the zone found in the end.
 */
export function searchParent(image: Image, target: Search, place: number): number {
  const { zone, head, node, suffixAt, firstService, firstAlias } = target;
  const found = findZone(image, target, 1);
  if (found >= 0) {
    searchZone(image, target, found & LABEL_MASK);
    if (target.suffixAt === 0 && (nodeWord(image.words, target.node, NODE.NAME_AND_FLAGS) & NODE_FLAG.CUT) !== 0)
      return found >> LABEL_BITS;
  }
  target.zone = zone;
  target.head = head;
  target.node = node;
  target.suffixAt = suffixAt;
  target.firstService = firstService;
  target.firstAlias = firstAlias;
  return place;
}

function probe(
  image: Pick<Image, 'words' | 'bytes' | 'bytesView'>,
  hash: number,
  target: Search,
  at: number,
  octets: number,
): number {
  const { words } = image;
  const { zone, head } = target;
  const table = zone * ROW_WORDS + zoneWord(words, zone, ZONE.TABLE_AT);
  const mask = zoneWord(words, zone, ZONE.TABLE_MASK);
  for (let row = hash & mask; ; row = (row + 1) & mask) {
    const rows = words[table + row * 2 + 1] ?? 0;
    if (rows === 0) return -1;
    if (words[table + row * 2] !== hash) continue;
    if (rows > 0) {
      if (isNamed(image, zone + rows, target, at, octets)) return zone + rows;
    } else if (isNamed(image, zone - rows, target, at, octets)) {
      return nodeIn(words, zone - rows, headWord(words, head, HEAD.VERSION));
    }
  }
}

function isNamed(
  { words, bytes, bytesView }: Pick<Image, 'words' | 'bytes' | 'bytesView'>,
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

/** All nodes of a version of a zone, also those that no search finds. The apex is the first. */
export function* zoneNodes(words: Int32Array, zone: number, head: number): Generator<number, undefined> {
  const version = headWord(words, head, HEAD.VERSION);
  yield apexAt(words, head);
  const end = zone + zoneWord(words, zone, ZONE.NODES_END);
  const firstApex = apexAt(words, zone + ZONE.FIRST_HEAD / ROW_WORDS);
  for (let node = nextNode(words, firstApex); node < end; node = nextNode(words, node)) {
    const replaced = nodeWord(words, node, NODE.REPLACED);
    if (replaced === 0 || replaced > version) yield node;
  }
  const table = zone * ROW_WORDS + zoneWord(words, zone, ZONE.TABLE_AT);
  const first = headWord(words, head, HEAD.CHANGES);
  for (let oldest = first === 0 ? 0 : zone + first; oldest !== 0;) {
    const entry = headWord(words, oldest, CHANGE.ENTRY);
    const node = nodeIn(words, zone - (words[table + entry * 2 + 1] ?? 0), version);
    if (node >= 0) yield node;
    const next = headWord(words, oldest, CHANGE.NEXT);
    oldest = next === 0 ? 0 : oldest + next;
  }
}

/** RFC 8482 4.1: one RRset of a node is enough for ANY. -1 if the node has none, or no other than an NSEC. */
export function anyRrset({ words }: Image, node: number): number {
  if (nodeWord(words, node, NODE.RRSET_COUNT) === 0) return -1;
  const first = firstRrsetOf(node);
  return rrsetWord(words, first, RRSET.TYPE) === TYPE.NSEC ? -1 : first;
}

/** Number of a node's RRset of a type, or -1. */
export function findRrset({ words }: Image, node: number, type: number): number {
  const first = firstRrsetOf(node);
  const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
  for (let rrset = first; rrset < end; rrset++) {
    if (rrsetWord(words, rrset, RRSET.TYPE) === type) return rrset;
  }
  return -1;
}

/** The first service and alias of a zone. */
export type ZoneServices = Pick<Search, 'firstService' | 'firstAlias'>;

/** The number of the service of a node, or -1. */
export function serviceOf({ words, plan }: Image, { firstService, firstAlias }: ZoneServices, node: number): number {
  const service = nodeWord(words, node, NODE.SERVICE);
  if (service < -1) return aliasWord(plan.aliases, firstAlias - 2 - service, ALIAS.SERVICE);
  return service < 0 ? -1 : firstService + service;
}

/** The row from which the RRset columns of the service of a node count. */
export function answersFrom({ words, plan }: Image, { firstAlias }: ZoneServices, node: number, zone: number): number {
  const service = nodeWord(words, node, NODE.SERVICE);
  return service < -1 ? zone + aliasWord(plan.aliases, firstAlias - 2 - service, ALIAS.SHIFT) : zone;
}

/** The same for a service that the service of the node leads to. */
export function innerAnswersFrom(
  { words, plan }: Image,
  { firstAlias }: ZoneServices,
  node: number,
  zone: number,
  inner: number,
): number {
  if (nodeWord(words, node, NODE.SERVICE) >= -1) return zone;
  // The zone has an alias row for each service that its aliases lead to, also for those over others.
  for (let alias = firstAlias; alias * ALIAS.WORDS < plan.aliases.length; alias++) {
    if (aliasWord(plan.aliases, alias, ALIAS.SERVICE) === inner)
      return zone + aliasWord(plan.aliases, alias, ALIAS.SHIFT);
  }
  return zone;
}
