/** What large fleets cost: messages do not grow with the square of the newcomers. */
import { expect, test } from 'vitest';
import { VOTE } from '../../../fleet/count.ts';
import { createFleetNetwork, memberTarget } from '../../support/fleet-network.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const dice = createDice(printedSeed('size of fleets'));
const TARGET = '00000000000000aa';

test('when fifty nodes start at once, each sends all its votes ten times a second at most', () => {
  const network = createFleetNetwork(dice);
  for (let at = 0; at < 50; at++) network.join(`n${String(at)}`, `r${String(at % 5)}`, [memberTarget(TARGET)]);
  network.advance(2000);
  // Two seconds of welcomes, two heartbeats, and what a node sends when it is configured.
  for (const { messagesSent } of network.nodes) expect(messagesSent).toBeLessThanOrEqual(24);
  for (const { member } of network.nodes) expect(member.peers()).toHaveLength(49);
});

test('a reload keeps votes that peers have changed since their last full heartbeat', () => {
  const network = createFleetNetwork(dice);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => network.join(name, name, [memberTarget(TARGET)]));
  for (const node of [a, b, c]) node?.member.vote(TARGET, VOTE.UP, '');
  network.advance(4000);
  for (const node of [b, c]) node?.member.vote(TARGET, VOTE.DOWN, 'refused');
  network.advance(61);
  expect(a?.member.verdict(TARGET)).toBe(VOTE.DOWN);
  a?.member.configure([memberTarget(TARGET), memberTarget('00000000000000bb')]);
  expect(a?.member.verdict(TARGET)).toBe(VOTE.DOWN);
  expect(a?.member.voters(TARGET).map(({ reason }) => reason)).toStrictEqual(['', 'refused', 'refused']);
});

test('a changed vote is sent at once, and many that follow are sent together', () => {
  const network = createFleetNetwork(dice);
  const digests = Array.from({ length: 2500 }, (_, at) => at.toString(16).padStart(16, '0'));
  const targets = digests.map((digest) => memberTarget(digest));
  const [a, b] = ['a', 'b'].map((name) => network.join(name, name, targets));
  network.advance(3000);
  const sentBefore = a?.messagesSent ?? 0;
  for (const digest of digests) a?.member.vote(digest, VOTE.UP, 'connected');
  expect(a?.messagesSent).toBe(sentBefore + 1);
  // Three messages of up to a thousand votes, then the way to b. A heartbeat may come in between.
  network.advance(81);
  expect((a?.messagesSent ?? 0) - sentBefore).toBeLessThanOrEqual(5);
  for (const digest of digests) expect(b?.member.verdict(digest)).toBe(VOTE.UP);
});
