/**
 * The orders of operators and schedules: forced states and weights, which take precedence over the probes and the zone
 * file, and the time from which a VIP that they removed from the answers is safe to stop. This store keeps and saves
 * orders. `apply-orders.ts` writes the changes to the health table.
 */
import { MAX_WEIGHT } from '../config/limits.ts';
import type { Cancel, Clock } from './clock.ts';
import type { LastAnswers } from './last-answers.ts';
import {
  correctEnds,
  expireOverrides,
  listOverrides,
  overrideOf,
  resumeOverrides,
  setOverrides,
  untilNextTick,
  type Author,
  type OverrideRequest,
  type Overrides,
} from './overrides.ts';
import { AUTHORS, type SavedOverride, type StateStore } from './state-file.ts';
import { expandTarget, type HealthTarget } from './target-names.ts';
import { createWeights, type Weights } from './weights.ts';

export type OrdersOptions = {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly lastAnswers: LastAnswers;
  /** Called every second while an override has an end; `ended` are those that ended by themselves. */
  readonly ticked: (ended: readonly SavedOverride[]) => void;
};

export type Orders = OrdersOptions & {
  readonly overrides: Overrides;
  readonly weights: Weights;
  cancelTick: Cancel | undefined;
};

/** Starts with the orders that the store has. */
export function createOrders(options: OrdersOptions): Orders {
  const { store, clock, lastAnswers } = options;
  const overrides = resumeOverrides(store.overrides, clock);
  const orders: Orders = { ...options, overrides, weights: createWeights(store, clock), cancelTick: undefined };
  if (expireOverrides(overrides).length > 0) void saveOverrides(orders);
  scheduleTick(orders);
  for (const { target, safeAt } of listOverrides(overrides)) {
    if (safeAt !== undefined) lastAnswers.remember(target, Date.parse(safeAt));
  }
  return orders;
}

/** Forces states; with undefined, clears overrides. Resolves when they are on the disk; with false if they are not. */
export function forceStates(
  orders: Orders,
  targets: readonly string[],
  request: OverrideRequest | undefined,
  by: Author,
  who?: string,
): Promise<boolean> {
  setOverrides(orders.overrides, targets, request, by, who);
  scheduleTick(orders);
  return saveOverrides(orders);
}

/** Saves the overrides, each with its present `safeAt`. */
export function saveOverrides(orders: Orders): Promise<boolean> {
  return orders.store.saveOverrides(() => listOverrides(orders.overrides).map((each) => withSafeAt(orders, each)));
}

export function stopOrders(orders: Orders): void {
  orders.cancelTick?.();
  orders.cancelTick = undefined;
}

function scheduleTick(orders: Orders): void {
  orders.cancelTick?.();
  const delayMs = untilNextTick(orders.overrides);
  orders.cancelTick =
    delayMs === undefined
      ? undefined
      : orders.clock.after(delayMs, () => {
          const ended = expireOverrides(orders.overrides);
          const corrected = correctEnds(orders.overrides);
          if (ended.length > 0 || corrected) void saveOverrides(orders);
          scheduleTick(orders);
          orders.ticked(ended);
        });
}

/** The override with its present `safeAt`. */
export function withSafeAt({ lastAnswers }: Orders, override: SavedOverride): SavedOverride {
  const safeAtMs = override.state === 'up' ? undefined : lastAnswers.safeAtMs(override.target);
  return { ...override, safeAt: safeAtMs === undefined ? undefined : new Date(safeAtMs).toISOString() };
}

/** The override of the target. */
export function stateOrder({ overrides }: Orders, { target }: HealthTarget): SavedOverride | undefined {
  return overrideOf(overrides, target);
}

/** The effective weight. */
export function weightOf({ weights }: Orders, target: HealthTarget): number {
  return weights.get(target.target)?.weight ?? fileWeightOf(target);
}

/** The weight in the zone file, limited to the range of the health table. */
export function fileWeightOf({ weight }: HealthTarget): number {
  return Math.min(Math.max(0, weight), MAX_WEIGHT);
}

/** The targets of an order, and those that it leaves alone because another one has precedence (`AUTHORS`). */
export type Addressed = {
  readonly found: readonly HealthTarget[];
  readonly names: readonly string[];
  readonly kept: readonly string[];
};

/** The targets that the text names; undefined if it names none. `orderOf`: the order that a target has now. */
export function addressedBy(
  text: string,
  isSet: boolean,
  by: Author,
  targets: Iterable<HealthTarget>,
  orderOf: (target: string) => { readonly target: string; readonly by: Author } | undefined,
): Addressed | undefined {
  const isFree = (target: string): boolean => {
    const before = orderOf(target);
    return before === undefined || AUTHORS.indexOf(before.by) <= AUTHORS.indexOf(by);
  };
  const all = expandTarget(text, targets);
  if (all.length > 0) {
    const found = all.filter(({ target }) => isFree(target));
    const kept = all.map(({ target }) => target).filter((target) => !isFree(target));
    return { found, names: found.map(({ target }) => target), kept };
  }
  // The order of a target that is no longer configured can still be cleared.
  const gone = isSet ? undefined : orderOf(text)?.target;
  if (gone === undefined) return undefined;
  return isFree(gone) ? { found: [], names: [gone], kept: [] } : { found: [], names: [], kept: [gone] };
}
