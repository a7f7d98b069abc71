/**
 * All that is known of one VIP, for the status page and the API.
 */
import { flapWords, wallTime } from './flap-holds.ts';
import { FULL } from './health-table.ts';
import type { VipHealth } from './health.ts';
import { fileWeightOf, stateOrder, weightOf, withSafeAt } from './orders.ts';
import { effectiveStateOf, probedStateOf, unitOf, type TableWriter } from './table-writer.ts';
import { shownAddress, type HealthTarget } from './target-names.ts';
import { probedWord, showResult, type LastResult, type Unit } from './unit.ts';

export function showVip(writer: TableWriter, target: HealthTarget): VipHealth {
  const { clock, orders, pressures, ramps } = writer;
  const { slot, region, check } = target;
  const unit = unitOf(writer, target);
  const override = stateOrder(orders, target);
  return {
    slot,
    target: target.target,
    region,
    check: unit === undefined ? undefined : { name: check?.name ?? '', kind: unit.check.kind },
    checked: unit !== undefined,
    address: shownAddress(target),
    probed: probedWord(probedStateOf(writer, target)),
    effective: effectiveStateOf(writer, target),
    last: unit && lastResultOf(writer, unit),
    probes: unit && { made: unit.made, failed: unit.failed },
    heldUntil: unit?.heldDown === true ? wallTime(unit.flaps.heldUntilMs, clock) : undefined,
    since: unit?.since,
    run:
      unit === undefined || unit.state.run === 0 ? undefined : { passed: unit.state.passed, results: unit.state.run },
    override: override && withSafeAt(orders, override),
    weight: weightOf(orders, target),
    fileWeight: fileWeightOf(target),
    weightOverride: orders.weights.get(target.target),
    ramp: ramps.since(target) === undefined ? undefined : ramps.shareOf(target),
    load: pressures.of(target)?.share,
    shed: Math.min(1, (pressures.of(target)?.pressure ?? 0) / FULL),
  };
}

/** The last result. If the unit is held down, the reason states that first. */
function lastResultOf({ clock }: TableWriter, unit: Unit): LastResult | undefined {
  if (unit.last === undefined) return undefined;
  const last = showResult(unit.last);
  return !unit.heldDown ? last : { ...last, reason: `${flapWords(unit, clock)}; ${unit.last.reason}` };
}
