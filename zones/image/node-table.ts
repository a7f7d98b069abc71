/**
 * A zone's nodes and their hash table during compilation. It begins with the owners of the zone's records, numbered and
 * hashed by validation: node n is owner n. Names stay where the records have them, in any case.
 */
import { hashFoldedName } from '../../wire/name-hash.ts';
import { sameFolded, tableEntries, type NameTable } from '../read/name-table.ts';
import { ownerOctets, ownerStart } from '../read/record-store.ts';
import { type Bytes, pushWords, reserveBytes, type Words } from './growable.ts';
import { NODE, nodeWord, ROW_WORDS } from './image.ts';

export type NodeTable = {
  readonly nodes: Words;
  /** The octets of the records, and of names that own none. */
  readonly names: Bytes;
  /** Pairs of a hash and a node + 1, as in the image. */
  table: Int32Array;
  /** Number of pairs minus 1. */
  mask: number;
};

export function createNodeTable({ store, count, firstRow, table }: NameTable): NodeTable {
  const nodes: Words = { array: new Int32Array(Math.max(64, count + 16) * ROW_WORDS), length: count * ROW_WORDS };
  const { array } = nodes;
  for (let node = 0, at = 0; node < count; node++, at += ROW_WORDS) {
    const row = firstRow[node] ?? 0;
    array[at + NODE.NAME_AT] = ownerStart(store, row);
    array[at + NODE.NAME_AND_FLAGS] = ownerOctets(store, row);
    array[at + NODE.WILDCARD] = -1;
    array[at + NODE.SERVICE] = -1;
  }
  // Names are added behind the octets of the records, which stay as they are.
  const names = { nodes, names: { array: store.bytes, length: store.used }, table: table.slice(), mask: 0 };
  names.mask = table.length / 2 - 1;
  // Validation made room for each run of records with one owner, which may be more than owners.
  if (tableEntries(count) <= names.mask) resize(names, tableEntries(count));
  return names;
}

/** Number of the node of a name in any case, or -1. */
export function findNode(names: NodeTable, name: Uint8Array, at: number, octets: number): number {
  const { table, mask } = names;
  const hash = hashFoldedName(name, at);
  for (let row = hash & mask; ; row = (row + 1) & mask) {
    const entry = table[row * 2 + 1] ?? 0;
    if (entry === 0) return -1;
    if (table[row * 2] === hash && equals(names, entry - 1, name, at, octets)) return entry - 1;
  }
}

/** Adds a node for the name at `name[at...]` and returns its number. `findNode` must not have found it. */
export function addNode(names: NodeTable, name: Uint8Array, at: number, octets: number): number {
  const node = addHiddenNode(names, placeName(names, name, at, octets), octets);
  // At most half full, so that a search ends after one or two rows.
  if ((names.nodes.length / ROW_WORDS) * 2 > names.mask + 1) resize(names, 2 * (names.mask + 1));
  insert(names, hashFoldedName(name, at), node);
  return node;
}

/** Adds a node that no search by name finds, for a name in `names`. */
export function addHiddenNode({ nodes }: NodeTable, nameAt: number, octets: number): number {
  return pushWords(nodes, nameAt, octets, 0, 0, 0, -1, -1, 0) / ROW_WORDS;
}

/** Keeps a node from being found: an owner below a cut, where glue is. */
export function hideNode(names: NodeTable, node: number): void {
  const { table, mask } = names;
  const hash = hashFoldedName(names.names.array, nodeWord(names.nodes.array, node, NODE.NAME_AT));
  let row = hash & mask;
  while (table[row * 2 + 1] !== node + 1) row = (row + 1) & mask;
  // The entry stays, because searches for other names pass it. No other name is equal, so it is never found.
  table[row * 2] = hash ^ 1;
}

/** Returns the offset of the name in `names`. A name that is there already is not copied. */
function placeName({ names }: NodeTable, name: Uint8Array, at: number, octets: number): number {
  if (name === names.array) return at;
  const nameAt = reserveBytes(names, octets);
  for (let i = 0; i < octets; i++) names.array[nameAt + i] = name[at + i] ?? 0;
  return nameAt;
}

function insert({ table, mask }: NodeTable, hash: number, node: number): void {
  let row = hash & mask;
  while (table[row * 2 + 1] !== 0) row = (row + 1) & mask;
  table[row * 2] = hash;
  table[row * 2 + 1] = node + 1;
}

function resize(names: NodeTable, entries: number): void {
  const old = names.table;
  names.table = new Int32Array(entries * 2);
  names.mask = entries - 1;
  for (let row = 0; row < old.length; row += 2) {
    const entry = old[row + 1] ?? 0;
    if (entry !== 0) insert(names, old[row] ?? 0, entry - 1);
  }
}

function equals({ nodes, names }: NodeTable, node: number, name: Uint8Array, at: number, octets: number): boolean {
  if ((nodeWord(nodes.array, node, NODE.NAME_AND_FLAGS) & 0xff) !== octets) return false;
  return sameFolded(names.array, nodeWord(nodes.array, node, NODE.NAME_AT), name, at, octets);
}

export function flagsOf({ nodes }: NodeTable, node: number): number {
  return nodeWord(nodes.array, node, NODE.NAME_AND_FLAGS);
}

/** The name of a node, in the case of its first record. */
export function nameOf({ nodes, names }: NodeTable, node: number): Uint8Array {
  const at = nodeWord(nodes.array, node, NODE.NAME_AT);
  return names.array.subarray(at, at + (nodeWord(nodes.array, node, NODE.NAME_AND_FLAGS) & 0xff));
}
