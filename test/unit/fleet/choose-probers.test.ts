/** Which nodes of a region probe a target: all nodes must choose the same ones, whatever their version. */
import { describe, expect, test } from 'vitest';
import { isProber, nodeSeed, probersWanted } from '../../../fleet/choose-probers.ts';

test.each([
  ['all', 7, 7],
  [3, 2, 2],
  [2, 5, 2],
  [undefined, 1, 1],
  [undefined, 5, 5],
  [undefined, 6, 3],
  [undefined, 50, 3],
] as const)('`probers: %s` of %i nodes: %i', (probers, nodes, wanted) => {
  expect(probersWanted(probers, nodes)).toBe(wanted);
});

const NODES = ['dub1', 'dub2', 'dub3', 'dub4', 'dub5', 'dub6'];
const SEEDS = NODES.map(nodeSeed);

describe('the ranking of six nodes, as a separate program computes it', () => {
  test('a seed is the start of the SHA-256 digest of the name', () => {
    expect(SEEDS.slice(0, 2)).toEqual([0xf167_ebc5, 0x49dc_75dd]);
  });

  test.each([
    [0, 'dub5 dub6 dub2 dub1 dub4 dub3'],
    [1, 'dub3 dub6 dub2 dub1 dub4 dub5'],
    [0xdead_beef, 'dub2 dub6 dub4 dub1 dub3 dub5'],
    [0x7f3a_91c2, 'dub4 dub2 dub3 dub6 dub5 dub1'],
    [0xffff_ffff, 'dub2 dub5 dub6 dub1 dub4 dub3'],
  ])('target %i: %s', (target, ranking) => {
    for (let wanted = 1; wanted <= NODES.length; wanted++) {
      const chosen = NODES.filter((_, at) => isProber(target, SEEDS[at] ?? 0, SEEDS, wanted));
      expect(chosen).toEqual(ranking.split(' ').slice(0, wanted).sort());
    }
  });
});

test('the order of the nodes does not matter, and a lost node moves only the targets that it probed', () => {
  const [lost = 0, ...others] = SEEDS;
  for (let target = 0; target < 500; target++) {
    const chosen = SEEDS.filter((seed) => isProber(target, seed, SEEDS, 3));
    expect(SEEDS.filter((seed) => isProber(target, seed, SEEDS.toReversed(), 3))).toEqual(chosen);
    const left = others.filter((seed) => isProber(target, seed, others, 3));
    if (!chosen.includes(lost)) expect(left).toEqual(chosen);
    else expect(left).toEqual(expect.arrayContaining(chosen.filter((seed) => seed !== lost)));
  }
});
