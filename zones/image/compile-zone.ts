/**
 * Compiles one zone: names, empty non-terminals, cuts with their glue, RRsets, RRsets for the additional section, and
 * the RRsets of its services. The result depends only on the zone and the names of the zones below it. How services
 * choose is compiled afterwards, for all zones together (compile-services.ts).
 */
import type { Report } from '../../config/diagnostics.ts';
import { canonicalRdata } from '../../dnssec/rrsig.ts';
import type { ZoneSigner } from '../../dnssec/zone-signer.ts';
import { parseAddress } from '../../wire/address.ts';
import { MAX_NAME_OCTETS } from '../../wire/limits.ts';
import { canonical, formatName, isWildcard, labelOffsets, nameKey, type Name } from '../../wire/name.ts';
import { additionalNameOffset, isPlainType, withSoaSerial } from '../../wire/rdata.ts';
import { mostRrsetOctets } from '../../wire/response.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { foreignServices, otherTypes, rdataOfType, type ServiceModel, type ZoneModel } from '../read/model.ts';
import { createNameTable, rowsByNode, type NameTable } from '../read/name-table.ts';
import {
  ownerOctets,
  ownerStart,
  rdataOf,
  type RecordStore,
  recordTtl,
  recordType,
  negativeTtl,
} from '../read/record-store.ts';
import { resolveTargets } from './additional.ts';
import { addPlainRrset, encodeRrset } from './encode-rrset.ts';
import { createBytes, createWords, pushWords, type Bytes, type Words } from './growable.ts';
import { NODE, NODE_FLAG, nodeWord, RECORD_HEAD_OCTETS, ROW_WORDS } from './image.ts';
import {
  addHiddenNode,
  addNode,
  createNodeTable,
  findNode,
  flagsOf,
  hideNode,
  nameOf,
  type NodeTable,
} from './node-table.ts';
import { createSigning, signNode, signRrset, type EncodedSet, type ZoneSigning } from './sign-zone.ts';

/** The tables of a zone under construction. References are numbers of rows in these tables. */
export type Building = NodeTable & {
  /** The zone's records, which plain RRsets are written from (encode-rrset.ts). */
  readonly store: RecordStore;
  /** The other RRsets in wire form. */
  readonly bytes: Bytes;
  readonly rrsets: Words;
  readonly patches: Words;
  readonly extras: Words;
  apexNode: number;
  maxLabels: number;
  /** The SOA RRset of negative answers, or -1. */
  negativeSoa: number;
  /** The nodes with an NSEC, in canonical order. Empty if the zone is not signed. */
  chain: readonly number[];
  isCompact: boolean;
  /** Pairs for the section of the same name; undefined: the zone cannot be changed in place. */
  readonly pointers: Words | undefined;
  /** Whether a target in the zone has no node: see ZONE.LOOSE. */
  isLoose: boolean;
  /** RRsets of the services: the first `answers` of all. */
  answers: number;
};

/**
 * The RRsets of a zone's services by number, in the order in which compile-services.ts asks for them: of each service,
 * those of each VIP (A, AAAA, CNAME, HTTPS, SVCB), then those of `when_all_down` (A, AAAA, CNAME), then for each other
 * type (`otherTypes`) one for each record of each VIP, and one for `when_all_down`. -1 where there is none.
 */
export type ServiceAnswers = readonly number[];

export type ZoneToCompile = {
  readonly model: ZoneModel;
  readonly serial: number;
  /** Apexes (`nameKey`) of the served zones below this one. */
  readonly children: ReadonlySet<string>;
  readonly report: Report;
  /** Undefined: the zone is not signed. */
  readonly signer?: ZoneSigner | undefined;
  /** Cores for signing; 1 if undefined. */
  readonly cores?: number | undefined;
  /** Whether the zone can be changed in place, unless it is signed. */
  readonly isChangeable?: boolean | undefined;
  /** Whether it has been changed in place before. */
  readonly isChanging?: boolean | undefined;
};

