/**
 * The entry point of the health room: probes the targets of the current generation and keeps their states. Runs in the
 * control thread.
 *
 *     scheduler → probe → result → hysteresis → override on top → one Atomics.store → every thread's next answer
 */
import { createAlarms } from '../config/alarms.ts';
import { shareDescriptors } from '../config/descriptor-budget.ts';
import { applyOverrideTick, orderState, orderWeight, overridesNow, weightsNow } from './apply-orders.ts';
import { createPushTimers } from './checks/push.ts';
import { startProbe, startPromised } from './checks/run-probe.ts';
import { systemClock, type Clock } from './clock.ts';
import { countFault, saveStates, settledRound, type Engine } from './engine-state.ts';
import { createFlapHolds } from './flap-holds.ts';
import type { Health, HealthOptions, HealthStats, SeenCertificate } from './health.ts';
import { createLastAnswers } from './last-answers.ts';
import { MAX_PROBES_IN_FLIGHT } from './limits.ts';
import { createNotProbedAlarm } from './not-probed.ts';
import { createOrders, stopOrders } from './orders.ts';
import { createLinkWatch } from './own-links.ts';
import { createProbeTimes } from './probe-times.ts';
import { createProber } from './prober.ts';
import {
  doubtUnit,
  endFlapHold,
  hearProbe,
  hearReport,
  hearResult,
  leaveToNextResult,
  restoreUp,
  takeDown,
  takeLoad,
  takeVerdict,
} from './results.ts';
import { createScheduler } from './scheduler.ts';
import { startGeneration, switchProbes } from './start-generation.ts';
import { openMemoryStore, openStateStore } from './state-file.ts';
import { createSuspicion, stopSuspicion, suspectWords, type Suspicion } from './suspect.ts';
import { createTableWriter, targetNamed, writeTarget } from './table-writer.ts';
import { shownAddress, type HealthTarget } from './target-names.ts';
import { stopProbes, type Unit } from './unit.ts';
import { showVip } from './vip-health.ts';
import { createWatch } from './watch.ts';

export type * from './health.ts';
export type { HealthTarget } from './target-names.ts';
export type { Author, OverrideRequest } from './overrides.ts';
export type { SavedOverride, SavedWeight } from './state-file.ts';
export type { WeightRequest } from './weights.ts';

/**
 * Starts the room without targets; `configure` sets them. Reads the files that the last run saved. Faults of these
 * files raise alarms and are never thrown.
 */
export function startHealth(options: HealthOptions): Health {
  const engine = createEngine(options);
  const { writer } = engine;
  return {
    configure(wanted, memory, slots) {
      if (!engine.stopped) startGeneration(engine, wanted, memory, slots);
    },
    get firstRound() {
      return engine.firstRound.promise;
    },
    report: (text, healthy, load) => hearReport(engine, text, healthy, load),
    override: (text, request, by = 'operator', who, why) => orderState(engine, text, request, { by, who, why }),
    overrides: () => overridesNow(engine),
    weigh: (text, request, by = 'operator', who, why) => orderWeight(engine, text, request, { by, who, why }),
    weights: () => weightsNow(engine),
    list: () => [...writer.targets.values()].sort((a, b) => a.slot - b.slot).map((target) => showVip(writer, target)),
    find(name) {
      const target = targetNamed(writer, name);
      return target && showVip(writer, target);
    },
    suspected: () => suspectedNow(engine),
    certificates: () => certificatesSeen(engine),
    stats: () => statsOf(engine),
    stop: () => stopEngine(engine),
  };
}

