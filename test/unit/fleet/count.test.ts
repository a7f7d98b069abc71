/**
 * The count over all small fleets: up to three regions of up to three nodes each, every vote of every node.
 */
import { describe, expect, test } from 'vitest';
import type { Quorum } from '../../../config/fleet-rule.ts';
import { countVotes, verdictOf, VOTE, type Ballot, type Vote } from '../../../fleet/count.ts';

const VOTES: readonly Vote[] = [VOTE.UNKNOWN, VOTE.UP, VOTE.DOWN, VOTE.ABSTAIN];
const MAJORITY: Quorum = { kind: 'majority' };

/** Every way to put up to `perRegion` nodes with a vote into each of up to `regions` regions. */
function* fleets(regions: number, perRegion: number): Generator<readonly Ballot[]> {
  for (let count = 1; count <= regions; count++) {
    const sizes = Array.from({ length: count }, () => 1);
    for (;;) {
      const nodes = sizes.flatMap((size, region) =>
        Array.from({ length: size }, (_, at) => ({
          node: `${String(region)}.${String(at)}`,
          region: `r${String(region)}`,
        })),
      );
      for (let code = 0; code < VOTES.length ** nodes.length; code++) {
        yield nodes.map((node, at) => ({ ...node, vote: VOTES[Math.floor(code / VOTES.length ** at) % 4] ?? VOTE.UP }));
      }
      const next = sizes.findIndex((size) => size < perRegion);
      if (next < 0) break;
      sizes.fill(1, 0, next);
      sizes[next] = (sizes[next] ?? 1) + 1;
    }
  }
}

const counting = (ballots: readonly Ballot[]): readonly Ballot[] =>
  ballots.filter(({ vote }) => vote === VOTE.UP || vote === VOTE.DOWN);

describe('majority, over all fleets of up to three regions with up to two nodes', () => {
  const all = [...fleets(3, 2)];
  test('there are enough of them', () => {
    expect(all.length).toBeGreaterThan(5000);
  });

  test('no votes, or a tie of all regions, hold the state', () => {
    for (const ballots of all) {
      const count = countVotes(ballots, MAJORITY);
      const downs = count.regions.filter(({ stand }) => stand === VOTE.DOWN).length;
      const ups = count.regions.filter(({ stand }) => stand === VOTE.UP).length;
      if (downs === ups) {
        expect(count.stand).toBeUndefined();
        for (const before of VOTES) expect(verdictOf(count, ballots, before)).toBe(before === 3 ? 3 : before);
      }
    }
  });

  test('one fresh voter decides', () => {
    for (const ballots of all) {
      const [voter, ...others] = counting(ballots);
      if (voter !== undefined && others.length === 0) expect(countVotes(ballots, MAJORITY).stand).toBe(voter.vote);
    }
  });

  test('a state that all voters share is the verdict', () => {
    for (const ballots of all) {
      const voters = counting(ballots);
      if (voters.length === 0) continue;
      for (const stand of [VOTE.UP, VOTE.DOWN]) {
        if (voters.every(({ vote }) => vote === stand)) expect(countVotes(ballots, MAJORITY).stand).toBe(stand);
      }
    }
  });

  test('no single node of several voters flips a state that the others share', () => {
    for (const ballots of all) {
      const voters = counting(ballots);
      if (voters.length < 2) continue;
      for (const stand of [VOTE.UP, VOTE.DOWN] as const) {
        const against = voters.filter(({ vote }) => vote !== stand);
        if (against.length === 1) expect(verdictOf(countVotes(ballots, MAJORITY), ballots, stand)).toBe(stand);
      }
    }
  });

  test('no minority of regions flips a state', () => {
    for (const ballots of all) {
      const count = countVotes(ballots, MAJORITY);
      for (const stand of [VOTE.UP, VOTE.DOWN] as const) {
        const against = count.regions.filter((each) => each.stand !== undefined && each.stand !== stand).length;
        if (against * 2 <= count.regions.length) expect(verdictOf(count, ballots, stand)).toBe(stand);
      }
    }
  });

  test('up and down are counted alike', () => {
    const swapped: Readonly<Record<Vote, Vote>> = { 0: 0, 1: 2, 2: 1, 3: 3 };
    for (const ballots of all) {
      const { stand } = countVotes(ballots, MAJORITY);
      const mirror = countVotes(
        ballots.map((ballot) => ({ ...ballot, vote: swapped[ballot.vote] })),
        MAJORITY,
      );
      expect(mirror.stand).toBe(stand === undefined ? undefined : swapped[stand]);
    }
  });

  test('the order of the ballots does not matter', () => {
    for (const ballots of all) {
      expect(countVotes([...ballots].reverse(), MAJORITY)).toStrictEqual(countVotes(ballots, MAJORITY));
    }
  });
});

