/**
 * VIPs that are other services (docs/steering.md#services-as-vips): such a VIP counts while the other service, the
 * inner one, has a VIP that counts. Runs at each decision, so that it always agrees with the health table. The reader
 * limits the VIPs that a service leads to (MAX_INNER_VIPS), and so the work of these functions.
 */
import { holdSecondsOf, isAvailable, isForcedOut, stateAt, weightAt, withheldAt } from '../health/health-table.ts';
import { DEGREE, type Steerer } from './decision.ts';
import { HAS, otherBit, otherType, REGION, regionWord, SERVICE, serviceWord, TRAIT, VIP, vipWord, type SteeringPlan } from './plan.ts'; // prettier-ignore

/** In place of a HAS bit: whatever types it has. */
export const EVERY_TYPE = -1;

/** The number of the service that a VIP leads to; -1 if it has records itself. */
export function innerOf({ vips }: SteeringPlan, slot: number): number {
  return vipWord(vips, slot, VIP.INNER);
}

/** The HAS bit of an inner service for the type of a HAS bit of the service that leads to it. */
export function innerBit(plan: SteeringPlan, service: number, has: number, inner: number): number {
  return has < HAS.FIRST_OTHER ? has : otherBit(plan, inner, otherType(plan, service, has));
}

/** Whether a VIP counts for a degree (DEGREE): by its own state and, if it is a service, by the states of its VIPs. */
export function counts(steerer: Steerer, service: number, slot: number, has: number, degree: number): boolean {
  const word = stateAt(steerer.health, slot);
  if (degree === DEGREE.AVAILABLE ? !isAvailable(word) : degree === DEGREE.NOT_FORCED && isForcedOut(word))
    return false;
  return innerCounts(steerer, service, slot, has, degree);
}

/** Whether the service that a VIP leads to has a VIP that counts for a degree. True for a VIP with records. */
export function innerCounts(steerer: Steerer, service: number, slot: number, has: number, degree: number): boolean {
  const inner = innerOf(steerer.plan, slot);
  return inner < 0 || canServe(steerer, inner, innerBit(steerer.plan, service, has, inner), degree);
}

/**
 * Whether a service has a VIP with the type that counts for a degree, in a region with at least its `min_healthy` up.
 */
function canServe(steerer: Steerer, service: number, has: number, degree: number): boolean {
  const { services, vips } = steerer.plan;
  const firstSlot = serviceWord(services, service, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(services, service, SERVICE.VIP_COUNT);
  const weighs =
    degree === DEGREE.AVAILABLE && (serviceWord(services, service, SERVICE.HAS) & TRAIT.WEIGHS_REGIONS) !== 0;
  let heldBack = -1;
  for (let slot = firstSlot; slot < end; slot++) {
    const region = vipWord(vips, slot, VIP.REGION);
    if ((vipWord(vips, slot, VIP.HAS) & has) === 0 || region === heldBack) continue;
    if (!counts(steerer, service, slot, has, degree)) continue;
    if (!weighs || isRegionUp(steerer, service, region)) return true;
    heldBack = region;
  }
  return false;
}

/** `candidates.ts` weighs all regions of the service that decides; this weighs one of an inner service. */
function isRegionUp(steerer: Steerer, service: number, region: number): boolean {
  const { plan } = steerer;
  const row = serviceWord(plan.services, service, SERVICE.FIRST_REGION) + region;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  let up = 0;
  let all = 0;
  for (let vip = regionWord(plan.regions, row, REGION.FIRST_VIP); vip >= 0;) {
    const slot = firstSlot + vip;
    const weight = regionWeightOf(steerer, slot);
    all += weight;
    if (counts(steerer, service, slot, EVERY_TYPE, DEGREE.AVAILABLE)) up += weight;
    vip = vipWord(plan.vips, slot, VIP.NEXT);
  }
  return isEnough(regionWord(plan.regions, row, REGION.MIN_HEALTHY_MILLIONTHS), up, all);
}

/**
 * What a VIP adds to the weight of its region: its full weight, even in a ramp, and a millionth, so that the number of
 * VIPs decides only if all weights are 0.
 */
export function regionWeightOf({ health }: Steerer, slot: number): number {
  return weightAt(health, slot) + withheldAt(health, slot) + 1e-6;
}

/** Whether `up` of the weight `all` of a region is at least its `min_healthy`, in millionths. */
export function isEnough(leastMillionths: number, up: number, all: number): boolean {
  const least = leastMillionths / 1e6;
  // Weights are whole numbers, so the fraction is the number of VIPs, which counts only if all weights are 0. The
  // tolerance is for rounded shares: 1 of 3 equal weights is 33.3333 %.
  if (all >= 1) return Math.floor(up) >= (least - 1e-6) * Math.floor(all);
  return up >= (least - 1e-6) * all;
}

/** Whether a VIP is drained or forced down, or leads to a service of which all VIPs are. */
export function isOut(steerer: Steerer, slot: number): boolean {
  const { plan, health } = steerer;
  if (isForcedOut(stateAt(health, slot))) return true;
  const inner = innerOf(plan, slot);
  if (inner < 0) return false;
  const firstSlot = serviceWord(plan.services, inner, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(plan.services, inner, SERVICE.VIP_COUNT);
  for (let each = firstSlot; each < end; each++) if (!isOut(steerer, each)) return false;
  return true;
}

/** Seconds for which no VIP of the service that has the type can change state (docs/steering.md#ttl). */
export function serviceHoldSeconds(steerer: Steerer, service: number, has: number): number {
  const { plan, health } = steerer;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  let least = 0x7fff_ffff;
  for (let slot = firstSlot; slot < end; slot++) {
    if ((vipWord(plan.vips, slot, VIP.HAS) & has) === 0) continue;
    least = Math.min(least, holdSecondsOf(stateAt(health, slot)));
    const inner = innerOf(plan, slot);
    if (inner < 0) continue;
    least = Math.min(least, serviceHoldSeconds(steerer, inner, innerBit(plan, service, has, inner)));
  }
  return least;
}
