/**
 * The fleet room's front door: one node's part in a fleet, over NATS. Without NATS the node decides alone, and keeps the
 * orders that it knows.
 *
 *     health ──▶ member ──▶ nats-link ──▶ peers          verdicts come back the same way
 *     orders of operators ──▶ order-store ──▶ JetStream ──▶ every node's `ordered`
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Alarms } from '../config/alarms.ts';
import { DEFAULT_FLEET_RULE } from '../config/fleet-rule.ts';
import { readRegularFile } from '../config/read-file.ts';
import type { FleetSettings } from '../config/settings.ts';
import { codeOf, recordIn } from '../config/unknown-values.ts';
import { createWriter } from '../health/atomic-file.ts';
import { isoTime, type Clock } from '../health/clock.ts';
import type { Electorate, ElectorateEvents, Voted } from '../health/electorate.ts';
import { PROBED, type Probed } from '../health/health-table.ts';
import { VOTE, type Vote } from './count.ts';
import { createFleetAlarms, type SplitVerdict } from './fleet-alarms.ts';
import { createMember, HEARTBEAT_MS, type Member, type MemberTarget, type PeerView } from './member.ts';
import { openLink, type NatsLink } from './nats-link.ts';
import { createOrderBook, type OrderBook, type OrderEntry } from './order-book.ts';
import { createOrderStore } from './order-store.ts';
import { digestOf } from './target-digest.ts';
import { dissentWords, type TargetVotes } from './verdict-words.ts';
import type { DrainAcknowledged, TargetDigest } from './vote-message.ts';

/** In `state_dir`: the orders, and the nodes that are known. */
export const FLEET_FILE = 'fleet.json';
const MAX_FLEET_FILE_OCTETS = 64 * 1024 * 1024;
const LIST_TIMEOUT_MS = 2000;
/** How long the answers of peers to the first message are collected. */
const JOIN_QUIET_MS = 500;

export type FleetOptions = {
  readonly settings: FleetSettings;
  readonly stateDir: string;
  readonly version: string;
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly log: (message: string) => void;
  readonly warn: (message: string) => void;
};

/** A report on a target with a `push` check. `load` in the unit of the VIP's capacity. */
export type PushReport = { readonly target: string; readonly healthy: boolean; readonly load?: number | undefined };

/** What a fleet's orders are applied to. */
export type OrderTaker = {
  /** A newer order. Orders come in the order of their revisions; those of the last run are kept by the taker. */
  readonly ordered: (entry: OrderEntry) => void;
  /** The drains in force on this node, by the keys of their orders: for how long answers may still name the target. */
  readonly drains: () => readonly DrainAcknowledged[];
  /** A report on a `push` check that another node was given. */
  readonly reported: (report: PushReport) => void;
};

export type Fleet = {
  readonly electorate: Electorate;
  /** Resolves when peers' votes and orders have arrived. Never rejects; `settings.waitMs` bounds the wait. */
  readonly joined: Promise<void>;
  readonly node: string;
  readonly region: string;
  readonly name: string;
  readonly isConnected: () => boolean;
  /** Nodes that were heard from since the start, and known nodes that were not. */
  readonly peers: () => readonly PeerView[];
  /** Nodes that belong to the fleet as far as this node knows, fresh or not, without itself. */
  readonly known: () => readonly string[];
  /** Undefined for a target that is not checked. */
  readonly votes: (target: string) => TargetVotes | undefined;
  /** Why the verdict is not what this node sees; undefined if it is. */
  readonly dissent: (target: string) => string | undefined;
  /** How many checks this node probes. */
  readonly probed: () => number;
  /** The digest of this node's configuration. */
  readonly config: () => string;
  readonly setConfig: (parts: readonly string[]) => void;
  /** How many checks at addresses this node knows. */
  readonly size: () => number;
  /** The highest revision of an order that this node has applied. */
  readonly applied: () => number;
  /** Who applies orders. Orders that come before are kept for it. */
  readonly obey: (taker: OrderTaker) => void;
  /** Gives an order to the fleet. Rejects with OrderNotKept. */
  readonly order: (key: string, order: unknown) => Promise<OrderEntry>;
  readonly orders: () => readonly OrderEntry[];
  /** The newest order with the key. */
  readonly orderOf: (key: string) => OrderEntry | undefined;
  /** Call when an order has been applied or a drain has changed: peers are told at once. */
  readonly acknowledge: () => void;
  /** Passes on a report that this node was given. */
  readonly report: (report: PushReport) => void;
  readonly stop: () => Promise<void>;
};

type Saved = { readonly orders: readonly OrderEntry[]; readonly nodes: readonly string[] };

