/**
 * One node's part in a fleet: sends this node's votes to its peers, takes theirs, and derives a verdict for each
 * target. It depends on a clock and callbacks only, so that `bench/` and the tests can run hundreds of members over a
 * simulated network.
 *
 *     own state changes ──▶ vote() ──▶ send(message) ──▶ peers
 *     message of a peer ──▶ hear() ──▶ recount ──▶ changed(target, verdict)
 *     beat() once per second: sends a heartbeat, forgets the votes of peers that were not heard
 */
import type { FleetView, Probers, Quorum } from '../config/fleet-rule.ts';
import type { Cancel, Clock } from '../health/clock.ts';
import { isProber, nodeSeed, probersWanted } from './choose-probers.ts';
import { countOfRegion, countVotes, verdictOf, VOTE, type Ballot, type Count, type Stand, type Vote } from './count.ts';
import { listDigest } from './target-digest.ts';
import {
  packedVote,
  packVotes,
  readVoteMessage,
  writeVoteMessage,
  type Head,
  type TargetDigest,
  type VoteMessage,
} from './vote-message.ts';

/** Time between two heartbeats. A peer that was not heard for three of them does not vote. */
export const HEARTBEAT_MS = 1000;
const HEARTBEATS_TO_FORGET = 3;
/** Heartbeats per full heartbeat, which has all votes. */
const BEATS_PER_FULL = 2;
/**
 * Least time between two welcomes. A welcome counts the votes on every target and sends all votes. When a whole fleet
 * starts, one welcome serves all nodes that join within this time.
 */
const WELCOME_GAP_MS = 100;
/**
 * The gap is at least this many times as long as the welcome took, so that the start of a large fleet leaves time for
 * other work.
 */
const WELCOME_GAP_FACTOR = 10;
/**
 * A changed vote is sent at once. Further changes within this time are sent together: the start of a node can change
 * thousands of votes.
 */
const CHANGES_GAP_MS = 20;
/** The most changes per message. The message is then far below the limit of NATS, 1 MB. */
const MAX_CHANGES = 1000;
/** Heartbeats whose clock differences are kept. */
const SKEW_SAMPLES = 5;

/** One check at one address, and how the fleet decides on it. */
export type MemberTarget = {
  readonly digest: TargetDigest;
  readonly quorum: Quorum;
  readonly probers: Probers;
  /** Regions whose nodes probe; undefined: all. */
  readonly from: ReadonlySet<string> | undefined;
  readonly view: FleetView;
  readonly timeoutMs: number;
  /** The state that this node starts with, as saved by the last run. */
  readonly before: Vote;
};

export type MemberOptions = {
  readonly node: string;
  readonly region: string;
  /** Random per process. */
  readonly run: string;
  readonly version: string;
  readonly clock: Clock;
  readonly send: (message: Uint8Array) => void;
  /** Asks a peer for its target list; the reply goes to `hearList`. */
  readonly askList: (node: string) => void;
  readonly changed: (target: TargetDigest, verdict: Vote) => void;
  /** Called when a peer's changed vote contradicts this node's vote: probe now, and then at short intervals. */
  readonly hasten: (target: TargetDigest) => void;
  /** Called when this node starts or stops to probe the target. */
  readonly probing: (target: TargetDigest, isProbing: boolean) => void;
};

/** A peer, as this node knows it. */
export type PeerView = {
  readonly node: string;
  readonly region: string;
  readonly version: string;
  readonly config: string;
  readonly isFresh: boolean;
  readonly heardMsAgo: number;
  /** The peer's clock minus this node's clock. */
  readonly skewMs: number;
  readonly targets: number;
  /** Undefined for a node of an earlier version, which does not send it. */
  readonly probed: number | undefined;
  readonly applied: number;
  readonly drains: Head['drains'];
};

export type VoterView = {
  readonly node: string;
  readonly region: string;
  readonly vote: Vote;
  readonly reason: string;
  /** Since its last message; 0 for this node. */
  readonly ageMs: number;
  /** Heard within three heartbeats. The vote of a node that is not fresh counts as unknown. */
  readonly isFresh: boolean;
  /** Whether it probes the target: its region is in `from`, and it was chosen. */
  readonly isProber: boolean;
};

