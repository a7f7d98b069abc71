/**
 * Changes the records of names in a served zone without compiling it: writes the nodes that change into the spare room
 * of its part, then puts all of them in force with one word (image.ts, "Changes in place"). The result answers as a
 * compiled zone with the same records does; a property test compares the two. What it cannot do, the compiler does:
 * signed zones, delegations, DNAME, names below them or in other zones, and zones without room.
 */
import { MAX_NAME_OCTETS } from '../../wire/limits.ts';
import { hashName } from '../../wire/name-hash.ts';
import { canonical, isWithin, labelOffsets, nameKey, type Name } from '../../wire/name.ts';
import { additionalNameOffset, soaMinimum, withSoaSerial } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import {
  beginDraft,
  createEncoding,
  nameOfNode,
  NotInPlace,
  publishDraft,
  putWord,
  setNode,
  undoDraft,
  writeNode,
  type Draft,
  type Encoding,
  type Extra,
  type RowSource,
} from './change-rows.ts';
import { decodeNode, decodeRrset, type DecodedSet, type DecodedSets } from './decode-rrset.ts';
import { encodeRrset } from './encode-rrset.ts';
import { createSearch, findRrset, zoneNodes, search, searchIn, type Search } from './find-node.ts';
import {
  apexAt,
  apexOf,
  firstRrsetOf,
  HEAD,
  headOf,
  headWord,
  type Image,
  NODE,
  NODE_FLAG,
  nodeWord,
  ROW_WORDS,
  RRSET,
  rrsetWord,
  ZONE,
  zoneWord,
} from './image.ts';

/** A canonical name of the zone, and all its records after the change. */
export type ChangedName = { readonly name: Name; readonly sets: DecodedSets };

/** Names (`nameKey`) whose RRsets point to a name (`nameKey`), beside those that the zone was compiled with. */
export type LaterPointers = Map<string, Set<string>>;

export type ZoneChanger = {
  /** Changes all names, or none: false if the zone must be compiled. */
  readonly change: (names: readonly ChangedName[], serial: number) => boolean;
};

/** Data that only the compiler changes. */
const STRUCTURAL: ReadonlySet<number> = new Set([TYPE.SOA, TYPE.NS, TYPE.DS, TYPE.DNAME]);
/** Types of additional data. */
const ADDITIONAL: readonly number[] = [TYPE.A, TYPE.AAAA, TYPE.HTTPS, TYPE.SVCB];
/** With more RRsets that point to a changed name, compiling the zone is quicker. */
const MOST_POINTING = 500;

/** Undefined: the zone cannot be changed in place. There is one changer per zone at a time. */
export function createZoneChanger(image: Image, zone: number): ZoneChanger | undefined {
  const { words } = image;
  if (zoneWord(words, zone, ZONE.ALL_OCTETS) === 0) return undefined;
  const apex = nameOfNode(image, apexOf(words, zone));
  const later = laterPointers(image, zone, apex);
  return {
    change: (names, serial) => {
      const draft = draftOf(image, zone);
      if (!draft) return false;
      const work: Work = {
        ...{ image, draft, apex, later, ofApex: undefined },
        ...{ touched: new Map(), encoding: createEncoding(), meetsWildcard: false },
      };
      try {
        for (const each of names) changeName(work, each);
        pointAgain(work);
        finish(work, serial);
        if (work.meetsWildcard && zoneWord(words, zone, ZONE.LOOSE) !== 0) throw new NotInPlace('wildcard');
      } catch (error) {
        undoDraft(draft);
        if (error instanceof NotInPlace) return false;
        throw error;
      }
      publishDraft(draft);
      return true;
    },
  };
}

function draftOf(image: Image, zone: number): Draft | undefined {
  try {
    return beginDraft(image, zone);
  } catch (error) {
    if (error instanceof NotInPlace) return undefined;
    throw error;
  }
}

type Work = {
  readonly image: Image;
  readonly draft: Draft;
  readonly apex: Name;
  readonly later: LaterPointers;
  /** The records of the apex, if they change. */
  ofApex: DecodedSets | undefined;
  /** By `nameKey`: names whose additional data, or that of RRsets that point to them, must be found again. */
  readonly touched: Map<string, Touched>;
  encoding: Encoding;
  /** Whether a wildcard may answer for other names after the change. */
  meetsWildcard: boolean;
};

type Touched = { readonly name: Name; hasPointers: boolean; isTarget: boolean };

