/**
 * Describes a verdict of the fleet in words, for operators of a node that sees another state.
 */
import { VOTE, type Count, type Vote } from './count.ts';
import type { MemberTarget, VoterView } from './member.ts';

/** How a fleet sees one check at one address. */
export type TargetVotes = {
  readonly rule: Pick<MemberTarget, 'quorum' | 'probers' | 'from' | 'view'>;
  readonly verdict: Vote;
  readonly count: Count;
  /** This node first. */
  readonly voters: readonly VoterView[];
};

export type VoteWord = 'up' | 'down' | 'unknown' | 'abstain';

export function voteWord(vote: Vote): VoteWord {
  return (['unknown', 'up', 'down', 'abstain'] as const)[vote];
}

/**
 * Why the verdict differs from what this node sees: `2 of 3 regions say down (dub1: HTTP 503); this node: up (HTTP
 * 200)`. Undefined if it does not differ, and while the verdict is unknown.
 */
export function dissentWords({ rule, verdict, count, voters }: TargetVotes): string | undefined {
  const [own] = voters;
  if (own === undefined || own.vote === verdict || verdict === VOTE.UNKNOWN) return undefined;
  const word = voteWord(verdict);
  const says = count.regions.filter(({ stand }) => stand === verdict).length;
  const isOfRegion = rule.view === 'region' && count.regions.some(({ region }) => region === own.region);
  const [only, ...others] = count.regions;
  const who = isOfRegion
    ? `region ${own.region} says ${word}`
    : only !== undefined && others.length === 0
      ? `region ${only.region} says ${word}`
      : `${String(says)} of ${String(count.regions.length)} regions ${says === 1 ? 'says' : 'say'} ${word}`;
  const held = count.stand === undefined ? ', the state holds' : '';
  const witness = voters.find(({ vote, reason }) => vote === verdict && reason !== '');
  return `${who}${witness === undefined ? '' : ` (${witness.node}: ${witness.reason})`}${held}; this node: ${ownWords(own)}`;
}

function ownWords({ vote, reason, isProber }: VoterView): string {
  if (!isProber) return 'does not probe it';
  if (vote === VOTE.UNKNOWN) return 'no result yet';
  return `${vote === VOTE.ABSTAIN ? 'abstains' : voteWord(vote)}${reason === '' ? '' : ` (${reason})`}`;
}
