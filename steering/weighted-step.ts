/**
 * `weighted`: candidates in random order, each first in proportion to its weight. Weight 0 is standby: such
 * candidates go where any other is left.
 */
import type { Decision, Steerer } from './decision.ts';
import { below } from './random.ts';

/**
 * Orders the first `wanted` candidates; the order behind them is not specified. Standbys beside others must have been
 * dropped.
 */
export function drawWeighted(steerer: Steerer, firstSlot: number, wanted: number): void {
  const { health, random, decision } = steerer;
  const { candidates, count } = decision;
  let total = 0;
  for (let c = 0; c < count; c++) total += health.weights[firstSlot + (candidates[c] ?? 0)] ?? 0;
  const standbys = total === 0; // all of them are: equal chances
  if (standbys) total = count;
  const draws = Math.min(wanted, count - 1);
  for (let drawn = 0; drawn < draws; drawn++) {
    let left = below(random, total);
    let at = drawn;
    for (; at < count - 1; at++) {
      const weight = standbys ? 1 : (health.weights[firstSlot + (candidates[at] ?? 0)] ?? 0);
      if (left < weight) break;
      left -= weight;
    }
    const vip = candidates[at] ?? 0;
    total -= standbys ? 1 : (health.weights[firstSlot + vip] ?? 0);
    candidates[at] = candidates[drawn] ?? 0;
    candidates[drawn] = vip;
  }
}

/** Drops candidates of weight 0 where one of another weight is left. */
export function dropStandby({ health, decision }: Steerer, firstSlot: number): void {
  const { candidates, count }: Decision = decision;
  let kept = 0;
  for (let c = 0; c < count; c++) {
    const vip = candidates[c] ?? 0;
    if ((health.weights[firstSlot + vip] ?? 0) > 0) kept++;
  }
  if (kept === 0 || kept === count) return;
  kept = 0;
  for (let c = 0; c < count; c++) {
    const vip = candidates[c] ?? 0;
    if ((health.weights[firstSlot + vip] ?? 0) > 0) candidates[kept++] = vip;
  }
  decision.count = kept;
}