type Peer = {
  readonly node: string;
  readonly seed: number;
  region: string;
  run: string;
  seq: number;
  heardMs: number;
  head: Head;
  /** Digest of the list that `order` belongs to. */
  list: string | undefined;
  digests: readonly TargetDigest[];
  /**
   * By place in the peer's list: the index of this node's target, or -1 if this node does not have it. Peers with the
   * same list share the array.
   */
  order: Int32Array;
  /** By index of this node's targets. */
  votes: Uint8Array;
  body: Uint8Array;
  /** Whether `votes` are those of `body`. */
  isBodyTaken: boolean;
  held: Map<number, Stand>;
  reasons: Map<number, string>;
  askedMs: number;
  skews: number[];
  isFresh: boolean;
};

type Change = NonNullable<Head['changes']>[number];

type State = {
  readonly options: MemberOptions;
  readonly seed: number;
  targets: readonly MemberTarget[];
  digests: readonly TargetDigest[];
  /** The places of the targets: 0, 1, 2, … */
  order: Int32Array;
  indexOf: Map<TargetDigest, number>;
  list: string;
  config: string;
  /** This node's votes, its reasons, and the verdicts, by target. */
  own: Vote[];
  reasons: string[];
  verdicts: Vote[];
  isTied: boolean[];
  isProbing: boolean[];
  /** How many targets this node probes. */
  probed: number;
  /** Targets that this node no longer has to probe, until the new probers have votes. */
  isEnding: Set<number>;
  /** Targets on which regions disagree. */
  splits: Set<number>;
  peers: Map<string, Peer>;
  seq: number;
  beats: number;
  abstains: boolean;
  lateMs: number;
  applied: number;
  drains: NonNullable<Head['drains']>;
  /** When this node last heard another process with its name. */
  twinHeardMs: number;
  /**
   * Changed votes to send, the earliest time of the next message with changes, and the function that cancels that
   * message.
   */
  untold: Change[];
  tellMs: number;
  telling: Cancel | undefined;
  /** Ends the votes of a silent peer before the next heartbeat. */
  forgetting: Cancel | undefined;
  /** The earliest time of the next welcome. */
  welcomeMs: number;
  /** Cancels the next welcome; undefined: none is due. */
  welcoming: Cancel | undefined;
};

export type Member = {
  /** Replaces the targets; votes, verdicts and peers' votes of targets that stay are kept. */
  readonly configure: (targets: readonly MemberTarget[]) => void;
  /** The digest of this node's configuration, which heartbeats carry from now on. */
  readonly describe: (config: string) => void;
  /** This node's state of a target, after its rise and fall. */
  readonly vote: (target: TargetDigest, vote: Vote, reason: string) => void;
  /** While true, this node abstains on all targets, because it suspects its own network. */
  readonly abstain: (abstains: boolean) => void;
  /**
   * Sets how late this node's event loop is. The node abstains on targets whose timeout is less than twice this time.
   */
  readonly late: (lateMs: number) => void;
  /** Sets what heartbeats say of orders: the highest revision applied, and the drains. */
  readonly note: (applied: number, drains: NonNullable<Head['drains']>) => void;
  /** Does the same, and sends it at once. */
  readonly acknowledge: (applied: number, drains: NonNullable<Head['drains']>) => void;
  /**
   * Takes a message that came over the subject of the node `from`. False if the message has another version, or another
   * node as its sender.
   */
  readonly hear: (octets: Uint8Array, from?: string) => boolean;
  /** Takes the reply to `askList`. */
  readonly hearList: (node: string, list: string, digests: readonly TargetDigest[], reasons: readonly string[]) => void;
  /** The reply to a peer that asks for this node's list. */
  readonly list: () => {
    readonly list: string;
    readonly digests: readonly TargetDigest[];
    readonly reasons: readonly string[];
  };
  /** Call once per HEARTBEAT_MS. */
  readonly beat: () => void;
  /** Sends all votes at once, for example when a peer has joined. */
  readonly sendAll: () => void;
  /** Sends the last message of a node that stops. */
  readonly leave: () => void;
  /** Forgets a peer that is not fresh. False if it is fresh. */
  readonly forget: (node: string) => boolean;
  readonly verdict: (target: TargetDigest) => Vote;
  readonly count: (target: TargetDigest) => Count | undefined;
  readonly voters: (target: TargetDigest) => readonly VoterView[];
  /** Whether this node's own vote differs from the verdict. */
  readonly dissents: (target: TargetDigest) => boolean;
  readonly isProbing: (target: TargetDigest) => boolean;
  /** How many targets this node probes. */
  readonly probed: () => number;
  /** Targets on which regions disagree. */
  readonly splits: () => readonly TargetDigest[];
  readonly peers: () => readonly PeerView[];
  /** Whether another process has this node's name. */
  readonly hasTwin: () => boolean;
};