export function startFleet(options: FleetOptions): Fleet {
  const { settings, clock, alarms, log, warn } = options;
  const subject = (kind: string, node: string): string => `pharos.${settings.name}.${kind}.${node}`;
  const { book, known, save, close } = openMemory(options);
  const waiting: OrderEntry[] = [];
  let taker: OrderTaker | undefined;
  const link = openLink({ settings, warn, connected: (isConnected) => { connected(isConnected); } }); // prettier-ignore
  const store = createOrderStore({
    fleet: settings.name,
    domain: settings.domain,
    node: settings.node,
    book,
    now: () => isoTime(clock),
    taken: (entry) => {
      save();
      if (taker === undefined) waiting.push(entry);
      else taker.ordered(entry);
      acknowledge();
    },
    warn,
  });

  const electorate = createVoting();
  const member = createMember({
    node: settings.node,
    region: settings.region,
    run: randomBytes(8).toString('hex'),
    version: options.version,
    clock,
    send: (message) => {
      link.publish(subject('vote', settings.node), message);
    },
    askList: (node) => {
      void askList(link, subject('list', node), member, node);
    },
    changed: electorate.changed,
    hasten: electorate.doubted,
    probing: electorate.probing,
  });
  electorate.attach(member);
  const acknowledge = (): void => {
    member.acknowledge(book.highest(), taker?.drains() ?? []);
  };

  const strange = new Set<string>();
  const votes = `pharos.${settings.name}.vote.`;
  link.subscribe(`${votes}>`, (octets, _, from) => {
    // NATS lets a node publish to its own subject only: what a message says of its sender must agree.
    const node = from.slice(votes.length);
    const isHeard = member.hear(octets, node);
    if (!isHeard && !strange.has(node)) {
      strange.add(node);
      warn(`fleet: votes of ${node} cannot be read and do not count: it runs another version, or is not Pharos`);
    }
    if (!isHeard || node === settings.node || known.has(node)) return;
    known.add(node);
    save();
  });
  answerPeers(link, settings, member, (report) => taker?.reported(report));

  const joining = createJoining(settings.waitMs, clock);
  const connected = (isConnected: boolean): void => {
    log(`fleet: ${isConnected ? 'connected to' : 'not connected to'} NATS`);
    if (!isConnected) {
      store.detach();
      return;
    }
    member.sendAll();
    const connection = link.connection();
    if (connection === undefined) return;
    void store.attach(connection).then(joining.ordersArrived);
  };

  const fleetAlarms = createFleetAlarms({ alarms, clock, settings });
  let wasBehind = false;
  const stopHeart = startHeart(clock, (lateMs) => {
    member.late(lateMs);
    member.beat();
    const peers = member.peers();
    const newest = Math.max(0, ...peers.map(({ isFresh, applied }) => (isFresh ? applied : 0)));
    // What a peer has applied arrives here within a heartbeat, unless the watch for orders has died.
    if (newest > book.highest() && wasBehind) store.catchUp();
    wasBehind = newest > book.highest();
    fleetAlarms.update({
      peers,
      failure: link.connection() === undefined ? (link.failure() ?? 'no attempt has ended yet') : undefined,
      refused: link.refused(),
      ordersProblem: store.problem(),
      missingOrders: wasBehind ? newest : undefined,
      config,
      splits: electorate.splits(),
      hasTwin: member.hasTwin(),
    });
  });
  let config = '';

  return {
    electorate: electorate.face,
    joined: joining.joined,
    node: settings.node,
    region: settings.region,
    name: settings.name,
    isConnected: () => link.connection() !== undefined,
    peers: member.peers,
    known: () => [...known].filter((node) => node !== settings.node),
    votes: electorate.votesOn,
    dissent: electorate.dissentOn,
    probed: electorate.probed,
    config: () => config,
    size: electorate.size,
    applied: book.highest,
    obey: (by) => {
      taker = by;
      for (const entry of waiting.splice(0)) by.ordered(entry);
      acknowledge();
    },
    setConfig: (parts) => {
      config = digestOf(parts.join('\n'));
      member.describe(config);
    },
    order: (key, order) => store.put(key, order),
    orders: book.entries,
    orderOf: book.get,
    acknowledge,
    report: (report) => {
      link.publish(subject('push', settings.node), Buffer.from(JSON.stringify({ ...report, node: settings.node })));
    },
    stop: async () => {
      stopHeart();
      joining.end();
      member.leave();
      store.close();
      await link.close();
      await close();
    },
  };
}

/** The orders and the nodes that this node knows, as `state_dir` keeps them. */
function openMemory({ stateDir, clock, alarms, warn }: FleetOptions): {
  readonly book: OrderBook;
  readonly known: Set<string>;
  readonly save: () => void;
  readonly close: () => Promise<void>;
} {
  const file = join(stateDir, FLEET_FILE);
  const saved = readSaved(file, warn);
  const writer = createWriter(file, { clock, alarms });
  const known = new Set(saved.nodes);
  const book = createOrderBook(saved.orders);
  return {
    book,
    known,
    save: () => {
      writer.later(100, () => JSON.stringify({ orders: book.entries(), nodes: [...known] } satisfies Saved));
    },
    close: () => writer.close(),
  };
}

