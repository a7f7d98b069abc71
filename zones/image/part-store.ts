/**
 * The parts of zones in an arena. Generations share parts, so a zone that does not change is not compiled again for a
 * later generation.
 */
import type { Allocate } from '../../geo/packed-atlas.ts';
import { hashName } from '../../wire/name-hash.ts';
import type { Name } from '../../wire/name.ts';
import { SOA_NUMBERS_OCTETS } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import type { RecordStore } from '../read/record-store.ts';
import { copyPart, copyParts, createArena, reserve, type Arena } from './arena.ts';
import { arrange, writePart } from './arrange.ts';
import { compileZone, type ZoneToCompile } from './compile-zone.ts';
import {
  apexAt,
  apexOf,
  firstRrsetOf,
  HEAD,
  headOf,
  headWord,
  NODE,
  nodeWord,
  pairOf,
  RECORD_HEAD_OCTETS,
  ROOT_MAGIC,
  ROOT_ROW,
  ROW_OCTETS,
  ROW_WORDS,
  RRSET,
  rrsetWord,
  ZONE,
  ZONE_ENTRY,
  zoneWord,
} from './image.ts';

/** A compiled zone. */
export type Part = {
  /** The zone's row in the arena. It changes when the arena is replaced. */
  zone: number;
  /** With the room for changes in place. */
  readonly octets: number;
  /** Rows of the services' RRsets, from the zone's row: see ServiceAnswers. */
  readonly answers: readonly number[];
};

export type PartStore = {
  /** The arena that new parts are written to; undefined before the first. It is replaced when it is full. */
  arena: Arena | undefined;
  /** The parts to keep when the arena is replaced: those of earlier generations that the one being compiled has too. */
  kept: () => readonly Part[];
  /** The other parts of that generation. */
  added: Part[];
  /** Octets of the parts that will probably be added. A new arena has room for them. */
  expected: number;
  /** The last root that was written. */
  root: Root | undefined;
  readonly allocate: Allocate;
};

/** The root of a generation in an arena. */
type Root = {
  readonly arena: Arena;
  readonly row: number;
  readonly entries: number;
  readonly zones: readonly PlacedZone[];
};

export function createPartStore(allocate: Allocate): PartStore {
  return { arena: undefined, kept: () => [], added: [], expected: 0, root: undefined, allocate };
}

/**
 * Begins a generation: `kept` returns the parts that it has from earlier ones. Others are dropped with their arena.
 * `expected`: about the octets of the parts that will be added.
 */
export function keepParts(store: PartStore, kept: PartStore['kept'], expected = 0): void {
  store.kept = kept;
  store.added = [];
  store.expected = expected;
}

/** Of each record: a row for its name and one for its RRset, an entry in the table of names, what it begins with. */
const RECORD_OCTETS = 2 * ROW_OCTETS + 32 + RECORD_HEAD_OCTETS;

/** About the octets of the part of a zone with these records. With signatures it has several times as many. */
export function likelyOctets({ count, used }: Pick<RecordStore, 'count' | 'used'>): number {
  return count * RECORD_OCTETS + used;
}

/** Compiles a zone and adds its part. Throws RangeError if the zones are too large. */
export function addPart(store: PartStore, input: ZoneToCompile): Part {
  const { building, answers } = compileZone(input);
  input.signer?.complete(building.bytes, input.cores ?? 1);
  const arrangement = arrange(building);
  const { rowOfRrset } = arrangement;
  const spareOctets = building.pointers ? spareFor(arrangement.octets, input.isChanging === true) : 0;
  const octets = arrangement.octets + spareOctets + 2 * ROW_OCTETS;
  const head = { apexOctets: input.model.apex.length, serial: input.serial, spareOctets };
  const zone = inArena(store, octets, (arena) => writePart(building, head, arrangement, arena));
  const part = { zone, octets, answers: answers.map((rrset) => (rrset < 0 ? -1 : (rowOfRrset[rrset] ?? -1))) };
  store.added.push(part);
  return part;
}

const LEAST_SPARE_OCTETS = 4096;
/** For a zone that has been changed since it was compiled. */
const CHANGING_OCTETS = 1024 * 1024;

/** The room for changes in place. `isChanging`: whether the zone has had changes before. */
function spareFor(octets: number, isChanging: boolean): number {
  return Math.max(isChanging ? CHANGING_OCTETS : LEAST_SPARE_OCTETS, octets >>> 2);
}

