/**
 * Compiles one zone into the image: names, empty non-terminals, cuts with their glue, RRsets, and RRsets for the additional
 * section. Services are compiled afterwards (compile-services.ts).
 */
import type { Report } from '../../config/diagnostics.ts';
import { MAX_NAME_OCTETS } from '../../wire/limits.ts';
import { canonical, isWildcard, labelOffsets, nameKey, type Name } from '../../wire/name.ts';
import { additionalNameOffset } from '../../wire/rdata.ts';
import { mostRrsetOctets } from '../../wire/response.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type { ZoneModel } from '../read/model.ts';
import { ownerOf, rdataOf, type RecordStore } from '../read/record-store.ts';
import { resolveTargets } from './additional.ts';
import { encodeRrset } from './encode-rrset.ts';
import { createWords, pushWords, reserveWords, type Words } from './growable.ts';
import { NODE, NODE_FLAG, RRSET, ZONE, nodeWord } from './image.ts';
import { addHiddenNode, addNode, findNode, flagsOf, type NodeTable, zoneOf } from './node-table.ts';

/** The tables of the image under construction. */
export type Building = NodeTable & {
  readonly rrsets: Words;
  readonly patches: Words;
  readonly extras: Words;
  readonly zones: Words;
  maxLabels: number;
};

/** The working data of compiling one zone. */
type Work = {
  readonly building: Building;
  readonly store: RecordStore;
  readonly apex: Name;
  readonly zone: number;
  readonly firstNode: number;
  readonly serial: number;
  readonly report: Report;
  /** Row lists by node: the first row + 1 of a node (relative to firstNode), the next row + 1 of a row. */
  readonly firstRow: Words;
  readonly nextRow: Int32Array;
  /** Occluded rows by owner, in the order of the file: those below a cut, and at a cut all but NS and DS. */
  readonly occluded: Map<string, number[]>;
  /** Their nodes, by owner. Addresses are glue if a delegation names them; transfers contain all of them (RFC 5936 3.5). */
  readonly occludedNode: Map<string, number>;
  /** (RRset, offset of the target's name in it, row) for each target that may have additional data. */
  readonly targets: Words;
};

/**
 * Adds a zone and returns its number. Zones must come deepest apex first, so that a child zone's names are
 * there when its parent's are added.
 */
export function compileZone(building: Building, model: ZoneModel, serial: number, report: Report): number {
  const apex = canonical(model.apex);
  const zone = building.zones.length / ZONE.WORDS;
  const apexNode = addNode(building, apex, zone);
  setFlag(building, apexNode, NODE_FLAG.APEX);
  building.maxLabels = Math.max(building.maxLabels, labelOffsets(apex).length);
  pushWords(building.zones, apexNode, apex.length, -1, serial | 0);
  const work: Work = {
    building,
    store: model.records,
    apex,
    zone,
    firstNode: apexNode,
    serial,
    report,
    firstRow: createWords(),
    nextRow: new Int32Array(model.records.count),
    occluded: new Map(),
    occludedNode: new Map(),
    targets: createWords(),
  };
  addCuts(work);
  linkRows(work);
  for (let node = work.firstNode; node * NODE.WORDS < building.nodes.length; node++) encodeNode(work, node);
  addOccluded(work);
  resolveTargets(work);
  return zone;
}

/** Returns the node of the name of this zone that starts at `at`. Adds it and its ancestors if they are missing. */
export function ensureName(building: Building, longer: Name, zone: number, at = 0): number {
  const found = findNode(building, longer, at, longer.length - at);
  if (found >= 0) return found;
  const name = at === 0 ? longer : longer.subarray(at);
  const labels = labelOffsets(name);
  building.maxLabels = Math.max(building.maxLabels, labels.length);
  const node = addNode(building, name, zone);
  linkToParent(building, name, node, zone);
  return node;
}

function linkToParent(building: Building, name: Name, node: number, zone: number): void {
  // Passes an offset, not a copy of the name: mostly the parent exists already, such as one apex for a million names.
  const parent = ensureName(building, name, zone, (name[0] ?? 0) + 1);
  if (isWildcard(name)) building.nodes.array[parent * NODE.WORDS + NODE.WILDCARD] = node;
}

function setFlag(building: Building, node: number, flag: number): void {
  const at = node * NODE.WORDS + NODE.NAME_AND_FLAGS;
  building.nodes.array[at] = (building.nodes.array[at] ?? 0) | flag;
}

