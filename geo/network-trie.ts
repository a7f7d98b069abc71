/**
 * The listed networks (the operator's own, keys of geo maps) as binary tries, and the sets of networks that contain an
 * address.
 */
import type { Prefix } from '../wire/address.ts';
import { addressWords } from './prefix-table.ts';
import { createTrieBuilder, type Trie } from './trie-builder.ts';

/** A leaf is the set of networks that contain all its addresses. Set 0 is empty. */
export type NetworkTrie = Trie & {
  /** Indexes of networks, most specific first. */
  readonly sets: readonly (readonly number[])[];
};

export function buildNetworkTrie(networks: readonly Prefix[]): NetworkTrie {
  const trie = createTrieBuilder();
  /** Networks that end at the same node, as a linked list of index + 1; 0 is its end. */
  const nextOf = new Int32Array(networks.length);
  // In reverse order, so that the first of equal networks comes first in the list.
  for (const [index, { bytes, bits }] of [...networks.entries()].reverse()) {
    const words = addressWords(bytes);
    const node = trie.nodeAt(words.length, words, 0, bits);
    nextOf[index] = trie.get(node);
    trie.set(node, index + 1);
  }

  const sets: (readonly number[])[] = [[]];
  const built = trie.done((first, outer) => {
    if (first === 0) return outer;
    const here: number[] = [];
    for (let next = first; next > 0; next = nextOf[next - 1] ?? 0) here.push(next - 1);
    return sets.push([...here, ...(sets[outer] ?? [])]) - 1;
  });
  return { ...built, sets };
}
