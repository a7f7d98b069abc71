/**
 * The start of a decision (docs/steering.md#candidates): the VIPs that have the type of the query, are
 * available, and whose region has at least `min_healthy` of its weight up.
 */
import { holdSecondsOf, isAvailable, isForcedOut, stateAt, weightAt, withheldAt } from '../health/health-table.ts';
import { DEGREE, type Decision, type Steerer, candidateAt } from './decision.ts';
import { REGION, SERVICE, TRAIT, VIP, serviceWord, vipWord, regionWord, orderingWord } from './plan.ts';
import { dropStandby } from './weighted-step.ts';

/**
 * Fills `decision.candidates` in the order of the file. `has` is a HAS bit; `degree` a DEGREE. Standbys (weight 0)
 * are left out if there is any other candidate, unless `withStandbys`.
 */
export function startCandidates(
  steerer: Steerer,
  service: number,
  has: number,
  degree: number,
  withStandbys: boolean,
): void {
  const { plan, health, decision } = steerer;
  const { services, vips } = plan;
  const { states, weights } = health;
  const { candidates } = decision;
  const firstSlot = serviceWord(services, service, SERVICE.FIRST_SLOT);
  const vipCount = serviceWord(services, service, SERVICE.VIP_COUNT);
  const firstRegion = serviceWord(services, service, SERVICE.FIRST_REGION);
  const weighs = degree === DEGREE.AVAILABLE && hasTrait(services, service, TRAIT.WEIGHS_REGIONS);
  if (weighs) weighRegions(steerer, service);
  let count = 0;
  let standbys = 0;
  for (let vip = 0; vip < vipCount; vip++) {
    if ((vipWord(vips, firstSlot + vip, VIP.HAS) & has) === 0) continue;
    const word = states[firstSlot + vip] ?? 0;
    if (degree === DEGREE.AVAILABLE) {
      if (!isAvailable(word)) continue;
      if (weighs && !isRegionHealthy(steerer, firstRegion, vipWord(vips, firstSlot + vip, VIP.REGION))) continue;
    } else if (degree === DEGREE.NOT_FORCED && isForcedOut(word)) {
      continue;
    }
    candidates[count++] = vip;
    if (weights[firstSlot + vip] === 0) standbys++;
  }
  decision.count = count;
  if (standbys > 0 && !withStandbys) dropStandby(steerer, firstSlot);
  decision.heldBack = count - decision.count;
}

/**
 * Takes a shortcut (ordering.ts): fills `decision.candidates` with those that `startCandidates` and the steps would
 * leave, without reading the VIPs of other regions. Returns false if the shortcut does not hold: a region has no
 * candidate, or only standbys, or there is a `min_healthy`.
 */
export function takeShortcut(steerer: Steerer, service: number, has: number, shortcut: number): boolean {
  const { services, orderings } = steerer.plan;
  const { decision } = steerer;
  decision.count = 0;
  if (hasTrait(services, service, TRAIT.WEIGHS_REGIONS)) return false;
  const firstSlot = serviceWord(services, service, SERVICE.FIRST_SLOT);
  const firstRegion = serviceWord(services, service, SERVICE.FIRST_REGION);
  let at = shortcut + 1;
  for (const end = at + orderingWord(orderings, at); at < end;) {
    gather(steerer, firstSlot, firstRegion + orderingWord(orderings, ++at), has);
    if (decision.count === 0) return false;
    decision.count = 0;
  }
  at++;
  for (const end = at + orderingWord(orderings, at); at < end;) {
    gather(steerer, firstSlot, firstRegion + orderingWord(orderings, ++at), has);
  }
  return decision.count > 0;
}