/** Adds a part that was compiled before, without services, with this serial in its SOA. */
export function addKnownPart(store: PartStore, octets: Uint8Array, serial: number): Part {
  const given = new Int32Array(octets.slice(0, ZONE.WORDS * 4).buffer);
  const isChangeable = given[ZONE.ALL_OCTETS] !== 0;
  const rounded = Math.ceil(octets.length / ROW_OCTETS) * ROW_OCTETS;
  const all = isChangeable ? rounded + (spareFor(octets.length, false) & -ROW_OCTETS) : octets.length;
  const zone = inArena(store, all, (arena) => {
    const row = reserve(arena, all);
    if (row === undefined) return undefined;
    arena.bytes.set(octets, row * ROW_OCTETS);
    if (isChangeable) arena.words[row * ROW_WORDS + ZONE.ALL_OCTETS] = all;
    writeSerial(arena, row, serial);
    return row;
  });
  const part = { zone, octets: all, answers: [] };
  store.added.push(part);
  return part;
}

/** The octets of a part, which refer only to each other, without the room for changes in place. */
export function octetsOfPart({ arena }: PartStore, { zone }: Part): Uint8Array {
  if (!arena) return new Uint8Array(0);
  const octets = zoneWord(arena.words, zone, ZONE.OCTETS);
  return arena.bytes.subarray(zone * ROW_OCTETS, zone * ROW_OCTETS + octets);
}

/** Adds a copy of a part with another serial in its SOA. `signatures`: RRSIG data for it, if the zone is signed. */
export function copyWithSerial(
  store: PartStore,
  from: Part,
  serial: number,
  signatures: readonly Uint8Array[] | undefined,
): Part {
  const zone = inArena(store, from.octets, (arena) => {
    const row = copyPart(arena, from.zone, arena);
    if (row === undefined) return undefined;
    writeSerial(arena, row, serial);
    if (signatures) writeSoaSignatures(arena, row, signatures);
    return row;
  });
  const part = { ...from, zone };
  store.added.push(part);
  return part;
}

function writeSerial({ words, bytes }: Arena, zone: number, serial: number): void {
  const head = headOf(words, zone);
  words[head * ROW_WORDS + HEAD.SERIAL] = serial | 0;
  const apex = apexAt(words, head);
  const first = firstRrsetOf(apex);
  const count = nodeWord(words, apex, NODE.RRSET_COUNT);
  const rows = Array.from({ length: count }, (_, index) => first + index);
  for (const row of [...rows, head + headWord(words, head, HEAD.NEGATIVE_SOA)]) {
    if (row === head || rrsetWord(words, row, RRSET.TYPE) !== TYPE.SOA) continue;
    const end = row * ROW_OCTETS + rrsetWord(words, row, RRSET.WIRE_AT) + rrsetWord(words, row, RRSET.WIRE_OCTETS);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(end - SOA_NUMBERS_OCTETS, serial);
  }
}

/** Replaces the signatures of the SOA. A key's signatures have one length. */
function writeSoaSignatures({ words, bytes }: Arena, zone: number, signatures: readonly Uint8Array[]): void {
  const pair = pairOf(TYPE.RRSIG, TYPE.SOA);
  let row = firstRrsetOf(apexOf(words, zone));
  while (rrsetWord(words, row, RRSET.TYPE) !== pair) row++;
  let at = row * ROW_OCTETS + rrsetWord(words, row, RRSET.WIRE_AT);
  for (const data of signatures) {
    bytes.set(data, at + RECORD_HEAD_OCTETS);
    at += RECORD_HEAD_OCTETS + data.length;
  }
}

/** A zone of a generation, with its services after those of the zones before it. */
export type PlacedZone = {
  readonly apex: Name;
  readonly part: Part;
  readonly info: { readonly services: number; readonly foreignServices?: number | undefined };
};