export function createMember(options: MemberOptions): Member {
  const state: State = {
    options,
    seed: nodeSeed(options.node),
    targets: [],
    digests: [],
    order: new Int32Array(0),
    indexOf: new Map(),
    list: '',
    config: '',
    own: [],
    reasons: [],
    verdicts: [],
    isTied: [],
    isProbing: [],
    probed: 0,
    isEnding: new Set(),
    splits: new Set(),
    peers: new Map(),
    seq: 0,
    beats: 0,
    abstains: false,
    lateMs: 0,
    applied: 0,
    drains: [],
    twinHeardMs: Number.NEGATIVE_INFINITY,
    untold: [],
    tellMs: Number.NEGATIVE_INFINITY,
    telling: undefined,
    forgetting: undefined,
    welcomeMs: Number.NEGATIVE_INFINITY,
    welcoming: undefined,
  };
  const at = (target: TargetDigest): number => state.indexOf.get(target) ?? -1;
  return {
    configure: (targets) => {
      configure(state, targets);
    },
    describe: (config) => {
      state.config = config;
    },
    vote: (target, vote, reason) => {
      takeOwnVote(state, at(target), vote, reason);
    },
    abstain: (abstains) => {
      if (state.abstains === abstains) return;
      state.abstains = abstains;
      sendFull(state);
      recountAll(state);
    },
    late: (lateMs) => {
      const changes = state.targets.some(
        ({ timeoutMs }) => isTooLate(lateMs, timeoutMs) !== isTooLate(state.lateMs, timeoutMs),
      );
      state.lateMs = lateMs;
      if (!changes) return;
      sendFull(state);
      recountAll(state);
    },
    note: (applied, drains) => {
      Object.assign(state, { applied, drains });
    },
    acknowledge: (applied, drains) => {
      Object.assign(state, { applied, drains });
      sendChanges(state, []);
    },
    hear: (octets, from) => {
      const message = readVoteMessage(octets);
      if (message === undefined || (from !== undefined && message.head.node !== from)) return false;
      hear(state, message);
      return true;
    },
    hearList: (node, list, digests, reasons) => {
      hearList(state, node, list, digests, reasons);
    },
    list: () => ({ list: state.list, digests: state.digests, reasons: state.reasons }),
    beat: () => {
      beat(state);
    },
    sendAll: () => {
      sendFull(state);
    },
    leave: () => {
      state.welcoming?.();
      state.telling?.();
      state.forgetting?.();
      options.send(writeVoteMessage({ head: { ...headOf(state), leaving: true }, votes: NO_VOTES }));
    },
    forget: (node) => {
      if (state.peers.get(node)?.isFresh === true) return false;
      state.peers.delete(node);
      return true;
    },
    verdict: (target) => state.verdicts[at(target)] ?? VOTE.UNKNOWN,
    count: (target) => {
      const index = at(target);
      return index < 0 ? undefined : countOf(state, index, ballotsOf(state, index));
    },
    voters: (target) => votersOf(state, at(target)),
    dissents: (target) => {
      const index = at(target);
      return index >= 0 && voteOf(state, index) !== state.verdicts[index];
    },
    isProbing: (target) => state.isProbing[at(target)] ?? false,
    probed: () => state.probed,
    splits: () => [...state.splits].flatMap((index) => state.targets[index]?.digest ?? []),
    peers: () => [...state.peers.values()].map((peer) => viewOf(state, peer)),
    hasTwin: () => options.clock.now() - state.twinHeardMs <= HEARTBEATS_TO_FORGET * HEARTBEAT_MS,
  };
}

const NO_VOTES = new Uint8Array(0);

