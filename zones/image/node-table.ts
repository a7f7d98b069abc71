/**
 * A zone's nodes and their hash table during compilation: rows for names, found by their canonical wire form.
 */
import { hashName } from '../../wire/name-hash.ts';
import { type Bytes, pushWords, reserveBytes, type Words } from './growable.ts';
import { NODE, nodeWord, ROW_WORDS } from './image.ts';

export type NodeTable = { readonly nodes: Words; readonly bytes: Bytes; table: Int32Array; mask: number };

export function createNodeTable(nodes: Words, bytes: Bytes): NodeTable {
  return { nodes, bytes, table: new Int32Array(64), mask: 31 };
}

/** Number of the node of a canonical name, or -1. */
export function findNode(names: NodeTable, name: Uint8Array, at: number, octets: number): number {
  const hash = hashName(name, at);
  for (let row = hash & names.mask; ; row = (row + 1) & names.mask) {
    const entry = names.table[row * 2 + 1] ?? 0;
    if (entry === 0) return -1;
    if (names.table[row * 2] === hash && equals(names, entry - 1, name, at, octets)) return entry - 1;
  }
}

/** Adds a node and returns its number. `findNode` must not have found the name. */
export function addNode(names: NodeTable, name: Uint8Array): number {
  const node = addHiddenNode(names, name);
  // At most half full, so that a search ends after one or two rows.
  if ((names.nodes.length / ROW_WORDS) * 2 > names.mask + 1) widen(names);
  insert(names, hashName(name, 0), node);
  return node;
}

/** Adds a node that no search by name finds: an owner below a cut, where glue is. */
export function addHiddenNode(names: NodeTable, name: Uint8Array): number {
  const nameAt = reserveBytes(names.bytes, name.length);
  for (let i = 0; i < name.length; i++) names.bytes.array[nameAt + i] = name[i] ?? 0;
  return pushWords(names.nodes, nameAt, name.length, 0, 0, 0, -1, -1, 0) / ROW_WORDS;
}

function insert(names: NodeTable, hash: number, node: number): void {
  let row = hash & names.mask;
  while (names.table[row * 2 + 1] !== 0) row = (row + 1) & names.mask;
  names.table[row * 2] = hash;
  names.table[row * 2 + 1] = node + 1;
}

function widen(names: NodeTable): void {
  const old = names.table;
  names.table = new Int32Array(old.length * 2);
  names.mask = names.table.length / 2 - 1;
  for (let row = 0; row < old.length; row += 2) {
    const entry = old[row + 1] ?? 0;
    if (entry !== 0) insert(names, old[row] ?? 0, entry - 1);
  }
}

function equals(names: NodeTable, node: number, name: Uint8Array, at: number, octets: number): boolean {
  const nodes = names.nodes.array;
  if ((nodeWord(nodes, node, NODE.NAME_AND_FLAGS) & 0xff) !== octets) return false;
  const nameAt = nodeWord(nodes, node, NODE.NAME_AT);
  for (let i = 0; i < octets; i++) if (names.bytes.array[nameAt + i] !== name[at + i]) return false;
  return true;
}

export function flagsOf({ nodes }: NodeTable, node: number): number {
  return nodeWord(nodes.array, node, NODE.NAME_AND_FLAGS);
}
