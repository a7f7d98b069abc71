/**
 * Numbers the distinct owners of a record store, and finds them by name: an open-addressing table over the store's
 * octets, so that a million owners need some arrays and no strings. The compiler takes the table over into the image
 * (image/node-table.ts), so names are hashed once.
 */
import { fold, hashFoldedName } from '../../wire/name-hash.ts';
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
  /** Pairs of the hash of the canonical name and node + 1, which is 0 where free. At most half of them are in use. */
  readonly table: Int32Array;
};

export function createNameTable(store: RecordStore): NameTable {
  const { count: rows, ownerAt, bytes } = store;
  const table = new Int32Array(2 * tableEntries(runsOf(store)));
  const nodeOf = new Uint32Array(rows);
  const firstRow = new Uint32Array(rows);
  let count = 0;
  let lastAt = -1;
  let node = 0;
  for (let row = 0; row < rows; row++) {
    const at = ownerAt[row] ?? 0;
    // Consecutive records with the same owner share its octets.
    if (at !== lastAt) {
      lastAt = at;
      const hash = hashFoldedName(bytes, at);
      const slot = slotOf(store, table, firstRow, hash, bytes, at, ownerOctets(store, row));
      node = (table[slot + 1] ?? 0) - 1;
      if (node < 0) {
        node = count++;
        table[slot] = hash;
        table[slot + 1] = node + 1;
        firstRow[node] = row;
      }
    }
    nodeOf[row] = node;
  }
  return { store, count, nodeOf, firstRow: firstRow.subarray(0, count), table };
}

export function nodeOfRow({ nodeOf }: Pick<NameTable, 'nodeOf'>, row: number): number {
  return nodeOf[row] ?? 0;
}

export function firstRowOf({ firstRow }: Pick<NameTable, 'firstRow'>, node: number): number {
  return firstRow[node] ?? 0;
}

/**
 * Linked lists of the rows of each owner, in the order of the files: by node, the first row + 1; by row, the next + 1.
 */
export function rowsByNode(
  store: RecordStore,
  { nodeOf, count }: Pick<NameTable, 'nodeOf' | 'count'>,
): { readonly first: Int32Array; readonly next: Int32Array } {
  const first = new Int32Array(count);
  const next = new Int32Array(store.count);
  // From the last row to the first, because each row is put in front of its list.
  for (let row = store.count - 1; row >= 0; row--) {
    const node = nodeOf[row] ?? 0;
    next[row] = first[node] ?? 0;
    first[node] = row + 1;
  }
  return { first, next };
}

/** Entries of a table for this many names: a power of two, so that at most half of them are in use. */
export function tableEntries(names: number): number {
  return 2 ** Math.ceil(Math.log2(names * 2 + 2));
}

/** Runs of records with the same owner: at least as many as owners. */
function runsOf({ count, ownerAt }: RecordStore): number {
  let runs = 0;
  let lastAt = -1;
  for (let row = 0; row < count; row++) {
    const at = ownerAt[row] ?? 0;
    if (at !== lastAt) runs++;
    lastAt = at;
  }
  return runs;
}

/** The node of the name at `bytes[at...]`, case folded; -1 if no record has this owner. */
export function findOwner(
  { store, table, firstRow }: NameTable,
  bytes: Uint8Array,
  at: number,
  octets: number,
): number {
  return (table[slotOf(store, table, firstRow, hashFoldedName(bytes, at), bytes, at, octets) + 1] ?? 0) - 1;
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

/** The slot of the name, or the free slot for it: the index of its pair. */
function slotOf(
  store: RecordStore,
  table: Int32Array,
  firstRow: Uint32Array,
  hash: number,
  bytes: Uint8Array,
  at: number,
  octets: number,
): number {
  const mask = table.length - 1;
  for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
    const node = (table[slot + 1] ?? 0) - 1;
    if (node < 0) return slot;
    if (table[slot] !== hash) continue;
    const row = firstRow[node] ?? 0;
    if (ownerOctets(store, row) === octets && sameFolded(store.bytes, ownerStart(store, row), bytes, at, octets)) {
      return slot;
    }
  }
}

/** Whether two names are equal, case folded. */
export function sameFolded(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, octets: number): boolean {
  for (let i = 0; i < octets; i++) if (fold(a[aAt + i] ?? 0) !== fold(b[bAt + i] ?? 0)) return false;
  return true;
}