function changeName(work: Work, { name, sets }: ChangedName): void {
  const { image, draft, apex } = work;
  const found = find(work, name);
  if (!found) throw new NotInPlace('another zone');
  const { node } = found;
  const isExact = found.suffixAt === 0;
  const flags = nodeWord(image.words, node, NODE.NAME_AND_FLAGS);
  if ((flags & (isExact ? NODE_FLAG.CUT : NODE_FLAG.CUT | NODE_FLAG.DNAME)) !== 0) throw new NotInPlace('below a cut');
  const before = isExact ? decodeNode(image, apex, node) : new Map<number, DecodedSet>();
  const differ = [...new Set([...before.keys(), ...sets.keys()])].filter((type) => !isSameSet(before.get(type), sets.get(type))); // prettier-ignore
  if (differ.length === 0) return;
  if (differ.some((type) => STRUCTURAL.has(type))) throw new NotInPlace('structure');
  if (isWild(name)) work.meetsWildcard = true;
  if (differ.some((type) => ADDITIONAL.includes(type)) || before.size === 0 || sets.size === 0) touch(work, name).isTarget = true; // prettier-ignore
  if ([...sets.keys()].some((type) => additionalNameOffset(type) !== undefined)) touch(work, name).hasPointers = true;
  if (name.length === apex.length) {
    work.ofApex = sets;
    replaceApex(work, rowsFor(work, name, sets, node, before), apexFlags(sets));
    return;
  }
  if (isExact && nodeWord(image.words, node, NODE.SERVICE) !== -1) throw new NotInPlace('a service');
  if (isExact && (flags & NODE_FLAG.ALIAS) !== 0) throw new NotInPlace('an alias');
  const children = isExact ? nodeWord(image.words, node, NODE.CHILDREN) : 0;
  if (sets.size === 0 && children === 0) {
    if (isExact) remove(work, name, node);
    return;
  }
  const rows = rowsFor(work, name, sets, isExact ? node : 0, before);
  const facts = { flags: sets.has(TYPE.CNAME) ? NODE_FLAG.CNAME : 0, wildcard: wildcardOf(work, isExact ? node : 0), service: -1, children }; // prettier-ignore
  const next = writeNode(draft, name, rows, facts, work.encoding);
  if (isExact) install(work, name, next);
  else add(work, name, next, found);
}

function apexFlags(sets: DecodedSets): number {
  return NODE_FLAG.APEX | (sets.has(TYPE.CNAME) ? NODE_FLAG.CNAME : 0) | (sets.has(TYPE.DNAME) ? NODE_FLAG.DNAME : 0);
}

function touch({ touched }: Work, name: Name): Touched {
  const key = nameKey(name);
  const known = touched.get(key) ?? { name, hasPointers: false, isTarget: false };
  touched.set(key, known);
  return known;
}

function isWild(name: Name): boolean {
  return name[0] === 1 && name[1] === 0x2a;
}

function isSameSet(a: DecodedSet | undefined, b: DecodedSet | undefined): boolean {
  if (!a || !b) return a === b;
  return a.ttlSeconds === b.ttlSeconds && a.data.length === b.data.length && a.data.every((octets, at) => Buffer.compare(octets, b.data[at] ?? new Uint8Array(0)) === 0); // prettier-ignore
}

/** Finds a name, or its closest encloser, in the next version; undefined if the name is in another zone. */
function find({ image, draft, apex }: Work, name: Name): Search | undefined {
  if (!isWithin(name, apex)) return undefined;
  const target = createSearch(name);
  search(image, target);
  if (target.zone !== draft.zone) return undefined;
  const labels = labelOffsets(name).length;
  const deepest = draft.head * ROW_WORDS + HEAD.MAX_LABELS;
  // A greater number finds the same names.
  if (labels > (image.words[deepest] ?? 0)) image.words[deepest] = labels;
  searchIn(image, target, draft.head);
  return target;
}

/** The rows of a node with these sets: those of `node` that stay as they are, and the others. */
function rowsFor(work: Work, name: Name, sets: DecodedSets, node: number, before: DecodedSets): RowSource[] {
  const { image } = work;
  work.encoding = createEncoding();
  return [...sets].map(([type, set]): RowSource => {
    const rrset = node === 0 ? -1 : findRrset(image, node, type);
    if (rrset >= 0 && isSameSet(before.get(type), set)) return { kind: 'copy', rrset };
    return { kind: 'new', number: encode(work, name, type, set), extras: [] };
  });
}