/** Adds the candidates of a region without standbys, in the order of the file. */
function gather({ plan, health, decision }: Steerer, firstSlot: number, region: number, has: number): void {
  const { regions, vips } = plan;
  const { candidates } = decision;
  let { count } = decision;
  for (let vip = regionWord(regions, region, REGION.FIRST_VIP); vip >= 0;) {
    const slot = firstSlot + vip;
    if (
      (vipWord(vips, slot, VIP.HAS) & has) !== 0 &&
      health.weights[slot] !== 0 &&
      isAvailable(stateAt(health, slot))
    ) {
      let at = count++;
      for (; at > 0 && candidateAt(candidates, at - 1) > vip; at--) candidates[at] = candidateAt(candidates, at - 1);
      candidates[at] = vip;
    }
    vip = vipWord(vips, slot, VIP.NEXT);
  }
  decision.count = count;
}

/** Whether some VIPs of the service, but not all, are drained or forced down, whatever types they have. */
export function isPartlyForcedOut({ plan, health }: Steerer, service: number): boolean {
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  let forcedOut = 0;
  for (let slot = firstSlot; slot < end; slot++) if (isForcedOut(stateAt(health, slot))) forcedOut++;
  return forcedOut > 0 && forcedOut < end - firstSlot;
}

/** Whether a service has a trait; `trait` is a TRAIT bit. */
export function hasTrait(services: Int32Array, service: number, trait: number): boolean {
  return (serviceWord(services, service, SERVICE.HAS) & trait) !== 0;
}

/**
 * Adds up, per local region, the weight of all its VIPs, and of its available VIPs. A VIP in its ramp counts with its
 * full weight, because it is up. In a region of standbys alone (all weights 0), VIPs are counted instead.
 */
function weighRegions({ plan, health, decision }: Steerer, service: number): void {
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const vipCount = serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  const regionCount = serviceWord(plan.services, service, SERVICE.REGION_COUNT);
  // Each VIP adds a millionth, so that the number of VIPs decides only if all weights are 0.
  for (let region = 0; region < regionCount; region++) {
    decision.weightUp[region] = 0;
    decision.weightAll[region] = 0;
  }
  for (let slot = firstSlot; slot < firstSlot + vipCount; slot++) {
    const region = vipWord(plan.vips, slot, VIP.REGION);
    const weight = weightAt(health, slot) + withheldAt(health, slot) + 1e-6;
    decision.weightAll[region] = regionWeight(decision.weightAll, region) + weight;
    if (isAvailable(stateAt(health, slot)))
      decision.weightUp[region] = regionWeight(decision.weightUp, region) + weight;
  }
}

/** A region's word in `weightUp` or `weightAll`. */
function regionWeight(weights: Float64Array, region: number): number {
  return weights[region] ?? 0;
}

function isRegionHealthy({ plan, decision }: Steerer, firstRegion: number, region: number): boolean {
  const least = regionWord(plan.regions, firstRegion + region, REGION.MIN_HEALTHY_MILLIONTHS) / 1e6;
  if (least === 0) return true;
  const up = regionWeight(decision.weightUp, region);
  const all = regionWeight(decision.weightAll, region);
  // Weights are whole numbers, so the fraction is the number of VIPs, which counts only if all weights are 0. The
  // tolerance is for rounded shares: 1 of 3 equal weights is 33.3333 %.
  if (all >= 1) return Math.floor(up) >= (least - 1e-6) * Math.floor(all);
  return up >= (least - 1e-6) * all;
}

/**
 * Share of the region's weight that is up, 0 to 1, from the last `startCandidates` with DEGREE.AVAILABLE. Valid only
 * for services with a `min_healthy`: the regions of others are not weighed.
 */
export function regionShare(decision: Decision, region: number): number {
  return regionWeight(decision.weightUp, region) / Math.max(regionWeight(decision.weightAll, region), 1e-6);
}

/** Seconds for which no VIP of the service that has the type can change state (docs/steering.md#ttl). */
export function serviceHoldSeconds({ plan, health }: Steerer, service: number, has: number): number {
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const vipCount = serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  let least = 0x7fff_ffff;
  for (let slot = firstSlot; slot < firstSlot + vipCount; slot++) {
    if ((vipWord(plan.vips, slot, VIP.HAS) & has) === 0) continue;
    const seconds = holdSecondsOf(stateAt(health, slot));
    if (seconds < least) least = seconds;
  }
  return least;
}
