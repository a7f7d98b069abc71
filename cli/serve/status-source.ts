/**
 * The view that the status server has of a running server.
 */
import type { Alarms } from '../../config/alarms.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import type { Health } from '../../health/engine.ts';
import { COUNTERS } from '../../server/counters.ts';
import { explainFrom, type LiveHealth } from '../../server/explain/explain-answer.ts';
import { createInnerJudge } from '../../server/forecast/service-verdict.ts';
import {
  createSimulateThread,
  type SimulatedServer,
  type SimulateThread,
} from '../../server/forecast/simulate-thread.ts';
import type { Server } from '../../server/threads/supervisor.ts';
import type { History } from '../../status/history.ts';
import type { OrderGiver, RecordKeeper, Runtime } from '../../status/runtime.ts';
import type { VipInfo } from '../../zones/catalog.ts';
import { vipsOf } from '../../zones/read/suggest-targets.ts';
import { readVersion } from '../version.ts';
import type { News } from './announce.ts';
import type { AnswerCounter } from './answer-counter.ts';
import type { Measured } from './beacon-latency.ts';
import type { ClientCounter } from './client-counter.ts';
import { shareBeacon, type FleetFigures } from './fleet-figures.ts';
import type { Current } from './generation.ts';
import type { TrafficWindow } from './recent-traffic.ts';
import type { Reloads } from './reload.ts';

export type RuntimeParts = {
  readonly startedAt: Date;
  /** The same by `performance.now()`. */
  readonly startedMs: number;
  readonly current: () => Current;
  readonly health: () => Health;
  /** Undefined until the first round of health checks is done, or `health.wait` is over. */
  readonly fleet: Fleet | undefined;
  readonly orders: OrderGiver;
  readonly records: RecordKeeper;
  readonly server: () => Server | undefined;
  /** Whether the first round of health checks is done. */
  readonly probed: () => boolean;
  readonly stopping: () => boolean;
  readonly alarms: Alarms;
  readonly answers: AnswerCounter;
  readonly traffic: TrafficWindow;
  readonly clients: ClientCounter;
  readonly reloads: Reloads;
  readonly news: News;
  readonly measured: Measured;
  readonly history: History;
  readonly simulations: SimulateThread;
  /** Lines of the log that were dropped since the start. */
  readonly logDropped: () => number;
  readonly auditDropped: () => number;
  readonly dnstapDropped: () => number;
  readonly signing: Runtime['signing'];
  readonly whyNoCds: Runtime['whyNoCds'];
  readonly foreign: NonNullable<Runtime['foreign']>;
};

/** Simulates for the generation in force, with the counts of its clients and its loads. */
export function createSimulations({
  current,
  health,
  figures,
}: Pick<RuntimeParts, 'current' | 'health'> & { readonly figures: FleetFigures }): SimulateThread {
  return createSimulateThread({
    server: (): SimulatedServer => {
      const { catalog, loaded, health: table } = current();
      return {
        generation: loaded.packed,
        health: table,
        factsOf: (service) => {
          const info = catalog.services[service];
          const vips = info === undefined ? [] : vipsOf(catalog, info);
          return {
            clients: figures.clients(info?.name ?? ''),
            served: vips.map(({ slot }) => figures.served(slot)),
            loads: vips.map(({ target }) => health().find(target)?.load),
          };
        },
      };
    },
  });
}

export function createRuntime(parts: RuntimeParts): Runtime {
  const {
    startedAt,
    startedMs,
    current,
    health,
    server,
    probed,
    stopping,
    alarms,
    answers,
    traffic,
    clients,
    reloads,
    news,
    measured,
  } = parts;

  const liveHealth = (): LiveHealth => ({
    memory: current().health,
    reasonOf: ({ target }) => parts.fleet?.dissent(target) ?? health().find(target)?.last?.reason,
    ordersOf: ({ target }) => health().find(target),
  });
  let inner: { readonly of: Current; readonly isUp: Runtime['isInnerUp'] } | undefined;
  const isInnerUp = (vip: VipInfo): boolean => {
    const of = current();
    if (inner?.of !== of) inner = { of, isUp: createInnerJudge(of.loaded, of.health) };
    return inner.isUp(vip);
  };
  return {
    version: readVersion(),
    startedAt,
    uptimeSeconds: () => (performance.now() - startedMs) / 1000,
    io: () => server()?.io ?? 'batch',
    notReady: () => {
      if (stopping()) return ['shutting down'];
      if (!server()) return ['waiting for the first round of probes; the DNS sockets are still closed'];
      if (!probed()) return ['the first round of probes is under way'];
      const now = Date.now() / 1000;
      const ended = current().catalog.zones.filter(({ signing }) => signing !== undefined && signing.expiresAt <= now);
      return ended.map(({ name }) => `signatures of ${name} have ended`);
    },
    generation: current,
    get health() {
      return health();
    },
    fleet: parts.fleet,
    orders: parts.orders,
    records: parts.records,
    counters: () => countersOf(server()),
    served: answers.served,
    zoneQueries: answers.zoneQueries,
    recent: traffic.recent,
    isInnerUp,
    explain: (request) => explainFrom(current().loaded, request, liveHealth()),
    clients,
    simulate: parts.simulations.simulate,
    reload: reloads.reload,
    lastReload: reloads.last,
    alarms: () => alarms.list(),
    ownAlarms: alarms,
    events: news.events,
    history: parts.history,
    notifications: news.notifications,
    beacon: shareBeacon(measured.beacon, parts.fleet),
    logDropped: parts.logDropped,
    auditDropped: parts.auditDropped,
    dnstapDropped: parts.dnstapDropped,
    signing: parts.signing,
    whyNoCds: parts.whyNoCds,
    foreign: parts.foreign,
  };
}

/** Sums over all threads; all zero before the server serves. */
export function countersOf(server: Server | undefined): Float64Array {
  return server?.counters() ?? new Float64Array(COUNTERS);
}
