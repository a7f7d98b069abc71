/**
 * Reads the binary search tree of an mmdb file once and converts it to plain numbers
 * (MaxMind DB File Format 2.0, "Binary Search Tree Section").
 */
import { get8 } from '../wire/octets.ts';

/** The file's tree contradicts itself; the message is for the operator. */
export class TreeError extends Error {}

/**
 * Codes are as in an Atlas: >= 0 is a node, < 0 is `~record`. Record 0 is NOTHING. IPv4 has a root of its
 * own and is not in the IPv6 tree, neither at ::/96 nor at the prefixes that are aliases of it.
 */
export type SearchTree = {
  /** Two per node: the code for bit 0 and for bit 1. */
  readonly nodes: Int32Array;
  readonly v4Root: number;
  readonly v6Root: number;
};

export type TreeFormat = {
  readonly bytes: Buffer;
  readonly nodeCount: number;
  /** Bits per record: 24, 28 or 32. */
  readonly recordBits: number;
  readonly ipVersion: number;
};

/** The separator between tree and data. */
const SEPARATOR_OCTETS = 16;
/**
 * A walk of a tree visits each node once, and the IPv4 part again per alias. A file with far more shared nodes is
 * broken or hostile: a walk could take forever.
 */
const MAX_VISITS_PER_NODE = 16;

/**
 * Reads the tree. `recordAt` gives a record's number (from 1) for a data pointer not met before, and an
 * address that has it, in octets (4 or 16). Throws TreeError.
 */
export function readSearchTree(format: TreeFormat, recordAt: (address: Uint8Array) => number): SearchTree {
  const { bytes, nodeCount, recordBits, ipVersion } = format;
  const nodeOctets = recordBits / 4;
  const dataOctets = bytes.length - nodeCount * nodeOctets;
  if (dataOctets < SEPARATOR_OCTETS) throw new TreeError(`the file ends inside its tree of ${nodeCount} nodes`);
  const read = recordReader(bytes, recordBits);
  const bits = ipVersion === 4 ? 32 : 128;
  const start = ipVersion === 4 ? { node: 0, depth: 0 } : ipv4Start(read, nodeCount);

  const nodes = new Int32Array(nodeCount * 2);
  /** Levels below and with the node: 0 not visited, 255 being visited. */
  const heights = new Uint8Array(nodeCount);
  const sizes = new Float64Array(nodeCount);
  const records = new Map<number, number>();
  const address = new Uint8Array(16);
  let inV4 = false;

  const code = (record: number, depth: number): number => {
    if (record === nodeCount) return ~0;
    if (record > nodeCount) {
      let number = records.get(record);
      if (number === undefined) {
        if (record - nodeCount < SEPARATOR_OCTETS || record - nodeCount >= dataOctets) {
          throw new TreeError(`the tree points outside the data, at octet ${record - nodeCount} of ${dataOctets}`);
        }
        // In a file without IPv4, a leaf above ::/96 covers both families. Any address of it will do.
        number = recordAt(inV4 ? address.slice(0, 4) : address.slice());
        records.set(record, number);
      }
      return ~number;
    }
    // IPv4 is only walked from its root.
    if (!inV4 && record === start.node) return ~0;
    visit(record, depth);
    return record;
  };

  const visit = (node: number, depth: number): void => {
    const height = get8(heights, node);
    if (height === 255) throw new TreeError(`the tree has a circle at node ${node}`);
    if (depth + Math.max(1, height) > (inV4 ? 32 : bits)) throw new TreeError(`the tree is deeper than an address`);
    if (height > 0) return;
    heights[node] = 255;
    const left = code(read(node, 0), depth + 1);
    const at = depth >> 3;
    const bit = 0x80 >> (depth & 7);
    address[at] = get8(address, at) | bit;
    const right = code(read(node, 1), depth + 1);
    address[at] = get8(address, at) & ~bit;
    nodes[node * 2] = left;
    nodes[node * 2 + 1] = right;
    const leftHeight = left < 0 ? 0 : get8(heights, left);
    const rightHeight = right < 0 ? 0 : get8(heights, right);
    heights[node] = 1 + Math.max(leftHeight, rightHeight);
    const size = 1 + (left < 0 ? 0 : (sizes[left] ?? 0)) + (right < 0 ? 0 : (sizes[right] ?? 0));
    if (size > nodeCount * MAX_VISITS_PER_NODE) throw new TreeError('the tree shares its nodes too often');
    sizes[node] = size;
  };

  inV4 = true;
  const v4Root = code(start.node, 0);
  inV4 = false;
  if (ipVersion === 4) return { nodes, v4Root, v6Root: ~0 };
  // Only aliases share nodes, and they are removed, so the heights of both walks agree.
  return { nodes, v4Root, v6Root: nodeCount === 0 || start.depth === 0 ? ~0 : code(0, 0) };
}

/** The start of ::/96: a node, or a record at a smaller depth that covers all of it. */
function ipv4Start(read: (node: number, side: 0 | 1) => number, nodeCount: number): { node: number; depth: number } {
  let node = 0;
  let depth = 0;
  while (depth < 96 && node < nodeCount) {
    node = read(node, 0);
    depth++;
  }
  return { node, depth };
}

function recordReader(bytes: Buffer, recordBits: number): (node: number, side: 0 | 1) => number {
  switch (recordBits) {
    case 24:
      return (node, side) => {
        const at = node * 6 + side * 3;
        return (get8(bytes, at) << 16) | (get8(bytes, at + 1) << 8) | get8(bytes, at + 2);
      };
    case 28:
      // The middle octet has the highest four bits of both records, the left one's first.
      return (node, side) => {
        const at = node * 7;
        const middle = get8(bytes, at + 3);
        const high = side === 0 ? middle >> 4 : middle & 0x0f;
        const low = at + side * 4;
        return (high << 24) | (get8(bytes, low) << 16) | (get8(bytes, low + 1) << 8) | get8(bytes, low + 2);
      };
    case 32:
      return (node, side) => bytes.readUInt32BE(node * 8 + side * 4);
    default:
      throw new TreeError(`unsupported record size: ${recordBits} bits`);
  }
}
