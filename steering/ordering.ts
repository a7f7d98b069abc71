/**
 * The step behind `geo`, `nearest`, `latency` and `failover`: all four prefer regions, or VIPs, in an order,
 * and keep the first that has a candidate. `nearest` and `latency` also keep those that are hardly worse.
 *
 * An ordering is n, then n pairs (entry, end): entry is a local region, or ~n for local VIP n; when the entry
 * is the first with a candidate, all entries up to `end` (exclusive) are kept with it.
 *
 * A shortcut says where the first such steps of a service lead, taken together, as long as the regions that each of
 * them prefers have a candidate: how many steps, n, then n regions that must have one, m, then m regions that are kept.
 */
import type { Decision, Steerer } from './decision.ts';
import { VIP } from './plan.ts';

/** Narrows the candidates in place, their order kept. None is left where no entry has a candidate. */
export function keepFirstGroup({ plan, decision }: Steerer, firstSlot: number, orderingAt: number): void {
  const { orderings, vips } = plan;
  const { candidates, count } = decision;
  const n = orderings[orderingAt] ?? 0;
  // A bit for each region of a candidate, modulo 32: it rules out most entries at once.
  let present = 0;
  for (let c = 0; c < count; c++)
    present |= 1 << (vips[(firstSlot + (candidates[c] ?? 0)) * VIP.WORDS + VIP.REGION] ?? 0);
  for (let i = 0; i < n; i++) {
    const at = orderingAt + 1 + i * 2;
    const entry = orderings[at] ?? 0;
    if (entry >= 0 && ((present >>> entry) & 1) === 0) continue;
    const first = firstOf(vips, firstSlot, decision, entry);
    if (first < 0) continue;
    const end = orderings[at + 1] ?? 0;
    let kept = 0;
    // Alone in its group, none in front of its first can be kept.
    for (let c = end === i + 1 ? first : 0; c < count; c++) {
      const vip = candidates[c] ?? 0;
      for (let j = i; j < end; j++) {
        if (!matches(vips, firstSlot, vip, orderings[orderingAt + 1 + j * 2] ?? 0)) continue;
        candidates[kept++] = vip;
        break;
      }
    }
    decision.count = kept;
    return;
  }
  decision.count = 0;
}

/** Place among the candidates of the first that the entry means, -1 for none. */
function firstOf(vips: Int32Array, firstSlot: number, { candidates, count }: Decision, entry: number): number {
  for (let c = 0; c < count; c++) if (matches(vips, firstSlot, candidates[c] ?? 0, entry)) return c;
  return -1;
}

function matches(vips: Int32Array, firstSlot: number, vip: number, entry: number): boolean {
  return entry < 0 ? vip === ~entry : vips[(firstSlot + vip) * VIP.WORDS + VIP.REGION] === entry;
}
