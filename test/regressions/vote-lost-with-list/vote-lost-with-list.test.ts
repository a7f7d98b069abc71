/**
 * A node that reloads has another list of targets. The votes that others knew of it were dropped with the old list, and
 * targets on which it no longer voted were not counted again: the verdict stayed as it was with a vote that was gone.
 */
import { expect, test } from 'vitest';
import { VOTE } from '../../../fleet/count.ts';
import { createFleetNetwork, memberTarget } from '../../support/fleet-network.ts';
import { createDice } from '../../support/random.ts';

const [ONE, TWO] = ['1111111111111111', '2222222222222222'];

test.each([
  ['the list of the other node', [ONE], [ONE]],
  ['a list of its own', [ONE], [ONE, TWO]],
  ['a list without the target', [ONE], [TWO]],
])('a vote that goes with a reload to %s is not counted any longer', (_, before, after) => {
  const network = createFleetNetwork(createDice(1));
  const rule = { quorum: { kind: 'one' } } as const;
  const watching = network.join('a', 'seoul', [memberTarget(ONE, rule)]);
  const reloading = network.join('b', 'dublin', [...before, '3333333333333333'].map((each) => memberTarget(each, rule))); // prettier-ignore
  network.advance(5000);
  watching.member.vote(ONE, VOTE.UP, '');
  reloading.member.vote(ONE, VOTE.DOWN, '');
  network.advance(5000);
  expect(watching.member.verdict(ONE)).toBe(VOTE.DOWN);
  // Only nodes in Seoul vote now.
  reloading.member.configure(after.map((each) => memberTarget(each, { ...rule, from: new Set(['seoul']) })));
  network.advance(5000);
  expect(watching.member.verdict(ONE)).toBe(VOTE.UP);
});
