/**
 * The entry point of the fleet room: starts one node's part in a fleet, over NATS. Without NATS the node decides alone,
 * and keeps the orders that it knows.
 *
 *     health ──▶ member ──▶ nats-link ──▶ peers          verdicts come back the same way
 *     orders of operators ──▶ order-store ──▶ JetStream ──▶ every node's `ordered`
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Alarms } from '../config/alarms.ts';
import { readRegularFile } from '../config/read-file.ts';
import type { FleetSettings } from '../config/settings.ts';
import { codeOf, recordIn } from '../config/unknown-values.ts';
import { createWriter } from '../health/atomic-file.ts';
import { isoTime, type Clock } from '../health/clock.ts';
import type { Electorate } from '../health/electorate.ts';
import { createFleetAlarms } from './fleet-alarms.ts';
import { createMember, HEARTBEAT_MS, type Member, type PeerView } from './member.ts';
import { openLink, type NatsLink } from './nats-link.ts';
import { createOrderBook, type OrderBook, type OrderEntry } from './order-book.ts';
import { createOrderStore, type OrderStore } from './order-store.ts';
import { createSerialExchange, type SerialExchange } from './serial-exchange.ts';
import { createSharedFigures, type SharedFigures } from './shared-figures.ts';
import { digestOf } from './target-digest.ts';
import type { TargetVotes } from './verdict-words.ts';
import type { DrainAcknowledged, TargetDigest } from './vote-message.ts';
import { createVoting, type Voting } from './voting.ts';

/** The file in `state_dir` with the orders, nodes and serials that are known. */
export const FLEET_FILE = 'fleet.json';
const MAX_FLEET_FILE_OCTETS = 64 * 1024 * 1024;
const LIST_TIMEOUT_MS = 2000;
/** How long a node that joins waits for the votes of peers, once the orders have arrived. */
const JOIN_QUIET_MS = 500;
const JOIN_LOOK_MS = 50;

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

/** Applies the fleet's orders on this node. */
export type OrderTaker = {
  /** Called with each newer order, by rising revision. The taker itself keeps the orders of the last run. */
  readonly ordered: (entry: OrderEntry) => void;
  /**
   * The drains in force on this node, by the keys of their orders, with the time for which answers may still name the
   * target.
   */
  readonly drains: () => readonly DrainAcknowledged[];
  /** The lowest revision of an order that this node has taken, and that is not in force yet. */
  readonly pending?: () => number | undefined;
  /** Called with a report on a `push` check that another node received. */
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
  /** The names of all peers that belong to the fleet as far as this node knows, fresh or not. */
  readonly known: () => readonly string[];
  /** Undefined for a target that is not checked. */
  readonly votes: (target: string) => TargetVotes | undefined;
  /** Why the verdict differs from what this node sees; undefined if it does not. */
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
  /** Sets the taker of orders. Orders that arrive before are kept for it. */
  readonly obey: (taker: OrderTaker) => void;
  /**
   * Gives an order to the fleet. Rejects with OrderNotKept; with OrderOvertaken if the newest order of the key does not
   * have the revision `replaces`.
   */
  readonly order: OrderStore['put'];
  readonly orders: () => readonly OrderEntry[];
  /** The newest order with the key. */
  readonly orderOf: (key: string) => OrderEntry | undefined;
  /**
   * Sends the applied orders and drains to peers at once. Call when an order has been applied or a drain has changed.
   */
  readonly acknowledge: () => void;
  /** Forgets a node that is not heard, until it is heard again. */
  readonly forget: (node: string) => void;
  /** Sends a report that this node received to its peers. */
  readonly report: (report: PushReport) => void;
  /** Serials by content: those that this node serves, and those that the fleet knows. */
  readonly serials: Pick<SerialExchange, 'serve' | 'known' | 'servedBy'> & {
    /** Sets the function to call when this node has learned new serials. */
    readonly listen: (tell: () => void) => void;
  };
  /** Answers by VIP, clients by country and browsers' latencies, of all nodes. */
  readonly figures: Pick<SharedFigures, 'latency' | 'count' | 'takeLatencies' | 'served' | 'clients'>;
  readonly stop: () => Promise<void>;
};

