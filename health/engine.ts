/**
 * The health room's front door: probes the targets of the current generation, keeps their states, and is the one
 * writer of its health table. Runs in the control thread.
 *
 *     scheduler → probe → result → hysteresis → override on top → one Atomics.store → every thread's next answer
 */
import { isoTime, systemClock } from './clock.ts';
import type { EffectiveState, Health, HealthOptions, VipHealth } from './health.ts';
import { createOrders, fileWeightOf, type Untimed } from './orders.ts';
import { forcedBy } from './overrides.ts';
import { runProbe } from './run-probe.ts';
import { wordsOf, type ProbeResult } from './probe.ts';
import { createPushTimers } from './push.ts';
import { createScheduler, type Pace } from './scheduler.ts';
import { openMemoryStore, openStateStore, type SavedState } from './state-file.ts';
import { startingState } from './hysteresis.ts';
import { FORCED, NEVER_SECONDS, PROBED, packState, viewHealthTable } from './table.ts';
import { addressText, canonicalTarget, probeKey, probeTargetOf, type HealthTarget } from './targets.ts';
import { createUnit, isContradicted, probedWord, takeResult, unitHoldSeconds, type Unit } from './unit.ts';
import { createWatch } from './watch.ts';

export type * from './health.ts';
export type { HealthTarget } from './targets.ts';
export type { Author, OverrideRequest } from './overrides.ts';
export type { SavedOverride, SavedWeight } from './state-file.ts';
export type { WeightRequest } from './weights.ts';

/**
 * Starts the room with no targets; `configure` gives it some. Reads what the last run kept. Never throws for what
 * is on the disk: that is told through `warn`.
 */