/** Zone cuts first, the highest first: they decide which other names exist. */
function addCuts(work: Work): void {
  const { building, store, apex, zone } = work;
  const owners = new Map<string, Name>();
  for (let row = 0; row < store.count; row++) {
    if (store.type[row] !== TYPE.NS || store.ownerOctets[row] === apex.length) continue;
    const owner = canonical(ownerOf(store, row));
    owners.set(nameKey(owner), owner);
  }
  const highestFirst = [...owners.values()].sort((a, b) => labelOffsets(a).length - labelOffsets(b).length);
  for (const owner of highestFirst) {
    if (isOccluded(work, owner)) continue;
    const found = findNode(building, owner, 0, owner.length);
    if (found >= 0 && zoneOf(building, found) !== zone) {
      // The child zone is served here too: its apex has the name, and refers to the parent's side of the cut.
      const hidden = addHiddenNode(building, owner, zone);
      building.nodes.array[found * NODE.WORDS + NODE.PARENT_CUT] = hidden;
      setFlag(building, hidden, NODE_FLAG.CUT);
      if (owner.length > 1) linkToParent(building, owner, hidden, zone);
    } else {
      setFlag(building, ensureName(building, owner, zone), NODE_FLAG.CUT);
    }
  }
}

/** Whether a name lies below a cut, or in a child zone that is served here. */
function isOccluded({ building, apex, zone }: Pick<Work, 'building' | 'apex' | 'zone'>, name: Name): boolean {
  const apexAt = name.length - apex.length;
  for (let at = (name[0] ?? 0) + 1; at < apexAt; at += (name[at] ?? 0) + 1) {
    const node = findNode(building, name, at, name.length - at);
    if (node < 0) continue;
    if (zoneOf(building, node) !== zone || (flagsOf(building, node) & NODE_FLAG.CUT) !== 0) return true;
  }
  return false;
}

/** Whether a name of this zone belongs to another one that is served here too, or is delegated. */
export function isElsewhere(building: Building, name: Name, apex: Name, zone: number): boolean {
  const found = findNode(building, name, 0, name.length);
  if (found >= 0) return zoneOf(building, found) !== zone || (flagsOf(building, found) & NODE_FLAG.CUT) !== 0;
  return isOccluded({ building, apex, zone }, name);
}

/** Adds each row to the list of its node. Rows below cuts are glue, or serve transfers only. */
function linkRows(work: Work): void {
  const { building, store } = work;
  let lastOwnerAt = -1;
  let node = -1;
  // From the last row to the first, because each row is put in front of its list.
  for (let row = store.count - 1; row >= 0; row--) {
    const ownerAt = store.ownerAt[row] ?? 0;
    if (ownerAt !== lastOwnerAt) {
      lastOwnerAt = ownerAt;
      node = nodeOfOwner(work, canonical(ownerOf(store, row)));
    }
    const type = store.type[row] ?? 0;
    const atCut = node >= 0 && (flagsOf(building, node) & NODE_FLAG.CUT) !== 0;
    if (node < 0 || (atCut && type !== TYPE.NS && type !== TYPE.DS)) {
      const rows = work.occluded.get(nameKey(ownerOf(store, row)));
      if (rows) rows.push(row);
      else work.occluded.set(nameKey(ownerOf(store, row)), [row]);
      continue;
    }
    const index = node - work.firstNode;
    if (index >= work.firstRow.length) reserveWords(work.firstRow, index + 1 - work.firstRow.length);
    work.nextRow[row] = work.firstRow.array[index] ?? 0;
    work.firstRow.array[index] = row + 1;
  }
}

/** The node for an owner's data in this zone, or -1 if the name is occluded. */
function nodeOfOwner(work: Work, owner: Name): number {
  const { building, zone } = work;
  const found = findNode(building, owner, 0, owner.length);
  if (found >= 0) {
    if (zoneOf(building, found) === zone) return found;
    return nodeWord(building.nodes.array, found, NODE.PARENT_CUT);
  }
  return isOccluded(work, owner) ? -1 : ensureName(building, owner, zone);
}

/** Adds a node that no search finds for each owner with occluded rows. */
function addOccluded(work: Work): void {
  const { building, store, zone } = work;
  for (const [key, rows] of work.occluded) {
    const node = addHiddenNode(building, canonical(ownerOf(store, rows[0] ?? 0)), zone);
    work.occludedNode.set(key, node);
    // linkRows collected them from the last to the first.
    encodeRrsets(work, node, rows.reverse());
  }
}

