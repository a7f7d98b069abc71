/**
 * The fleet as JSON, for GET /api/v1/fleet and `pharos fleet`.
 */
import type { Quorum } from '../config/fleet-rule.ts';
import { VOTE } from '../fleet/count.ts';
import type { Fleet } from '../fleet/start-fleet.ts';
import { voteWord, type TargetVotes, type VoteWord } from '../fleet/verdict-words.ts';
import { formatName } from '../wire/name.ts';
import type { Runtime } from './runtime.ts';

/** A node, without the members that take time to gather. */
export type FleetNode = {
  readonly node: string;
  readonly region: string | null;
  readonly version: string | null;
  /** `self`, `fresh`, or `lost`: not heard within three heartbeats. */
  readonly state: 'self' | 'fresh' | 'lost';
  readonly config: string | null;
  readonly last_heard_ms: number | null;
  /** Its clock minus this node's clock. */
  readonly clock_difference_ms: number | null;
  /** Number of checks at addresses that it knows. */
  readonly targets: number | null;
  /** How many of them it probes. */
  readonly probed: number | null;
  /** The highest revision of an order that it has applied. */
  readonly applied_revision: number | null;
};

export type FleetNodeDocument = FleetNode & {
  /** Number of zones with `soa.serial: auto` that it serves; null if unknown. */
  readonly zones: number | null;
  /** How many of them have another serial than on the node that was asked. */
  readonly serials_differ: number | null;
  /** At most MAX_SERIALS zones, first those with another serial. */
  readonly serials: Readonly<Record<string, number>> | null;
};

const MAX_SERIALS = 100;

/** How a fleet votes on a check at an address. */
export type VotesDocument = {
  readonly verdict: VoteWord;
  /** As in the file: `majority`, `one`, `all`, a number or a share. */
  readonly quorum: string;
  /** How many regions must say that it is down. */
  readonly needed: number;
  /** The verdict that DNS answers follow: that of the fleet, of the region, or of the node itself. */
  readonly view: TargetVotes['rule']['view'];
  /** Number of nodes per region that probe it; null: the default. */
  readonly probers: number | 'all' | null;
  /** Regions whose nodes probe it; null: all. */
  readonly from: readonly string[] | null;
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
    /** Since its last message; 0 for the node that was asked. */
    readonly age_ms: number;
    /** Heard within three heartbeats. */
    readonly fresh: boolean;
    /** Whether it probes the target. */
    readonly probes: boolean;
  }[];
};

export type FleetTargetDocument = { readonly target: string } & VotesDocument;

/** A drain that the fleet keeps. */
export type FleetDrainDocument = {
  /** As in the order: a VIP, or a region. */
  readonly target: string;
  readonly revision: number;
  /** Nodes that have not confirmed it. */
  readonly waiting_for: readonly string[];
  /** The latest time of all nodes; null while a node has not confirmed the drain, or answers name one of its VIPs. */
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

/** The fleet, for one line of the status; null without a fleet. */
export type FleetLine = {
  readonly name: string;
  readonly node: string;
  readonly region: string;
  /** Whether NATS can be reached. */
  readonly connected: boolean;
  /** Whether no other node is heard. */
  readonly alone: boolean;
  /** Number of nodes including this one, and how many of them are heard. */
  readonly nodes: number;
  readonly fresh: number;
};

export function fleetLine({ fleet }: Pick<Runtime, 'fleet'>): FleetLine | null {
  if (fleet === undefined) return null;
  const { name, node, region } = fleet;
  const fresh = fleet.peers().filter(({ isFresh }) => isFresh).length;
  const heard = new Set([...fleet.known(), ...fleet.peers().map((peer) => peer.node)]);
  return {
    ...{ name, node, region, connected: fleet.isConnected(), alone: fresh === 0 },
    ...{ nodes: heard.size + 1, fresh: fresh + 1 },
  };
}

/** `3 of 3 nodes heard`, or why this node is alone. `isWell`: all nodes are heard. */
export function heardWords({ connected, alone, nodes, fresh }: Omit<FleetLine, 'name' | 'node' | 'region'>): {
  readonly text: string;
  readonly isWell: boolean;
} {
  if (alone)
    return { text: `alone: ${connected ? 'no other node is heard' : 'NATS cannot be reached'}`, isWell: false };
  return { text: `${String(fresh)} of ${String(nodes)} nodes heard`, isWell: fresh === nodes };
}

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
  return {
    enabled: true,
    ...{ name: fleet.name, node: fleet.node, region: fleet.region, connected: fleet.isConnected() },
    alone: !fleet.peers().some(({ isFresh }) => isFresh),
    nodes: withSerials(runtime, fleet),
    drains: runtime.orders.drains().map(({ target, revision, waitingFor, safeAt }) => ({
      ...{ target, revision, waiting_for: waitingFor, safe_at: safeAt ?? null },
    })),
    targets: runtime.generation().catalog.vips.flatMap(({ target }) => {
      const votes = fleet.votes(target);
      return votes === undefined ? [] : [{ target, ...votesDocument(votes) }];
    }),
  };
}

