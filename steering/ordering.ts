/**
 * The common part of `geo`, `nearest`, `latency` and `failover`. All four prefer regions or VIPs in an order, and keep
 * the first that has a candidate. `nearest` and `latency` also keep those within a margin of it.
 *
 * An ordering is n, then n pairs (entry, end): entry is a local region, or ~n for local VIP n; when the entry
 * is the first with a candidate, all entries up to `end` (exclusive) are kept with it.
 * The ordering of a step that gives TTLs continues with one TTL per pair, -1 for that of the service.
 *
 * A shortcut is the combined result of the first such steps of a service, valid while the regions that each of them
 * prefers have a candidate: the number of steps, n, then n regions that must have one, m, then m regions that are kept.
 */
import { candidateAt, type Decision, type Steerer } from './decision.ts';
import { NO_ANSWER } from './place.ts';
import { VIP, vipWord, orderingWord, type SteeringPlan } from './plan.ts';

/** Narrows the candidates in place and keeps their order. None is left if no entry has a candidate. */
export function keepFirstGroup({ plan, decision }: Steerer, firstSlot: number, orderingAt: number): void {
  const { orderings, vips } = plan;
  const { candidates, count } = decision;
  const n = orderingWord(orderings, orderingAt);
  for (let i = 0; i < n; i++) {
    const at = orderingAt + 1 + i * 2;
    const end = orderingWord(orderings, at + 1);
    if (!hasCandidate(vips, firstSlot, decision, orderingWord(orderings, at))) continue;
    let kept = 0;
    for (let c = 0; c < count; c++) {
      const vip = candidateAt(candidates, c);
      for (let j = i; j < end; j++) {
        if (!matches(vips, firstSlot, vip, orderingWord(orderings, orderingAt + 1 + j * 2))) continue;
        candidates[kept++] = vip;
        break;
      }
    }
    decision.count = kept;
    return;
  }
  decision.count = 0;
}

/**
 * The TTL that an ordering with TTLs gives for the region of this candidate, which it kept; -1 if it gives none. `vip`
 * is a local number.
 */
export function ttlInOrdering({ orderings, vips }: SteeringPlan, firstSlot: number, at: number, vip: number): number {
  const n = orderingWord(orderings, at);
  for (let i = 0; i < n; i++) {
    if (matches(vips, firstSlot, vip, orderingWord(orderings, at + 1 + i * 2))) {
      return orderingWord(orderings, at + 1 + n * 2 + i);
    }
  }
  return -1;
}

/** Whether the ordering is that of clients that get no answer. */
export function givesNoAnswer({ orderings }: SteeringPlan, at: number): boolean {
  return orderingWord(orderings, at) > 0 && orderingWord(orderings, at + 1) === NO_ANSWER;
}

function hasCandidate(vips: Int32Array, firstSlot: number, { candidates, count }: Decision, entry: number): boolean {
  for (let c = 0; c < count; c++) if (matches(vips, firstSlot, candidateAt(candidates, c), entry)) return true;
  return false;
}

function matches(vips: Int32Array, firstSlot: number, vip: number, entry: number): boolean {
  return entry < 0 ? vip === ~entry : vipWord(vips, firstSlot + vip, VIP.REGION) === entry;
}
