/**
 * Signatures of sets of VIPs that were not signed when the zone was compiled, because a service has too many sets.
 * Answering threads put the sets that they need into a ring; the compile thread signs them (zones/sign-sets.ts), and
 * the control thread puts the signatures into a table, which all threads read.
 *
 *     ring slot     0  i32 service   4  i32 type   8  i32 root   12  the set: a bit for each VIP of the service
 *     table slot    0  i32 version: odd while the slot is written
 *                   4  i32 service + 1, 0 if free   8  i32 type   12  i32 records   16  i32 octets   20  i32 root
 *                   32  the set   64  the signatures in wire form
 *
 * The root is the service at whose name the set is: another one where a VIP is a service. Ring and table belong to
 * generations with the same services and keys, so a service number is unambiguous.
 */
import { MAX_VIPS } from '../../wire/limits.ts';
import { copyOctets } from '../../wire/octets.ts';
import type { SetWish, SignedWish } from '../../zones/sign-sets.ts';
import { COUNTER, count } from '../counters.ts';
import { createRing, nextSlot, putSlot, takeSlots, viewRing, type Ring } from './ring.ts';

const SET_WORDS = MAX_VIPS / 32;
const WISH = { SERVICE: 0, TYPE: 4, ROOT: 8, SET: 12, OCTETS: 12 + SET_WORDS * 4 } as const;
/** The control thread empties the ring five times per second: at most 320 sets per second and thread are asked for. */
const SHAPE = { slots: 64, slotOctets: WISH.OCTETS } as const;

/** Columns of a slot of the table, in words. */
const SLOT = { VERSION: 0, SERVICE: 1, TYPE: 2, RECORDS: 3, OCTETS: 4, ROOT: 5, SET: 8, WIRE: 16, WORDS: 128 } as const;
/** A power of 2. Memory of the system is used only for slots that were written. */
const SLOTS = 16_384;
const WIRE_AT = SLOT.WIRE * 4;
const MOST_WIRE_OCTETS = (SLOT.WORDS - SLOT.WIRE) * 4;

/** Memory for the sets of one or several generations: the table, and a ring for each thread. */
export type RareSetMemory = { readonly table: SharedArrayBuffer; readonly rings: readonly SharedArrayBuffer[] };

export function createRareSetMemory(threads: number): RareSetMemory {
  return {
    table: new SharedArrayBuffer(SLOTS * SLOT.WORDS * 4),
    rings: Array.from({ length: threads }, () => createRing(SHAPE)),
  };
}

/** The view of one thread. */
export type RareSets = {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly ring: Ring;
  readonly counters: Float64Array;
  /** The set that was looked for last. */
  readonly set: Int32Array;
  /** The signatures that were found last. */
  readonly wire: Uint8Array;
  records: number;
  octets: number;
};

/** Undefined for a thread without a ring. */
export function viewRareSets(
  { table, rings }: RareSetMemory,
  thread: number,
  counters: Float64Array,
): RareSets | undefined {
  const ring = rings[thread];
  if (!ring) return undefined;
  return {
    words: new Int32Array(table),
    bytes: new Uint8Array(table),
    ring: viewRing(ring, SHAPE),
    counters,
    set: new Int32Array(SET_WORDS),
    wire: new Uint8Array(MOST_WIRE_OCTETS),
    ...{ records: 0, octets: 0 },
  };
}

/**
 * Finds the signatures of the first `size` of `vips`, and copies them to `wire`. If they are missing, asks for them.
 * PACKET PATH: allocates nothing.
 */
export function findRareSet(
  rare: RareSets,
  root: number,
  service: number,
  type: number,
  vips: Int32Array,
  size: number,
): boolean {
  const { set } = rare;
  set.fill(0);
  for (let i = 0; i < size; i++) {
    const vip = vips[i] ?? 0;
    set[vip >> 5] = (set[vip >> 5] ?? 0) | (1 << (vip & 31));
  }
  const first = hashOf(root, service, type, set);
  if (copyFrom(rare, slotAt(first, 0), root, service, type) || copyFrom(rare, slotAt(first, 1), root, service, type))
    return true;
  wish(rare, root, service, type);
  return false;
}

