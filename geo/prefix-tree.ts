/**
 * What the networks of prefix tables stand for, as binary tries.
 */
import type { PrefixTable } from './prefix-table.ts';
import { createTrieBuilder, type Trie } from './trie-builder.ts';

/**
 * The most specific network decides; `kindOf` gives the kind, above 0, of an entry's value. Leaves are kinds; 0 is where
 * no network is.
 */
export function buildPrefixTree(v4: PrefixTable, v6: PrefixTable, kindOf: (value: number) => number): Trie {
  const trie = createTrieBuilder();
  for (const { words, count, keys, bits, values } of [v4, v6]) {
    for (let entry = 0; entry < count; entry++) {
      const node = trie.nodeAt(words, keys, entry * words, bits[entry] ?? 0);
      trie.set(node, kindOf(values[entry] ?? 0));
    }
  }
  return trie.done((kind, outer) => (kind === 0 ? outer : kind));
}
