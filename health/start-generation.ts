/**
 * Begins a generation of targets: units that it shares with the one before continue, the others are stopped or start.
 */
import { isPush } from '../config/check-kinds.ts';
import { openRound, saveStates, settledRound, statesNow, type Engine } from './engine-state.ts';
import { viewHealthTable } from './health-table.ts';
import { undecided } from './hysteresis.ts';
import { saveOverrides } from './orders.ts';
import { checkSlots, gatherUnits, recall, rememberedOf } from './reuse-units.ts';
import { setSuspects } from './suspect.ts';
import { writeGeneration, writeTarget } from './table-writer.ts';
import { canonicalTarget, keyInFiles, type HealthTarget } from './target-names.ts';
import { ownState, stopProbes, type Unit } from './unit.ts';

export function startGeneration(
  engine: Engine,
  wanted: readonly HealthTarget[],
  memory: SharedArrayBuffer,
  slots: number,
): void {
  const { flapHolds, notProbed, orders, suspicion, warn, writer } = engine;
  checkSlots(wanted, slots);
  const before = writer.units;
  if (before.byKey.size > 0) engine.remembered = statesNow(engine);
  const { fresh, ...units } = gatherUnits(wanted, before, warn);
  if (before.byKey.size === 0) for (const unit of fresh) resumeRamps(engine, unit);
  for (const unit of fresh) {
    const saved = recall(unit, engine.remembered);
    if (saved !== undefined) flapHolds.resume(unit, saved);
  }
  for (const [key, unit] of before.byKey) if (!units.byKey.has(key)) stopUnit(engine, unit);

  const all = [...units.byKey.values()];
  setSuspects(suspicion, all);
  notProbed.configure(all);
  flapHolds.configure(all);
  askElectorate(engine, all);
  const targets = new Map(wanted.map((target) => [canonicalTarget(target.target), target]));
  writeGeneration(writer, { targets, units, table: viewHealthTable(memory, slots) });
  if (orders.overrides.entries.size > 0) void saveOverrides(orders);
  startRoundOf(engine, all);
  // In order of their keys, so that the same configuration gives the same rhythm.
  for (const unit of fresh.toSorted((a, b) => (a.key < b.key ? -1 : 1))) startUnit(engine, unit);
  saveStates(engine);
}

/** Opens the first round of the units. Callers that wait for the previous generation's round now wait for this one. */
function startRoundOf(engine: Engine, units: readonly Unit[]): void {
  const isAwaited = (unit: Unit): boolean =>
    unit.where !== undefined && unit.last === undefined && isProbed(engine, unit);
  engine.unheard = new Set(units.filter(isAwaited));
  const last = engine.firstRound;
  engine.firstRound = engine.unheard.size === 0 ? settledRound() : openRound();
  void engine.firstRound.promise.then(last.done);
}

/** Tells the fleet the checks of this generation, and takes its verdicts. */
function askElectorate({ electorate }: Engine, units: readonly Unit[]): void {
  if (electorate === undefined) return;
  electorate.configure(
    units.flatMap((unit) => {
      const { key, check, members } = unit;
      const [first] = members;
      return first === undefined
        ? []
        : [{ key, check, members, inFiles: keyInFiles(first, check), before: ownState(unit) }];
    }),
  );
  for (const unit of units) unit.verdict = electorate.verdict(unit.key);
}

/** Whether this node probes it: with a fleet, other nodes may do so. */
function isProbed({ electorate }: Engine, { key }: Unit): boolean {
  return electorate?.isProbing(key) ?? true;
}

/** Starts or stops the probes of a unit when the fleet has chosen other probers. */
export function switchProbes(engine: Engine, key: string): void {
  const unit = engine.writer.units.byKey.get(key);
  if (unit === undefined) return;
  if (isProbed(engine, unit)) {
    unit.stopped = false;
    startUnit(engine, unit);
    return;
  }
  stopUnit(engine, unit);
  unit.state = undecided(unit.state);
  // The TTL no longer depends on what this node saw.
  for (const target of unit.members) writeTarget(engine.writer, target);
  if (engine.unheard.delete(unit) && engine.unheard.size === 0) engine.firstRound.done();
}

function startUnit(engine: Engine, unit: Unit): void {
  const { probeUnit, pushes, scheduler } = engine;
  const { check, where, key } = unit;
  if (isPush(check)) pushes.expect(key, check.expiresMs);
  else if (where !== undefined && isProbed(engine, unit)) {
    const { intervalMs, fastMs } = check;
    scheduler.add({
      key,
      intervalMs,
      fastMs,
      run: (turn) => {
        probeUnit(unit, where, turn);
      },
    });
  }
}

function stopUnit({ pushes, scheduler, watch }: Engine, unit: Unit): void {
  stopProbes(unit);
  scheduler.remove(unit.key);
  pushes.forget(unit.key);
  watch.drop(unit.key);
  watch.failed(unit.key);
}

/** Continues the ramps of the last run where they would be by now. Within a run, ramps continue by themselves. */
function resumeRamps({ clock, remembered, writer }: Engine, unit: Unit): void {
  for (const target of unit.members) {
    const since = rememberedOf(target, remembered)?.rampSince;
    if (since !== undefined) writer.ramps.begin(target, clock.wall() - Date.parse(since));
  }
}