/** Encodes the RRsets of a node contiguously. */
function encodeNode(work: Work, node: number): void {
  const index = node - work.firstNode;
  const first = index < work.firstRow.length ? (work.firstRow.array[index] ?? 0) : 0;
  if (first === 0) return;
  const rows: number[] = [];
  for (let entry = first; entry !== 0; entry = work.nextRow[entry - 1] ?? 0) rows.push(entry - 1);
  encodeRrsets(work, node, rows);
  // After the node's own RRsets, so that those stay contiguous.
  if (node === work.firstNode)
    encodeNegativeSoa(
      work,
      rows.find((row) => work.store.type[row] === TYPE.SOA),
    );
}

/** Encodes the RRsets of a node from all its rows. */
function encodeRrsets(work: Work, node: number, all: readonly number[]): void {
  const { building, store } = work;
  const byType = new Map<number, number[]>();
  for (const row of all) {
    const type = store.type[row] ?? 0;
    const rows = byType.get(type);
    if (rows) rows.push(row);
    else byType.set(type, [row]);
  }
  const at = node * NODE.WORDS;
  building.nodes.array[at + NODE.FIRST_RRSET] = building.rrsets.length / RRSET.WORDS;
  building.nodes.array[at + NODE.RRSET_COUNT] = byType.size;
  for (const [type, rows] of byType) {
    if (type === TYPE.CNAME) setFlag(building, node, NODE_FLAG.CNAME);
    if (type === TYPE.DNAME) setFlag(building, node, NODE_FLAG.DNAME);
    encodeRows(work, type, rows);
  }
}

/** Encodes the rows of one owner and type. Exact duplicates count once; the TTL is the first row's (RFC 2181 5.2). */
function encodeRows(work: Work, type: number, rows: readonly number[]): number {
  const { store, building } = work;
  const kept = rows.length === 1 ? rows : distinctRows(store, rows);
  const rdata = kept.map((row) => (type === TYPE.SOA ? withSerial(work, row) : rdataOf(store, row)));
  const dataAt: number[] = [];
  const ttl = store.ttlSeconds[rows[0] ?? 0] ?? 0;
  const owner = ownerOf(store, rows[0] ?? 0);
  // A wildcard answers for names of any length.
  const nameOctets = isWildcard(owner) ? MAX_NAME_OCTETS : owner.length;
  const rrset = encodeRrset(building, type, ttl, rdata, work.apex, dataAt, nameOctets);
  if (rrset === undefined) {
    reportTooLarge(work, type, rows[0] ?? 0, nameOctets);
    return -1;
  }
  const nameAt = additionalNameOffset(type);
  if (nameAt !== undefined) {
    kept.forEach((row, i) => pushWords(work.targets, rrset, (dataAt[i] ?? 0) + nameAt, row));
  }
  return rrset;
}

/** The rows without those that repeat the data of an earlier one. */
function distinctRows(store: RecordStore, rows: readonly number[]): number[] {
  const distinct = new Map<string, number>();
  for (const row of rows) {
    const key = Buffer.from(rdataOf(store, row)).toString('latin1');
    if (!distinct.has(key)) distinct.set(key, row);
  }
  return [...distinct.values()];
}

function reportTooLarge({ store, report }: Work, type: number, row: number, nameOctets: number): void {
  const most = mostRrsetOctets(nameOctets);
  report.error(
    'PH380',
    `this ${typeText(type)} RRset is larger than a DNS message can hold: beside its question ${most} octets fit`,
    { file: store.files[store.file[row] ?? 0] ?? '', line: store.line[row] ?? 1, column: 1 },
    'give some of its records another name',
  );
}

/** The SOA data with this generation's serial. */
function withSerial({ store, serial }: Work, row: number): Uint8Array {
  const data = rdataOf(store, row).slice();
  new DataView(data.buffer).setUint32(data.length - 20, serial);
  return data;
}

/** RFC 2308 3: negative answers carry the SOA with the lesser of its TTL and its MINIMUM. */
function encodeNegativeSoa(work: Work, row: number | undefined): void {
  if (row === undefined) return;
  const data = withSerial(work, row);
  const minimum = new DataView(data.buffer).getUint32(data.length - 4);
  const ttl = Math.min(work.store.ttlSeconds[row] ?? 0, minimum);
  const { zones } = work.building;
  zones.array[work.zone * ZONE.WORDS + ZONE.NEGATIVE_SOA] =
    encodeRrset(work.building, TYPE.SOA, ttl, [data], work.apex) ?? -1;
}