function configure(state: State, targets: readonly MemberTarget[]): void {
  const { indexOf: before, own, reasons, verdicts, isProbing } = state;
  // The order is that of the digests, so that nodes with the same configuration have the same list.
  state.targets = [...targets].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  state.digests = state.targets.map(({ digest }) => digest);
  state.order = Int32Array.from(state.digests.keys());
  state.indexOf = new Map(state.digests.map((digest, at) => [digest, at]));
  state.list = listDigest(state.digests);
  const kept = state.targets.map(({ digest }) => before.get(digest) ?? -1);
  state.own = kept.map((at) => own[at] ?? VOTE.UNKNOWN);
  state.reasons = kept.map((at) => reasons[at] ?? '');
  state.verdicts = kept.map((at, index) => verdicts[at] ?? state.targets[index]?.before ?? VOTE.UNKNOWN);
  state.isProbing = kept.map((at) => isProbing[at] ?? false);
  state.probed = state.isProbing.filter(Boolean).length;
  state.isTied = kept.map(() => false);
  state.isEnding = new Set();
  state.splits = new Set();
  for (const peer of state.peers.values()) alignPeer(state, peer, kept);
  chooseAll(state);
  recountAll(state);
  sendFull(state);
}

function takeOwnVote(state: State, index: number, vote: Vote, reason: string): void {
  const target = state.targets[index];
  if (target === undefined) return;
  const before = voteOf(state, index);
  state.own[index] = vote;
  state.reasons[index] = reason;
  const now = voteOf(state, index);
  if (now === before) return;
  tellChange(state, [target.digest, now, reason]);
  recount(state, index);
}

/** This node's vote as peers count it. */
function voteOf(state: State, index: number): Vote {
  if (!(state.isProbing[index] ?? false)) return VOTE.UNKNOWN;
  if (state.abstains || isTooLate(state.lateMs, state.targets[index]?.timeoutMs ?? 0)) return VOTE.ABSTAIN;
  return state.own[index] ?? VOTE.UNKNOWN;
}

function isTooLate(lateMs: number, timeoutMs: number): boolean {
  return lateMs > timeoutMs / 2;
}

// Messages

function headOf(state: State): Head {
  const { node, region, run, version, clock } = state.options;
  state.seq += 1;
  return {
    node,
    region,
    run,
    seq: state.seq,
    wallMs: Math.round(clock.wall()),
    list: state.list,
    targets: state.targets.length,
    probed: state.probed,
    suspect: state.abstains,
    config: state.config,
    version,
    applied: state.applied,
    drains: state.drains,
  };
}

function tellChange(state: State, change: Change): void {
  state.untold.push(change);
  if (state.telling !== undefined) return;
  const { clock } = state.options;
  const run = (): void => {
    state.telling = undefined;
    state.tellMs = clock.now() + CHANGES_GAP_MS;
    while (state.untold.length > 0) sendChanges(state, state.untold.splice(0, MAX_CHANGES));
  };
  const waitMs = state.tellMs - clock.now();
  if (waitMs <= 0) run();
  else state.telling = clock.after(waitMs, run);
}

function sendChanges(state: State, changes: readonly Change[]): void {
  state.options.send(writeVoteMessage({ head: { ...headOf(state), changes }, votes: NO_VOTES }));
}

function sendFull(state: State): void {
  const held = state.targets.flatMap(({ digest }, index): readonly (readonly [TargetDigest, Stand])[] => {
    const verdict = state.verdicts[index];
    const isHeld = state.isTied[index] === true && (verdict === VOTE.UP || verdict === VOTE.DOWN);
    return isHeld ? [[digest, verdict]] : [];
  });
  const votes = packVotes(state.targets.map((_, index) => voteOf(state, index)));
  state.options.send(writeVoteMessage({ head: { ...headOf(state), held }, votes }));
}

/**
 * Forgets the votes of peers that were not heard for three heartbeats. Returns whether there were any. Peers whose time
 * ends before the next heartbeat are forgotten by a timer, so that none counts any longer.
 */