function encode({ encoding, apex }: Work, name: Name, type: number, set: DecodedSet, dataAt?: number[]): number {
  const nameOctets = isWild(name) ? MAX_NAME_OCTETS : name.length;
  const number = encodeRrset(encoding, type, set.ttlSeconds, set.data, apex, dataAt, nameOctets);
  if (number === undefined) throw new NotInPlace('an RRset that is too large');
  return number;
}

function wildcardOf({ image }: Work, node: number): number {
  const wildcard = node === 0 ? 0 : nodeWord(image.words, node, NODE.WILDCARD);
  return wildcard === 0 ? 0 : node + wildcard;
}

function parentOf(name: Name): Name {
  return name.subarray((name[0] ?? 0) + 1);
}

/** Makes a node that of a name that exists. Its parent refers to it if it is a wildcard. */
function install(work: Work, name: Name, node: number): void {
  setNode(work.draft, name, node);
  if (isWild(name)) setWildcard(work, parentOf(name), node);
}

/** Adds the node of a new name, and its ancestors without records. */
function add(work: Work, name: Name, node: number, { node: encloser, suffixAt }: Search): void {
  const { image, draft } = work;
  if (nodeWord(image.words, encloser, NODE.WILDCARD) !== 0) work.meetsWildcard = true;
  setNode(draft, name, node);
  let child = name;
  let below = node;
  for (let at = (name[0] ?? 0) + 1; at < suffixAt; at += (name[at] ?? 0) + 1) {
    const parent = name.subarray(at);
    touch(work, parent).isTarget = true;
    const facts = { flags: 0, wildcard: isWild(child) ? below : 0, service: -1, children: 1 };
    work.encoding = createEncoding();
    below = writeNode(draft, parent, [], facts, work.encoding);
    setNode(draft, parent, below);
    child = parent;
  }
  const children = encloser * ROW_WORDS + NODE.CHILDREN;
  putWord(draft, children, (image.words[children] ?? 0) + 1);
  if (isWild(child)) setWildcard(work, parentOf(child), below);
}

/** Removes the node of a name without names below it, and ancestors that exist only because of it. */
function remove(work: Work, name: Name, node: number): void {
  const { image, draft, apex } = work;
  const { words } = image;
  // Of an ancestor without records too: a wildcard may answer for it from now on.
  touch(work, name).isTarget = true;
  setNode(draft, name, 0);
  const parentName = parentOf(name);
  const parent = find(work, parentName)?.node ?? 0;
  if (nodeWord(words, parent, NODE.WILDCARD) !== 0) work.meetsWildcard = true;
  const children = nodeWord(words, parent, NODE.CHILDREN) - 1;
  putWord(draft, parent * ROW_WORDS + NODE.CHILDREN, children);
  const isSteered = nodeWord(words, parent, NODE.SERVICE) !== -1 || (nodeWord(words, parent, NODE.NAME_AND_FLAGS) & NODE_FLAG.ALIAS) !== 0; // prettier-ignore
  const isOnlyParent = nodeWord(words, parent, NODE.RRSET_COUNT) === 0 && !isSteered;
  if (children === 0 && isOnlyParent && parentName.length !== apex.length) remove(work, parentName, parent);
  else if (wildcardOf(work, parent) === node || isWild(name)) setWildcard(work, parentName, 0);
}

/** Gives the node of a name another wildcard right below it; 0: none. */
function setWildcard(work: Work, name: Name, wildcard: number): void {
  const { image, draft, apex } = work;
  const node = name.length === apex.length ? apexAt(image.words, draft.head) : (find(work, name)?.node ?? 0);
  work.encoding = createEncoding();
  const next = writeNode(draft, name, copyRows(image, node), { ...factsOf(work, node), wildcard }, work.encoding);
  if (name.length === apex.length) setApex(draft, next);
  else install(work, name, next);
}

function factsOf(work: Work, node: number): Parameters<typeof writeNode>[3] {
  const { words } = work.image;
  return {
    flags: nodeWord(words, node, NODE.NAME_AND_FLAGS) & ~0xff,
    wildcard: wildcardOf(work, node),
    service: nodeWord(words, node, NODE.SERVICE),
    children: nodeWord(words, node, NODE.CHILDREN),
  };
}