type Saved = { readonly orders: readonly OrderEntry[]; readonly nodes: readonly string[]; readonly serials?: unknown };

export function startFleet(options: FleetOptions): Fleet {
  const { settings, clock, log, warn } = options;
  const subject = (kind: string, node: string): string => `pharos.${settings.name}.${kind}.${node}`;
  const memory = openMemory(options);
  const { book, known, save, close } = memory;
  const run = randomBytes(8).toString('hex');
  const link = openLink({ settings, warn, connected: (isConnected) => { connected(isConnected); } }); // prettier-ignore
  const orders = createOrderDesk(memory, () => {
    acknowledge();
  });
  const store = createOrderStore({
    ...{ fleet: settings.name, domain: settings.domain, node: settings.node, book, warn },
    now: () => isoTime(clock),
    taken: orders.taken,
  });

  const electorate = createVoting();
  const member = createMember({
    node: settings.node,
    region: settings.region,
    run,
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
  const configuration = createConfiguration(electorate, member);
  const applied = (): number => {
    const pending = orders.taker()?.pending?.();
    return pending === undefined ? book.highest() : Math.min(book.highest(), pending - 1);
  };
  const acknowledge = (): void => {
    member.acknowledge(applied(), orders.taker()?.drains() ?? []);
  };

  hearVotes(options, link, member, memory);
  const serials = openSerials(options, link, run, memory);
  const figures = openFigures(options, link, electorate.loaded);
  electorate.shareLoads(figures.load);
  const freshPeers = (): ReadonlySet<string> =>
    new Set(member.peers().flatMap(({ node, isFresh }) => (isFresh ? [node] : [])));
  const knownPeers = (): readonly string[] => [...known].filter((node) => node !== settings.node);
  answerPeers(link, settings, member, (report) => orders.taker()?.reported(report));

  const joining = createJoining(settings.waitMs, clock, () => serials.hasHeard(freshPeers()));
  const connected = (isConnected: boolean): void => {
    log(`fleet: ${isConnected ? 'connected to' : 'not connected to'} NATS`);
    if (!isConnected) {
      store.detach();
      return;
    }
    member.sendAll();
    serials.greet();
    const connection = link.connection();
    if (connection === undefined) return;
    void store.attach(connection).then(joining.ordersArrived);
  };

  const watch = createWatch(options, { link, store, book, electorate, member, config: configuration.digest });
  const stopHeart = startHeart(clock, (lateMs) => {
    member.late(lateMs);
    // The time for which answers may still name a drained target changes from beat to beat.
    member.note(applied(), orders.taker()?.drains() ?? []);
    member.beat();
    serials.tick(freshPeers(), knownPeers());
    figures.tick(freshPeers());
    watch();
  });

  return {
    electorate: configuration.electorate,
    joined: joining.joined,
    node: settings.node,
    region: settings.region,
    name: settings.name,
    isConnected: () => link.connection() !== undefined,
    peers: member.peers,
    known: knownPeers,
    votes: electorate.votesOn,
    dissent: electorate.dissentOn,
    probed: electorate.probed,
    config: configuration.digest,
    size: electorate.size,
    applied,
    obey: orders.obey,
    setConfig: configuration.describe,
    order: store.put,
    orders: book.entries,
    orderOf: book.get,
    acknowledge,
    report: (report) => {
      link.publish(subject('push', settings.node), Buffer.from(JSON.stringify({ ...report, node: settings.node })));
    },
    forget: (node) => {
      if (!member.forget(node)) return;
      serials.forget(node);
      known.delete(node);
      save();
      acknowledge();
    },
    serials,
    figures,
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

/** Saves newer orders and passes them to the taker. Orders that arrive before the taker is set wait for it. */
function createOrderDesk(
  { save }: FleetMemory,
  acknowledge: () => void,
): {
  readonly taken: (entry: OrderEntry) => void;
  readonly obey: (by: OrderTaker) => void;
  readonly taker: () => OrderTaker | undefined;
} {
  const waiting: OrderEntry[] = [];
  let taker: OrderTaker | undefined;
  return {
    taken: (entry) => {
      save();
      if (taker === undefined) waiting.push(entry);
      else taker.ordered(entry);
      acknowledge();
    },
    obey: (by) => {
      taker = by;
      for (const entry of waiting.splice(0)) by.ordered(entry);
      acknowledge();
    },
    taker: () => taker,
  };
}

type FleetMemory = {
  readonly book: OrderBook;
  readonly known: Set<string>;
  readonly savedSerials: unknown;
  /** Sets the function that returns the serials to save. */
  readonly keepSerials: (serials: () => unknown) => void;
  readonly save: () => void;
  readonly close: () => Promise<void>;
};

/** The orders, nodes and serials that this node knows, as `state_dir` keeps them. */
function openMemory({ stateDir, clock, alarms, warn }: FleetOptions): FleetMemory {
  const file = join(stateDir, FLEET_FILE);
  const saved = readSaved(file, warn);
  const writer = createWriter(file, { clock, alarms });
  const known = new Set(saved.nodes);
  const book = createOrderBook(saved.orders);
  let serials = (): unknown => saved.serials;
  return {
    book,
    known,
    savedSerials: saved.serials,
    keepSerials: (of) => {
      serials = of;
    },
    save: () => {
      writer.later(100, () =>
        JSON.stringify({ orders: book.entries(), nodes: [...known], serials: serials() } satisfies Saved),
      );
    },
    close: () => writer.close(),
  };
}

/**
 * Computes the digest of this node's zones and checks. Different digests tell nodes that their configurations differ.
 */
function createConfiguration(
  { face, digests }: Voting,
  member: Member,
): { readonly electorate: Electorate; readonly digest: () => string; readonly describe: Fleet['setConfig'] } {
  let described: readonly string[] = [];
  let digest = '';
  const update = (): void => {
    digest = digestOf([...described, ...digests()].join('\n'));
    member.describe(digest);
  };
  return {
    electorate: {
      ...face,
      configure: (voted) => {
        face.configure(voted);
        update();
      },
    },
    digest: () => digest,
    describe: (parts) => {
      described = parts;
      update();
    },
  };
}

/**
 * Returns a function that raises the alarms of the fleet and reads orders that did not arrive. Call it at each
 * heartbeat.
 */
function createWatch(
  { alarms, clock, settings }: FleetOptions,
  parts: {
    readonly link: NatsLink;
    readonly store: OrderStore;
    readonly book: OrderBook;
    readonly electorate: Voting;
    readonly member: Member;
    readonly config: () => string;
  },
): () => void {
  const { link, store, book, electorate, member, config } = parts;
  const fleetAlarms = createFleetAlarms({ alarms, clock, settings });
  let beatsBehind = 0;
  return () => {
    const peers = member.peers();
    const newest = Math.max(0, ...peers.map(({ isFresh, applied }) => (isFresh ? applied : 0)));
    beatsBehind = newest > book.highest() ? beatsBehind + 1 : 0;
    // An order that a peer has applied arrives here within a heartbeat, unless the watch for orders has died. The
    // orders are read at growing intervals, because this node may not know the version of the missing order.
    if (beatsBehind > 1 && Number.isInteger(Math.log2(beatsBehind))) store.catchUp();
    fleetAlarms.update({
      peers,
      failure: link.connection() === undefined ? (link.failure() ?? 'no attempt has ended yet') : undefined,
      refused: link.refused(),
      ordersProblem: store.problem(),
      missingOrders: beatsBehind > 1 ? newest : undefined,
      config: config(),
      splits: electorate.splits(),
      hasTwin: member.hasTwin(),
    });
  };
}

/** Takes the votes of peers, and saves which nodes belong to the fleet. */
function hearVotes(
  { settings, warn }: FleetOptions,
  link: NatsLink,
  member: Member,
  { known, save }: FleetMemory,
): void {
  const strange = new Set<string>();
  const votes = `pharos.${settings.name}.vote.`;
  link.subscribe(`${votes}>`, (octets, _, from) => {
    // NATS lets a node publish to its own subject only, so the sender that a message names must be that node.
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
}

/** Exchanges serials over the link, and saves those that it learns. */
function openSerials(
  { settings: { name, node }, clock }: FleetOptions,
  link: NatsLink,
  run: string,
  { savedSerials, keepSerials, save }: FleetMemory,
): SerialExchange & Pick<Fleet['serials'], 'listen'> {
  let tell: () => void = () => undefined;
  const exchange = createSerialExchange({
    ...{ node, run, clock, saved: savedSerials },
    send: (message) => {
      link.publish(`pharos.${name}.serial.${node}`, message);
    },
    ask: (peer, request) => link.request(`pharos.${name}.serials.${peer}`, request, LIST_TIMEOUT_MS),
    learned: () => {
      save();
      tell();
    },
  });
  keepSerials(exchange.toSave);
  const subject = `pharos.${name}.serial.`;
  link.subscribe(`${subject}>`, (octets, _, from) => {
    exchange.hear(octets, from.slice(subject.length));
  });
  link.subscribe(`pharos.${name}.serials.${node}`, (request, reply) => {
    reply(exchange.page(request));
  });
  return {
    ...exchange,
    listen: (to) => {
      tell = to;
    },
  };
}

/** Shares figures over the link. */
function openFigures(
  { settings: { name, node } }: FleetOptions,
  link: NatsLink,
  loaded: (target: TargetDigest, load: number) => void,
): SharedFigures {
  const subject = `pharos.${name}.figures.`;
  const figures = createSharedFigures({
    node,
    loaded,
    send: (message) => {
      link.publish(`${subject}${node}`, message);
    },
  });
  link.subscribe(`${subject}>`, (octets, _, from) => {
    figures.hear(octets, from.slice(subject.length));
  });
  return figures;
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

/**
 * Calls `beat` every HEARTBEAT_MS until the returned function is called. `lateMs` is the delay of this node's event
 * loop.
 */
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

async function askList(link: NatsLink, subject: string, member: Member, node: string): Promise<void> {
  const octets = await link.request(subject, new Uint8Array(0), LIST_TIMEOUT_MS);
  if (octets === undefined) return;
  try {
    const { list, digests, reasons } = JSON.parse(Buffer.from(octets).toString()) as ReturnType<Member['list']>;
    member.hearList(node, list, digests, reasons);
  } catch {
    // The peer has another version: its votes stay unknown.
  }
}

/**
 * Waits for the orders, then JOIN_QUIET_MS for votes, then until `hasHeard` returns true; in all no longer than
 * `waitMs`.
 */
function createJoining(
  waitMs: number,
  clock: Clock,
  hasHeard: () => boolean,
): { readonly joined: Promise<void>; readonly ordersArrived: () => void; readonly end: () => void } {
  let end: () => void = () => undefined;
  const joined = new Promise<void>((resolve) => {
    end = resolve;
  });
  clock.after(waitMs, end);
  const look = (): void => {
    if (isOver) return;
    if (hasHeard()) end();
    else clock.after(JOIN_LOOK_MS, look);
  };
  let isLooking = false;
  let isOver = false;
  void joined.then(() => {
    isOver = true;
  });
  return {
    joined,
    end,
    ordersArrived: () => {
      if (isLooking) return;
      isLooking = true;
      clock.after(JOIN_QUIET_MS, look);
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
    const { orders, nodes, serials } = JSON.parse(text) as Partial<Saved>;
    if (Array.isArray(orders) && Array.isArray(nodes)) return { orders, nodes, serials };
    warn(`${file} does not contain orders: the fleet's orders are read again`);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') warn(`${file} cannot be read: the fleet's orders are read again`);
  }
  return { orders: [], nodes: [] };
}