function forgetSilent(state: State): boolean {
  const { clock } = state.options;
  const now = clock.now();
  const lost: Peer[] = [];
  let nextMs = HEARTBEAT_MS;
  for (const peer of state.peers.values()) {
    if (!peer.isFresh) continue;
    const leftMs = peer.heardMs + HEARTBEATS_TO_FORGET * HEARTBEAT_MS - now;
    if (leftMs < 0) {
      peer.isFresh = false;
      lost.push(peer);
    } else nextMs = Math.min(nextMs, leftMs + 1);
  }
  state.forgetting?.();
  state.forgetting = nextMs < HEARTBEAT_MS ? clock.after(nextMs, () => void forgetSilent(state)) : undefined;
  if (lost.length > 0) leaveOut(state, lost);
  return lost.length > 0;
}

function beat(state: State): void {
  if (!forgetSilent(state) && state.isEnding.size > 0) {
    const { own, mates } = seedsOf(state);
    for (const index of [...state.isEnding]) choose(state, index, own, mates);
  }
  if (state.beats++ % BEATS_PER_FULL === 0) sendFull(state);
  else sendChanges(state, []);
}

function hear(state: State, { head, votes }: VoteMessage): void {
  const now = state.options.clock.now();
  if (head.node === state.options.node) {
    if (head.run !== state.options.run && head.leaving !== true) state.twinHeardMs = now;
    return;
  }
  const known = state.peers.get(head.node);
  // A later message of the same process has overtaken this one.
  if (known?.run === head.run && head.seq <= known.seq) return;
  if (head.leaving === true) {
    // After a takeover, the old process leaves and the new one stays.
    if (known !== undefined && known.run !== head.run) return;
    state.peers.delete(head.node);
    if (known?.isFresh === true) leaveOut(state, [known]);
    return;
  }
  const isNew = known?.isFresh !== true || known.region !== head.region;
  const peer = known ?? createPeer(state, head);
  const isRestart = peer.run !== head.run;
  Object.assign(peer, { region: head.region, run: head.run, seq: head.seq, heardMs: now, head, isFresh: true });
  peer.skews = [...peer.skews, head.wallMs - state.options.clock.wall()].slice(-SKEW_SAMPLES);
  // Votes from before a partition do not count: the next full heartbeat has the current ones.
  if (isNew || isRestart) forgetVotes(peer);
  state.peers.set(head.node, peer);
  const touched = new Set([...takeBody(state, peer, head, votes), ...takeChanges(state, peer, head)]);
  if (isNew || isRestart) welcome(state);
  else for (const index of touched) recount(state, index);
}

/** Handles a peer that has joined: counts its votes, and sends all votes of this node. */
function welcome(state: State): void {
  if (state.welcoming !== undefined) return;
  const { clock } = state.options;
  const run = (): void => {
    state.welcoming = undefined;
    const startMs = clock.now();
    chooseAll(state);
    recountAll(state);
    sendFull(state);
    state.welcomeMs = startMs + Math.max(WELCOME_GAP_MS, WELCOME_GAP_FACTOR * (clock.now() - startMs));
  };
  const waitMs = state.welcomeMs - clock.now();
  if (waitMs <= 0) run();
  else state.welcoming = clock.after(waitMs, run);
}

/** Recounts, without the votes of lost nodes, the targets that they voted on. Chooses other probers in their place. */
function leaveOut(state: State, lost: readonly Peer[]): void {
  if (lost.some(({ region }) => region === state.options.region)) chooseAll(state);
  state.targets.forEach((_, index) => {
    if (lost.some(({ votes, held }) => votes[index] !== VOTE.UNKNOWN || held.has(index))) recount(state, index);
  });
}

function createPeer(state: State, head: Head): Peer {
  return {
    node: head.node,
    seed: nodeSeed(head.node),
    region: head.region,
    run: head.run,
    seq: 0,
    heardMs: 0,
    head,
    list: undefined,
    digests: [],
    order: new Int32Array(0),
    votes: new Uint8Array(state.targets.length),
    body: NO_VOTES,
    isBodyTaken: false,
    held: new Map(),
    reasons: new Map(),
    askedMs: Number.NEGATIVE_INFINITY,
    skews: [],
    isFresh: false,
  };
}

function forgetVotes(peer: Peer): void {
  peer.votes.fill(VOTE.UNKNOWN);
  peer.body = NO_VOTES;
  peer.isBodyTaken = false;
  peer.held.clear();
}

