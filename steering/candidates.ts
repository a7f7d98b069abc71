/**
 * The start of a decision (docs/steering.md#candidates): the VIPs that have the type of the query, are
 * available, and whose region has at least `min_healthy` of its weight up.
 */
import { isAvailable, isForcedOut, stateAt } from '../health/health-table.ts';
import { DEGREE, type Decision, type Steerer, candidateAt } from './decision.ts';
import { EVERY_TYPE, counts, innerCounts, innerOf, isEnough, isOut, regionWeightOf } from './inner.ts';
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
  const whole = degree === DEGREE.AVAILABLE && hasTrait(services, service, TRAIT.WHOLE_REGIONS);
  if (whole) markRegions(steerer, service, has);
  const nests = hasTrait(services, service, TRAIT.NESTS);
  let count = 0;
  let standbys = 0;
  for (let vip = 0; vip < vipCount; vip++) {
    if ((vipWord(vips, firstSlot + vip, VIP.HAS) & has) === 0) continue;
    const word = states[firstSlot + vip] ?? 0;
    if (degree === DEGREE.AVAILABLE) {
      if (!isAvailable(word) && !(whole && joinsRegion(steerer, firstSlot + vip, word))) continue;
      if (weighs && !isRegionHealthy(steerer, firstRegion, vipWord(vips, firstSlot + vip, VIP.REGION))) continue;
    } else if (degree === DEGREE.NOT_FORCED && isForcedOut(word)) {
      continue;
    }
    if (nests && !innerCounts(steerer, service, firstSlot + vip, has, degree)) continue;
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
 * candidate, or only standbys, or there is a `min_healthy`, `partial: serve_all` or a VIP that is a service.
 */
export function takeShortcut(steerer: Steerer, service: number, has: number, shortcut: number): boolean {
  const { services, orderings } = steerer.plan;
  const { decision } = steerer;
  decision.count = 0;
  if (hasTrait(services, service, TRAIT.WEIGHS_REGIONS | TRAIT.WHOLE_REGIONS | TRAIT.NESTS)) return false;
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

/** Notes for each region whether a VIP that has the type and is not a standby is available. */
function markRegions(steerer: Steerer, service: number, has: number): void {
  const { plan, health, decision } = steerer;
  const { vips } = plan;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  decision.hasUp.fill(0, 0, serviceWord(plan.services, service, SERVICE.REGION_COUNT));
  for (let slot = firstSlot; slot < end; slot++) {
    if ((vipWord(vips, slot, VIP.HAS) & has) === 0 || health.weights[slot] === 0) continue;
    if (counts(steerer, service, slot, has, DEGREE.AVAILABLE)) decision.hasUp[vipWord(vips, slot, VIP.REGION)] = 1;
  }
}

/**
 * Whether a VIP that is not available is served with its region (`partial: serve_all`). Standbys, and VIPs that an
 * operator took out, are not.
 */
function joinsRegion({ plan, health, decision }: Steerer, slot: number, word: number): boolean {
  if (isForcedOut(word) || health.weights[slot] === 0) return false;
  return decision.hasUp[vipWord(plan.vips, slot, VIP.REGION)] === 1;
}

/** Whether all VIPs of the service are drained or forced down, whatever types they have. */
export function areAllForcedOut(steerer: Steerer, service: number): boolean {
  const { plan } = steerer;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  for (let slot = firstSlot; slot < end; slot++) if (!isOut(steerer, slot)) return false;
  return true;
}

/**
 * Whether some VIPs of the service, but not all, are drained or forced down. A VIP that is a service is one of them if
 * all that it leads to with the type are.
 */
export function arePartlyForcedOut(steerer: Steerer, service: number, has: number): boolean {
  const { plan } = steerer;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  for (let slot = firstSlot; slot < end; slot++) {
    const isWithout = (vipWord(plan.vips, slot, VIP.HAS) & has) === 0;
    const isIn = isWithout ? !isOut(steerer, slot) : counts(steerer, service, slot, has, DEGREE.NOT_FORCED);
    if (!isIn) return !areAllForcedOut(steerer, service);
  }
  return false;
}

/** Whether a service has a trait; `trait` is a TRAIT bit. */
export function hasTrait(services: Int32Array, service: number, trait: number): boolean {
  return (serviceWord(services, service, SERVICE.HAS) & trait) !== 0;
}

/**
 * Adds up, per local region, the weight of all its VIPs, and of its available VIPs. A VIP in its ramp counts with its
 * full weight, because it is up. In a region of standbys alone (all weights 0), VIPs are counted instead.
 */
function weighRegions(steerer: Steerer, service: number): void {
  const { plan, decision } = steerer;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const vipCount = serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  const regionCount = serviceWord(plan.services, service, SERVICE.REGION_COUNT);
  decision.weightUp.fill(0, 0, regionCount);
  decision.weightAll.fill(0, 0, regionCount);
  for (let slot = firstSlot; slot < firstSlot + vipCount; slot++) {
    const region = vipWord(plan.vips, slot, VIP.REGION);
    const weight = regionWeightOf(steerer, slot);
    decision.weightAll[region] = regionWeight(decision.weightAll, region) + weight;
    if (counts(steerer, service, slot, EVERY_TYPE, DEGREE.AVAILABLE))
      decision.weightUp[region] = regionWeight(decision.weightUp, region) + weight;
  }
}

/** A region's word in `weightUp` or `weightAll`. */
function regionWeight(weights: Float64Array, region: number): number {
  return weights[region] ?? 0;
}

function isRegionHealthy({ plan, decision }: Steerer, firstRegion: number, region: number): boolean {
  const least = regionWord(plan.regions, firstRegion + region, REGION.MIN_HEALTHY_MILLIONTHS);
  return isEnough(least, regionWeight(decision.weightUp, region), regionWeight(decision.weightAll, region));
}

/**
 * Share of the region's weight that is up, 0 to 1, from the last `startCandidates` with DEGREE.AVAILABLE. Valid only
 * for services with a `min_healthy`: the regions of others are not weighed.
 */
export function regionShare(decision: Decision, region: number): number {
  return regionWeight(decision.weightUp, region) / Math.max(regionWeight(decision.weightAll, region), 1e-6);
}

/**
 * Leaves what an answer has of the candidates, if some of a service's VIPs are services: the first candidate alone if
 * it is one, else the candidates with records.
 */
export function keepAnswer({ plan, decision }: Steerer, service: number): void {
  const { candidates } = decision;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  if (innerOf(plan, firstSlot + candidateAt(candidates, 0)) >= 0) {
    decision.count = 1;
    return;
  }
  let kept = 0;
  for (let c = 0; c < decision.count; c++) {
    const vip = candidateAt(candidates, c);
    if (innerOf(plan, firstSlot + vip) < 0) candidates[kept++] = vip;
  }
  decision.count = Math.min(kept, serviceWord(plan.services, service, SERVICE.ANSWERS));
}
