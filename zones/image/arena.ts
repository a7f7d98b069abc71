/**
 * The arena: shared memory for the parts of zones, written from its start to its end. Nothing in it is written twice,
 * so threads may read the parts of a generation while the next generation's are added. Parts that no generation uses
 * any more are left behind when the parts in use are copied to a new arena.
 */
import type { Allocate } from '../../geo/packed-atlas.ts';
import { ARENA_START_OCTETS, ROW_OCTETS, ROW_WORDS, ZONE, zoneWord } from './image.ts';

export type Arena = {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** Rows written. Row 0 is never used, so that 0 may mean none. */
  used: number;
  /** Rows that fit. */
  readonly rows: number;
};

/** A row begins a cache line of 64 octets if its number is even. */
const FIRST_ROW = 2;
/** The space for later generations: memory of the system only once it is written. */
const LEAST_SPARE_OCTETS = 8 * 1024 * 1024;
/** Positions of octets are 32-bit numbers. */
const MOST_OCTETS = 2 ** 31 - 1;

/**
 * Creates an arena for this many octets, or for as many as are likely, with room for later generations. Throws
 * RangeError if they are too many. What is never written is no memory of the system.
 */
export function createArena(octets: number, allocate: Allocate, likely = octets): Arena {
  const start = ARENA_START_OCTETS + FIRST_ROW * ROW_OCTETS;
  if (start + octets > MOST_OCTETS) throw new RangeError('the zones do not fit into 2 GiB of memory');
  const room = Math.max(octets, likely);
  const spare = Math.max(LEAST_SPARE_OCTETS, room / 4);
  const memory = allocate(Math.min(MOST_OCTETS, start + room + spare) & -ROW_OCTETS);
  const rows = Math.floor((memory.byteLength - ARENA_START_OCTETS) / ROW_OCTETS);
  return {
    memory,
    words: new Int32Array(memory, ARENA_START_OCTETS, rows * ROW_WORDS),
    bytes: new Uint8Array(memory, ARENA_START_OCTETS),
    used: FIRST_ROW,
    rows,
  };
}

/** Takes an even row with this many octets after it; undefined if the arena is full. */
export function reserve(arena: Arena, octets: number): number | undefined {
  const row = arena.used;
  const end = row + Math.ceil(octets / ROW_OCTETS);
  if (end > arena.rows) return undefined;
  arena.used = end + (end & 1);
  return row;
}

/** Copies the parts of these zones to another arena, which has room for them. Returns their rows there. */
export function copyParts(from: Arena, zones: readonly number[], to: Arena): number[] {
  return zones.map((zone) => {
    const row = copyPart(from, zone, to);
    if (row === undefined) throw new RangeError('the arena is too small');
    return row;
  });
}

/** Copies the part of a zone, to another arena or within one. Returns its row there; undefined if the arena is full. */
export function copyPart(from: Arena, zone: number, to: Arena): number | undefined {
  const octets = zoneWord(from.words, zone, ZONE.OCTETS);
  // The room for changes in place is not copied: it is memory of the system only once it is written.
  const row = reserve(to, Math.max(octets, zoneWord(from.words, zone, ZONE.ALL_OCTETS)));
  if (row === undefined) return undefined;
  const at = zone * ROW_OCTETS;
  to.bytes.set(from.bytes.subarray(at, at + octets), row * ROW_OCTETS);
  return row;
}