/** Takes the votes of a full heartbeat. Returns the targets to recount. */
function takeBody(state: State, peer: Peer, head: Head, body: Uint8Array): readonly number[] {
  if (head.held === undefined) return [];
  const touched: number[] = [];
  if (peer.list !== head.list) {
    if (head.list !== state.list) {
      askList(state, peer);
      return [];
    }
    touched.push(...setList(state, peer, head.list, state.digests));
  }
  // Most heartbeats have the same body as the previous one.
  if (!peer.isBodyTaken || Buffer.compare(body, peer.body) !== 0) {
    peer.order.forEach((index, at) => {
      if (index >= 0 && setVote(state, peer, index, packedVote(body, at))) touched.push(index);
    });
  }
  peer.body = body;
  peer.isBodyTaken = true;
  const held = new Map<number, Stand>();
  for (const [digest, stand] of head.held) {
    const index = state.indexOf.get(digest);
    if (index !== undefined) held.set(index, stand);
  }
  for (const index of new Set([...held.keys(), ...peer.held.keys()])) {
    if (held.get(index) !== peer.held.get(index)) touched.push(index);
  }
  peer.held = held;
  return touched;
}

function takeChanges(state: State, peer: Peer, head: Head): readonly number[] {
  const touched: number[] = [];
  for (const [digest, vote, reason] of head.changes ?? []) {
    const index = state.indexOf.get(digest);
    if (index === undefined) continue;
    peer.reasons.set(index, reason);
    if (!setVote(state, peer, index, vote)) continue;
    touched.push(index);
    peer.isBodyTaken = false;
  }
  return touched;
}

/** Stores a peer's vote. If a changed vote contradicts this node's vote, this node probes the target at once. */
function setVote(state: State, peer: Peer, index: number, vote: Vote): boolean {
  if (peer.votes[index] === vote) return false;
  peer.votes[index] = vote;
  const own = voteOf(state, index);
  const isContradiction =
    (vote === VOTE.UP || vote === VOTE.DOWN) && (own === VOTE.UP || own === VOTE.DOWN) && own !== vote;
  const target = state.targets[index];
  if (isContradiction && target !== undefined) state.options.hasten(target.digest);
  return true;
}

function askList(state: State, peer: Peer): void {
  const now = state.options.clock.now();
  if (now - peer.askedMs < HEARTBEAT_MS) return;
  peer.askedMs = now;
  state.options.askList(peer.node);
}

function hearList(
  state: State,
  node: string,
  list: string,
  digests: readonly TargetDigest[],
  reasons: readonly string[],
): void {
  const peer = state.peers.get(node);
  // A list that does not match its digest would put votes on the wrong targets.
  if (peer === undefined || listDigest(digests) !== list) return;
  for (const index of setList(state, peer, list, digests)) recount(state, index);
  peer.order.forEach((index, at) => {
    const reason = reasons[at];
    if (index >= 0 && reason !== undefined) peer.reasons.set(index, reason);
  });
}

/**
 * The peer's votes hold until its next full heartbeat. Returns the targets that are not in the list, to recount them.
 */
function setList(state: State, peer: Peer, list: string, digests: readonly TargetDigest[]): readonly number[] {
  const { votes, held } = peer;
  const listed = list === state.list ? state.indexOf : new Set(digests);
  const kept = state.digests.map((digest, index) => (listed.has(digest) ? index : -1));
  peer.list = list;
  peer.digests = digests;
  peer.body = NO_VOTES;
  alignPeer(state, peer, kept);
  return kept.flatMap((at, index) => (at < 0 && (votes[index] !== VOTE.UNKNOWN || held.has(index)) ? [index] : []));
}

/**
 * Brings a peer's votes into the order of this node's targets. `kept` has the previous index of each target, or -1 for
 * a new one.
 */
