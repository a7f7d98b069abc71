/**
 * Carries out orders: keeps them in the store, writes the changes to the health table, and announces them.
 */
import { MAX_WEIGHT } from '../config/limits.ts';
import { announce, type Engine } from './engine-state.ts';
import type { ListedOverride, ListedWeight, OverrideOutcome } from './health.ts';
import { addressedBy, fileWeightOf, forceStates, weightOf, withSafeAt } from './orders.ts';
import { listOverrides, overrideOf, type Author, type OverrideRequest } from './overrides.ts';
import type { SavedOverride } from './state-file.ts';
import { effectiveStateOf, targetNamed, writeShares, writeTarget } from './table-writer.ts';
import type { WeightRequest } from './weights.ts';

/** The reason of an order that gives none. */
const BY = {
  operator: 'by an operator',
  schedule: 'by a schedule',
  node: 'by an operator, on this node alone',
} as const;

function byWords(by: Author, who: string | undefined): string {
  if (who === undefined) return BY[by];
  return by === 'node' ? `by ${who}, on this node alone` : `by ${who}`;
}

/** Who gives an order. `why`: the reason of one that clears another; other orders have theirs in the request. */
type Origin = { readonly by: Author; readonly who: string | undefined; readonly why: string | undefined };

function clearedWords(cleared: string, { why }: Origin, then: string): string {
  return why === undefined ? `${cleared}; ${then}` : `${cleared}: ${why}`;
}

/** Forces states; with undefined, clears overrides. */
export function orderState(
  engine: Engine,
  text: string,
  request: OverrideRequest | undefined,
  origin: Origin,
): OverrideOutcome {
  const { by, who } = origin;
  const { orders, writer } = engine;
  const orderOf = (target: string): SavedOverride | undefined => overrideOf(orders.overrides, target);
  const about = addressedBy(text, request !== undefined, by, writer.targets.values(), orderOf);
  if (about === undefined) return { kind: 'unknown target' };
  const before = about.found.map((target) => ({ target, from: effectiveStateOf(writer, target) }));
  const saved = forceStates(orders, about.names, request, by, who);
  const reason =
    request === undefined
      ? clearedWords('override cleared', origin, 'health checks decide again')
      : (request.reason ?? byWords(by, who));
  for (const { target, from } of before) {
    writeTarget(writer, target);
    const to = effectiveStateOf(writer, target);
    announce(engine, { kind: 'override', target: target.target, from, to, reason, who });
  }
  return { kind: 'ok', targets: about.names, kept: about.kept, saved };
}

/** Sets weights; with undefined, clears them. */
export function orderWeight(
  engine: Engine,
  text: string,
  request: WeightRequest | undefined,
  origin: Origin,
): OverrideOutcome {
  const { by, who } = origin;
  const { orders, writer } = engine;
  if (request !== undefined && !isWeight(request.weight)) {
    throw new RangeError(
      `invalid weight ${String(request.weight)} (expected an integer from 0 to ${String(MAX_WEIGHT)})`,
    );
  }
  const about = addressedBy(text, request !== undefined, by, writer.targets.values(), (target) =>
    orders.weights.get(target),
  );
  if (about === undefined) return { kind: 'unknown target' };
  const before = about.found.map((target) => ({ target, from: weightOf(orders, target) }));
  const saved = orders.weights.set(about.names, request, by, who);
  const reason =
    request === undefined
      ? clearedWords('weight override cleared', origin, 'the zone file decides again')
      : (request.reason ?? byWords(by, who));
  for (const { target, from } of before) {
    writeShares(writer, target);
    announce(engine, { kind: 'weight', target: target.target, from, to: weightOf(orders, target), reason, who });
  }
  return { kind: 'ok', targets: about.names, kept: about.kept, saved };
}

/** Called every second while an override has an end, because the time left is part of the state words. */
export function applyOverrideTick(engine: Engine, ended: readonly SavedOverride[]): void {
  const { orders, writer } = engine;
  for (const { target: name, state } of ended) {
    const target = targetNamed(writer, name);
    if (target === undefined) continue;
    writeTarget(writer, target);
    const to = effectiveStateOf(writer, target);
    announce(engine, { kind: 'override', target: name, from: state, to, reason: 'override expired' });
  }
  for (const target of writer.targets.values()) {
    if (overrideOf(orders.overrides, target.target) !== undefined) writeTarget(writer, target);
  }
}

export function overridesNow({ orders, writer }: Engine): readonly ListedOverride[] {
  return listOverrides(orders.overrides).map((override) => ({
    ...withSafeAt(orders, override),
    present: targetNamed(writer, override.target) !== undefined,
  }));
}

export function weightsNow({ orders, writer }: Engine): readonly ListedWeight[] {
  return orders.weights.list().map((weight) => {
    const target = targetNamed(writer, weight.target);
    const fileWeight = target === undefined ? undefined : fileWeightOf(target);
    return { ...weight, present: target !== undefined, fileWeight };
  });
}

function isWeight(weight: number): boolean {
  return Number.isInteger(weight) && weight >= 0 && weight <= MAX_WEIGHT;
}
