/**
 * Determines the units of a generation, those that continue from the one before, and the saved states of the others.
 */
import { isPush } from '../config/check-kinds.ts';
import { PROBED } from './health-table.ts';
import { startingState } from './hysteresis.ts';
import type { SavedState } from './state-file.ts';
import { addressText, canonicalTarget, probeKey, probeTargetOf, type HealthTarget } from './target-names.ts';
import { createUnit, probedWord, showResult, type Unit } from './unit.ts';

export type Units = {
  readonly byKey: ReadonlyMap<string, Unit>;
  /** By the target's canonical name; without those that are not checked. */
  readonly ofTarget: ReadonlyMap<string, Unit>;
};

export const NO_UNITS: Units = { byKey: new Map(), ofTarget: new Map() };

/** The units of these targets, with their members; `fresh` are those that `before` does not have. */
export function gatherUnits(
  wanted: readonly HealthTarget[],
  before: Units,
  warn: (message: string) => void,
): Units & { readonly fresh: readonly Unit[] } {
  const byKey = new Map<string, Unit>();
  const ofTarget = new Map<string, Unit>();
  const fresh: Unit[] = [];
  for (const unit of before.byKey.values()) unit.members = [];
  for (const target of wanted) {
    const { check } = target;
    if (check === undefined) continue;
    const where = probeTargetOf(target);
    if (where === undefined && !isPush(check)) {
      warn(`health: ${target.target} has a check but no address to probe; it counts as not checked`);
      continue;
    }
    const key = probeKey(target, check);
    let unit = byKey.get(key) ?? before.byKey.get(key);
    if (unit === undefined) {
      unit = createUnit(key, check, where);
      fresh.push(unit);
    }
    unit.members.push(target);
    byKey.set(key, unit);
    ofTarget.set(canonicalTarget(target.target), unit);
  }
  return { byKey, ofTarget, fresh };
}

/** Gives a new unit the state that one of its targets had at this address, and returns that state. */
export function recall(unit: Unit, remembered: ReadonlyMap<string, SavedState>): SavedState | undefined {
  for (const target of unit.members) {
    const saved = rememberedOf(target, remembered);
    if (saved === undefined) continue;
    unit.state = startingState(saved.probed === 'up' ? PROBED.UP : PROBED.DOWN);
    unit.since = saved.since;
    return saved;
  }
  return undefined;
}

/** The remembered state of a target at this address, and at no other. */
export function rememberedOf(
  target: HealthTarget,
  remembered: ReadonlyMap<string, SavedState>,
): SavedState | undefined {
  const saved = remembered.get(target.target);
  return saved?.address === addressText(target) ? saved : undefined;
}

/** The states to remember: those of all targets whose state is known. */
export function statesOf(
  { byKey }: Units,
  rampSince: (target: HealthTarget) => string | undefined,
  flapsKept: (unit: Unit) => Pick<SavedState, 'changes' | 'heldUntil'>,
): ReadonlyMap<string, SavedState> {
  const states = new Map<string, SavedState>();
  for (const unit of byKey.values()) {
    // A fleet may have no verdict where this node has a state.
    const since = unit.since ?? (unit.last && showResult(unit.last).at);
    const probed = probedWord(unit.state.probed);
    if (probed === 'unknown' || since === undefined) continue;
    for (const target of unit.members) {
      states.set(target.target, {
        address: addressText(target),
        probed,
        since,
        rampSince: rampSince(target),
        ...flapsKept(unit),
      });
    }
  }
  return states;
}

/** Throws RangeError for a slot outside of the table, or one that two targets have. */
export function checkSlots(targets: readonly HealthTarget[], slots: number): void {
  const seen = new Set<number>();
  for (const { slot, target } of targets) {
    if (!Number.isInteger(slot) || slot < 0 || slot >= slots) {
      throw new RangeError(`slot ${String(slot)} of ${target} is not in a table of ${String(slots)}`);
    }
    if (seen.has(slot)) throw new RangeError(`slot ${String(slot)} of ${target} is another target's too`);
    seen.add(slot);
  }
}
