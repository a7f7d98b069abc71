/**
 * What the networks of prefix tables stand for, as binary tries with the codes of an Atlas: a tree that buildAtlas
 * walks beside those of the databases.
 */
import type { PrefixTable } from './prefix-table.ts';

/** Codes >= 0 are nodes, two words each; codes < 0 are `~kind`. Kind 0 is where no network is. */
export type PrefixTree = { readonly nodes: Int32Array; readonly v4Root: number; readonly v6Root: number };

/**
 * The most specific network decides; `kindOf` gives the kind, above 0, of an entry's value. Neighbours of one kind are
 * one leaf.
 */
export function buildPrefixTree(v4: PrefixTable, v6: PrefixTable, kindOf: (value: number) => number): PrefixTree {
  let nodes = new Int32Array(1 << 12);
  /** By node: the kind of the network that ends there, 0 for none. */
  let kinds = new Int32Array(1 << 11);
  let count = 0;

  const addNode = (): number => {
    if (count * 2 === nodes.length) {
      const wider = new Int32Array(count * 4);
      wider.set(nodes);
      nodes = wider;
      const more = new Int32Array(count * 2);
      more.set(kinds);
      kinds = more;
    }
    nodes[count * 2] = -1;
    nodes[count * 2 + 1] = -1;
    return count++;
  };
  const insert = (root: number, { words, count: entries, keys, bits, values }: PrefixTable): void => {
    for (let entry = 0; entry < entries; entry++) {
      const length = bits[entry] ?? 0;
      let node = root;
      for (let depth = 0; depth < length; depth++) {
        const word = keys[entry * words + (depth >>> 5)] ?? 0;
        const slot = node * 2 + ((word >>> (31 - (depth & 31))) & 1);
        let child = nodes[slot] ?? -1;
        if (child < 0) {
          // addNode may replace the array, so it comes first.
          child = addNode();
          nodes[slot] = child;
        }
        node = child;
      }
      kinds[node] = kindOf(values[entry] ?? 0);
    }
  };
  /** Puts kinds into the places of missing children, from the root down, and joins leaves that are alike. */
  const settle = (node: number, outer: number): number => {
    const kind = (kinds[node] ?? 0) === 0 ? outer : (kinds[node] ?? 0);
    const leftChild = nodes[node * 2] ?? -1;
    const rightChild = nodes[node * 2 + 1] ?? -1;
    const left = leftChild < 0 ? ~kind : settle(leftChild, kind);
    const right = rightChild < 0 ? ~kind : settle(rightChild, kind);
    if (left < 0 && left === right) return left;
    nodes[node * 2] = left;
    nodes[node * 2 + 1] = right;
    return node;
  };

  const v4Start = addNode();
  insert(v4Start, v4);
  const v6Start = addNode();
  insert(v6Start, v6);
  const v4Root = settle(v4Start, 0);
  const v6Root = settle(v6Start, 0);
  return { nodes, v4Root, v6Root };
}
