/**
 * Traffic of the last minute. The counters of the threads only rise, so their values are kept at short intervals and
 * subtracted.
 */
import { COUNTER } from '../../server/counters.ts';
import type { RecentTraffic } from '../../status/runtime.ts';
import type { AnswerCounter } from './answer-counter.ts';
import type { Current } from './generation.ts';

export type TrafficWindow = {
  /** The traffic since about a minute ago, or since the start. */
  readonly recent: () => RecentTraffic;
  /** Keeps the present counters. To be called every LOOK_MS. */
  readonly look: () => void;
  /** Another generation is in force, whose VIPs have other slots. */
  readonly replaced: (before: Current, next: Current) => void;
  readonly start: () => void;
  readonly stop: () => void;
};

export type TrafficWindowParts = {
  /** Sums over the threads since the start, by the places of server/counters.ts. */
  readonly counters: () => Float64Array;
  readonly answers: Pick<AnswerCounter, 'served' | 'zoneQueries'>;
  /** Monotonic, in milliseconds. */
  readonly nowMs?: () => number;
};

/** The window is this long, or up to LOOK_MS longer. */
const WINDOW_MS = 60_000;
export const LOOK_MS = 5000;

const QUERIES: readonly number[] = [
  ...[COUNTER.QUERIES_UDP4, COUNTER.QUERIES_UDP6, COUNTER.QUERIES_TCP4, COUNTER.QUERIES_TCP6],
  ...[COUNTER.QUERIES_TLS4, COUNTER.QUERIES_TLS6],
];
/** RCODEs (RFC 1035 4.1.1). */
const [SERVFAIL, NXDOMAIN] = [2, 3];

/** `served` and `zoneQueries` are by slot and by zone of the generation in force. */
type Look = {
  readonly atMs: number;
  readonly queries: number;
  readonly nxdomain: number;
  readonly servfail: number;
  readonly served: Float64Array;
  readonly zoneQueries: Float64Array;
};

export function createTrafficWindow(parts: TrafficWindowParts): TrafficWindow {
  const { counters, answers, nowMs = () => performance.now() } = parts;
  let timer: NodeJS.Timeout | undefined;

  const now = (): Look => {
    const sums = counters();
    const at = (place: number): number => sums[place] ?? 0;
    return {
      atMs: nowMs(),
      queries: QUERIES.reduce((sum, place) => sum + at(place), 0),
      nxdomain: at(COUNTER.RCODES + NXDOMAIN),
      servfail: at(COUNTER.RCODES + SERVFAIL),
      served: answers.served(),
      zoneQueries: answers.zoneQueries(),
    };
  };
  /** Oldest first. The window begins with the first one. */
  let looks: readonly Look[] = [now()];

  const look = (): void => {
    const newest = now();
    const begin = looks.findLastIndex(({ atMs }) => newest.atMs - atMs >= WINDOW_MS);
    looks = [...looks.slice(Math.max(0, begin)), newest];
  };
  return {
    recent() {
      const end = now();
      const begin = looks.findLast(({ atMs }) => end.atMs - atMs >= WINDOW_MS) ?? looks[0] ?? end;
      const seconds = (end.atMs - begin.atMs) / 1000;
      const rate = (from: number, to: number): number => (seconds > 0 ? Math.max(0, to - from) / seconds : 0);
      return {
        seconds,
        queriesPerSecond: rate(begin.queries, end.queries),
        nxdomainPerSecond: rate(begin.nxdomain, end.nxdomain),
        servfailPerSecond: rate(begin.servfail, end.servfail),
        served: since(begin.served, end.served),
        zoneQueries: since(begin.zoneQueries, end.zoneQueries),
      };
    },
    look,
    replaced(before, next) {
      const present = now();
      const isSame = next.zoneQueries === before.zoneQueries;
      const vips = move(before.catalog.vips, next.catalog.vips, ({ target }) => target);
      const zones = isSame ? undefined : move(before.catalog.zones, next.catalog.zones, ({ name }) => name);
      looks = looks.map((one) => ({
        ...one,
        served: vips(one.served, present.served),
        zoneQueries: zones?.(one.zoneQueries, present.zoneQueries) ?? one.zoneQueries,
      }));
    },
    start() {
      timer = setInterval(look, LOOK_MS).unref();
    },
    stop() {
      clearInterval(timer);
    },
  };
}

function since(begin: Float64Array, end: Float64Array): Float64Array {
  return end.map((count, place) => Math.max(0, count - (begin[place] ?? 0)));
}

/**
 * Moves counts to the places of the next generation. What is new in it has counted nothing in the window: it gets the
 * present count.
 */
function move<T>(
  before: readonly T[],
  next: readonly T[],
  nameOf: (one: T) => string,
): (counts: Float64Array, present: Float64Array) => Float64Array {
  const places = new Map(before.map((one, place) => [nameOf(one), place]));
  const from = next.map((one) => places.get(nameOf(one)));
  return (counts, present) =>
    Float64Array.from(from, (old, place) => (old === undefined ? present[place] : counts[old]) ?? 0);
}
