/**
 * The electorate of the health room: translates between its keys and the digests that the members of a fleet exchange.
 */
import { DEFAULT_FLEET_RULE } from '../config/fleet-rule.ts';
import type { Electorate, ElectorateEvents, Voted } from '../health/electorate.ts';
import { PROBED, type Probed } from '../health/health-table.ts';
import { VOTE, type Vote } from './count.ts';
import type { SplitVerdict } from './fleet-alarms.ts';
import type { Member, MemberTarget } from './member.ts';
import { digestOf } from './target-digest.ts';
import { dissentWords, type TargetVotes } from './verdict-words.ts';
import type { TargetDigest } from './vote-message.ts';

export type Voting = {
  readonly face: Electorate;
  readonly attach: (member: Member) => void;
  readonly changed: (digest: TargetDigest) => void;
  readonly doubted: (digest: TargetDigest) => void;
  readonly probing: (digest: TargetDigest) => void;
  readonly loaded: (digest: TargetDigest, load: number) => void;
  /** Sets the function that shares the loads that this node's probes read. */
  readonly shareLoads: (share: (digest: TargetDigest, load: number) => void) => void;
  readonly votesOn: (target: string) => TargetVotes | undefined;
  readonly dissentOn: (target: string) => string | undefined;
  readonly probed: () => number;
  readonly size: () => number;
  /** Of all targets, in an order that is the same on nodes with the same files. */
  readonly digests: () => readonly TargetDigest[];
  readonly splits: () => readonly SplitVerdict[];
};

export function createVoting(): Voting {
  let member: Member | undefined;
  let events: ElectorateEvents | undefined;
  let share: ((digest: TargetDigest, load: number) => void) | undefined;
  let targets = new Map<TargetDigest, MemberTarget>();
  let digestOfKey = new Map<string, TargetDigest>();
  let keysOf = new Map<TargetDigest, string[]>();
  let membersOf = new Map<string, readonly string[]>();
  let keyOfTarget = new Map<string, string>();
  const each = (digest: TargetDigest, tell: (key: string) => void): void => {
    keysOf.get(digest)?.forEach(tell);
  };
  const digest = (key: string): TargetDigest => digestOfKey.get(key) ?? '';
  const votes = (key: string): TargetVotes | undefined => {
    const rule = targets.get(digest(key));
    const count = member?.count(digest(key));
    if (member === undefined || rule === undefined || count === undefined) return undefined;
    return { rule, verdict: member.verdict(digest(key)), count, voters: member.voters(digest(key)) };
  };
  const dissent = (key: string): string | undefined => {
    const found = member?.dissents(digest(key)) === true ? votes(key) : undefined;
    return found && dissentWords(found);
  };
  const votesOn = (target: string): TargetVotes | undefined => {
    const key = keyOfTarget.get(target);
    return key === undefined ? undefined : votes(key);
  };
  return {
    face: {
      listen: (to) => {
        events = to;
      },
      configure: (voted) => {
        digestOfKey = new Map();
        keysOf = new Map();
        membersOf = new Map(voted.map(({ key, members }) => [key, members.map(({ target }) => target)]));
        keyOfTarget = new Map(voted.flatMap(({ key, members }) => members.map(({ target }) => [target, key])));
        const found = new Map<TargetDigest, MemberTarget>();
        for (const each of voted) {
          const inFiles = digestOf(each.inFiles);
          // Commands with the same relative path in two folders are two checks.
          const target = memberTargetOf(each, found.has(inFiles) ? digestOf(each.key) : inFiles);
          digestOfKey.set(each.key, target.digest);
          keysOf.set(target.digest, [...(keysOf.get(target.digest) ?? []), each.key]);
          found.set(target.digest, target);
        }
        targets = found;
        member?.configure([...found.values()]);
      },
      vote: (key, state, reason) => member?.vote(digest(key), voteOf(state), reason),
      load: (key, load) => share?.(digest(key), load),
      abstain: (abstains) => member?.abstain(abstains),
      verdict: (key) => probedOf(member?.verdict(digest(key)) ?? VOTE.UNKNOWN),
      isProbing: (key) => member?.isProbing(digest(key)) ?? true,
      dissent,
    },
    attach: (to) => {
      member = to;
    },
    changed: (target) => {
      each(target, (key) => events?.changed(key));
    },
    doubted: (target) => {
      each(target, (key) => events?.doubted(key));
    },
    probing: (target) => {
      each(target, (key) => events?.probing(key));
    },
    loaded: (target, load) => {
      each(target, (key) => events?.loaded?.(key, load));
    },
    shareLoads: (to) => {
      share = to;
    },
    votesOn,
    dissentOn: (target) => {
      const key = keyOfTarget.get(target);
      return key === undefined ? undefined : dissent(key);
    },
    size: () => targets.size,
    digests: () => [...targets.keys()].sort(),
    probed: () => member?.probed() ?? 0,
    splits: () =>
      (member?.splits() ?? []).flatMap((target) => {
        const [key = ''] = keysOf.get(target) ?? [];
        const counted = votes(key);
        return counted === undefined ? [] : [{ key, targets: membersOf.get(key) ?? [], ...counted }];
      }),
  };
}

function memberTargetOf({ check, before }: Voted, digest: TargetDigest): MemberTarget {
  const { quorum, probers, from, view } = check.fleet ?? DEFAULT_FLEET_RULE;
  return {
    digest,
    quorum,
    probers,
    from: from && new Set(from),
    view,
    timeoutMs: check.timeoutMs,
    before: voteOf(before),
  };
}

function voteOf(state: Probed): Vote {
  if (state === PROBED.UNKNOWN) return VOTE.UNKNOWN;
  return state === PROBED.UP ? VOTE.UP : VOTE.DOWN;
}

function probedOf(vote: Vote): Probed {
  if (vote === VOTE.UP) return PROBED.UP;
  return vote === VOTE.DOWN ? PROBED.DOWN : PROBED.UNKNOWN;
}
