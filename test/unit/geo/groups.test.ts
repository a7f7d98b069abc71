import { expect, test } from 'vitest';
import { ATLAS } from '../../../geo/find-class.ts';
import { groupNodes } from '../../../geo/groups.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const dice = createDice(printedSeed('groups'));

type Tree = number | readonly [Tree, Tree];

/** Rows in the order of an atlas: a node before its children. */
function rowsOf(tree: Tree): Int32Array {
  const rows: number[] = [];
  const put = (part: Tree): number => {
    if (typeof part === 'number') return ~part;
    const at = rows.push(0, 0, -1, -1) - ATLAS.WORDS;
    const [left, right] = [put(part[0]), put(part[1])];
    rows[at + ATLAS.LEFT] = left;
    rows[at + ATLAS.RIGHT] = right;
    return at / ATLAS.WORDS;
  };
  put(tree);
  return Int32Array.from(rows);
}

function randomTree(classes: number, depth: number): Tree {
  if (depth === 0 || dice.chance(0.2)) return dice.below(classes);
  return [randomTree(classes, depth - 1), randomTree(classes, depth - 1)];
}

/** The classes below a code, found by walking. */
function classesBelow(nodes: Int32Array, code: number): Set<number> {
  if (code < 0) return new Set([~code]);
  const row = code * ATLAS.WORDS;
  const [left, right] = [nodes[row + ATLAS.LEFT] ?? 0, nodes[row + ATLAS.RIGHT] ?? 0];
  return new Set([...classesBelow(nodes, left), ...classesBelow(nodes, right)]);
}

/** The classes that a group means, by its pairs. */
function membersOf(pairs: Int32Array, classes: number, group: number): Set<number> {
  if (group < classes) return new Set([group]);
  const at = (group - classes) * 2;
  const [one, other] = [pairs[at] ?? 0, pairs[at + 1] ?? 0];
  return new Set([...membersOf(pairs, classes, one), ...membersOf(pairs, classes, other)]);
}

test.for([1, 2, 5, 40])(
  'with %i classes, each node has the group of the classes below it, and one of them',
  (classes) => {
    for (let round = 0; round < 20; round++) {
      const nodes = rowsOf([randomTree(classes, 8), randomTree(classes, 8)]);
      const pairs = groupNodes(nodes, classes);
      for (let node = 0; node < nodes.length / ATLAS.WORDS; node++) {
        const below = classesBelow(nodes, node);
        expect(membersOf(pairs, classes, nodes[node * ATLAS.WORDS + ATLAS.GROUP] ?? -1)).toEqual(below);
        expect(below).toContain(nodes[node * ATLAS.WORDS + ATLAS.CLASS]);
      }
      // Each has two earlier parts, so one pass in their order is enough.
      pairs.forEach((group, at) => {
        expect(group).toBeLessThan(classes + (at >> 1));
      });
    }
  },
);

test('equal pairs are one group, however many there are', () => {
  const leaves = 1 << 17;
  const build = (from: number, to: number): Tree =>
    to - from === 1
      ? [(from >> 1) % 50_000, 50_000 + ((from >> 1) % 50_000)]
      : [build(from, (from + to) >> 1), build((from + to) >> 1, to)];
  const nodes = rowsOf(build(0, leaves));
  const pairs = groupNodes(nodes, 100_000);
  const keys = new Set(Array.from({ length: pairs.length / 2 }, (_, at) => `${pairs[at * 2]},${pairs[at * 2 + 1]}`));
  expect(keys.size).toBe(pairs.length / 2);
  expect(keys.size).toBeGreaterThan(1 << 16);
});
