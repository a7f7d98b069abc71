/**
 * Numbers the distinct owners of a record store, and finds them by name: an open-addressing table over the store's
 * octets, so that a million owners need two arrays and no strings.
 */
import type { Name } from '../../wire/name.ts';
import { ownerOctets, ownerStart, type RecordStore } from './record-store.ts';

export type NameTable = {
  readonly store: RecordStore;
  /** Number of distinct owners. Nodes are 0 to count - 1, in order of appearance. */
  readonly count: number;
  /** The node of each record. */
  readonly nodeOf: Uint32Array;
  /** The first record of each node. */
  readonly firstRow: Uint32Array;
  /** Node + 1 by hash, 0 where free; its length is a power of two. */
  readonly slots: Uint32Array;
};

export function createNameTable(store: RecordStore): NameTable {
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(store.count * 2 + 2)));
  const nodeOf = new Uint32Array(store.count);
  const firstRow = new Uint32Array(store.count);
  let count = 0;
  for (let row = 0; row < store.count; row++) {
    const at = ownerStart(store, row);
    // Consecutive records with the same owner share its octets.
    if (row > 0 && at === store.ownerAt[row - 1]) {
      nodeOf[row] = nodeOf[row - 1] ?? 0;
      continue;
    }
    const octets = ownerOctets(store, row);
    const slot = slotOf(store, slots, firstRow, store.bytes, at, octets);
    let node = (slots[slot] ?? 0) - 1;
    if (node < 0) {
      node = count++;
      slots[slot] = node + 1;
      firstRow[node] = row;
    }
    nodeOf[row] = node;
  }
  return { store, count, nodeOf, firstRow: firstRow.subarray(0, count), slots };
}

/** The node of the name at `bytes[at...]`, case folded; -1 if no record has this owner. */
export function findOwner(table: NameTable, bytes: Uint8Array, at: number, octets: number): number {
  return (table.slots[slotOf(table.store, table.slots, table.firstRow, bytes, at, octets)] ?? 0) - 1;
}

export function findName(table: NameTable, name: Name): number {
  return findOwner(table, name, 0, name.length);
}

/** Whether the name at `bytes[at...]` is `ancestor` or below it, case folded. */
export function endsWithName(bytes: Uint8Array, at: number, octets: number, ancestor: Name): boolean {
  while (octets > ancestor.length) {
    const label = (bytes[at] ?? 0) + 1;
    at += label;
    octets -= label;
  }
  return octets === ancestor.length && sameFolded(bytes, at, ancestor, 0, octets);
}

/** The slot of the name, or the free slot for it. */
function slotOf(
  store: RecordStore,
  slots: Uint32Array,
  firstRow: Uint32Array,
  bytes: Uint8Array,
  at: number,
  octets: number,
): number {
  const mask = slots.length - 1;
  let slot = hashFolded(bytes, at, octets) & mask;
  for (;;) {
    const node = (slots[slot] ?? 0) - 1;
    if (node < 0) return slot;
    const row = firstRow[node] ?? 0;
    if (store.ownerOctets[row] === octets && sameFolded(store.bytes, ownerStart(store, row), bytes, at, octets)) {
      return slot;
    }
    slot = (slot + 1) & mask;
  }
}

/** RFC 4343: A-Z is a-z. A length octet is at most 63 and so never taken for a letter. */
function fold(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
}

function hashFolded(bytes: Uint8Array, at: number, octets: number): number {
  let hash = 0x811c_9dc5; // FNV-1a
  for (let end = at + octets; at < end; at++) hash = Math.imul(hash ^ fold(bytes[at] ?? 0), 0x0100_0193);
  // FNV mixes the low bits weakly if only late octets differ.
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b_3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}

function sameFolded(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, octets: number): boolean {
  for (let i = 0; i < octets; i++) if (fold(a[aAt + i] ?? 0) !== fold(b[bAt + i] ?? 0)) return false;
  return true;
}
