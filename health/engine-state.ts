/**
 * The state of the health engine: its parts, the first round of probes, and the last states of earlier targets.
 */
import type { Alarms } from '../config/alarms.ts';
import { describeError } from './checks/probe.ts';
import type { PushTimers } from './checks/push.ts';
import { isoTime, type Clock } from './clock.ts';
import type { Electorate } from './electorate.ts';
import type { FlapHolds } from './flap-holds.ts';
import type { HealthEvent, HealthOptions } from './health.ts';
import type { NotProbedAlarm } from './not-probed.ts';
import type { Orders } from './orders.ts';
import type { ProbeTimes } from './probe-times.ts';
import type { Prober } from './prober.ts';
import { statesOf } from './reuse-units.ts';
import type { Scheduler } from './scheduler.ts';
import type { SavedState, StateStore } from './state-file.ts';
import type { Suspicion } from './suspect.ts';
import type { TableWriter } from './table-writer.ts';
import type { Unit } from './unit.ts';
import type { Watch } from './watch.ts';

export type Engine = Pick<HealthOptions, 'log' | 'warn'> & {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly store: StateStore;
  readonly counts: { probes: number; failedProbes: number; notProbed: number; faults: number };
  readonly probeTimes: ProbeTimes;
  readonly scheduler: Scheduler;
  readonly watch: Watch;
  readonly pushes: PushTimers;
  readonly suspicion: Suspicion;
  readonly notProbed: NotProbedAlarm<Unit>;
  readonly flapHolds: FlapHolds;
  readonly orders: Orders;
  readonly writer: TableWriter;
  readonly probeUnit: Prober;
  readonly electorate: Electorate | undefined;
  /** Units that have not had a result yet. `firstRound` is done when there are none. */
  unheard: Set<Unit>;
  firstRound: FirstRound;
  /** The last known state of each target: of the last run at first, then of the last generation. */
  remembered: ReadonlyMap<string, SavedState>;
  stopped: boolean;
};

export type FirstRound = { readonly promise: Promise<void>; readonly done: () => void };

export function openRound(): FirstRound {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return {
    promise,
    done: () => {
      resolve(undefined);
    },
  };
}

export function settledRound(): FirstRound {
  return { promise: Promise.resolve(), done: () => undefined };
}

/** An event without its time. */
type Untimed = HealthEvent extends infer E ? (E extends HealthEvent ? Omit<E, 'at'> : never) : never;

export function announce(engine: Engine, event: Untimed): void {
  try {
    engine.log({ at: isoTime(engine.clock), ...event });
  } catch (error) {
    countFault(engine, 'could not log an event', error);
  }
}

/** Counts a fault of this program and reports it. */
export function countFault({ counts, warn }: Pick<Engine, 'counts' | 'warn'>, what: string, error: unknown): void {
  counts.faults += 1;
  warn(`health: ${what}: ${describeError(error)}`);
}

export function statesNow({ writer, flapHolds }: Engine): ReadonlyMap<string, SavedState> {
  return statesOf(writer.units, (target) => writer.ramps.since(target), flapHolds.kept);
}

/** Saves the states soon, as they are when the write starts. */
export function saveStates(engine: Engine): void {
  engine.store.saveStates(() => statesNow(engine));
}