function copyRows({ words }: Image, node: number): RowSource[] {
  const first = firstRrsetOf(node);
  return Array.from({ length: nodeWord(words, node, NODE.RRSET_COUNT) }, (_, at) => ({
    kind: 'copy',
    rrset: first + at,
  }));
}

function setApex({ words, head }: Draft, node: number): void {
  words[head * ROW_WORDS + HEAD.APEX_NODE] = node - head;
}

function replaceApex(work: Work, rows: readonly RowSource[], flags: number): void {
  const { image, draft, apex, encoding } = work;
  const facts = factsOf(work, apexAt(image.words, draft.head));
  const kept = facts.flags & (NODE_FLAG.ALIAS | NODE_FLAG.UNRESOLVED);
  setApex(draft, writeNode(draft, apex, rows, { ...facts, flags: flags | kept }, encoding));
}

/** Finds the additional data again of all RRsets that point to changed names, and of changed RRsets that point. */
function pointAgain(work: Work): void {
  const { image, draft } = work;
  const names = new Map<string, Name>();
  for (const { name, hasPointers, isTarget } of work.touched.values()) {
    if (hasPointers) names.set(nameKey(name), name);
    if (!isTarget) continue;
    const pointing = pointingTo(work, name);
    for (const each of pointing) names.set(nameKey(each), each);
    const found = find(work, name);
    if (pointing.length > 0 && found && found.suffixAt !== 0) putWord(draft, draft.zone * ROW_WORDS + ZONE.LOOSE, 1);
  }
  if (names.size > MOST_POINTING) throw new NotInPlace('many RRsets point to a changed name');
  for (const name of names.values()) {
    const found = find(work, name);
    if (found?.suffixAt !== 0) continue;
    const flags = nodeWord(image.words, found.node, NODE.NAME_AND_FLAGS);
    if ((flags & NODE_FLAG.CUT) !== 0) throw new NotInPlace('a delegation points to a changed name');
    work.encoding = createEncoding();
    const rows = pointedRows(work, name, found.node);
    const next = writeNode(draft, name, rows, factsOf(work, found.node), work.encoding);
    if (name.length === work.apex.length) setApex(draft, next);
    else install(work, name, next);
  }
}

/** The names with RRsets that point to a name. */
function pointingTo({ image, draft, later }: Work, name: Name): Name[] {
  const { words } = image;
  const { zone } = draft;
  const found = [...(later.get(nameKey(name)) ?? [])].map((key): Name => Buffer.from(key, 'latin1'));
  const hash = hashName(name, 0);
  const pointers = zone * ROW_WORDS + zoneWord(words, zone, ZONE.POINTERS_AT);
  let low = 0;
  let high = zoneWord(words, zone, ZONE.POINTER_COUNT);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((words[pointers + middle * 2] ?? 0) < hash) low = middle + 1;
    else high = middle;
  }
  const count = zoneWord(words, zone, ZONE.POINTER_COUNT);
  for (; low < count && words[pointers + low * 2] === hash; low++) {
    if (found.length > MOST_POINTING) throw new NotInPlace('many RRsets point to a changed name');
    found.push(nameOfNode(image, zone + (words[pointers + low * 2 + 1] ?? 0)));
  }
  return found;
}

/** The rows of a node; those that point to names have their additional data found again. */
function pointedRows(work: Work, name: Name, node: number): RowSource[] {
  const { image, apex } = work;
  return copyRows(image, node).map((row): RowSource => {
    const rrset = row.kind === 'copy' ? row.rrset : 0;
    const type = rrsetWord(image.words, rrset, RRSET.TYPE);
    const nameAt = additionalNameOffset(type);
    if (nameAt === undefined) return row;
    const set = decodeRrset(image, apex, rrset);
    const dataAt: number[] = [];
    const number = encode(work, name, type, set, dataAt);
    const extras: Extra[] = [];
    const done = new Set<string>();
    for (const [index, data] of set.data.entries()) {
      const isOwner = isOwnTarget(type, data);
      const target = isOwner ? name : targetOf(data, nameAt);
      const key = nameKey(target);
      if (done.has(key)) continue;
      done.add(key);
      notePointer(work, name, target);
      const ownerAt = isOwner ? 0 : (dataAt[index] ?? 0) + nameAt;
      for (const each of additionalOf(work, target, type, name)) extras.push({ rrset: each, ownerAt });
    }
    return { kind: 'new', number, extras };
  });
}