export function startHealth(options: HealthOptions): Health {
  const { stateDir, log, warn, clock = systemClock, probe = runProbe } = options;
  const store = stateDir === undefined ? openMemoryStore() : openStateStore(stateDir, clock, warn);
  const counts = { probes: 0, failedProbes: 0, faults: 0 };
  const fault = (where: string, error: unknown): void => {
    counts.faults += 1;
    warn(`health: ${where}: ${wordsOf(error)}`);
  };

  let table = viewHealthTable(new SharedArrayBuffer(8), 0);
  let targets = new Map<string, HealthTarget>();
  let units = new Map<string, Unit>();
  let unitOf = new Map<string, Unit>();
  /** Units that have not had a result yet, and who waits for that. */
  let unheard = new Set<Unit>();
  let round = settledRound();
  let stopped = false;

  const scheduler = createScheduler({ clock, failed: fault });
  const watch = createWatch((key) => {
    scheduler.hasten(key);
  });
  const pushes = createPushTimers(clock, (key, result) => {
    const unit = units.get(key);
    if (unit !== undefined) take(unit, result);
  });
  const announce = (event: Untimed): void => {
    try {
      log({ at: isoTime(clock), ...event });
    } catch (error) {
      fault('an event could not be logged', error);
    }
  };

  const unitFor = (target: HealthTarget): Unit | undefined => unitOf.get(canonicalTarget(target.target));

  const effectiveOf = (target: HealthTarget): EffectiveState =>
    orders.stateOf(target)?.state ?? probedWord(unitFor(target)?.state.probed ?? PROBED.UNKNOWN);

  const wordOf = (target: HealthTarget): number => {
    const unit = unitFor(target);
    const override = orders.stateOf(target);
    const probed = unit?.state.probed ?? PROBED.UNKNOWN;
    const hold = unit === undefined ? NEVER_SECONDS : unitHoldSeconds(unit);
    if (override === undefined) return packState(probed, FORCED.NONE, hold);
    return packState(probed, forcedBy(override), orders.holdSeconds(override));
  };

  const write = (target: HealthTarget): void => {
    const before = table.states[target.slot] ?? 0;
    const word = wordOf(target);
    if (word === before) return;
    Atomics.store(table.states, target.slot, word);
    orders.changed(target, before);
  };

  const writeWeight = (target: HealthTarget): void => {
    Atomics.store(table.weights, target.slot, orders.weightOf(target));
  };

  const orders = createOrders(store, clock, { targets: () => targets, effectiveOf, write, writeWeight, announce });

  /** One result: state, table, events, and the note for the next start. */
  const take = (unit: Unit, result: ProbeResult): void => {
    const before = takeResult(unit, result, clock);
    for (const target of unit.members) write(target);
    if (unheard.delete(unit) && unheard.size === 0) round.done();
    if (unit.state.probed === before) return;
    for (const { target } of unit.members) {
      const to = probedWord(unit.state.probed);
      announce({ kind: 'state', target, from: probedWord(before), to, reason: result.reason });
    }
    store.saveStates(currentStates);
  };

  const currentStates = (): ReadonlyMap<string, SavedState> => {
    const states = new Map<string, SavedState>();
    for (const unit of units.values()) {
      const { since } = unit;
      const probed = probedWord(unit.state.probed);
      if (probed === 'unknown' || since === undefined) continue;
      for (const target of unit.members) states.set(target.target, { address: addressText(target), probed, since });
    }
    return states;
  };
  /** What was last known of each target: of the last run at first, then of the last generation. */
  let remembered: ReadonlyMap<string, SavedState> = store.states;

  const probeUnit = async (unit: Unit, where: { readonly host: string; readonly port: number }): Promise<Pace> => {
    const { signal } = unit.controller;
    // A target that serves one connection at a time would not answer while the old one is held.
    watch.drop(unit.key);
    let result: ProbeResult;
    try {
      result = await probe(where, unit.check, signal, (connection) => {
        if (signal.aborted) connection.destroy();
        else watch.keep(unit.key, connection);
      });
    } catch (error) {
      if (!signal.aborted) fault(`the probe of ${addressText(firstOf(unit))} failed to run`, error);
      result = { passed: false, reason: wordsOf(error), elapsedMs: 0 };
    }
    if (signal.aborted) return 'interval';
    counts.probes += 1;
    if (!result.passed) counts.failedProbes += 1;
    take(unit, result);
    return isContradicted(unit) ? 'fast' : 'interval';
  };

  const startUnit = (unit: Unit): void => {
    const { check, where, key } = unit;
    if (check.kind === 'push') pushes.expect(key, check.expiresMs);
    else if (where !== undefined) {
      const { intervalMs, fastMs } = check;
      scheduler.add({ key, intervalMs, fastMs, run: () => probeUnit(unit, where) });
    }
  };

  const stopUnit = (unit: Unit): void => {
    unit.controller.abort();
    scheduler.remove(unit.key);
    pushes.forget(unit.key);
    watch.drop(unit.key);
  };

  /** A unit without a past takes the state that one of its targets had at this address. */
  const recall = (unit: Unit): void => {
    for (const target of unit.members) {
      const saved = remembered.get(target.target);
      if (saved?.address !== addressText(target)) continue;
      unit.state = startingState(saved.probed === 'up' ? PROBED.UP : PROBED.DOWN);
      unit.since = saved.since;
      return;
    }
  };

  return {
    configure(wanted, memory, slots) {
      if (stopped) return;
      checkSlots(wanted, slots);
      const nextTable = viewHealthTable(memory, slots);
      const nextUnits = new Map<string, Unit>();
      const nextUnitOf = new Map<string, Unit>();
      const fresh: Unit[] = [];
      if (units.size > 0) remembered = currentStates();
      for (const unit of units.values()) unit.members = [];
      for (const target of wanted) {
        const { check } = target;
        if (check === undefined) continue;
        const where = probeTargetOf(target);
        if (where === undefined && check.kind !== 'push') {
          warn(`health: ${target.target} has a check but no address to probe; it counts as not checked`);
          continue;
        }
        const key = probeKey(target, check);
        let unit = nextUnits.get(key) ?? units.get(key);
        if (unit === undefined) {
          unit = createUnit(key, check, where);
          fresh.push(unit);
        }
        unit.members.push(target);
        nextUnits.set(key, unit);
        nextUnitOf.set(canonicalTarget(target.target), unit);
      }
      for (const unit of fresh) recall(unit);
      for (const [key, unit] of units) if (!nextUnits.has(key)) stopUnit(unit);

      units = nextUnits;
      unitOf = nextUnitOf;
      targets = new Map(wanted.map((target) => [canonicalTarget(target.target), target]));
      table = nextTable;
      for (const target of targets.values()) {
        writeWeight(target);
        Atomics.store(table.states, target.slot, wordOf(target));
      }
      orders.configure(table);

      unheard = new Set([...units.values()].filter((unit) => unit.where !== undefined && unit.last === undefined));
      const last = round;
      round = unheard.size === 0 ? settledRound() : openRound();
      // Who waited for the generation before waits for this one now.
      void round.promise.then(last.done);
      // In order of their keys, so that the same configuration gives the same rhythm.
      for (const unit of fresh.sort((a, b) => (a.key < b.key ? -1 : 1))) startUnit(unit);
      store.saveStates(currentStates);
    },
    get firstRound() {
      return round.promise;
    },
    report(text, healthy) {
      const target = targets.get(canonicalTarget(text));
      if (target === undefined) return 'unknown target';
      const unit = unitFor(target);
      if (unit?.check.kind !== 'push') return 'not a push check';
      if (healthy) pushes.expect(unit.key, unit.check.expiresMs);
      else pushes.forget(unit.key);
      take(unit, { passed: healthy, reason: healthy ? 'reported healthy' : 'reported unhealthy', elapsedMs: 0 });
      return 'ok';
    },
    override: orders.override,
    overrides: orders.overrides,
    weigh: orders.weigh,
    weights: orders.weights,
    list: () =>
      [...targets.values()]
        .sort((a, b) => a.slot - b.slot)
        .map((target): VipHealth => {
          const unit = unitFor(target);
          const { slot, region } = target;
          return {
            slot,
            target: target.target,
            region,
            check: unit === undefined ? undefined : { name: target.check?.name ?? '', kind: unit.check.kind },
            checked: unit !== undefined,
            address: addressText(target),
            probed: probedWord(unit?.state.probed ?? PROBED.UNKNOWN),
            effective: effectiveOf(target),
            last: unit?.last,
            since: unit?.since,
            run:
              unit === undefined || unit.state.run === 0
                ? undefined
                : { passed: unit.state.passed, results: unit.state.run },
            override: orders.shown(target),
            weight: orders.weightOf(target),
            fileWeight: fileWeightOf(target),
            weightOverride: orders.weightOverride(target),
          };
        }),
    stats: () => ({
      ...counts,
      failedSaves: store.failures(),
      ...scheduler.load(),
      watched: watch.size(),
      checks: units.size,
    }),
    async stop() {
      if (stopped) return;
      stopped = true;
      for (const unit of units.values()) unit.controller.abort();
      pushes.stop();
      orders.stop();
      watch.stop();
      await scheduler.stop();
      round.done();
      await store.close();
    },
  };
}

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

function checkSlots(targets: readonly HealthTarget[], slots: number): void {
  const seen = new Set<number>();
  for (const { slot, target } of targets) {
    if (!Number.isInteger(slot) || slot < 0 || slot >= slots) {
      throw new RangeError(`slot ${String(slot)} of ${target} is not in a table of ${String(slots)}`);
    }
    if (seen.has(slot)) throw new RangeError(`slot ${String(slot)} of ${target} is another target's too`);
    seen.add(slot);
  }
}

function firstOf(unit: Unit): HealthTarget {
  const [first] = unit.members;
  if (first === undefined) throw new Error('a check without targets');
  return first;
}