/** The working data of compiling one zone. */
type Work = {
  readonly building: Building;
  readonly store: RecordStore;
  readonly owners: NameTable;
  readonly apex: Name;
  readonly serial: number;
  readonly report: Report;
  readonly children: ReadonlySet<string>;
  readonly isInChild: (name: Name) => boolean;
  /** Whether names may be occluded: the zone has cuts, or zones below it are served too. */
  hasOthers: boolean;
  /**
   * Nodes of occluded owners, by name: those below a cut, and a second node for the data at a cut other than NS and DS.
   * Addresses are glue if a delegation names them; transfers contain all of them (RFC 5936 3.5).
   */
  readonly occludedNode: Map<string, number>;
  /** (RRset, offset of the target's name in it, row) for each target that may have additional data. */
  readonly targets: Words;
  /** Undefined: the zone is not signed. */
  signing: ZoneSigning | undefined;
};

/** Compiles a zone. Returns its tables, and the RRsets of its services. */
export function compileZone({ model, serial, children, report, signer, isChangeable }: ZoneToCompile): {
  readonly building: Building;
  readonly answers: ServiceAnswers;
} {
  const apex = canonical(model.apex);
  const store = model.records;
  const owners = model.owners ?? createNameTable(store);
  const building: Building = {
    ...createNodeTable(owners),
    store,
    bytes: createBytes(2048),
    rrsets: createWords(Math.max(256, (owners.count + 16) * ROW_WORDS)),
    patches: createWords(64),
    extras: createWords(16),
    apexNode: -1,
    maxLabels: labelOffsets(apex).length,
    negativeSoa: -1,
    chain: [],
    isCompact: signer?.denial === 'compact',
    pointers: isChangeable && !signer ? createWords(64) : undefined,
    isLoose: false,
    answers: 0,
  };
  const work: Work = {
    building,
    store,
    owners,
    apex,
    serial,
    report,
    children,
    isInChild: (name) => isInAny(children, name, apex.length),
    hasOthers: children.size > 0,
    occludedNode: new Map(),
    targets: createWords(64),
    signing: undefined,
  };
  const foreign = foreignServices(model);
  const answers = encodeAnswers(building, [...model.services, ...foreign], apex, report);
  const known = findNode(building, apex, 0, apex.length);
  building.apexNode = known < 0 ? addNode(building, apex, 0, apex.length) : known;
  setFlag(building, building.apexNode, NODE_FLAG.APEX);
  addCuts(work);
  placeOwners(work);
  for (const [number, service] of model.services.entries()) addService(work, service, number);
  addAliases(work, model, foreign);
  if (signer) work.signing = createSigning(work, signer, model.services, foreign);
  encodeRecords(work);
  resolveTargets(work);
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
function encodeAnswers(
  building: Building,
  services: readonly ServiceModel[],
  apex: Name,
  report: Report,
): ServiceAnswers {
  const encode = (type: number, ttlSeconds: number, rdata: readonly Uint8Array[]): number =>
    rdata.length === 0 ? -1 : (encodeRrset(building, type, ttlSeconds, rdata, apex) ?? -1);
  const one = (rdata: Uint8Array | undefined): readonly Uint8Array[] => (rdata ? [rdata] : []);
  const addresses = (texts: readonly string[]): Uint8Array[] => texts.flatMap((text) => parseAddress(text) ?? []);
  const answers = services.flatMap((service) => {
    const { vips, whenAllDown: down, ttl: { minSeconds } } = service; // prettier-ignore
    return [
      // A VIP's TTL is written when it is served; a static answer has its own.
      ...vips.flatMap(({ a, aaaa, cname, svcb }) => [
        encode(TYPE.A, 0, one(a)),
        encode(TYPE.AAAA, 0, one(aaaa)),
        encode(TYPE.CNAME, 0, one(cname)),
        encode(TYPE.HTTPS, 0, one(svcb)),
        encode(TYPE.SVCB, 0, one(svcb)),
      ]),
      ...(down.kind === 'static'
        ? [
            encode(TYPE.A, minSeconds, addresses(down.a)),
            encode(TYPE.AAAA, minSeconds, addresses(down.aaaa)),
            encode(TYPE.CNAME, minSeconds, one(down.cname)),
          ]
        : [-1, -1, -1]),
      ...otherTypes(service).flatMap((type) => encodeOther(building, service, type, apex, report)),
    ];
  });
  building.answers = building.rrsets.length / ROW_WORDS;
  return answers;
}

/**
 * Encodes the records of one of the other types: each is an RRset, so that an answer has a record once that several
 * VIPs have; then the RRset of `when_all_down`.
 */
function encodeOther(
  building: Building,
  service: ServiceModel,
  type: number,
  apex: Name,
  report: Report,
): ServiceAnswers {
  const { vips, whenAllDown: down, ttl, answers, owner, name, place } = service;
  const known = new Map<string, number>();
  const encode = (data: Uint8Array): number => {
    const key = Buffer.from(canonicalRdata(type, data)).toString('latin1');
    const rrset = known.get(key) ?? encodeRrset(building, type, 0, [data], apex) ?? -1;
    known.set(key, rrset);
    return rrset;
  };
  const sizes = vips.map((vip) => octetsOf(rdataOfType(vip, type))).sort((a, b) => b - a);
  const fallback = down.kind === 'static' ? rdataOfType(down, type) : [];
  const octets = Math.max(
    octetsOf(fallback),
    sizes.slice(0, answers).reduce((sum, size) => sum + size, 0),
  );
  const most = mostRrsetOctets(isWildcard(owner) ? MAX_NAME_OCTETS : owner.length);
  if (octets > most) {
    const message = `the ${typeText(type)} records of service ${name} can make an answer that is larger than a DNS message can hold: beside its question ${most} octets fit`;
    report.error('PH380', message, place, 'give the VIPs fewer records, or lower answers');
  }
  const records = vips.flatMap((vip) => rdataOfType(vip, type).map(encode));
  const isFallback = fallback.length > 0 && octets <= most;
  return [...records, isFallback ? (encodeRrset(building, type, ttl.minSeconds, fallback, apex) ?? -1) : -1];
}

/** The most octets of records in an answer. */
function octetsOf(rdata: readonly Uint8Array[]): number {
  return rdata.reduce((sum, { length }) => sum + RECORD_HEAD_OCTETS + length, 0);
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
  const known = findNode(building, owner, 0, owner.length);
  const node = known < 0 ? addNode(building, owner, 0, owner.length) : known;
  building.nodes.array[node * ROW_WORDS + NODE.SERVICE] = number;
  if (known < 0) placeNode(work, node);
}

/** Adds the nodes of aliases. Those to a service lead to it as the node of the service does. */
function addAliases(
  work: Work,
  { aliases = [], resolved = [], services }: ZoneModel,
  foreign: readonly ServiceModel[],
): void {
  // prettier-ignore
  const { building, report } = work;
  for (const [index, alias] of aliases.entries()) {
    const owner = canonical(alias.owner);
    if (isElsewhere(work, owner)) {
      const message = `the ALIAS of ${formatName(owner)} is at or below the apex of another served zone: Pharos never answers from it`;
      report.error('PH381', message, alias.place, "move it to that zone's file, or remove one of the two");
      continue;
    }
    const known = findNode(building, owner, 0, owner.length);
    const node = known < 0 ? addNode(building, owner, 0, owner.length) : known;
    setFlag(building, node, NODE_FLAG.ALIAS);
    const answer = resolved[index];
    if (answer?.kind === 'unresolved') setFlag(building, node, NODE_FLAG.UNRESOLVED);
    if (answer?.kind === 'service') {
      const isNamed = ({ name }: ServiceModel): boolean => name === answer.service.name;
      const own = services.findIndex(isNamed);
      building.nodes.array[node * ROW_WORDS + NODE.SERVICE] = own >= 0 ? own : -2 - foreign.findIndex(isNamed);
    }
    if (known < 0) placeNode(work, node);
  }
}

/** Adds the missing ancestors of a new node of this zone, and makes wildcards known to their parents. */
function placeNode({ building, apex }: Work, node: number): void {
  const { nodes, names } = building;
  let at = nodeWord(nodes.array, node, NODE.NAME_AT);
  let octets = flagsOf(building, node) & 0xff;
  let labels = labelOffsets(apex).length;
  let isPlaced = false;
  let child = node;
  for (; octets > apex.length; labels++) {
    const label = (names.array[at] ?? 0) + 1;
    const isWild = label === 2 && names.array[at + 1] === 0x2a;
    at += label;
    octets -= label;
    if (isPlaced) continue;
    // The parent usually exists already: a million names may have the apex as their parent.
    const known = octets === apex.length ? building.apexNode : findNode(building, names.array, at, octets);
    isPlaced = known >= 0;
    const parent = known >= 0 ? known : addNode(building, names.array, at, octets);
    const children = parent * ROW_WORDS + NODE.CHILDREN;
    nodes.array[children] = (nodes.array[children] ?? 0) + 1;
    if (isWild) nodes.array[parent * ROW_WORDS + NODE.WILDCARD] = child;
    child = parent;
  }
  building.maxLabels = Math.max(building.maxLabels, labels);
}

function setFlag(building: Building, node: number, flag: number): void {
  const at = node * ROW_WORDS + NODE.NAME_AND_FLAGS;
  building.nodes.array[at] = (building.nodes.array[at] ?? 0) | flag;
}

/** Zone cuts first, the highest first: they decide which other names exist. */
function addCuts(work: Work): void {
  const { building, store, owners, apex } = work;
  const cuts = new Set<number>();
  for (let row = 0; row < store.count; row++) {
    if (store.type[row] === TYPE.NS && store.ownerOctets[row] !== apex.length) cuts.add(owners.nodeOf[row] ?? 0);
  }
  if (cuts.size === 0) return;
  work.hasOthers = true;
  const labelsOf = (node: number): number => labelOffsets(nameOf(building, node)).length;
  for (const node of [...cuts].sort((a, b) => labelsOf(a) - labelsOf(b))) {
    // At the apex of a served child zone this is the parent's side of the cut. Only queries for DS find it.
    if (!isOccluded(work, nameOf(building, node))) setFlag(building, node, NODE_FLAG.CUT);
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

/** Places the owners among the zone's names, or hides them: below cuts they are glue, or serve transfers only. */
function placeOwners(work: Work): void {
  const { building, owners, children } = work;
  for (let node = 0; node < owners.count; node++) {
    if (work.hasOthers && node !== building.apexNode && (flagsOf(building, node) & NODE_FLAG.CUT) === 0) {
      const name = nameOf(building, node);
      if ((children.size > 0 && children.has(nameKey(name))) || isOccluded(work, name)) {
        hideNode(building, node);
        work.occludedNode.set(nameKey(name), node);
        continue;
      }
    }
    placeNode(work, node);
  }
}

/** Encodes the RRsets of each owner contiguously, in the order of the files. */
function encodeRecords(work: Work): void {
  const { building, store, owners } = work;
  const { count } = owners;
  const { first, next } = rowsByNode(store, owners);
  for (let node = 0; node < count; node++) {
    const row = (first[node] ?? 0) - 1;
    const isCut = (flagsOf(building, node) & NODE_FLAG.CUT) !== 0;
    if (next[row] === 0 && !isCut && !work.signing && encodeOnly(work, node, row)) continue;
    const rows: number[] = [];
    for (let entry = row + 1; entry !== 0; entry = next[entry - 1] ?? 0) rows.push(entry - 1);
    const isShown = (each: number): boolean => store.type[each] === TYPE.NS || store.type[each] === TYPE.DS;
    encodeRrsets(work, node, isCut ? rows.filter(isShown) : rows, signingOf(work, node));
    // These RRsets come after the node's own, which stay contiguous.
    if (node === building.apexNode) encodeNegativeSoa(work, rows.find((each) => store.type[each] === TYPE.SOA)); // prettier-ignore
    if (isCut) encodeBesideCut(work, node, rows.filter((each) => !isShown(each))); // prettier-ignore
  }
  if (!work.signing) return;
  // Of the nodes without records, only those of services have an NSEC.
  const end = building.nodes.length / ROW_WORDS;
  for (let node = count; node < end; node++) {
    const signing = signingOf(work, node);
    if (signing) encodeRrsets(work, node, [], signing);
  }
}

/** Undefined for a node that has no NSEC. */
function signingOf({ signing }: Work, node: number): ZoneSigning | undefined {
  return signing?.nextOf.has(node) === true ? signing : undefined;
}

/** Encodes the only record of a node if its type is plain. Most nodes have one such record. */
function encodeOnly({ building, store }: Work, node: number, row: number): boolean {
  const type = recordType(store, row);
  if (!isPlainType(type)) return false;
  const rrset = addPlainRrset(building, store, row, nameOctetsOf(store, row));
  if (rrset === undefined) return false; // encodeRows reports it
  building.nodes.array[node * ROW_WORDS + NODE.FIRST_RRSET] = rrset;
  building.nodes.array[node * ROW_WORDS + NODE.RRSET_COUNT] = 1;
  if (type === TYPE.DNAME) setFlag(building, node, NODE_FLAG.DNAME);
  return true;
}

/** Data at a cut is occluded, except for NS and DS: it gets a second node, which no search finds. */
function encodeBesideCut(work: Work, cut: number, rows: readonly number[]): void {
  if (rows.length === 0) return;
  const { building } = work;
  const nameAt = nodeWord(building.nodes.array, cut, NODE.NAME_AT);
  const node = addHiddenNode(building, nameAt, flagsOf(building, cut) & 0xff);
  work.occludedNode.set(nameKey(nameOf(building, node)), node);
  encodeRrsets(work, node, rows, undefined);
}

/** Encodes the RRsets of a node from all its rows. `signing`: with signatures, and with an NSEC. */
function encodeRrsets(work: Work, node: number, all: readonly number[], signing: ZoneSigning | undefined): void {
  const { building, store } = work;
  const byType = new Map<number, number[]>();
  for (const row of all) {
    const type = recordType(store, row);
    const rows = byType.get(type);
    if (rows) rows.push(row);
    else byType.set(type, [row]);
  }
  const at = node * ROW_WORDS;
  const firstRrset = building.rrsets.length / ROW_WORDS;
  building.nodes.array[at + NODE.FIRST_RRSET] = firstRrset;
  for (const [type, rows] of byType) {
    if (type === TYPE.CNAME) setFlag(building, node, NODE_FLAG.CNAME);
    if (type === TYPE.DNAME) setFlag(building, node, NODE_FLAG.DNAME);
    const set = encodeRows(work, type, rows);
    if (set && signing) signRrset(signing, node, set);
  }
  if (signing) signNode(signing, node, [...byType.keys()]);
  building.nodes.array[at + NODE.RRSET_COUNT] = building.rrsets.length / ROW_WORDS - firstRrset;
}

/** A wildcard answers for names of any length. */
function nameOctetsOf(store: RecordStore, row: number): number {
  const at = ownerStart(store, row);
  return store.bytes[at] === 1 && store.bytes[at + 1] === 0x2a ? MAX_NAME_OCTETS : ownerOctets(store, row);
}

/** Encodes the rows of one owner and type. Exact duplicates count once; the TTL is the first row's (RFC 2181 5.2). */
function encodeRows(work: Work, type: number, rows: readonly number[]): EncodedSet | undefined {
  const { store, building } = work;
  const ttlSeconds = recordTtl(store, rows[0] ?? 0);
  if (rows.length === 1 && isPlainType(type)) {
    const rrset = addPlainRrset(building, store, rows[0] ?? 0, nameOctetsOf(store, rows[0] ?? 0));
    if (rrset !== undefined) return { rrset, type, ttlSeconds, rdata: [rdataOf(store, rows[0] ?? 0)] };
  }
  const kept = rows.length === 1 ? rows : distinctRows(store, rows);
  const rdata = kept.map((row) => (type === TYPE.SOA ? withSerial(work, row) : rdataOf(store, row)));
  const dataAt: number[] = [];
  const nameOctets = nameOctetsOf(store, rows[0] ?? 0);
  const rrset = encodeRrset(building, type, ttlSeconds, rdata, work.apex, dataAt, nameOctets);
  if (rrset === undefined) {
    reportTooLarge(work, type, rows[0] ?? 0, nameOctets);
    return undefined;
  }
  const nameAt = additionalNameOffset(type);
  if (nameAt !== undefined) {
    kept.forEach((row, i) => pushWords(work.targets, rrset, (dataAt[i] ?? 0) + nameAt, row));
  }
  return { rrset, type, ttlSeconds, rdata };
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
  return withSoaSerial(rdataOf(store, row), serial);
}

/** RFC 2308 3: negative answers carry the SOA with the lesser of its TTL and its MINIMUM. */
function encodeNegativeSoa(work: Work, row: number | undefined): void {
  if (row === undefined) return;
  const data = withSerial(work, row);
  const ttl = negativeTtl(work.store, row);
  work.building.negativeSoa = encodeRrset(work.building, TYPE.SOA, ttl, [data], work.apex) ?? -1;
}