/** RFC 9460 2.5.2: in ServiceMode (a priority other than 0) the target "." means the owner. */
function isOwnTarget(type: number, [high = 0, low = 0, length]: Uint8Array): boolean {
  return (type === TYPE.SVCB || type === TYPE.HTTPS) && (high | low) !== 0 && length === 0;
}

function targetOf(data: Uint8Array, nameAt: number): Name {
  let end = nameAt;
  while ((data[end] ?? 0) !== 0) end += (data[end] ?? 0) + 1;
  return canonical(data.subarray(nameAt, end + 1));
}

function notePointer({ later, apex }: Pick<Work, 'later' | 'apex'>, name: Name, target: Name): void {
  if (!isWithin(target, apex)) return;
  const known = later.get(nameKey(target)) ?? new Set();
  later.set(nameKey(target), known.add(nameKey(name)));
}

/** As `additionalOf` of additional.ts. `own` is the name of the RRset that points. */
function additionalOf(work: Work, name: Name, pointing: number, own: Name): number[] {
  const { image, draft } = work;
  const { words } = image;
  const found = find(work, name);
  if (!found) return [];
  let { node } = found;
  const flags = nodeWord(words, node, NODE.NAME_AND_FLAGS);
  if ((flags & NODE_FLAG.CUT) !== 0) {
    if (pointing === TYPE.NS) throw new NotInPlace('glue');
    return [];
  }
  if (found.suffixAt !== 0) {
    putWord(draft, draft.zone * ROW_WORDS + ZONE.LOOSE, 1);
    if ((flags & NODE_FLAG.DNAME) !== 0) return [];
    node = wildcardOf(work, node);
    if (node === 0) return [];
  }
  const isBinding = pointing === TYPE.SVCB || pointing === TYPE.HTTPS;
  const isOwn = nameKey(name) === nameKey(own);
  const types = isBinding ? [...(isOwn ? [] : [pointing]), TYPE.A, TYPE.AAAA] : [TYPE.A, TYPE.AAAA];
  return types.map((type) => findRrset(image, node, type)).filter((rrset) => rrset >= 0);
}

/** Writes the apex with the SOA of this version. */
function finish(work: Work, serial: number): void {
  const { image, draft, apex } = work;
  const { words } = image;
  const node = apexAt(words, draft.head);
  work.encoding = createEncoding();
  const soa = decodeRrset(image, apex, findRrset(image, node, TYPE.SOA));
  const data = withSoaSerial(soa.data[0] ?? new Uint8Array(0), serial);
  const rows = copyRows(image, node).map((row): RowSource => {
    const isSoa = row.kind === 'copy' && rrsetWord(words, row.rrset, RRSET.TYPE) === TYPE.SOA;
    return isSoa ? { kind: 'new', number: encode(work, apex, TYPE.SOA, { ...soa, data: [data] }), extras: [] } : row;
  });
  const next = writeNode(draft, apex, rows, factsOf(work, node), work.encoding);
  setApex(draft, next);
  // A row that no node has: it is written as that of a node which nothing refers to.
  work.encoding = createEncoding();
  const negative = encode(work, apex, TYPE.SOA, {
    ttlSeconds: Math.min(soa.ttlSeconds, soaMinimum(data)),
    data: [data],
  });
  const holder = writeNode(draft, apex, [{ kind: 'new', number: negative, extras: [] }], { flags: 0, wildcard: 0, service: -1, children: 0 }, work.encoding); // prettier-ignore
  words[draft.head * ROW_WORDS + HEAD.NEGATIVE_SOA] = firstRrsetOf(holder) - draft.head;
  words[draft.head * ROW_WORDS + HEAD.SERIAL] = serial | 0;
}

/** The pointers of names that were changed in place before. */
function laterPointers(image: Image, zone: number, apex: Name): LaterPointers {
  const later: LaterPointers = new Map();
  const { words } = image;
  const head = headOf(words, zone);
  if (headWord(words, head, HEAD.VERSION) === 0) return later;
  const end = zone + zoneWord(words, zone, ZONE.NODES_END);
  for (const node of zoneNodes(words, zone, head)) {
    if (node >= zone && node < end) continue;
    for (const [type, { data }] of decodeNode(image, apex, node)) {
      const nameAt = additionalNameOffset(type);
      if (nameAt === undefined) continue;
      const name = nameOfNode(image, node);
      for (const each of data)
        notePointer({ later, apex }, name, isOwnTarget(type, each) ? name : targetOf(each, nameAt));
    }
  }
  return later;
}
