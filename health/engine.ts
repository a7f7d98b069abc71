/**
 * The health room's front door: probes the targets of the current generation and keeps their states. Runs in the
 * control thread.
 *
 *     scheduler → probe → result → hysteresis → override on top → one Atomics.store → every thread's next answer
 */
import { createAlarms } from '../config/alarms.ts';
import { isPush } from '../config/check-kinds.ts';
import { shareDescriptors } from '../config/descriptor-budget.ts';
import { describeError, type ProbeResult } from './checks/probe.ts';
import { createPushTimers } from './checks/push.ts';
import { runProbe } from './checks/run-probe.ts';
import { isoTime, systemClock } from './clock.ts';
import { createFlapHolds, flapWords } from './flap-holds.ts';
import { PROBED, viewHealthTable, type Probed } from './health-table.ts';
import type { Health, HealthOptions } from './health.ts';
import { settleDown, undecided } from './hysteresis.ts';
import { MAX_PROBES_IN_FLIGHT } from './limits.ts';
import { createNotProbedAlarm } from './not-probed.ts';
import type { Untimed } from './orders.ts';
import { createLinkWatch } from './own-links.ts';
import { createProber } from './prober.ts';
import { checkSlots, gatherUnits, NO_UNITS, recall, rememberedOf, statesOf, type Units } from './reuse-units.ts';
import { createScheduler } from './scheduler.ts';
import { openMemoryStore, openStateStore, type SavedState } from './state-file.ts';
import {
  beliefIn,
  createSuspicion,
  noteFault,
  reconsider,
  setSuspects,
  stopSuspicion,
  suspectWords,
} from './suspect.ts';
import { createTableWriter } from './table-writer.ts';
import { canonicalTarget, shownAddress, type HealthTarget } from './target-names.ts';
import { fallsWith, noteUnprobed, probedWord, shownState, stopProbes, takeResult, type Unit } from './unit.ts';
import { createWatch } from './watch.ts';

export type * from './health.ts';
export type { HealthTarget } from './target-names.ts';
export type { Author, OverrideRequest } from './overrides.ts';
export type { SavedOverride, SavedWeight } from './state-file.ts';
export type { WeightRequest } from './weights.ts';

/**
 * Starts the room with no targets; `configure` gives it some. Reads what the last run kept. Never throws for what
 * is on the disk: that raises alarms.
 */
