/**
 * Groups: the sets of classes below the nodes of an atlas. An atlas has far fewer sets than nodes, so a steering map
 * only needs one bit per set: whether all its classes have one outcome.
 */
import { ATLAS, atlasWord } from './find-class.ts';

/** The initial size of the tables. Most atlases have some 100,000 groups, so tables are enlarged only a few times. */
const FIRST_ROWS = 1 << 16;

/**
 * Numbers the sets and writes each node's into its GROUP, and one of its classes into CLASS. The first `classes`
 * numbers are the classes themselves. Each number after them is the union of two smaller numbers; these pairs are
 * returned. Two numbers may mean the same set if different pairs make it.
 */
export function groupNodes(nodes: Int32Array, classes: number): Int32Array {
  let pairs = new Int32Array(FIRST_ROWS);
  let count = 0;
  // Open addressing: number of the pair + 1; 0 is free.
  let table = new Int32Array(FIRST_ROWS);

  const rowOf = (low: number, high: number): number => {
    let row = (Math.imul(low, 0x85eb_ca6b) ^ Math.imul(high, 0xc2b2_ae35)) >>> 0;
    row = (row ^ (row >>> 15)) & (table.length - 1);
    for (;;) {
      const pair = (table[row] ?? 0) - 1;
      if (pair < 0 || (pairs[pair * 2] === low && pairs[pair * 2 + 1] === high)) return row;
      row = (row + 1) & (table.length - 1);
    }
  };
  const widen = (): void => {
    const wider = new Int32Array(pairs.length * 2);
    wider.set(pairs);
    pairs = wider;
    table = new Int32Array(table.length * 2);
    for (let pair = 0; pair < count; pair++) table[rowOf(pairs[pair * 2] ?? 0, pairs[pair * 2 + 1] ?? 0)] = pair + 1;
  };
  const unite = (one: number, other: number): number => {
    if (one === other) return one;
    const low = Math.min(one, other);
    const high = Math.max(one, other);
    let row = rowOf(low, high);
    if (table[row] === 0) {
      if (count * 2 === pairs.length) {
        widen();
        row = rowOf(low, high);
      }
      pairs[count * 2] = low;
      pairs[count * 2 + 1] = high;
      table[row] = ++count;
    }
    return classes + (table[row] ?? 0) - 1;
  };
  const groupOf = (code: number): number => (code < 0 ? ~code : atlasWord(nodes, code, ATLAS.GROUP));

  // Children have greater numbers than their parent, so a backward loop visits them first.
  for (let node = nodes.length / ATLAS.WORDS - 1; node >= 0; node--) {
    const row = node * ATLAS.WORDS;
    const left = atlasWord(nodes, node, ATLAS.LEFT);
    nodes[row + ATLAS.GROUP] = unite(groupOf(left), groupOf(atlasWord(nodes, node, ATLAS.RIGHT)));
    nodes[row + ATLAS.CLASS] = left < 0 ? ~left : atlasWord(nodes, left, ATLAS.CLASS);
  }
  return pairs.slice(0, count * 2);
}
