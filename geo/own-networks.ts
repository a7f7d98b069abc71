/**
 * The operator's own networks (`geo.networks`) as a tree that the packet path reads (private.ts): a private subnet that
 * one of them covers tells where a client is.
 */
import type { Prefix } from '../wire/address.ts';
import { addressWords } from './prefix-table.ts';
import { OWN } from './private.ts';
import { createTrieBuilder } from './trie-builder.ts';

/** The tree as words (OWN in private.ts). Empty if there are no networks. */
export function ownNetworkWords(networks: readonly Prefix[]): Int32Array {
  if (networks.length === 0) return new Int32Array(0);
  const trie = createTrieBuilder();
  for (const { bytes, bits } of networks) {
    const words = addressWords(bytes);
    trie.set(trie.nodeAt(words.length, words, 0, bits), bits + 1);
  }
  // The broadest network decides whether a subnet with a given prefix length is covered.
  const { nodes, v4Root, v6Root } = trie.done((bits, outer) => (outer === 0 ? bits : outer));
  const words = new Int32Array(OWN.NODES + nodes.length);
  words[OWN.V4_ROOT] = v4Root;
  words[OWN.V6_ROOT] = v6Root;
  words.set(nodes, OWN.NODES);
  return words;
}
