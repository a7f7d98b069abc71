/**
 * Compiles one zone: names, empty non-terminals, cuts with their glue, RRsets, RRsets for the additional section, and
 * the RRsets of its services. The result depends on nothing but the zone and the names of the zones below it. How
 * services choose is compiled afterwards, for all zones together (compile-services.ts).
 */
import type { Report } from '../../config/diagnostics.ts';
import { parseAddress } from '../../wire/address.ts';
import { MAX_NAME_OCTETS } from '../../wire/limits.ts';
import { canonical, isWildcard, labelOffsets, nameKey, type Name } from '../../wire/name.ts';
import { additionalNameOffset } from '../../wire/rdata.ts';
import { mostRrsetOctets } from '../../wire/response.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type { ServiceModel, ZoneModel } from '../read/model.ts';
import { ownerOf, rdataOf, type RecordStore } from '../read/record-store.ts';
import { resolveTargets } from './additional.ts';
import { encodeRrset } from './encode-rrset.ts';
import { createBytes, createWords, pushWords, reserveWords, type Words } from './growable.ts';
import { NODE, NODE_FLAG, ROW_WORDS } from './image.ts';
import { addHiddenNode, addNode, createNodeTable, findNode, flagsOf, type NodeTable } from './node-table.ts';

/** The tables of a zone under construction. References are numbers of rows in these tables. */
export type Building = NodeTable & {
  readonly rrsets: Words;
  readonly patches: Words;
  readonly extras: Words;
  maxLabels: number;
  /** The SOA RRset of negative answers, or -1. */
  negativeSoa: number;
  /** RRsets of the services: the first `answers` of all. */
  answers: number;
};

/**
 * The RRsets of a zone's services by number, in the order in which compile-services.ts asks for them: of each service,
 * those of each VIP (A, AAAA, CNAME), then those of `when_all_down` (A, AAAA, CNAME). -1 where there is none.
 */
export type ServiceAnswers = readonly number[];

export type ZoneToCompile = {
  readonly model: ZoneModel;
  readonly serial: number;
  /** Apexes (`nameKey`) of the served zones below this one. */
  readonly children: ReadonlySet<string>;
  readonly report: Report;
};

/** The working data of compiling one zone. */
type Work = {
  readonly building: Building;
  readonly store: RecordStore;
  readonly apex: Name;
  readonly serial: number;
  readonly report: Report;
  readonly children: ReadonlySet<string>;
  readonly isInChild: (name: Name) => boolean;
  /** Row lists by node: the first row + 1 of a node, the next row + 1 of a row. */
  readonly firstRow: Words;
  readonly nextRow: Int32Array;
  /** Occluded rows by owner, in the order of the file: those below a cut, and at a cut all but NS and DS. */
  readonly occluded: Map<string, number[]>;
  /**
   * Their nodes, by owner. Addresses are glue if a delegation names them; transfers contain all of them (RFC 5936 3.5).
   */
  readonly occludedNode: Map<string, number>;
  /** (RRset, offset of the target's name in it, row) for each target that may have additional data. */
  readonly targets: Words;
};

/** The apex is the first node. */
const APEX = 0;

/** Compiles a zone. Returns its tables, and the RRsets of its services. */
export function compileZone({ model, serial, children, report }: ZoneToCompile): {
  readonly building: Building;
  readonly answers: ServiceAnswers;
} {
  const apex = canonical(model.apex);
  const building: Building = {
    ...createNodeTable(createWords(256), createBytes(2048)),
    rrsets: createWords(256),
    patches: createWords(64),
    extras: createWords(16),
    maxLabels: labelOffsets(apex).length,
    negativeSoa: -1,
    answers: 0,
  };
  const work: Work = {
    building,
    store: model.records,
    apex,
    serial,
    report,
    children,
    isInChild: (name) => isInAny(children, name, apex.length),
    firstRow: createWords(64),
    nextRow: new Int32Array(model.records.count),
    occluded: new Map(),
    occludedNode: new Map(),
    targets: createWords(64),
  };
  const answers = encodeAnswers(building, model.services, apex);
  addNode(building, apex);
  setFlag(building, APEX, NODE_FLAG.APEX);
  addCuts(work);
  linkRows(work);
  for (let node = 0; node * ROW_WORDS < building.nodes.length; node++) encodeNode(work, node);
  addOccluded(work);
  resolveTargets(work);
  for (const [number, service] of model.services.entries()) addService(work, service, number);
  return { building, answers };
}

/** Whether a name is at or below one of these apexes, which are below the apex of `apexOctets`. */
function isInAny(apexes: ReadonlySet<string>, name: Name, apexOctets: number): boolean {
  if (apexes.size === 0) return false;
  for (let at = 0; name.length - at > apexOctets; at += (name[at] ?? 0) + 1) {
    if (apexes.has(nameKey(name.subarray(at)))) return true;
  }
  return false;
}

/** Encodes the RRsets of services before all others: their numbers do not change with the zone's records. */
function encodeAnswers(building: Building, services: readonly ServiceModel[], apex: Name): ServiceAnswers {
  const encode = (type: number, ttlSeconds: number, rdata: readonly Uint8Array[]): number =>
    rdata.length === 0 ? -1 : (encodeRrset(building, type, ttlSeconds, rdata, apex) ?? -1);
  const one = (rdata: Uint8Array | undefined): readonly Uint8Array[] => (rdata ? [rdata] : []);
  const addresses = (texts: readonly string[]): Uint8Array[] => texts.flatMap((text) => parseAddress(text) ?? []);
  const answers = services.flatMap(({ vips, whenAllDown: down, ttl: { minSeconds } }) => [
    // A VIP's TTL is written when it is served; a static answer has its own.
    ...vips.flatMap(({ a, aaaa, cname }) => [
      encode(TYPE.A, 0, one(a)),
      encode(TYPE.AAAA, 0, one(aaaa)),
      encode(TYPE.CNAME, 0, one(cname)),
    ]),
    ...(down.kind === 'static'
      ? [
          encode(TYPE.A, minSeconds, addresses(down.a)),
          encode(TYPE.AAAA, minSeconds, addresses(down.aaaa)),
          encode(TYPE.CNAME, minSeconds, one(down.cname)),
        ]
      : [-1, -1, -1]),
  ]);
  building.answers = building.rrsets.length / ROW_WORDS;
  return answers;
}