/** The nodes: this node first, then the others in the order of their names, then those that were never heard. */
export function fleetNodes(runtime: Runtime, fleet: Fleet): readonly FleetNode[] {
  const peers = fleet.peers();
  const heard = new Set(peers.map(({ node }) => node));
  const self: FleetNode = {
    node: fleet.node,
    region: fleet.region,
    version: runtime.version,
    state: 'self',
    config: fleet.config(),
    last_heard_ms: 0,
    clock_difference_ms: 0,
    targets: fleet.size(),
    probed: fleet.probed(),
    applied_revision: fleet.applied(),
  };
  const others = peers.map((peer): FleetNode => ({
    node: peer.node,
    region: peer.region,
    version: peer.version,
    state: peer.isFresh ? 'fresh' : 'lost',
    config: peer.config,
    last_heard_ms: peer.heardMsAgo,
    clock_difference_ms: Math.round(peer.skewMs),
    targets: peer.targets,
    probed: peer.probed ?? null,
    applied_revision: peer.applied,
  }));
  const unheard = fleet.known().filter((node) => !heard.has(node));
  return [
    self,
    ...others.sort((a, b) => (a.node < b.node ? -1 : 1)),
    ...unheard.map((node): FleetNode => ({
      ...{ node, region: null, version: null, state: 'lost', config: null, last_heard_ms: null },
      ...{ clock_difference_ms: null, targets: null, probed: null, applied_revision: null },
    })),
  ];
}

function withSerials(runtime: Runtime, fleet: Fleet): readonly FleetNodeDocument[] {
  const own = serialsOf(fleet, fleet.node) ?? new Map<string, number>();
  return fleetNodes(runtime, fleet).map((node): FleetNodeDocument => {
    const served = node.state === 'self' ? own : serialsOf(fleet, node.node);
    if (served === undefined) return { ...node, zones: null, serials_differ: null, serials: null };
    const isOther = ([zone, serial]: readonly [string, number]): boolean => (own.get(zone) ?? serial) !== serial;
    const all = [...served].sort(([a], [b]) => (a < b ? -1 : 1));
    const others = all.filter(isOther);
    const shown = [...others, ...all.filter((each) => !isOther(each))].slice(0, MAX_SERIALS);
    return { ...node, zones: all.length, serials_differ: others.length, serials: Object.fromEntries(shown) };
  });
}

/** Undefined for a peer that has not sent the serials that it serves. */
function serialsOf(fleet: Fleet, node: string): ReadonlyMap<string, number> | undefined {
  const served = fleet.serials.servedBy(node);
  return served && new Map([...served].map(([key, { serial }]) => [zoneName(key), serial]));
}

/** Converts a `nameKey` to the name as the catalog has it. */
function zoneName(key: string): string {
  const name = formatName(Buffer.from(key, 'latin1'));
  return name === '.' ? name : name.replace(/\.$/, '');
}

/** The votes on a target for a trace; undefined without a fleet, and for a target that is not checked. */
export function votesIn({ fleet }: Pick<Runtime, 'fleet'>): (target: string) => VotesDocument | undefined {
  return (target) => {
    const votes = fleet?.votes(target);
    return votes && votesDocument(votes);
  };
}

function votesDocument({ rule, verdict, count, voters }: TargetVotes): VotesDocument {
  return {
    verdict: voteWord(verdict),
    quorum: quorumText(rule.quorum),
    needed: count.needed,
    view: rule.view,
    probers: rule.probers ?? null,
    from: rule.from === undefined ? null : [...rule.from],
    regions: count.regions.map(({ region, up, down, stand }) => ({
      ...{ region, up, down, says: voteWord(stand ?? VOTE.UNKNOWN) },
    })),
    voters: voters.map(({ node, region, vote, reason, ageMs, isFresh, isProber }) => ({
      ...{ node, region, vote: voteWord(vote), reason: reason === '' ? null : reason },
      ...{ age_ms: ageMs, fresh: isFresh, probes: isProber },
    })),
  };
}

function quorumText(quorum: Quorum): string {
  if (quorum.kind === 'number') return String(quorum.regions);
  if (quorum.kind === 'share') return `${String(Number((quorum.share * 100).toFixed(6)))}%`;
  return quorum.kind;
}
