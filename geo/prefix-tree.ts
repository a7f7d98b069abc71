/**
 * Builds binary tries from prefix tables.
 */
import { get8 } from '../wire/octets.ts';
import type { PrefixTable } from './prefix-table.ts';
import { createTrieBuilder, type Trie } from './trie-builder.ts';

/**
 * Leaves are kinds: the kind of the most specific network, or 0 outside of all networks. `kindOf` maps the value of an
 * entry to its kind, which is greater than 0.
 */
export function buildPrefixTree(v4: PrefixTable, v6: PrefixTable, kindOf: (value: number) => number): Trie {
  const trie = createTrieBuilder();
  for (const { words, count, keys, bits, values } of [v4, v6]) {
    for (let entry = 0; entry < count; entry++) {
      const node = trie.nodeAt(words, keys, entry * words, get8(bits, entry));
      trie.set(node, kindOf(values[entry] ?? 0));
    }
  }
  return trie.done((kind, outer) => (kind === 0 ? outer : kind));
}
