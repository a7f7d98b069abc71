/**
 * Figures that nodes of a fleet share in addition to votes: loads that checks read, answers by VIP, clients by country,
 * and latencies that browsers measured. A message may be lost: the next one replaces its figures. Pure, apart from
 * callbacks.
 *
 *     own figures ──▶ at most MESSAGES_PER_TICK messages of ROWS_PER_MESSAGE rows per second ──▶ peers
 */
import { recordIn } from '../config/unknown-values.ts';
import type { TargetDigest } from './vote-message.ts';

const FIGURES_VERSION = 1;
/** Of rows with one number. The limit of NATS is 1 MB per message. */
export const ROWS_PER_MESSAGE = 500;
/** Of rows with a list. */
const LISTS_PER_MESSAGE = 50;
export const MESSAGES_PER_TICK = 4;
/** Reports of browsers that wait to be sent; more are dropped. */
const MAX_WAITING = 2000;
/** Ticks between two messages with counts. */
const TICKS_PER_COUNT = 30;
/** The most VIPs or services, and the most countries per service, kept per peer. */
const MAX_ROWS = 200_000;
const MAX_COUNTRIES = 300;
const MAX_TEXT = 600;

type Numbers = readonly (readonly [name: string, value: number])[];
type LoadRow = readonly [target: TargetDigest, load: number];
type ServedRow = readonly [target: string, answers: number];
/**
 * The samples of a service by country. The age of the list does not matter, because samples decay alike on all nodes.
 */
type ClientsRow = readonly [service: string, countries: Numbers];
/** The client's address in hexadecimal, and milliseconds by region. */
type LatencyRow = readonly [source: string, times: Numbers];

type Counted = { readonly served: Map<string, number>; readonly clients: Map<string, ReadonlyMap<string, number>> };

/** What this node has counted: answers by VIP since the start, and samples of clients by service and country. */
export type OwnCounts = {
  readonly served: () => Iterable<readonly [target: string, answers: number]>;
  readonly clients: () => Iterable<readonly [service: string, countries: ReadonlyMap<string, number>]>;
};

export type SharedFigures = {
  /** Shares a load that a probe of this node has read. */
  readonly load: (target: TargetDigest, load: number) => void;
  /** Shares a report of a browser that this node took. */
  readonly latency: (source: Uint8Array, times: ReadonlyMap<string, number>) => void;
  /** Sets the source of this node's counts. */
  readonly count: (counts: OwnCounts) => void;
  /** Called for reports of browsers that other nodes took. */
  readonly takeLatencies: (take: (source: Uint8Array, times: ReadonlyMap<string, number>) => void) => void;
  /** The sum of the peers that are heard. */
  readonly served: (target: string) => number;
  readonly clients: (service: string) => ReadonlyMap<string, number>;
  /** `from` is the node over whose subject the message came. */
  readonly hear: (message: Uint8Array, from: string) => void;
  /** Call once per second. */
  readonly tick: (fresh: ReadonlySet<string>) => void;
};

export type SharedFiguresOptions = {
  readonly node: string;
  readonly send: (message: Uint8Array) => void;
  /** Called with a load that another node has read. */
  readonly loaded: (target: TargetDigest, load: number) => void;
};