function copyFrom(rare: RareSets, slot: number, root: number, service: number, type: number): boolean {
  const { words, bytes, set, wire } = rare;
  const version = Atomics.load(words, slot + SLOT.VERSION);
  if ((version & 1) !== 0 || words[slot + SLOT.SERVICE] !== service + 1 || words[slot + SLOT.TYPE] !== type)
    return false;
  if (words[slot + SLOT.ROOT] !== root) return false;
  for (let i = 0; i < SET_WORDS; i++) if (words[slot + SLOT.SET + i] !== set[i]) return false;
  const octets = Math.min(MOST_WIRE_OCTETS, words[slot + SLOT.OCTETS] ?? 0);
  rare.records = words[slot + SLOT.RECORDS] ?? 0;
  rare.octets = octets;
  copyOctets(bytes, slot * 4 + WIRE_AT, octets, wire, 0);
  // A write, so that the reads above are done before it.
  return Atomics.compareExchange(words, slot + SLOT.VERSION, version, version) === version;
}

function wish({ ring, set, counters }: RareSets, root: number, service: number, type: number): void {
  const at = nextSlot(ring);
  if (at < 0) {
    count(counters, COUNTER.SETS_DROPPED);
    return;
  }
  const { view } = ring;
  view.setInt32(at + WISH.SERVICE, service, true);
  view.setInt32(at + WISH.TYPE, type, true);
  view.setInt32(at + WISH.ROOT, root, true);
  for (let i = 0; i < SET_WORDS; i++) view.setInt32(at + WISH.SET + i * 4, set[i] ?? 0, true);
  putSlot(ring);
}

function hashOf(root: number, service: number, type: number, set: Int32Array): number {
  let hash = Math.imul(service * 65_599 + root * 8191 + type, 0x9e37_79b1);
  for (let i = 0; i < SET_WORDS; i++) {
    hash = Math.imul(hash ^ (set[i] ?? 0), 0x85eb_ca6b);
    hash ^= hash >>> 15;
  }
  return hash & (SLOTS - 1);
}

/** A set may be in two slots. */
function slotAt(first: number, probe: number): number {
  return ((first + probe) & (SLOTS - 1)) * SLOT.WORDS;
}

/** Takes the sets that threads asked for, each once, at most `most`. The rest is dropped. */
export function takeWishes({ rings }: RareSetMemory, most: number): readonly SetWish[] {
  const wishes = new Map<string, SetWish>();
  for (const memory of rings) {
    const ring = viewRing(memory, SHAPE);
    for (const at of takeSlots(ring)) {
      const service = ring.view.getInt32(at + WISH.SERVICE, true);
      const type = ring.view.getInt32(at + WISH.TYPE, true);
      const root = ring.view.getInt32(at + WISH.ROOT, true);
      const vips: number[] = [];
      for (let vip = 0; vip < MAX_VIPS; vip++) {
        if (((ring.view.getInt32(at + WISH.SET + (vip >> 5) * 4, true) >>> (vip & 31)) & 1) !== 0) vips.push(vip);
      }
      if (wishes.size < most) wishes.set(`${root} ${service} ${type} ${vips.join(' ')}`, { root, service, type, vips }); // prettier-ignore
    }
  }
  return [...wishes.values()];
}

/**
 * Puts signatures into the table, over older ones if there is no free slot. Only one thread may write. Signatures that
 * are too long for a slot are left out.
 */
export function putRareSet({ table }: RareSetMemory, { root, service, type, vips }: SetWish, signed: SignedWish): void {
  if (signed.wire.length > MOST_WIRE_OCTETS) return;
  const words = new Int32Array(table);
  const set = new Int32Array(SET_WORDS);
  for (const vip of vips) set[vip >> 5] = (set[vip >> 5] ?? 0) | (1 << (vip & 31));
  const first = hashOf(root, service, type, set);
  const versionOf = (slot: number): number => Atomics.load(words, slot + SLOT.VERSION);
  // The slot that was written less often.
  const slot = versionOf(slotAt(first, 1)) < versionOf(slotAt(first, 0)) ? slotAt(first, 1) : slotAt(first, 0);
  Atomics.add(words, slot + SLOT.VERSION, 1);
  words[slot + SLOT.SERVICE] = service + 1;
  words[slot + SLOT.TYPE] = type;
  words[slot + SLOT.ROOT] = root;
  words[slot + SLOT.RECORDS] = signed.records;
  words[slot + SLOT.OCTETS] = signed.wire.length;
  words.set(set, slot + SLOT.SET);
  new Uint8Array(table).set(signed.wire, slot * 4 + WIRE_AT);
  Atomics.add(words, slot + SLOT.VERSION, 1);
}