/** Answers peers that ask for the list of targets, and takes their reports. */
function answerPeers(
  link: NatsLink,
  { name, node }: FleetSettings,
  member: Member,
  reported: (report: PushReport) => void,
): void {
  const pushes = `pharos.${name}.push.`;
  link.subscribe(`${pushes}>`, (octets, _, from) => {
    const report = readPushReport(octets);
    if (report !== undefined && report.node === from.slice(pushes.length) && report.node !== node) reported(report);
  });
  link.subscribe(`pharos.${name}.list.${node}`, (_, reply) => {
    reply(Buffer.from(JSON.stringify(member.list())));
  });
}

/** Beats until the returned function is called. `lateMs`: how late this node's event loop was. */
function startHeart(clock: Clock, beat: (lateMs: number) => void): () => void {
  let dueMs = clock.now() + HEARTBEAT_MS;
  const run = (): void => {
    beat(Math.max(0, clock.now() - dueMs));
    dueMs = clock.now() + HEARTBEAT_MS;
    cancel = clock.after(HEARTBEAT_MS, run);
  };
  let cancel = clock.after(HEARTBEAT_MS, run);
  return () => {
    cancel();
  };
}

/** Connects the health room's keys with the digests that members of a fleet speak of. */
function createVoting(): {
  readonly face: Electorate;
  readonly attach: (member: Member) => void;
  readonly changed: (digest: TargetDigest) => void;
  readonly doubted: (digest: TargetDigest) => void;
  readonly probing: (digest: TargetDigest) => void;
  readonly votesOn: (target: string) => TargetVotes | undefined;
  readonly dissentOn: (target: string) => string | undefined;
  readonly probed: () => number;
  readonly size: () => number;
  readonly splits: () => readonly SplitVerdict[];
} {
  let member: Member | undefined;
  let events: ElectorateEvents | undefined;
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
      abstain: (abstains) => member?.abstain(abstains),
      verdict: (key) => probedOf(member?.verdict(digest(key)) ?? VOTE.UNKNOWN),
      isProbing: (key) => member?.isProbing(digest(key)) ?? true,
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
    votesOn,
    dissentOn: (target) => {
      const key = keyOfTarget.get(target);
      if (key === undefined || member?.dissents(digest(key)) !== true) return undefined;
      const found = votes(key);
      return found && dissentWords(found);
    },
    size: () => targets.size,
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

async function askList(link: NatsLink, subject: string, member: Member, node: string): Promise<void> {
  const octets = await link.request(subject, new Uint8Array(0), LIST_TIMEOUT_MS);
  if (octets === undefined) return;
  try {
    const { list, digests, reasons } = JSON.parse(Buffer.from(octets).toString()) as ReturnType<Member['list']>;
    member.hearList(node, list, digests, reasons);
  } catch {
    // A peer of another version: its votes stay unknown.
  }
}

/** Waits for orders, and a moment for peers, but no longer than `waitMs`. */
function createJoining(
  waitMs: number,
  clock: Clock,
): { readonly joined: Promise<void>; readonly ordersArrived: () => void; readonly end: () => void } {
  let end: () => void = () => undefined;
  const joined = new Promise<void>((resolve) => {
    end = resolve;
  });
  clock.after(waitMs, end);
  return {
    joined,
    end,
    ordersArrived: () => {
      clock.after(JOIN_QUIET_MS, end);
    },
  };
}

/** Undefined for a message of another form. */
function readPushReport(octets: Uint8Array): (PushReport & { readonly node: string }) | undefined {
  const { target, healthy, load, node }: Partial<Record<keyof PushReport | 'node', unknown>> = recordIn(octets) ?? {};
  if (typeof target !== 'string' || typeof healthy !== 'boolean' || typeof node !== 'string') return undefined;
  if (load !== undefined && (typeof load !== 'number' || !(load >= 0))) return undefined;
  return { target, healthy, load, node };
}

function readSaved(file: string, warn: (message: string) => void): Saved {
  try {
    const text = readRegularFile(file, { maxOctets: MAX_FLEET_FILE_OCTETS }).octets.toString();
    const { orders, nodes } = JSON.parse(text) as Partial<Saved>;
    if (Array.isArray(orders) && Array.isArray(nodes)) return { orders, nodes };
    warn(`${file} does not contain orders: the fleet's orders are read again`);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') warn(`${file} cannot be read: the fleet's orders are read again`);
  }
  return { orders: [], nodes: [] };
}