describe('the other quorums, over all fleets of up to three regions with up to two nodes', () => {
  const quorums: readonly (readonly [Quorum, (regions: number) => number])[] = [
    [{ kind: 'one' }, () => 1],
    [{ kind: 'all' }, (regions) => regions],
    [{ kind: 'number', regions: 2 }, (regions) => Math.min(2, regions)],
    [{ kind: 'share', share: 0.18 }, (regions) => Math.ceil(0.18 * regions)],
    [{ kind: 'share', share: 0.5 }, (regions) => Math.ceil(0.5 * regions)],
  ];
  test.each(quorums)('%j: down with so many regions, up when they cannot be reached', (quorum, neededOf) => {
    for (const ballots of fleets(3, 2)) {
      const count = countVotes(ballots, quorum);
      const total = count.regions.length;
      if (total === 0) {
        expect(count.stand).toBeUndefined();
        continue;
      }
      const needed = neededOf(total);
      const downs = count.regions.filter(({ stand }) => stand === VOTE.DOWN).length;
      const ups = count.regions.filter(({ stand }) => stand === VOTE.UP).length;
      expect(count.needed).toBe(needed);
      expect(count.stand === VOTE.DOWN).toBe(downs >= needed);
      if (count.stand === VOTE.UP) expect(total - ups).toBeLessThan(needed);
      if (ups === total) expect(count.stand).toBe(VOTE.UP);
    }
  });
});

describe('nodes that hold different states on a tie', () => {
  const tie: readonly Ballot[] = [
    { node: 'a', region: 'x', vote: VOTE.DOWN },
    { node: 'b', region: 'y', vote: VOTE.UP },
  ];
  test('agree on up', () => {
    const held = tie.map((ballot) => ({ ...ballot, held: VOTE.UP }));
    expect(verdictOf(countVotes(tie, MAJORITY), held, VOTE.DOWN)).toBe(VOTE.UP);
  });
  test('a newcomer takes over the state that the others hold', () => {
    const held = tie.map((ballot) => ({ ...ballot, held: VOTE.DOWN }));
    expect(verdictOf(countVotes(tie, MAJORITY), held, VOTE.UNKNOWN)).toBe(VOTE.DOWN);
  });
  test('one that holds up is enough, and one that holds down is enough for a newcomer', () => {
    const [a, b] = tie;
    if (!a || !b) throw new Error('no ballots');
    const count = countVotes(tie, MAJORITY);
    expect(
      verdictOf(
        count,
        [
          { ...a, held: VOTE.DOWN },
          { ...b, held: VOTE.UP },
        ],
        VOTE.DOWN,
      ),
    ).toBe(VOTE.UP);
    expect(verdictOf(count, [{ ...a, held: VOTE.DOWN }, b], VOTE.UNKNOWN)).toBe(VOTE.DOWN);
    expect(verdictOf(count, [a, { ...b, held: VOTE.UP }], VOTE.UNKNOWN)).toBe(VOTE.UP);
  });
});
