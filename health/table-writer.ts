/**
 * What is known of each target, brought to the health table: what its unit says, the override on top, its weight, and
 * how much of that a ramp or its load withholds. The one writer of the table.
 */
import type { Clock } from './clock.ts';
import { flapWords, wallTime } from './flap-holds.ts';
import {
  createHealthTable,
  FORCED,
  FULL,
  isAvailable,
  NEVER_SECONDS,
  PROBED,
  packState,
  viewHealthTable,
  type HealthTable,
  type Probed,
} from './health-table.ts';
import type { EffectiveState, VipHealth } from './health.ts';
import { createOrders, fileWeightOf, type Orders, type Untimed } from './orders.ts';
import { forcedBy } from './overrides.ts';
import { createPressures, type Foresee } from './pressure.ts';
import { createRamps, weightWords } from './ramp.ts';
import type { StateStore } from './state-file.ts';
import { canonicalTarget, shownAddress, type HealthTarget } from './target-names.ts';
import { loadHoldSeconds, probedWord, shownState, unitHoldSeconds, type LastResult, type Unit } from './unit.ts';

export type TableWriter = {
  /** What operators and schedules say. */
  readonly orders: Orders;
  /** By canonical name, of the current generation. */
  targets(): ReadonlyMap<string, HealthTarget>;
  /** A new generation: all of its table is written when this returns. */
  configure(targets: readonly HealthTarget[], table: HealthTable): void;
  /** After its unit, its override or its weight has changed. */
  readonly write: (target: HealthTarget) => void;
  /** A passed result told its load, or none. Written with the next `write`. */
  takeLoad(target: HealthTarget, load: number | undefined, unit: Unit): void;
  /** ISO 8601: since when it comes back to its full weight; undefined when it has it. */
  readonly rampSince: (target: HealthTarget) => string | undefined;
  /** It came back to its full weight when the last run ended, and continues where it would be by now. */
  resumeRamp(target: HealthTarget, since: string): void;
  readonly show: (target: HealthTarget) => VipHealth;
  stop(): void;
};

export type TableWriterOptions = {
  readonly clock: Clock;
  readonly store: StateStore;
  /** Undefined: it is not checked. */
  readonly unitOf: (target: HealthTarget) => Unit | undefined;
  readonly announce: (event: Untimed) => void;
  /** One begins to come back, which is to be kept. */
  readonly ramping: () => void;
  readonly foresee: Foresee | undefined;
};

export function createTableWriter(options: TableWriterOptions): TableWriter {
  const { clock, store, unitOf, announce, ramping, foresee } = options;
  let table = viewHealthTable(createHealthTable(0), 0);
  let targets = new Map<string, HealthTarget>();

  const probedOf = (target: HealthTarget): Probed => {
    const unit = unitOf(target);
    return unit === undefined ? PROBED.UNKNOWN : shownState(unit);
  };
  const effectiveOf = (target: HealthTarget): EffectiveState =>
    orders.stateOf(target)?.state ?? probedWord(probedOf(target));

  /** What an answer with it may be trusted for: until its state, its weight or whom it sheds can be another. */
  const holdSecondsOf = (target: HealthTarget, unit: Unit | undefined): number => {
    const state = unit === undefined ? NEVER_SECONDS : unitHoldSeconds(unit, clock.now());
    const load = unit !== undefined && (pressures.of(target)?.pressure ?? 0) > 0 ? loadHoldSeconds(unit) : state;
    return Math.min(state, load, ramps.holdSeconds(target) ?? state);
  };

  const wordOf = (target: HealthTarget): number => {
    const unit = unitOf(target);
    const override = orders.stateOf(target);
    const probed = probedOf(target);
    if (override === undefined) return packState(probed, FORCED.NONE, holdSecondsOf(target, unit));
    return packState(probed, forcedBy(override), orders.holdSeconds(override));
  };

  /** The reason says first why it is down. */
  const lastOf = (unit: Unit): LastResult | undefined => {
    if (unit.last === undefined || !unit.heldDown) return unit.last;
    return { ...unit.last, reason: `${flapWords(unit, clock)}; ${unit.last.reason}` };
  };

  const write = (target: HealthTarget): void => {
    const before = table.states[target.slot] ?? 0;
    comeAndGo(target, isAvailable(before), wordOf(target));
    writeShares(target);
    const word = wordOf(target);
    if (word === before) return;
    Atomics.store(table.states, target.slot, word);
    orders.changed(target, before);
  };

  /** A VIP that comes back ramps, unless an operator wants it now. A VIP that is gone has neither ramp nor load. */
  const comeAndGo = (target: HealthTarget, was: boolean, word: number): void => {
    const is = isAvailable(word);
    const isForced = orders.stateOf(target)?.state === 'up';
    // A state that was taken back (suspect) is not a recovery: its last result failed.
    const recovers = !was && (unitOf(target)?.last?.passed ?? true);
    if (!is || isForced) ramps.end(target);
    else if (recovers && ramps.begin(target)) ramping();
    if (!is) pressures.forget(target, was);
  };

  /** Weight and pressure; written before the state, so that no thread sees a returning VIP at its full weight. */
  const writeShares = (target: HealthTarget): void => {
    const { slot, rampMs = 0 } = target;
    const words = weightWords(orders.weightOf(target), ramps.shareOf(target), rampMs > 0);
    Atomics.store(table.withheld, slot, words.withheld);
    Atomics.store(table.weights, slot, words.weight);
    Atomics.store(table.pressures, slot, pressures.of(target)?.pressure ?? 0);
  };
  const pressures = createPressures(clock, foresee, write);
  const ramps = createRamps(clock, write);
  const orders = createOrders(store, clock, {
    targets: () => targets,
    effectiveOf,
    write,
    writeWeight: writeShares,
    announce,
  });

  return {
    orders,
    targets: () => targets,
    configure(wanted, nextTable) {
      targets = new Map(wanted.map((target) => [canonicalTarget(target.target), target]));
      table = nextTable;
      ramps.configure(targets);
      pressures.configure(targets);
      for (const target of targets.values()) {
        writeShares(target);
        Atomics.store(table.states, target.slot, wordOf(target));
      }
      orders.configure(table);
    },
    write,
    takeLoad(target, load, unit) {
      pressures.report(target, load, loadHoldSeconds(unit));
    },
    rampSince: (target) => ramps.since(target),
    resumeRamp(target, since) {
      ramps.begin(target, clock.wall() - Date.parse(since));
    },
    show(target) {
      const unit = unitOf(target);
      const { slot, region, check } = target;
      return {
        slot,
        target: target.target,
        region,
        check: unit === undefined ? undefined : { name: check?.name ?? '', kind: unit.check.kind },
        checked: unit !== undefined,
        address: shownAddress(target),
        probed: probedWord(probedOf(target)),
        effective: effectiveOf(target),
        last: unit && lastOf(unit),
        heldUntil: unit?.heldDown === true ? wallTime(unit.flaps.heldUntilMs, clock) : undefined,
        since: unit?.since,
        run:
          unit === undefined || unit.state.run === 0
            ? undefined
            : { passed: unit.state.passed, results: unit.state.run },
        override: orders.shown(target),
        weight: orders.weightOf(target),
        fileWeight: fileWeightOf(target),
        weightOverride: orders.weightOverride(target),
        ramp: ramps.since(target) === undefined ? undefined : ramps.shareOf(target),
        load: pressures.of(target)?.share,
        shed: Math.min(1, (pressures.of(target)?.pressure ?? 0) / FULL),
      };
    },
    stop() {
      orders.stop();
      ramps.stop();
    },
  };
}
