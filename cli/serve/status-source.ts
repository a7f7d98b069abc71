/**
 * What the status server sees of a running server.
 */
import type { Alarms } from '../../config/alarms.ts';
import type { Health } from '../../health/engine.ts';
import { COUNTERS } from '../../server/counters.ts';
import { explainFrom, type LiveHealth } from '../../server/explain/explain-answer.ts';
import { simulateFrom, type Live } from '../../server/forecast/simulate-failure.ts';
import type { Server } from '../../server/threads/supervisor.ts';
import type { Runtime } from '../../status/runtime.ts';
import type { AnswerCounter } from './answer-counter.ts';
import type { ClientCounter } from './client-counter.ts';
import type { Current } from './generation.ts';
import type { Measured } from './beacon-latency.ts';
import type { News } from './announce.ts';
import type { TrafficWindow } from './recent-traffic.ts';
import type { Reloads } from './reload.ts';
import { readVersion } from '../version.ts';

export type RuntimeParts = {
  readonly startedAt: Date;
  /** The same by `performance.now()`. */
  readonly startedMs: number;
  readonly current: () => Current;
  readonly health: () => Health;
  /** Undefined until the first round of probes is done, or `health.wait` over. */
  readonly server: () => Server | undefined;
  /** Whether the first round of probes is done. */
  readonly probed: () => boolean;
  readonly stopping: () => boolean;
  readonly alarms: Alarms;
  readonly answers: AnswerCounter;
  readonly traffic: TrafficWindow;
  readonly clients: ClientCounter;
  readonly reloads: Reloads;
  readonly news: News;
  readonly measured: Measured;
  /** Lines of the log that were dropped since the start. */
  readonly logDropped: () => number;
};

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

  const liveHealth = (): LiveHealth => {
    const vips = new Map(
      health()
        .list()
        .map((vip) => [vip.target, vip]),
    );
    const ordersOf = ({ target }: { target: string }) => vips.get(target);
    return { memory: current().health, reasonOf: (vip) => ordersOf(vip)?.last?.reason, ordersOf };
  };
  return {
    version: readVersion(),
    startedAt,
    uptimeSeconds: () => (performance.now() - startedMs) / 1000,
    io: () => server()?.io ?? 'batch',
    notReady: () => {
      if (stopping()) return ['shutting down'];
      if (!server()) return ['waiting for the first round of probes; the DNS sockets are still closed'];
      return probed() ? [] : ['the first round of probes is under way'];
    },
    generation: current,
    get health() {
      return health();
    },
    counters: () => countersOf(server()),
    served: answers.served,
    recent: traffic.recent,
    explain: (request) => explainFrom(current().loaded, request, liveHealth()),
    clients,
    simulate: (request) => {
      const loads = new Map(
        health()
          .list()
          .map(({ target, load }) => [target, load]),
      );
      const loadOf: Live['loadOf'] = ({ target }) => loads.get(target);
      const counted = { served: answers.served(), clients: clients.of };
      return simulateFrom(current().loaded, request, { ...counted, health: liveHealth(), loadOf });
    },
    reload: reloads.reload,
    lastReload: reloads.last,
    alarms: () => alarms.list(),
    ownAlarms: alarms,
    events: news.events,
    notifications: news.notifications,
    beacon: measured.beacon,
    logDropped: parts.logDropped,
  };
}

/** Sums over its threads; all zero before it serves. */
export function countersOf(server: Server | undefined): Float64Array {
  return server?.counters() ?? new Float64Array(COUNTERS);
}