export function createSharedFigures({ node, send, loaded }: SharedFiguresOptions): SharedFigures {
  const loads = new Map<TargetDigest, number>();
  const waiting = { latencies: [] as LatencyRow[], served: [] as ServedRow[], clients: [] as ClientsRow[] };
  const peers = new Map<string, Counted>();
  let fresh: ReadonlySet<string> = new Set();
  let counts: OwnCounts | undefined;
  let takeLatency: ((source: Uint8Array, times: ReadonlyMap<string, number>) => void) | undefined;
  let ticks = 0;

  const post = (rows: Readonly<Record<string, readonly unknown[]>>): void => {
    send(Buffer.from(JSON.stringify({ version: FIGURES_VERSION, node, ...rows })));
  };
  const nextLoads = (): readonly LoadRow[] => {
    const rows = [...loads].slice(0, ROWS_PER_MESSAGE);
    for (const [target] of rows) loads.delete(target);
    return rows;
  };
  const heard = (): readonly Counted[] => [...peers].flatMap(([name, counted]) => (fresh.has(name) ? [counted] : []));
  const countedBy = (name: string): Counted => {
    const known = peers.get(name) ?? { served: new Map(), clients: new Map() };
    peers.set(name, known);
    return known;
  };

  return {
    load: (target, load) => {
      loads.set(target, load);
    },
    latency: (source, times) => {
      if (waiting.latencies.length < MAX_WAITING)
        waiting.latencies.push([Buffer.from(source).toString('hex'), [...times]]);
    },
    count: (own) => {
      counts = own;
    },
    takeLatencies: (take) => {
      takeLatency = take;
    },
    served: (target) => heard().reduce((sum, { served }) => sum + (served.get(target) ?? 0), 0),
    clients: (service) => {
      const sum = new Map<string, number>();
      for (const { clients } of heard()) {
        for (const [country, samples] of clients.get(service) ?? [])
          sum.set(country, (sum.get(country) ?? 0) + samples);
      }
      return sum;
    },
    hear: (octets, from) => {
      const message = recordIn(octets) ?? {};
      if (message['version'] !== FIGURES_VERSION || message['node'] !== from || from === node) return;
      for (const [target, load] of rowsIn(message['loads'], isNumber)) loaded(target, load);
      for (const [source, times] of rowsIn(message['latencies'], isNumbers)) {
        const address = Buffer.from(source, 'hex');
        if (address.length === 4 || address.length === 16) takeLatency?.(address, new Map(times));
      }
      const { served, clients } = countedBy(from);
      for (const [target, answers] of rowsIn(message['served'], isNumber)) {
        if (served.size < MAX_ROWS) served.set(target, answers);
      }
      for (const [service, countries] of rowsIn(message['clients'], isNumbers)) {
        if (clients.size < MAX_ROWS) clients.set(service, new Map(countries));
      }
    },
    tick: (isFresh) => {
      fresh = isFresh;
      for (const name of peers.keys()) if (!fresh.has(name)) peers.delete(name);
      if (ticks++ % TICKS_PER_COUNT === 0 && counts !== undefined) {
        waiting.served = [...counts.served()].filter(([, answers]) => answers > 0);
        waiting.clients = [...counts.clients()].map(([service, countries]) => [
          service,
          [...countries].slice(0, MAX_COUNTRIES),
        ]);
      }
      for (let sent = 0; sent < MESSAGES_PER_TICK; sent++) {
        const rows = {
          loads: nextLoads(),
          latencies: waiting.latencies.splice(0, LISTS_PER_MESSAGE),
          served: waiting.served.splice(0, ROWS_PER_MESSAGE),
          clients: waiting.clients.splice(0, LISTS_PER_MESSAGE),
        };
        if (Object.values(rows).every((list) => list.length === 0)) return;
        post(rows);
      }
    },
  };
}

/** The well-formed rows of a message; others are omitted. */
function rowsIn<T>(value: unknown, isValue: (value: unknown) => value is T): readonly (readonly [string, T])[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly unknown[]).slice(0, ROWS_PER_MESSAGE).flatMap((row): (readonly [string, T])[] => {
    if (!Array.isArray(row)) return [];
    const [name, of] = row as readonly unknown[];
    return typeof name === 'string' && name.length <= MAX_TEXT && isValue(of) ? [[name, of]] : [];
  });
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isNumbers(value: unknown): value is Numbers {
  return (
    Array.isArray(value) &&
    value.length <= MAX_COUNTRIES &&
    (value as readonly unknown[]).every(
      (pair) => Array.isArray(pair) && typeof pair[0] === 'string' && pair[0].length <= MAX_TEXT && isNumber(pair[1]),
    )
  );
}
