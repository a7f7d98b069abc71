/** A verdict in words, on a node that sees something else. */
import { expect, test } from 'vitest';
import { countVotes, VOTE, type Vote } from '../../../fleet/count.ts';
import type { VoterView } from '../../../fleet/member.ts';
import { dissentWords, type TargetVotes } from '../../../fleet/verdict-words.ts';

const RULE: TargetVotes['rule'] = { quorum: { kind: 'majority' }, probers: undefined, from: undefined, view: 'fleet' };

/** Node a is the one that is asked. */
function votesOf(own: Partial<VoterView>, peers: readonly Vote[], verdict: Vote, rule = RULE): TargetVotes {
  const voter = (node: string, region: string, vote: Vote): VoterView => {
    const reason = vote === VOTE.DOWN ? 'HTTP 503' : vote === VOTE.UP ? 'HTTP 200' : '';
    return { node, region, vote, reason, ageMs: 0, isFresh: true, isProber: true };
  };
  const regions = ['dublin', 'virginia', 'sydney'];
  const voters = [
    { ...voter('a', 'seoul', VOTE.UP), ...own },
    ...peers.map((vote, at) => voter(String.fromCharCode(98 + at), regions[at] ?? '', vote)),
  ];
  return { rule, verdict, count: countVotes(voters, rule.quorum), voters };
}

test.each<[string, TargetVotes, string | undefined]>([
  ['nothing to say where the node sees the verdict', votesOf({}, [VOTE.UP, VOTE.DOWN], VOTE.UP), undefined],
  ['nothing to say without a verdict', votesOf({}, [], VOTE.UNKNOWN), undefined],
  [
    'others see it down',
    votesOf({}, [VOTE.DOWN, VOTE.DOWN], VOTE.DOWN),
    '2 of 3 regions say down (b: HTTP 503); this node: up (HTTP 200)',
  ],
  [
    'a node that does not probe follows',
    votesOf({ vote: VOTE.UNKNOWN, reason: '', isProber: false }, [VOTE.UP], VOTE.UP),
    'region dublin says up (b: HTTP 200); this node: does not probe it',
  ],
  [
    'a node that abstains follows',
    votesOf({ vote: VOTE.ABSTAIN, reason: '' }, [VOTE.DOWN, VOTE.DOWN], VOTE.DOWN),
    '2 of 2 regions say down (b: HTTP 503); this node: abstains',
  ],
  [
    'a node without a result follows',
    votesOf({ vote: VOTE.UNKNOWN, reason: '' }, [VOTE.DOWN, VOTE.DOWN], VOTE.DOWN),
    '2 of 2 regions say down (b: HTTP 503); this node: no result yet',
  ],
  [
    'a tie holds',
    votesOf({}, [VOTE.DOWN], VOTE.DOWN),
    '1 of 2 regions says down (b: HTTP 503), the state holds; this node: up (HTTP 200)',
  ],
  [
    'the region of the node decides',
    votesOf({ vote: VOTE.ABSTAIN, reason: '', region: 'dublin' }, [VOTE.DOWN, VOTE.UP, VOTE.UP], VOTE.DOWN, {
      ...RULE,
      view: 'region',
    }),
    'region dublin says down (b: HTTP 503); this node: abstains',
  ],
])('%s', (_, votes, words) => {
  expect(dissentWords(votes)).toBe(words);
});
