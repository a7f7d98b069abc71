/**
 * `weighted`: candidates in random order; the chance to be first is proportional to the weight. Candidates of weight 0
 * are standbys: they are dropped if there is any other.
 */
import { weightAt } from '../health/health-table.ts';
import { candidateAt, type Steerer } from './decision.ts';
import { below } from './random.ts';

/**
 * Orders the first `wanted` candidates; the order of the others is unspecified. The caller has dropped standbys if
 * there are other candidates.
 */
export function drawWeighted(steerer: Steerer, firstSlot: number, wanted: number): void {
  const { health, random, decision } = steerer;
  const { candidates, count } = decision;
  let total = 0;
  for (let c = 0; c < count; c++) total += weightAt(health, firstSlot + candidateAt(candidates, c));
  const standbys = total === 0; // standbys alone have equal chances
  if (standbys) total = count;
  const draws = Math.min(wanted, count - 1);
  for (let drawn = 0; drawn < draws; drawn++) {
    let left = below(random, total);
    let at = drawn;
    for (; at < count - 1; at++) {
      const weight = standbys ? 1 : weightAt(health, firstSlot + candidateAt(candidates, at));
      if (left < weight) break;
      left -= weight;
    }
    const vip = candidateAt(candidates, at);
    total -= standbys ? 1 : weightAt(health, firstSlot + vip);
    candidates[at] = candidateAt(candidates, drawn);
    candidates[drawn] = vip;
  }
}

/** Drops candidates of weight 0 if there is one with a weight. */
export function dropStandby({ health, decision }: Steerer, firstSlot: number): void {
  const { candidates, count } = decision;
  let kept = 0;
  for (let c = 0; c < count; c++) {
    const vip = candidateAt(candidates, c);
    if (weightAt(health, firstSlot + vip) > 0) candidates[kept++] = vip;
  }
  if (kept > 0) decision.count = kept;
}