function createEngine(options: HealthOptions): Engine {
  const { stateDir, log, warn, clock = systemClock, probe, foresee } = options;
  const alarms = options.alarms ?? createAlarms(() => clock.wall());
  const store = stateDir === undefined ? openMemoryStore() : openStateStore(stateDir, clock, alarms);
  const counts = { probes: 0, failedProbes: 0, notProbed: 0, faults: 0 };
  const scheduler = createScheduler({
    clock,
    failed: (key, error) => {
      countFault(engine, key, error);
    },
    maxInFlight: Math.min(MAX_PROBES_IN_FLIGHT, shareDescriptors().probes),
  });
  const watch = createWatch(clock, (key) => {
    scheduler.hasten(key);
  });
  const pushes = createPushTimers(clock, (key, result) => {
    const unit = writer.units.byKey.get(key);
    if (unit !== undefined) hearResult(engine, unit, result);
  });
  const lastAnswers = createLastAnswers(clock);
  const orders = createOrders({
    store,
    clock,
    lastAnswers,
    ticked: (ended) => {
      applyOverrideTick(engine, ended);
    },
  });
  const writer = createTableWriter({
    clock,
    orders,
    lastAnswers,
    foresee,
    ramping: () => {
      saveStates(engine);
    },
  });
  const suspicion = connectSuspicion(clock, options.suspect ?? never, () => engine);
  const flapHolds = createFlapHolds({
    clock,
    alarms,
    ticked: ({ members }) => {
      for (const target of members) writeTarget(writer, target);
    },
    released: (unit) => {
      endFlapHold(engine, unit);
    },
  });
  const probeUnit = createProber({
    clock,
    probe: probe === undefined ? startProbe : startPromised(probe),
    watch,
    suspicion,
    deadLink: options.deadLink ?? createLinkWatch(clock),
    fault: (unit, error) => {
      countFault(engine, `cannot run the probe of ${shownAddress(firstOf(unit))}`, error);
    },
    take: (unit, result) => {
      hearProbe(engine, unit, result);
    },
  });
  const notProbed = createNotProbedAlarm<Unit>({ alarms, suspected: () => suspicion.alarm !== undefined });
  const parts = { scheduler, watch, pushes, suspicion, notProbed, flapHolds, orders, writer, probeUnit };
  const first = { unheard: new Set<Unit>(), firstRound: settledRound(), remembered: store.states, stopped: false };
  const { electorate } = options;
  const probeTimes = createProbeTimes();
  const engine: Engine = { log, warn, clock, alarms, store, counts, probeTimes, electorate, ...parts, ...first };
  electorate?.listen({
    changed: (key) => {
      takeVerdict(engine, key);
    },
    doubted: (key) => {
      doubtUnit(engine, key);
    },
    probing: (key) => {
      switchProbes(engine, key);
    },
    loaded: (key, load) => {
      takeLoad(engine, key, load);
    },
  });
  return engine;
}

/** Suspicion that acts on the engine's units. `engineOf` is not called before the engine is complete. */
function connectSuspicion(clock: Clock, share: () => number, engineOf: () => Engine): Suspicion {
  return createSuspicion({
    clock,
    share,
    hasten: ({ key }) => {
      engineOf().scheduler.hasten(key);
    },
    fall: (unit) => {
      takeDown(engineOf(), unit);
    },
    restore: (unit) => {
      restoreUp(engineOf(), unit);
    },
    doubt: (unit) => {
      leaveToNextResult(engineOf(), unit);
    },
    raised: (alarm) => {
      const { alarms, electorate, notProbed } = engineOf();
      alarms.raise('suspect', suspectWords(alarm));
      electorate?.abstain(true);
      notProbed.update();
    },
    over: ({ sinceMs }, why) => {
      const { alarms, electorate, notProbed, warn } = engineOf();
      alarms.clear('suspect');
      electorate?.abstain(false);
      const seconds = Math.round((clock.now() - sinceMs) / 1000);
      warn(`health: states are no longer frozen, after ${String(seconds)} s: ${why}`);
      notProbed.update();
    },
  });
}

const never = (): number => 0;

function suspectedNow({ clock, suspicion }: Engine): ReturnType<Health['suspected']> {
  const { alarm } = suspicion;
  if (alarm === undefined) return undefined;
  const since = new Date(clock.wall() - (clock.now() - alarm.sinceMs)).toISOString();
  return { since, message: suspectWords(alarm) };
}

function certificatesSeen({ writer }: Engine): readonly SeenCertificate[] {
  return [...writer.units.byKey.values()].flatMap((unit) => {
    const { certificateEndsMs: endsMs, members } = unit;
    if (endsMs === undefined) return [];
    return [{ targets: members.map(({ target }) => target), address: shownAddress(firstOf(unit)), endsMs }];
  });
}

function statsOf({ counts, probeTimes, scheduler, store, watch, writer }: Engine): HealthStats {
  return {
    ...counts,
    probeTimes,
    failedSaves: store.failures(),
    ...scheduler.load(),
    watched: watch.size(),
    checks: writer.units.byKey.size,
  };
}

async function stopEngine(engine: Engine): Promise<void> {
  if (engine.stopped) return;
  engine.stopped = true;
  const { flapHolds, notProbed, orders, pushes, scheduler, store, suspicion, watch, writer } = engine;
  for (const unit of writer.units.byKey.values()) stopProbes(unit);
  pushes.stop();
  stopSuspicion(suspicion);
  notProbed.stop();
  flapHolds.stop();
  stopOrders(orders);
  writer.ramps.stop();
  watch.stop();
  await scheduler.stop();
  engine.firstRound.done();
  await store.close();
}

function firstOf(unit: Unit): HealthTarget {
  const [first] = unit.members;
  if (first === undefined) throw new Error('a check without targets');
  return first;
}