export function startHealth(options: HealthOptions): Health {
  const { stateDir, log, warn, clock = systemClock, probe = runProbe, suspect = never, foresee } = options;
  const alarms = options.alarms ?? createAlarms(() => clock.wall());
  const store = stateDir === undefined ? openMemoryStore() : openStateStore(stateDir, clock, alarms);
  const counts = { probes: 0, failedProbes: 0, notProbed: 0, faults: 0 };
  const fault = (where: string, error: unknown): void => {
    counts.faults += 1;
    warn(`health: ${where}: ${describeError(error)}`);
  };

  let units: Units = NO_UNITS;
  /** Units that have not had a result yet. `round` is done when there are none. */
  let unheard = new Set<Unit>();
  let round = settledRound();
  let stopped = false;

  const maxInFlight = Math.min(MAX_PROBES_IN_FLIGHT, shareDescriptors().probes);
  const scheduler = createScheduler({ clock, failed: fault, maxInFlight });
  const watch = createWatch(clock, (key) => {
    scheduler.hasten(key);
  });
  const pushes = createPushTimers(clock, (key, result) => {
    const unit = units.byKey.get(key);
    if (unit !== undefined) take(unit, result);
  });
  const announce = (event: Untimed): void => {
    try {
      log({ at: isoTime(clock), ...event });
    } catch (error) {
      fault('an event could not be logged', error);
    }
  };

  const unitOf = (target: HealthTarget): Unit | undefined => units.ofTarget.get(canonicalTarget(target.target));
  const writer = createTableWriter({
    clock,
    store,
    unitOf,
    announce,
    ramping: () => {
      store.saveStates(currentStates);
    },
    foresee,
  });
  const { orders, write } = writer;

  const suspicion = createSuspicion({
    clock,
    share: suspect,
    hasten: ({ key }) => {
      scheduler.hasten(key);
    },
    fall: (unit) => {
      const before = shownState(unit);
      unit.state = settleDown(unit.state);
      flapHolds.changed(unit);
      tell(unit, before, unit.last?.reason ?? '');
    },
    restore: (unit) => {
      const before = shownState(unit);
      unit.state = { ...unit.state, probed: PROBED.UP };
      flapHolds.takeBack(unit);
      tell(unit, before, 'too many VIPs failed at once: the state before that holds');
    },
    doubt: (unit) => {
      unit.state = undecided(unit.state);
      if (isPush(unit.check)) pushes.expect(unit.key, unit.check.expiresMs);
      for (const target of unit.members) write(target);
    },
    raised: (alarm) => {
      alarms.raise('suspect', suspectWords(alarm));
      notProbed.update();
    },
    over: ({ sinceMs }, why) => {
      alarms.clear('suspect');
      const seconds = Math.round((clock.now() - sinceMs) / 1000);
      warn(`health: states are no longer frozen, after ${String(seconds)} s: ${why}`);
      notProbed.update();
    },
  });

  const notProbed = createNotProbedAlarm<Unit>({
    alarms,
    suspected: () => suspicion.alarm !== undefined,
  });

  const flapHolds = createFlapHolds({
    clock,
    alarms,
    ticked: ({ members }) => {
      members.forEach(write);
    },
    released: (unit) => {
      tell(unit, PROBED.DOWN, `it is no longer held down for flapping; ${unit.last?.reason ?? ''}`);
    },
  });

  /** One result: state, table, events, and the note for the next start. `reported`: it is a report, not a probe. */
  const take = (unit: Unit, result: ProbeResult, reported = false): void => {
    notProbed.note(unit, result);
    if (result.fault !== undefined) {
      noteFault(suspicion, unit, result.fault);
      noteUnprobed(unit, result, clock);
      heard(unit);
      return;
    }
    const belief = beliefIn(suspicion, unit, result, !reported && fallsWith(unit, result.passed));
    const before = shownState(unit);
    const isFirst = unit.state.probed === PROBED.UNKNOWN;
    const changed = takeResult(unit, result, clock, reported ? 'believed' : belief);
    if (changed && !isFirst) flapHolds.changed(unit);
    if (result.passed) for (const target of unit.members) writer.takeLoad(target, result.load, unit);
    heard(unit);
    tell(unit, before, result.reason);
    reconsider(suspicion, unit);
  };

  /** A unit that could not be probed counts as well: the first round ends even when this machine has a fault. */
  const heard = (unit: Unit): void => {
    if (unheard.delete(unit) && unheard.size === 0) round.done();
  };

  /** Writes the unit's state to the table. If it is not `before`, also announces and saves it. */
  const tell = (unit: Unit, before: Probed, reason: string): void => {
    const shown = shownState(unit);
    if (shown !== before) unit.since = isoTime(clock);
    for (const target of unit.members) write(target);
    if (shown !== before) {
      const [from, to] = [probedWord(before), probedWord(shown)];
      const why = unit.heldDown ? `${reason}; ${flapWords(unit, clock)}` : reason;
      for (const { target } of unit.members) announce({ kind: 'state', target, from, to, reason: why });
    } else if (!unit.heldDown) return;
    store.saveStates(currentStates);
  };

  const currentStates = (): ReadonlyMap<string, SavedState> => statesOf(units, writer.rampSince, flapHolds.kept);
  /** What was last known of each target: of the last run at first, then of the last generation. */
  let remembered: ReadonlyMap<string, SavedState> = store.states;

  const probeUnit = createProber({
    clock,
    probe,
    watch,
    suspicion,
    deadLink: options.deadLink ?? createLinkWatch(clock),
    fault: (unit, error) => {
      fault(`the probe of ${shownAddress(firstOf(unit))} failed to run`, error);
    },
    take: (unit, result) => {
      counts.probes += 1;
      if (result.fault !== undefined) counts.notProbed += 1;
      else if (!result.passed) counts.failedProbes += 1;
      if (!result.passed) watch.failed(unit.key);
      take(unit, result);
    },
  });

  const startUnit = (unit: Unit): void => {
    const { check, where, key } = unit;
    if (isPush(check)) pushes.expect(key, check.expiresMs);
    else if (where !== undefined) {
      const { intervalMs, fastMs } = check;
      scheduler.add({ key, intervalMs, fastMs, run: () => probeUnit(unit, where) });
    }
  };

  const stopUnit = (unit: Unit): void => {
    stopProbes(unit);
    scheduler.remove(unit.key);
    pushes.forget(unit.key);
    watch.drop(unit.key);
    watch.failed(unit.key);
  };

  /** Of the last run: in this run, ramps continue by themselves. */
  const resumeRamps = (unit: Unit): void => {
    for (const target of unit.members) {
      const since = rememberedOf(target, remembered)?.rampSince;
      if (since !== undefined) writer.resumeRamp(target, since);
    }
  };

  return {
    configure(wanted, memory, slots) {
      if (stopped) return;
      checkSlots(wanted, slots);
      const table = viewHealthTable(memory, slots);
      if (units.byKey.size > 0) remembered = currentStates();
      const before = units;
      const { fresh, ...gathered } = gatherUnits(wanted, before, warn);
      if (before.byKey.size === 0) fresh.forEach(resumeRamps);
      for (const unit of fresh) {
        const saved = recall(unit, remembered);
        if (saved !== undefined) flapHolds.resume(unit, saved);
      }
      for (const [key, unit] of before.byKey) if (!gathered.byKey.has(key)) stopUnit(unit);

      units = gathered;
      setSuspects(suspicion, [...units.byKey.values()]);
      notProbed.configure([...units.byKey.values()]);
      flapHolds.configure(units.byKey.values());
      writer.configure(wanted, table);

      unheard = new Set(
        [...units.byKey.values()].filter((unit) => unit.where !== undefined && unit.last === undefined),
      );
      const last = round;
      round = unheard.size === 0 ? settledRound() : openRound();
      // Callers that waited for the previous generation now wait for this one.
      void round.promise.then(last.done);
      // In order of their keys, so that the same configuration gives the same rhythm.
      for (const unit of fresh.toSorted((a, b) => (a.key < b.key ? -1 : 1))) startUnit(unit);
      store.saveStates(currentStates);
    },
    get firstRound() {
      return round.promise;
    },
    report(text, healthy, load) {
      const target = writer.targets().get(canonicalTarget(text));
      if (target === undefined) return 'unknown target';
      const unit = unitOf(target);
      if (unit === undefined || !isPush(unit.check)) return 'not a push check';
      if (healthy) pushes.expect(unit.key, unit.check.expiresMs);
      else pushes.forget(unit.key);
      const reason = healthy ? 'reported healthy' : 'reported unhealthy';
      take(unit, { passed: healthy, reason, elapsedMs: 0, ...(load === undefined ? {} : { load }) }, true);
      return 'ok';
    },
    override: orders.override,
    overrides: orders.overrides,
    weigh: orders.weigh,
    weights: orders.weights,
    list: () => [...writer.targets().values()].sort((a, b) => a.slot - b.slot).map(writer.show),
    find(target) {
      const found = writer.targets().get(canonicalTarget(target));
      return found && writer.show(found);
    },
    suspected: () => {
      const { alarm } = suspicion;
      if (alarm === undefined) return undefined;
      const since = new Date(clock.wall() - (clock.now() - alarm.sinceMs)).toISOString();
      return { since, message: suspectWords(alarm) };
    },
    certificates: () =>
      [...units.byKey.values()].flatMap((unit) => {
        const { certificateEndsMs: endsMs, members } = unit;
        if (endsMs === undefined) return [];
        return [{ targets: members.map(({ target }) => target), address: shownAddress(firstOf(unit)), endsMs }];
      }),
    stats: () => ({
      ...counts,
      failedSaves: store.failures(),
      ...scheduler.load(),
      watched: watch.size(),
      checks: units.byKey.size,
    }),
    async stop() {
      if (stopped) return;
      stopped = true;
      for (const unit of units.byKey.values()) stopProbes(unit);
      pushes.stop();
      stopSuspicion(suspicion);
      notProbed.stop();
      flapHolds.stop();
      writer.stop();
      watch.stop();
      await scheduler.stop();
      round.done();
      await store.close();
    },
  };
}

const never = (): number => 0;

/** Whether a round is done, and how to say so. */
type Round = { readonly promise: Promise<void>; readonly done: () => void };

function openRound(): Round {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return {
    promise,
    done: () => {
      resolve(undefined);
    },
  };
}

function settledRound(): Round {
  return { promise: Promise.resolve(), done: () => undefined };
}

function firstOf(unit: Unit): HealthTarget {
  const [first] = unit.members;
  if (first === undefined) throw new Error('a check without targets');
  return first;
}