function alignPeer(state: State, peer: Peer, kept: readonly number[] = []): void {
  const { votes, held, reasons } = peer;
  peer.order =
    peer.list === state.list ? state.order : Int32Array.from(peer.digests, (digest) => state.indexOf.get(digest) ?? -1);
  peer.isBodyTaken = false;
  peer.votes = new Uint8Array(state.targets.length);
  peer.held = new Map();
  peer.reasons = new Map();
  peer.order.forEach((index, at) => {
    if (index >= 0) peer.votes[index] = packedVote(peer.body, at);
  });
  // Votes that changed are newer than the body.
  kept.forEach((before, index) => {
    if (before < 0) return;
    peer.votes[index] = votes[before] ?? VOTE.UNKNOWN;
    const stand = held.get(before);
    if (stand !== undefined) peer.held.set(index, stand);
    const reason = reasons.get(before);
    if (reason !== undefined) peer.reasons.set(index, reason);
  });
}

// Counting

function ballotsOf(state: State, index: number): readonly Ballot[] {
  const target = state.targets[index];
  if (target === undefined) return [];
  const ballots: Ballot[] = [];
  for (const { node, region, isFresh, votes, held } of state.peers.values()) {
    if (!isFresh || !counts(target, region)) continue;
    const stand = held.get(index);
    // Votes are stored as two bits, so every value is one of the four votes.
    const vote = (votes[index] ?? VOTE.UNKNOWN) as Vote;
    if (stand !== undefined) ballots.push({ node, region, vote, held: stand });
    // Most nodes of a large fleet do not probe a target.
    else if (vote !== VOTE.UNKNOWN) ballots.push({ node, region, vote });
  }
  const { node, region } = state.options;
  if (counts(target, region)) ballots.push({ node, region, vote: voteOf(state, index) });
  return ballots;
}

function counts({ from }: MemberTarget, region: string): boolean {
  return from === undefined || from.has(region);
}

/** The count according to the target's `view`. */
function countOf(state: State, index: number, ballots: readonly Ballot[]): Count {
  const target = state.targets[index];
  const { region } = state.options;
  const count = countVotes(ballots, target?.quorum ?? { kind: 'majority' });
  if (target === undefined || target.view === 'fleet') return count;
  const own = voteOf(state, index);
  if (target.view === 'own' && (own === VOTE.UP || own === VOTE.DOWN)) return { ...count, stand: own };
  const ownRegion = countOfRegion(count, region);
  return ownRegion === undefined ? count : { ...count, stand: ownRegion.stand };
}

function recount(state: State, index: number): void {
  const target = state.targets[index];
  if (target === undefined) return;
  const ballots = ballotsOf(state, index);
  const count = countOf(state, index, ballots);
  const before = state.verdicts[index] ?? VOTE.UNKNOWN;
  const holders = target.view === 'fleet' ? ballots : ballots.filter(({ region }) => region === state.options.region);
  const verdict = verdictOf(count, holders, before);
  state.isTied[index] = count.stand === undefined;
  if (isSplit(count)) state.splits.add(index);
  else state.splits.delete(index);
  if (verdict === before) return;
  state.verdicts[index] = verdict;
  state.options.changed(target.digest, verdict);
}

/** Whether some regions say up and others down. */
function isSplit({ regions }: Count): boolean {
  return [VOTE.UP, VOTE.DOWN].every((vote) => regions.some(({ stand }) => stand === vote));
}

function recountAll(state: State): void {
  state.targets.forEach((_, index) => {
    recount(state, index);
  });
}

// Choice of probers

function chooseAll(state: State): void {
  const { own, mates } = seedsOf(state);
  state.targets.forEach((_, index) => {
    choose(state, index, own, mates);
  });
}

/** The target's part of the hash that chooses probers. */
function targetHash({ digest }: MemberTarget): number {
  return Number.parseInt(digest.slice(0, 8), 16);
}

type Mate = { readonly peer: Peer; readonly seed: number };

/** The fresh nodes of this node's region, with their seeds. */
function seedsOf(state: State): { readonly own: number; readonly mates: readonly Mate[] } {
  const { region } = state.options;
  const mates = [...state.peers.values()].filter((peer) => peer.isFresh && peer.region === region);
  return { own: state.seed, mates: mates.map((peer) => ({ peer, seed: peer.seed })) };
}

