/**
 * Builds binary tries from networks, one per family, with the codes of an Atlas. buildAtlas walks them beside the trees
 * of the databases.
 */
import { filled } from './prefix-table.ts';

/**
 * Codes >= 0 are nodes, two words each; codes < 0 are `~leaf`. The builder of a trie defines the meaning of its leaves.
 */
export type Trie = { readonly nodes: Int32Array; readonly v4Root: number; readonly v6Root: number };

export type TrieBuilder = {
  /**
   * The node at which a network ends: `length` bits of the `words` (1 for IPv4, 4 for IPv6) that begin at `keys[at]`.
   */
  nodeAt(words: number, keys: Uint32Array, at: number, length: number): number;
  /** The number of a node. 0 until it is set. */
  get(node: number): number;
  set(node: number, value: number): void;
  /**
   * Makes the trie. `leafFor` returns the leaf for the addresses of a node with this number that are not below its
   * children. `outer` is the leaf of its parent, 0 at the root. It is called once per node, from the root down. Equal
   * siblings are merged.
   */
  done(leafFor: (value: number, outer: number) => number): Trie;
};

export function createTrieBuilder(): TrieBuilder {
  /** By node * 2 + bit; -1 without a child. */
  let nodes = new Int32Array(1 << 12).fill(-1);
  let values = new Int32Array(1 << 11);
  // The roots.
  let count = 2;

  const addNode = (): number => {
    if (count === values.length) {
      nodes = filled(new Int32Array(count * 4).fill(-1), nodes);
      values = filled(new Int32Array(count * 2), values);
    }
    return count++;
  };
  return {
    nodeAt(words, keys, at, length) {
      let node = words === 1 ? 0 : 1;
      for (let depth = 0; depth < length; depth++) {
        const word = keys[at + (depth >>> 5)] ?? 0;
        const slot = node * 2 + ((word >>> (31 - (depth & 31))) & 1);
        let child = nodes[slot] ?? -1;
        if (child < 0) {
          // addNode may replace the array, so it comes first.
          child = addNode();
          nodes[slot] = child;
        }
        node = child;
      }
      return node;
    },
    get: (node) => values[node] ?? 0,
    set: (node, value) => {
      values[node] = value;
    },
    done(leafFor) {
      const settle = (node: number, outer: number): number => {
        const leaf = leafFor(values[node] ?? 0, outer);
        const leftChild = nodes[node * 2] ?? -1;
        const rightChild = nodes[node * 2 + 1] ?? -1;
        const left = leftChild < 0 ? ~leaf : settle(leftChild, leaf);
        const right = rightChild < 0 ? ~leaf : settle(rightChild, leaf);
        if (left < 0 && left === right) return left;
        nodes[node * 2] = left;
        nodes[node * 2 + 1] = right;
        return node;
      };
      return { v4Root: settle(0, 0), v6Root: settle(1, 0), nodes };
    },
  };
}
