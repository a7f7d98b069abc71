/**
 * The search of the packet path: the node of a name, or its closest encloser (RFC 4592 2.2.1, RFC 9499).
 */
import { addLabel, hashLabel, hashSuffix } from '../../wire/name-hash.ts';
import { NODE, RRSET, type Image, nodeWord, rrsetWord } from './image.ts';

/** A name to look for, in canonical form, and what was found. */
export type Search = {
  readonly name: Uint8Array;
  readonly nameView: DataView;
  nameOctets: number;
  /** As in wire/query.ts, with the sums from which wire/name-hash.ts computes hashes. */
  readonly labelAt: Uint8Array;
  labels: number;
  nameSum: number;
  readonly sumBefore: Int32Array;
  /** Number of the node; -1 if no suffix is in the image. */
  node: number;
  /** Offset of the node's suffix in the name: 0 if the whole name exists. */
  suffixAt: number;
};

/** Creates a search for one name in canonical form. It allocates: not for the packet path. */
export function createSearch(name: Uint8Array): Search {
  const labelAt: number[] = [];
  for (let at = 0; at < name.length; at += (name[at] ?? 0) + 1) labelAt.push(at);
  const search: Search = {
    name,
    nameView: new DataView(name.buffer, name.byteOffset, name.byteLength),
    nameOctets: name.length,
    labelAt: Uint8Array.from(labelAt),
    labels: labelAt.length - 1,
    nameSum: 0,
    sumBefore: new Int32Array(labelAt.length),
    node: -1,
    suffixAt: 0,
  };
  sumLabels(search);
  return search;
}

/** Computes the sums from name and labels. */
export function sumLabels(target: Search): void {
  let sum = 0;
  for (let label = 0; label < target.labels; label++) {
    target.sumBefore[label] = sum;
    sum = addLabel(sum, hashLabel(target.name, target.labelAt[label] ?? 0));
  }
  target.sumBefore[target.labels] = sum;
  target.nameSum = sum;
}

/** Finds the longest suffix of the name that exists. */
export function search(image: Image, target: Search): void {
  const { nameOctets, labelAt, labels, nameSum, sumBefore } = target;
  // No name of the image has more labels than `maxLabels`, so longer suffixes are skipped.
  for (let label = Math.max(0, labels - image.maxLabels); label <= labels; label++) {
    const at = labelAt[label] ?? 0;
    const hash = hashSuffix(nameSum, sumBefore[label] ?? 0, labels - label);
    target.node = probe(image, hash, target, at, nameOctets - at);
    target.suffixAt = at;
    if (target.node >= 0) return;
  }
}

function probe(image: Image, hash: number, target: Search, at: number, octets: number): number {
  const { table, mask } = image;
  for (let row = hash & mask; ; row = (row + 1) & mask) {
    const entry = table[row * 2 + 1] ?? 0;
    if (entry === 0) return -1;
    if (table[row * 2] === hash && isNamed(image, entry - 1, target, at, octets)) return entry - 1;
  }
}

function isNamed(
  { nodes, bytes, bytesView }: Image,
  node: number,
  { name, nameView }: Search,
  at: number,
  octets: number,
): boolean {
  if ((nodeWord(nodes, node, NODE.NAME_AND_FLAGS) & 0xff) !== octets) return false;
  const nameAt = nodeWord(nodes, node, NODE.NAME_AT);
  let i = 0;
  for (; i + 4 <= octets; i += 4) {
    if (bytesView.getUint32(nameAt + i, true) !== nameView.getUint32(at + i, true)) return false;
  }
  for (; i < octets; i++) if (bytes[nameAt + i] !== name[at + i]) return false;
  return true;
}

/** The node after a node: the rows of its RRsets are between them, and node numbers are even (arrange.ts). */
export function nextNode(nodes: Int32Array, node: number): number {
  const rows = 1 + nodeWord(nodes, node, NODE.RRSET_COUNT);
  return node + rows + (rows & 1);
}

/** RFC 8482 4.1: one RRset of a node is enough for ANY. -1 if the node has none. */
export function anyRrset({ nodes }: Image, node: number): number {
  return nodeWord(nodes, node, NODE.RRSET_COUNT) > 0 ? nodeWord(nodes, node, NODE.FIRST_RRSET) : -1;
}

/** Number of a node's RRset of a type, or -1. */
export function findRrset({ nodes, rrsets }: Image, node: number, type: number): number {
  const first = nodeWord(nodes, node, NODE.FIRST_RRSET);
  const count = nodeWord(nodes, node, NODE.RRSET_COUNT);
  for (let rrset = first; rrset < first + count; rrset++) {
    if (rrsetWord(rrsets, rrset, RRSET.TYPE) === type) return rrset;
  }
  return -1;
}
