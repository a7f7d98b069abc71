/**
 * The parts of zones in an arena. Generations share parts, so a zone that does not change is not compiled again for a
 * later generation.
 */
import type { Allocate } from '../../geo/packed-atlas.ts';
import { hashName } from '../../wire/name-hash.ts';
import { labelOffsets, type Name } from '../../wire/name.ts';
import { SOA_NUMBERS_OCTETS } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import { copyPart, copyParts, createArena, reserve, type Arena } from './arena.ts';
import { arrange, writePart } from './arrange.ts';
import { compileZone, type ZoneToCompile } from './compile-zone.ts';
import {
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
  readonly octets: number;
  /** Rows of the services' RRsets, from the zone's row: see ServiceAnswers. */
  readonly answers: readonly number[];
};

export type PartStore = {
  /** The arena that new parts are written to; undefined before the first. It is replaced when it is full. */
  arena: Arena | undefined;
  /** The parts to keep when the arena is replaced: those of the generation that is being compiled. */
  parts: Set<Part>;
  readonly allocate: Allocate;
};

export function createPartStore(allocate: Allocate): PartStore {
  return { arena: undefined, parts: new Set(), allocate };
}

/** Compiles a zone and adds its part. Throws RangeError if the zones are too large. */
export function addPart(store: PartStore, input: ZoneToCompile): Part {
  const { building, answers } = compileZone(input);
  const arrangement = arrange(building);
  const { octets, rowOfRrset } = arrangement;
  const head = { apexOctets: input.model.apex.length, serial: input.serial };
  const zone = inArena(store, octets, (arena) => writePart(building, head, arrangement, arena));
  const part = { zone, octets, answers: answers.map((rrset) => (rrset < 0 ? -1 : (rowOfRrset[rrset] ?? -1))) };
  store.parts.add(part);
  return part;
}

/** Adds a part that was compiled before, without services, with this serial in its SOA. */
export function addKnownPart(store: PartStore, octets: Uint8Array, serial: number): Part {
  const zone = inArena(store, octets.length, (arena) => {
    const row = reserve(arena, octets.length);
    if (row === undefined) return undefined;
    arena.bytes.set(octets, row * ROW_OCTETS);
    writeSerial(arena, row, serial);
    return row;
  });
  const part = { zone, octets: octets.length, answers: [] };
  store.parts.add(part);
  return part;
}

/** The octets of a part, which refer only to each other. */
export function octetsOfPart({ arena }: PartStore, { zone, octets }: Part): Uint8Array {
  return arena ? arena.bytes.subarray(zone * ROW_OCTETS, zone * ROW_OCTETS + octets) : new Uint8Array(0);
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
  store.parts.add(part);
  return part;
}

function writeSerial({ words, bytes }: Arena, zone: number, serial: number): void {
  words[zone * ROW_WORDS + ZONE.SERIAL] = serial | 0;
  const apex = zone + zoneWord(words, zone, ZONE.APEX_NODE);
  const first = apex + nodeWord(words, apex, NODE.FIRST_RRSET);
  const count = nodeWord(words, apex, NODE.RRSET_COUNT);
  const rows = Array.from({ length: count }, (_, index) => first + index);
  for (const row of [...rows, zone + zoneWord(words, zone, ZONE.NEGATIVE_SOA)]) {
    if (row === zone || rrsetWord(words, row, RRSET.TYPE) !== TYPE.SOA) continue;
    const end = row * ROW_OCTETS + rrsetWord(words, row, RRSET.WIRE_AT) + rrsetWord(words, row, RRSET.WIRE_OCTETS);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(end - SOA_NUMBERS_OCTETS, serial);
  }
}

/** Replaces the signatures of the SOA. A key's signatures have one length. */
function writeSoaSignatures({ words, bytes }: Arena, zone: number, signatures: readonly Uint8Array[]): void {
  const apex = zone + zoneWord(words, zone, ZONE.APEX_NODE);
  const pair = pairOf(TYPE.RRSIG, TYPE.SOA);
  let row = apex + nodeWord(words, apex, NODE.FIRST_RRSET);
  while (rrsetWord(words, row, RRSET.TYPE) !== pair) row++;
  let at = row * ROW_OCTETS + rrsetWord(words, row, RRSET.WIRE_AT);
  for (const data of signatures) {
    bytes.set(data, at + RECORD_HEAD_OCTETS);
    at += RECORD_HEAD_OCTETS + data.length;
  }
}

/** A zone of a generation. */
export type PlacedZone = { readonly apex: Name; readonly part: Part; readonly firstService: number };

/** Writes the root of a generation: the table of its zones. Returns the arena, and the root's row in it. */
export function addRoot(store: PartStore, zones: readonly PlacedZone[]): { arena: SharedArrayBuffer; root: number } {
  // At most a quarter full: most names that are no apex meet a free entry.
  const entries = 2 ** Math.ceil(Math.log2(zones.length * 4 + 2));
  const octets = ROW_OCTETS + entries * ZONE_ENTRY.WORDS * 4;
  const root = inArena(store, octets, (arena) => reserve(arena, octets));
  const { memory, words } = store.arena ?? createArena(octets, store.allocate);
  const table = words.subarray((root + 1) * ROW_WORDS, (root + 1) * ROW_WORDS + entries * ZONE_ENTRY.WORDS);
  let maxLabels = 0;
  for (const { apex, part, firstService } of zones) {
    const hash = hashName(apex, 0);
    let at = hash & (entries - 1);
    while (table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.ZONE] !== 0) at = (at + 1) & (entries - 1);
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.HASH] = hash;
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.ZONE] = part.zone;
    table[at * ZONE_ENTRY.WORDS + ZONE_ENTRY.FIRST_SERVICE] = firstService;
    maxLabels = Math.max(maxLabels, labelOffsets(apex).length);
  }
  words[root * ROW_WORDS + ROOT_ROW.MAGIC] = ROOT_MAGIC;
  words[root * ROW_WORDS + ROOT_ROW.MAX_APEX_LABELS] = maxLabels;
  words[root * ROW_WORDS + ROOT_ROW.TABLE_ENTRIES] = entries;
  return { arena: memory, root };
}

/** Calls `write`, again with a new arena if the present one is full. */
function inArena(store: PartStore, octets: number, write: (arena: Arena) => number | undefined): number {
  const written = store.arena && write(store.arena);
  if (written !== undefined) return written;
  const parts = [...store.parts];
  const kept = parts.reduce((sum, part) => sum + part.octets + 2 * ROW_OCTETS, 0);
  const arena = createArena(kept + octets + 2 * ROW_OCTETS, store.allocate);
  if (store.arena) {
    const rows = copyParts(store.arena, parts.map(({ zone }) => zone), arena); // prettier-ignore
    for (const [index, part] of parts.entries()) part.zone = rows[index] ?? 0;
  }
  store.arena = arena;
  const again = write(arena);
  if (again === undefined) throw new RangeError('the arena is too small');
  return again;
}
