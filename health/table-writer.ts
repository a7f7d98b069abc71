/**
 * The one writer of the health table. A target's words combine the probed state of its unit, its override, its weight,
 * and the share that a ramp or its load withholds.
 */
import type { Clock } from './clock.ts';
import {
  createHealthTable,
  FORCED,
  isAvailable,
  NEVER_SECONDS,
  packState,
  PROBED,
  viewHealthTable,
  type HealthTable,
  type Probed,
} from './health-table.ts';
import type { EffectiveState } from './health.ts';
import type { LastAnswers } from './last-answers.ts';
import { stateOrder, weightOf, type Orders } from './orders.ts';
import { forcedBy, overrideSeconds } from './overrides.ts';
import { createPressures, type Foresee, type Pressures } from './pressure.ts';
import { createRamps, weightWords, type Ramps } from './ramp.ts';
import { NO_UNITS, type Units } from './reuse-units.ts';
import { canonicalTarget, type HealthTarget } from './target-names.ts';
import { loadHoldSeconds, loadValidMs, probedWord, shownState, unitHoldSeconds, type Unit } from './unit.ts';

export type TableWriterOptions = {
  readonly clock: Clock;
  readonly orders: Orders;
  readonly lastAnswers: LastAnswers;
  readonly foresee: Foresee | undefined;
  /** A ramp has begun and must be saved. */
  readonly ramping: () => void;
};

export type TableWriter = TableWriterOptions & {
  readonly ramps: Ramps;
  readonly pressures: Pressures;
  /** The current generation: its targets by canonical name, its units, and its table. */
  targets: ReadonlyMap<string, HealthTarget>;
  units: Units;
  table: HealthTable;
};

export function createTableWriter(options: TableWriterOptions): TableWriter {
  const write = (target: HealthTarget): void => {
    writeTarget(writer, target);
  };
  const writer: TableWriter = {
    ...options,
    ramps: createRamps(options.clock, write),
    pressures: createPressures(options.clock, options.foresee, write),
    targets: new Map(),
    units: NO_UNITS,
    table: viewHealthTable(createHealthTable(0), 0),
  };
  return writer;
}

/** Begins a generation: all of its table is written when this returns. */
export function writeGeneration(
  writer: TableWriter,
  { targets, units, table }: Pick<TableWriter, 'targets' | 'units' | 'table'>,
): void {
  Object.assign(writer, { targets, units, table });
  writer.ramps.configure(targets);
  writer.pressures.configure(targets);
  for (const target of targets.values()) {
    writeShares(writer, target);
    Atomics.store(table.states, target.slot, wordOf(writer, target));
  }
  writer.lastAnswers.configure(targets.values(), table);
}

/** Writes the words of a target after its unit, its override or its weight has changed. */
export function writeTarget(writer: TableWriter, target: HealthTarget): void {
  const { table, lastAnswers } = writer;
  const before = table.states[target.slot] ?? 0;
  let word = wordOf(writer, target);
  comeAndGo(writer, target, isAvailable(before), isAvailable(word));
  writeShares(writer, target);
  // A ramp or a load that begins or ends changes the time for which the word is valid.
  if ((target.rampMs ?? 0) > 0 || target.shed !== undefined) word = wordOf(writer, target);
  if (word === before) return;
  Atomics.store(table.states, target.slot, word);
  lastAnswers.changed(target, before);
}

/**
 * Writes weight and pressure. `writeTarget` does so before the state: no thread sees a returning VIP at full weight.
 */
export function writeShares({ table, orders, ramps, pressures }: TableWriter, target: HealthTarget): void {
  const { slot, rampMs = 0 } = target;
  const words = weightWords(weightOf(orders, target), ramps.shareOf(target), rampMs > 0);
  Atomics.store(table.withheld, slot, words.withheld);
  Atomics.store(table.weights, slot, words.weight);
  Atomics.store(table.pressures, slot, pressures.of(target)?.pressure ?? 0);
}

export function targetNamed({ targets }: TableWriter, name: string): HealthTarget | undefined {
  return targets.get(canonicalTarget(name));
}

/**
 * Takes the load that a check reported when it passed; undefined if it reported none. It counts at once for VIPs that
 * are available, and for the others when they are.
 */
export function takeLoadOf({ pressures, table }: TableWriter, unit: Unit, load: number | undefined): void {
  for (const target of unit.members) {
    if (isAvailable(table.states[target.slot] ?? 0)) pressures.report(target, load, loadHoldSeconds(unit));
    else pressures.defer(target, load, loadHoldSeconds(unit), loadValidMs(unit));
  }
}

/** The unit that probes the target; undefined if the target is not checked. */
export function unitOf({ units }: TableWriter, { target }: HealthTarget): Unit | undefined {
  return units.ofTarget.get(canonicalTarget(target));
}

export function probedStateOf(writer: TableWriter, target: HealthTarget): Probed {
  const unit = unitOf(writer, target);
  return unit === undefined ? PROBED.UNKNOWN : shownState(unit);
}

export function effectiveStateOf(writer: TableWriter, target: HealthTarget): EffectiveState {
  return stateOrder(writer.orders, target)?.state ?? probedWord(probedStateOf(writer, target));
}

/**
 * Ramps a VIP that is available again, unless an operator forced it up. A VIP that is not available has neither ramp
 * nor load.
 */
function comeAndGo(writer: TableWriter, target: HealthTarget, was: boolean, is: boolean): void {
  const { orders, pressures, ramps, ramping } = writer;
  const isForced = stateOrder(orders, target)?.state === 'up';
  // A state that was taken back (suspect) is not a recovery: its last result failed.
  const recovers = !was && (unitOf(writer, target)?.last?.passed ?? true);
  if (!is || isForced) ramps.end(target);
  else if (recovers && ramps.begin(target)) ramping();
  if (!is) pressures.forget(target, was);
  else if (!was) pressures.resume(target);
}

function wordOf(writer: TableWriter, target: HealthTarget): number {
  const { orders } = writer;
  const override = stateOrder(orders, target);
  const probed = probedStateOf(writer, target);
  if (override === undefined) return packState(probed, FORCED.NONE, holdSecondsOf(writer, target));
  return packState(probed, forcedBy(override), overrideSeconds(orders.overrides, target.target));
}

/** How long an answer with the VIP is valid: until its state, its weight or its pressure may change. */
function holdSecondsOf(writer: TableWriter, target: HealthTarget): number {
  const { clock, pressures, ramps } = writer;
  const unit = unitOf(writer, target);
  const state = unit === undefined ? NEVER_SECONDS : unitHoldSeconds(unit, clock.now());
  const load = unit !== undefined && (pressures.of(target)?.pressure ?? 0) > 0 ? loadHoldSeconds(unit) : state;
  return Math.min(state, load, ramps.holdSeconds(target) ?? state);
}
