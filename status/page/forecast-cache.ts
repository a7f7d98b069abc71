/**
 * Maps of services for the page and for `GET /api/v1/map`, from the thread of simulate. Several people look at the same
 * map, and pages refresh often, so a map is computed once and kept until an event changes what it shows.
 */
import type { ForecastRequest, SimulateReply } from '../../server/forecast/simulate-thread.ts';
import type { ServiceMap } from '../../server/forecast/who-serves.ts';
import type { Runtime } from '../runtime.ts';

export type MapOutcome =
  | { readonly ok: true; readonly map: ServiceMap }
  | { readonly ok: false; readonly outcome: Exclude<SimulateReply['outcome'], { readonly kind: 'done' }> };

export type Maps = {
  /** The map of a service, with "what if" for the targets of `down`. */
  readonly of: (service: string, down: readonly string[]) => Promise<MapOutcome>;
  readonly stop: () => void;
};

/** Loads, ramps and the countries of clients change without an event. */
const KEEP_MS = 10_000;
const MAX_KEPT = 16;

export function createMaps(runtime: Runtime, nowMs: () => number = () => performance.now()): Maps {
  const kept = new Map<string, { readonly atMs: number; readonly map: Promise<MapOutcome> }>();
  const unsubscribe = runtime.events.subscribe(({ kind }) => {
    if (kind !== 'alarm') kept.clear();
  });
  return {
    of(service, down) {
      const key = JSON.stringify([runtime.generation().number, service, down]);
      const known = kept.get(key);
      if (known && nowMs() - known.atMs < KEEP_MS) return known.map;
      const map = compute(runtime, { map: service, down });
      kept.delete(key);
      kept.set(key, { atMs: nowMs(), map });
      const [oldest] = kept.keys();
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
      const forget = (): void => {
        if (kept.get(key)?.map === map) kept.delete(key);
      };
      map.then(({ ok }) => {
        if (!ok) forget();
      }, forget);
      return map;
    },
    stop: unsubscribe,
  };
}

async function compute(runtime: Runtime, request: ForecastRequest): Promise<MapOutcome> {
  const { outcome, leave } = await runtime.simulate(request);
  leave();
  if (outcome.kind !== 'done') return { ok: false, outcome };
  return { ok: true, map: JSON.parse(new TextDecoder().decode(outcome.json)) as ServiceMap };
}