function choose(state: State, index: number, own: number, mates: readonly Mate[]): void {
  const target = state.targets[index];
  if (target === undefined) return;
  const seeds = [own, ...mates.map(({ seed }) => seed)];
  const wanted = probersWanted(target.probers, seeds.length);
  const hash = targetHash(target);
  const isWanted = counts(target, state.options.region) && isProber(hash, own, seeds, wanted);
  if (isWanted || state.isProbing[index] !== true) {
    state.isEnding.delete(index);
    setProbing(state, index, isWanted);
    return;
  }
  // This node continues to probe until the new probers have votes.
  const chosen = mates.filter(({ seed }) => isProber(hash, seed, seeds, wanted));
  const isCovered = chosen.every(({ peer }) => peer.votes[index] === VOTE.UP || peer.votes[index] === VOTE.DOWN);
  if (isCovered) {
    state.isEnding.delete(index);
    setProbing(state, index, false);
    recount(state, index);
  } else {
    state.isEnding.add(index);
  }
}

function setProbing(state: State, index: number, isProbing: boolean): void {
  const target = state.targets[index];
  if (target === undefined || state.isProbing[index] === isProbing) return;
  state.isProbing[index] = isProbing;
  state.probed += isProbing ? 1 : -1;
  if (!isProbing) state.own[index] = VOTE.UNKNOWN;
  state.options.probing(target.digest, isProbing);
}

// Views

function viewOf(state: State, peer: Peer): PeerView {
  const { node, region, head, isFresh, heardMs, skews } = peer;
  const { version, config, targets, probed, applied, drains } = head;
  const heardMsAgo = Math.round(state.options.clock.now() - heardMs);
  const skewMs = leastOf(skews);
  return { node, region, version, config, isFresh, heardMsAgo, skewMs, targets, probed, applied, drains };
}

/** The delay of a message adds to the measured difference, so the least difference is the most exact. */
function leastOf(skews: readonly number[]): number {
  return skews.reduce((least, skew) => (Math.abs(skew) < Math.abs(least) ? skew : least), skews[0] ?? 0);
}

/** The voters on a target: this node first, then the others in the order of their names. */
function votersOf(state: State, index: number): readonly VoterView[] {
  const target = state.targets[index];
  if (target === undefined) return [];
  const { node, region, clock } = state.options;
  const seeds = seedsByRegion(state);
  const vote = voteOf(state, index);
  const own: VoterView = {
    node,
    region,
    vote,
    reason: vote === VOTE.ABSTAIN ? abstentionWords(state.abstains) : (state.reasons[index] ?? ''),
    ageMs: 0,
    isFresh: true,
    isProber: state.isProbing[index] ?? false,
  };
  const peers = [...state.peers.values()].map((peer): VoterView => {
    // Votes are stored as two bits, so every value is one of the four votes.
    const said = peer.isFresh ? ((peer.votes[index] ?? VOTE.UNKNOWN) as Vote) : VOTE.UNKNOWN;
    return {
      node: peer.node,
      region: peer.region,
      vote: said,
      reason: said === VOTE.ABSTAIN ? abstentionWords(peer.head.suspect) : (peer.reasons.get(index) ?? ''),
      ageMs: Math.round(clock.now() - peer.heardMs),
      isFresh: peer.isFresh,
      isProber: peer.isFresh && isChosen(target, peer.seed, peer.region, seeds.get(peer.region) ?? []),
    };
  });
  return [own, ...peers.sort((a, b) => (a.node < b.node ? -1 : 1))];
}

/** `suspects` is undefined for a node of an earlier version, which does not send it. */
function abstentionWords(suspects: boolean | undefined): string {
  if (suspects === undefined) return '';
  return suspects ? 'it suspects its own network' : 'its event loop is late';
}

/** The seeds of the fresh nodes, this one included. */
function seedsByRegion(state: State): ReadonlyMap<string, readonly number[]> {
  const seeds = new Map([[state.options.region, [state.seed]]]);
  for (const { isFresh, region, seed } of state.peers.values()) {
    if (!isFresh) continue;
    const own = seeds.get(region);
    if (own === undefined) seeds.set(region, [seed]);
    else own.push(seed);
  }
  return seeds;
}

/** Whether a fresh node is a prober of the target. That node computes the same result. */
function isChosen(target: MemberTarget, seed: number, region: string, seeds: readonly number[]): boolean {
  return (
    counts(target, region) && isProber(targetHash(target), seed, seeds, probersWanted(target.probers, seeds.length))
  );
}