/** Adds the node of a service. */
function addService(work: Work, service: ServiceModel, number: number): void {
  const { building, report } = work;
  const owner = canonical(service.owner);
  if (isElsewhere(work, owner)) {
    const message = `service ${service.name} is at or below the apex of another served zone: Pharos never answers from it`;
    report.error('PH381', message, service.place, "move it to that zone's file, or remove one of the two");
    return;
  }
  const node = ensureName(building, owner);
  building.nodes.array[node * ROW_WORDS + NODE.SERVICE] = number;
}

/** Returns the node of the name of this zone that starts at `at`. Adds it and its ancestors if they are missing. */
function ensureName(building: Building, longer: Name, at = 0): number {
  const found = findNode(building, longer, at, longer.length - at);
  if (found >= 0) return found;
  const name = at === 0 ? longer : longer.subarray(at);
  const labels = labelOffsets(name);
  building.maxLabels = Math.max(building.maxLabels, labels.length);
  const node = addNode(building, name);
  // Passes an offset, not a copy of the name: mostly the parent exists already, such as one apex for a million names.
  const parent = ensureName(building, name, (name[0] ?? 0) + 1);
  if (isWildcard(name)) building.nodes.array[parent * ROW_WORDS + NODE.WILDCARD] = node;
  return node;
}

function setFlag(building: Building, node: number, flag: number): void {
  const at = node * ROW_WORDS + NODE.NAME_AND_FLAGS;
  building.nodes.array[at] = (building.nodes.array[at] ?? 0) | flag;
}

/** Zone cuts first, the highest first: they decide which other names exist. */
function addCuts(work: Work): void {
  const { building, store, apex } = work;
  const owners = new Map<string, Name>();
  for (let row = 0; row < store.count; row++) {
    if (store.type[row] !== TYPE.NS || store.ownerOctets[row] === apex.length) continue;
    const owner = canonical(ownerOf(store, row));
    owners.set(nameKey(owner), owner);
  }
  const highestFirst = [...owners.values()].sort((a, b) => labelOffsets(a).length - labelOffsets(b).length);
  for (const owner of highestFirst) {
    // At the apex of a served child zone this is the parent's side of the cut. Only queries for DS find it.
    if (!isOccluded(work, owner)) setFlag(building, ensureName(building, owner), NODE_FLAG.CUT);
  }
}

/** Whether a name lies below a cut, or below the apex of a child zone that is served here. */
function isOccluded({ building, apex, children }: Work, name: Name): boolean {
  const apexAt = name.length - apex.length;
  for (let at = (name[0] ?? 0) + 1; at < apexAt; at += (name[at] ?? 0) + 1) {
    if (children.size > 0 && children.has(nameKey(name.subarray(at)))) return true;
    const node = findNode(building, name, at, name.length - at);
    if (node >= 0 && (flagsOf(building, node) & NODE_FLAG.CUT) !== 0) return true;
  }
  return false;
}

/** Whether a name of this zone belongs to another one that is served here too, or is delegated. */
function isElsewhere(work: Work, name: Name): boolean {
  const { building } = work;
  if (work.isInChild(name)) return true;
  const found = findNode(building, name, 0, name.length);
  return found >= 0 ? (flagsOf(building, found) & NODE_FLAG.CUT) !== 0 : isOccluded(work, name);
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
    if (node >= work.firstRow.length) reserveWords(work.firstRow, node + 1 - work.firstRow.length);
    work.nextRow[row] = work.firstRow.array[node] ?? 0;
    work.firstRow.array[node] = row + 1;
  }
}

/** The node for an owner's data in this zone, or -1 if the name is occluded. */
function nodeOfOwner(work: Work, owner: Name): number {
  const { building, children } = work;
  const found = findNode(building, owner, 0, owner.length);
  if (found >= 0) return found;
  if (children.size > 0 && children.has(nameKey(owner))) return -1;
  return isOccluded(work, owner) ? -1 : ensureName(building, owner);
}

/** Adds a node that no search finds for each owner with occluded rows. */
function addOccluded(work: Work): void {
  const { building, store } = work;
  for (const [key, rows] of work.occluded) {
    const node = addHiddenNode(building, canonical(ownerOf(store, rows[0] ?? 0)));
    work.occludedNode.set(key, node);
    // linkRows collected them from the last to the first.
    encodeRrsets(work, node, rows.reverse());
  }
}

/** Encodes the RRsets of a node contiguously. */
function encodeNode(work: Work, node: number): void {
  const first = node < work.firstRow.length ? (work.firstRow.array[node] ?? 0) : 0;
  if (first === 0) return;
  const rows: number[] = [];
  for (let entry = first; entry !== 0; entry = work.nextRow[entry - 1] ?? 0) rows.push(entry - 1);
  encodeRrsets(work, node, rows);
  // After the node's own RRsets, so that those stay contiguous.
  if (node === APEX)
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
  const at = node * ROW_WORDS;
  building.nodes.array[at + NODE.FIRST_RRSET] = building.rrsets.length / ROW_WORDS;
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
  work.building.negativeSoa = encodeRrset(work.building, TYPE.SOA, ttl, [data], work.apex) ?? -1;
}
