/**
 * Counts the votes of a fleet and derives one verdict. Pure; `test/unit/fleet/count.test.ts` checks it over all small
 * fleets.
 *
 *     votes of the nodes ──▶ one stand per region (majority of its voters) ──▶ the fleet's (`quorum` over regions)
 *
 * Each stage gives up, down or a tie. On a tie, the state holds. Cloudflare counts in two stages as well (data centres,
 * then regions), so that many nodes in one region do not outvote the others.
 */

import type { Quorum } from '../config/fleet-rule.ts';

/** What a node says of a target. Two bits in a vote message. */
export const VOTE = { UNKNOWN: 0, UP: 1, DOWN: 2, ABSTAIN: 3 } as const;
export type Vote = (typeof VOTE)[keyof typeof VOTE];
/** A vote that counts. */
export type Stand = typeof VOTE.UP | typeof VOTE.DOWN;

/** The vote of one fresh node, and the verdict that it keeps if its own count was a tie. */
export type Ballot = {
  readonly node: string;
  readonly region: string;
  readonly vote: Vote;
  /** The verdict that the node keeps while its count is a tie; undefined if its count is not a tie. */
  readonly held?: Stand;
};

export type RegionCount = {
  readonly region: string;
  readonly up: number;
  readonly down: number;
  /** Undefined: a tie. */
  readonly stand: Stand | undefined;
};

export type Count = {
  /** The regions that have voters, in the order of their names. */
  readonly regions: readonly RegionCount[];
  /** How many regions must say that the target is down. */
  readonly needed: number;
  /** Undefined if no node votes, and on a tie: the state then holds. */
  readonly stand: Stand | undefined;
};

/** Counts the ballots of one target. Unknown votes and abstentions are not counted. */
export function countVotes(ballots: readonly Ballot[], quorum: Quorum): Count {
  const regions = countRegions(ballots);
  const downs = regions.filter(({ stand }) => stand === VOTE.DOWN).length;
  const ups = regions.filter(({ stand }) => stand === VOTE.UP).length;
  const needed = neededOf(quorum, regions.length);
  return { regions, needed, stand: standOf(ups, downs, regions.length, needed, quorum) };
}

/**
 * The verdict of a node that held `before`. On a tie the state holds. If nodes hold different states, for example after
 * a partition, they agree on up, so that a disagreement takes no target down.
 */
export function verdictOf(count: Count, ballots: readonly Ballot[], before: Vote): Vote {
  if (count.stand !== undefined) return count.stand;
  if (ballots.some(({ held }) => held === VOTE.UP)) return VOTE.UP;
  if (before !== VOTE.UNKNOWN) return before;
  return ballots.some(({ held }) => held === VOTE.DOWN) ? VOTE.DOWN : VOTE.UNKNOWN;
}

/** The count within one region: its nodes decide by majority. */
export function countOfRegion(count: Count, region: string): RegionCount | undefined {
  return count.regions.find((each) => each.region === region);
}

function countRegions(ballots: readonly Ballot[]): readonly RegionCount[] {
  const tallies = new Map<string, { up: number; down: number }>();
  for (const { region, vote } of ballots) {
    if (vote !== VOTE.UP && vote !== VOTE.DOWN) continue;
    const tally = tallies.get(region) ?? { up: 0, down: 0 };
    if (vote === VOTE.UP) tally.up += 1;
    else tally.down += 1;
    tallies.set(region, tally);
  }
  return [...tallies]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([region, { up, down }]) => ({ region, up, down, stand: majorityOf(up, down) }));
}

function majorityOf(up: number, down: number): Stand | undefined {
  if (up === down) return undefined;
  return up > down ? VOTE.UP : VOTE.DOWN;
}

function neededOf(quorum: Quorum, regions: number): number {
  switch (quorum.kind) {
    case 'one':
      return 1;
    case 'all':
      return regions;
    case 'majority':
      return Math.floor(regions / 2) + 1;
    case 'number':
      // With a quorum above the number of regions that vote, the target could never go down.
      return Math.min(quorum.regions, regions);
    case 'share':
      return Math.max(1, Math.ceil(quorum.share * regions));
  }
}

/** Up if too few regions are left to reach `needed`; with `majority`, if more than half of them say up. */
function standOf(ups: number, downs: number, regions: number, needed: number, quorum: Quorum): Stand | undefined {
  if (regions === 0) return undefined;
  if (downs >= needed) return VOTE.DOWN;
  const neededForUp = quorum.kind === 'majority' ? needed : regions - needed + 1;
  return ups >= neededForUp ? VOTE.UP : undefined;
}