/** Writes the root of a generation: the table of its zones. Returns the arena, and the root's row in it. */
export function addRoot(store: PartStore, zones: readonly PlacedZone[]): { arena: SharedArrayBuffer; root: number } {
  // At most a quarter full: most names that are no apex meet a free entry.
  const entries = 2 ** Math.ceil(Math.log2(zones.length * 4 + 2));
  const octets = ROW_OCTETS + entries * ZONE_ENTRY.WORDS * 4;
  const root = inArena(store, octets, (arena) => reserve(arena, octets));
  const arena = store.arena ?? createArena(octets, store.allocate);
  const { memory, words } = arena;
  const last = store.root;
  store.root = { arena, row: root, entries, zones };
  if (last?.arena === arena && last.entries === entries && copyRoot(arena, last, root, zones)) {
    return { arena: memory, root };
  }
  const table = tableAt(arena, root, entries);
  let [maxLabels, firstService, firstAlias] = [0, 0, 0];
  zones.forEach(({ apex, part, info }, place) => {
    const hash = hashName(apex, 0);
    let at = hash & (entries - 1);
    while (table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.ZONE] !== 0) at = (at + 1) & (entries - 1);
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.HASH] = hash;
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.ZONE] = part.zone;
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.FIRST_SERVICE] = firstService;
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.PLACE] = place;
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.FIRST_ALIAS] = firstAlias;
    firstService += info.services;
    firstAlias += info.foreignServices ?? 0;
    maxLabels = Math.max(maxLabels, countLabels(apex));
  });
  words[root * ROW_WORDS + ROOT_ROW.MAGIC] = ROOT_MAGIC;
  words[root * ROW_WORDS + ROOT_ROW.MAX_APEX_LABELS] = maxLabels;
  words[root * ROW_WORDS + ROOT_ROW.TABLE_ENTRIES] = entries;
  return { arena: memory, root };
}

function tableAt({ words }: Arena, root: number, entries: number): Int32Array {
  return words.subarray((root + 1) * ROW_WORDS, (root + 1) * ROW_WORDS + entries * ZONE_ENTRY.WORDS);
}

/**
 * Makes a root of the last one in this arena, if it has the same apexes and numbers of services in the same order. A
 * look at ten thousand zones takes longer than a copy of their table.
 */
function copyRoot(arena: Arena, last: Root, root: number, zones: readonly PlacedZone[]): boolean {
  if (last.zones.length !== zones.length) return false;
  const others: { readonly zone: PlacedZone; readonly rowBefore: number }[] = [];
  for (let index = 0; index < zones.length; index++) {
    const [zone, before] = [zones[index], last.zones[index]];
    if (zone === before || !zone || !before) continue;
    if (zone.info.foreignServices !== before.info.foreignServices) return false;
    if (zone.info.services !== before.info.services || Buffer.compare(zone.apex, before.apex) !== 0) return false;
    others.push({ zone, rowBefore: before.part.zone });
  }
  const { words } = arena;
  const octets = ROW_WORDS + last.entries * ZONE_ENTRY.WORDS;
  words.copyWithin(root * ROW_WORDS, last.row * ROW_WORDS, last.row * ROW_WORDS + octets);
  const table = tableAt(arena, root, last.entries);
  for (const { zone, rowBefore } of others) {
    let at = hashName(zone.apex, 0) & (last.entries - 1);
    while (table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.ZONE] !== rowBefore) at = (at + 1) & (last.entries - 1);
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.ZONE] = zone.part.zone;
  }
  return true;
}

/** Calls `write`, again with a new arena if the present one is full. */
function inArena(store: PartStore, octets: number, write: (arena: Arena) => number | undefined): number {
  const written = store.arena && write(store.arena);
  if (written !== undefined) return written;
  const parts = [...new Set([...store.kept(), ...store.added])];
  const kept = parts.reduce((sum, part) => sum + part.octets + 2 * ROW_OCTETS, 0);
  // Without room for all that is to come, parts would be copied to a larger arena again and again.
  const arena = createArena(kept + octets + 2 * ROW_OCTETS, store.allocate, kept + store.expected);
  if (store.arena) {
    const rows = copyParts(store.arena, parts.map(({ zone }) => zone), arena); // prettier-ignore
    for (const [index, part] of parts.entries()) part.zone = rows[index] ?? 0;
  }
  store.arena = arena;
  const again = write(arena);
  if (again === undefined) throw new RangeError('the arena is too small');
  return again;
}

/** Labels without the root. `labelOffsets` would make a list for each zone. */
function countLabels(name: Name): number {
  let count = 0;
  for (let at = 0; at < name.length - 1; at += (name[at] ?? 0) + 1) count++;
  return count;
}
