/**
 * The fleet as JSON, for GET /api/v1/fleet and `pharos fleet`.
 */
import { VOTE, type Vote } from '../fleet/count.ts';
import type { Fleet, TargetVotes } from '../fleet/start-fleet.ts';
import type { Runtime } from './runtime.ts';

type VoteWord = 'up' | 'down' | 'unknown' | 'abstain';

export type FleetNodeDocument = {
  readonly node: string;
  readonly region: string | null;
  readonly version: string | null;
  /** `self`, `fresh`, or `lost`: not heard within three heartbeats. */
  readonly state: 'self' | 'fresh' | 'lost';
  readonly config: string | null;
  readonly last_heard_ms: number | null;
  /** Its clock less this node's. */
  readonly clock_difference_ms: number | null;
  /** Checks at addresses that it knows. */
  readonly targets: number | null;
  /** The highest revision of an order that it has applied. */
  readonly applied_revision: number | null;
};

export type FleetTargetDocument = {
  readonly target: string;
  readonly verdict: VoteWord;
  /** How many regions must say that it is down. */
  readonly needed: number;
  readonly regions: readonly {
    readonly region: string;
    readonly up: number;
    readonly down: number;
    readonly says: VoteWord;
  }[];
  readonly voters: readonly {
    readonly node: string;
    readonly region: string;
    readonly vote: VoteWord;
    readonly reason: string | null;
    readonly age_ms: number;
  }[];
};

/** A drain that the fleet keeps. */
export type FleetDrainDocument = {
  /** As in the order: a VIP, or a region. */
  readonly target: string;
  readonly revision: number;
  /** Nodes that have not confirmed it. */
  readonly waiting_for: readonly string[];
  /** The latest of all nodes; null while a node has not confirmed it, or answers name a VIP of it. */
  readonly safe_at: string | null;
};

export type FleetDocument = {
  readonly enabled: boolean;
  readonly name: string | null;
  readonly node: string | null;
  readonly region: string | null;
  readonly connected: boolean;
  readonly alone: boolean;
  readonly nodes: readonly FleetNodeDocument[];
  readonly drains: readonly FleetDrainDocument[];
  readonly targets: readonly FleetTargetDocument[];
};

export function fleetDocument(runtime: Runtime): FleetDocument {
  const { fleet } = runtime;
  if (fleet === undefined) {
    return {
      enabled: false,
      name: null,
      node: null,
      region: null,
      connected: false,
      alone: false,
      nodes: [],
      drains: [],
      targets: [],
    };
  }
  const peers = fleet.peers();
  return {
    enabled: true,
    name: fleet.name,
    node: fleet.node,
    region: fleet.region,
    connected: fleet.isConnected(),
    alone: !peers.some(({ isFresh }) => isFresh),
    nodes: nodesOf(runtime, fleet),
    drains: runtime.orders.drains().map(({ target, revision, waitingFor, safeAt }) => ({
      ...{ target, revision, waiting_for: waitingFor, safe_at: safeAt ?? null },
    })),
    targets: runtime.generation().catalog.vips.flatMap(({ target }) => {
      const votes = fleet.votes(target);
      return votes === undefined ? [] : [targetDocument(target, votes)];
    }),
  };
}

function nodesOf(runtime: Runtime, fleet: Fleet): readonly FleetNodeDocument[] {
  const peers = fleet.peers();
  const heard = new Set(peers.map(({ node }) => node));
  const self: FleetNodeDocument = {
    node: fleet.node,
    region: fleet.region,
    version: runtime.version,
    state: 'self',
    config: fleet.config(),
    last_heard_ms: 0,
    clock_difference_ms: 0,
    targets: fleet.size(),
    applied_revision: fleet.applied(),
  };
  const others = peers.map((peer): FleetNodeDocument => ({
    node: peer.node,
    region: peer.region,
    version: peer.version,
    state: peer.isFresh ? 'fresh' : 'lost',
    config: peer.config,
    last_heard_ms: peer.heardMsAgo,
    clock_difference_ms: Math.round(peer.skewMs),
    targets: peer.targets,
    applied_revision: peer.applied,
  }));
  const unheard = fleet.known().filter((node) => !heard.has(node));
  return [
    self,
    ...others.sort((a, b) => (a.node < b.node ? -1 : 1)),
    ...unheard.map((node): FleetNodeDocument => ({
      ...{ node, region: null, version: null, state: 'lost', config: null, last_heard_ms: null },
      ...{ clock_difference_ms: null, targets: null, applied_revision: null },
    })),
  ];
}

export function targetDocument(target: string, { verdict, count, voters }: TargetVotes): FleetTargetDocument {
  return {
    target,
    verdict: voteWord(verdict),
    needed: count.needed,
    regions: count.regions.map(({ region, up, down, stand }) => ({
      ...{ region, up, down, says: voteWord(stand ?? VOTE.UNKNOWN) },
    })),
    voters: voters.map(({ node, region, vote, reason, ageMs }) => ({
      ...{ node, region, vote: voteWord(vote), reason: reason === '' ? null : reason, age_ms: ageMs },
    })),
  };
}

function voteWord(vote: Vote): VoteWord {
  return (['unknown', 'up', 'down', 'abstain'] as const)[vote];
}
