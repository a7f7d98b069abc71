/**
 * A decision from start to end (docs/steering.md): candidates, steps, `when_all_down`, TTL and scope. Packets, explain
 * and simulate all use this code.
 */
import { lookupOutcome } from '../geo/find-class.ts';
import { arePartlyForcedOut, hasTrait, keepAnswer, startCandidates, takeShortcut } from './candidates.ts';
import { candidateAt, DEGREE, RESULT, type Steerer } from './decision.ts';
import { innerBit, innerOf, serviceHoldSeconds } from './inner.ts';
import { ALL_DOWN, mapOf, SERVICE, TRAIT, type SteeringPlan, serviceWord, orderingWord, VIP, vipWord } from './plan.ts';
import { hasNoAnswer, runSteps, shortcutThrough, sticksTo } from './program.ts';
import { keepWithin, shedLimitOf } from './shed.ts';

/**
 * The outcome of the client's place for a service's answers of one HAS bit, and its scope: outcome × 256 + scope bits.
 * 0 if no step depends on the place. `client` is the address in network order; `bits` is 32 or 128.
 */
export function locate({ plan }: Steerer, service: number, has: number, client: Uint8Array, bits: number): number {
  const map = mapOf(plan, service, has);
  if (map === undefined) return 0;
  return lookupOutcome(plan.atlas.nodes, map.starts, map.outcomes, map.mixed, client, 0, bits);
}

/** Whether answers of this HAS bit can differ between two clients of any address family. */
export function dependsOnClient(plan: SteeringPlan, service: number, has: number): boolean {
  const map = mapOf(plan, service, has);
  if ((map !== undefined && map.orderingAt.length > map.steps) || sticksTo(plan, service, has)) return true;
  if (!hasTrait(plan.services, service, TRAIT.NESTS)) return false;
  const first = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const end = first + serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  for (let slot = first; slot < end; slot++) {
    if ((vipWord(plan.vips, slot, VIP.HAS) & has) === 0) continue;
    const inner = innerOf(plan, slot);
    if (inner >= 0 && dependsOnClient(plan, inner, innerBit(plan, service, has, inner))) return true;
  }
  return false;
}

/**
 * Makes the decision, and where it chooses a VIP that is a service, the decision of that service. `has` is the HAS bit
 * of the type of the query; `located` is the result of `locate`. Fills
 * `steerer.decision`, whose `result` says how to read it.
 */
export function steer(
  steerer: Steerer,
  service: number,
  has: number,
  located: number,
  client: Uint8Array,
  bits: number,
): void {
  const { plan, decision } = steerer;
  decision.service = service;
  decision.has = has;
  decision.depth = 0;
  choose(steerer, service, has, located, client, bits);
  if (hasTrait(plan.services, service, TRAIT.NESTS) && steerer.keepsAll !== true) enter(steerer, client, bits);
}

/** Follows VIPs that are services, up to one with records. The lowest TTL and the longest scope on the way count. */
function enter(steerer: Steerer, client: Uint8Array, bits: number): void {
  const { plan, decision } = steerer;
  let { ttlSeconds, scopeBits } = decision;
  while (decision.result === RESULT.VIPS) {
    const slot = serviceWord(plan.services, decision.service, SERVICE.FIRST_SLOT) + candidateAt(decision.candidates, 0);
    const inner = innerOf(plan, slot);
    if (inner < 0) break;
    decision.way[decision.depth++] = slot;
    const has = innerBit(plan, decision.service, decision.has, inner);
    decision.service = inner;
    decision.has = has;
    choose(steerer, inner, has, locate(steerer, inner, has, client, bits), client, bits);
    ttlSeconds = Math.min(ttlSeconds, decision.ttlSeconds);
    scopeBits = Math.max(scopeBits, decision.scopeBits);
  }
  decision.ttlSeconds = ttlSeconds;
  decision.scopeBits = scopeBits;
}

/** Makes the decision of one service. */
function choose(
  steerer: Steerer,
  service: number,
  has: number,
  located: number,
  client: Uint8Array,
  bits: number,
): void {
  const { plan, decision, observer } = steerer;
  decision.scopeBits = located & 0xff;
  decision.ttlSeconds = ttlOf(steerer, service, has);
  decision.shedLimit = hasTrait(plan.services, service, TRAIT.SHEDS)
    ? shedLimitOf(steerer, service, has, located, client, bits)
    : -1;
  for (let degree: number = DEGREE.AVAILABLE; ; degree++) {
    decision.degree = degree;
    const shortcut = shortcutOf(steerer, service, has, located);
    decision.count = 0;
    if (shortcut >= 0 && takeShortcut(steerer, service, has, shortcut)) {
      runSteps(steerer, service, has, orderingWord(plan.orderings, shortcut), located, client, bits, false);
    }
    if (decision.count === 0) runAll(steerer, service, has, located, client, bits, false);
    // The steps may lead this client to standbys alone, for example because of a fence.
    if (decision.count === 0 && decision.heldBack > 0) runAll(steerer, service, has, located, client, bits, true);
    const allDown = serviceWord(plan.services, service, SERVICE.ALL_DOWN);
    if (decision.count > 0) {
      decision.result = RESULT.VIPS;
      if (hasTrait(plan.services, service, TRAIT.NESTS) && steerer.keepsAll !== true) keepAnswer(steerer, service);
      if (decision.keyTtlSeconds >= 0) decision.ttlSeconds = ttlWithKey(steerer, service, has);
    } else if (hasNoAnswer(plan, service, has, located)) decision.result = RESULT.EMPTY;
    else if (allDown === ALL_DOWN.STATIC) decision.result = RESULT.STATIC;
    else if (allDown === ALL_DOWN.NONE || degree === DEGREE.ALL) decision.result = RESULT.EMPTY;
    // An operator wants no clients at a drained VIP: it is served only if all VIPs of the service are forced out.
    else if (degree === DEGREE.NOT_FORCED && arePartlyForcedOut(steerer, service, has)) decision.result = RESULT.EMPTY;
    else continue;
    observer?.(service, -2, decision);
    return;
  }
}

/** Offset of the shortcut through the first steps; -1 if this decision has none. */
function shortcutOf({ plan, decision, observer }: Steerer, service: number, has: number, located: number): number {
  // Explain shows every candidate. Weaker degrees of availability are rare, so their speed does not matter.
  if (observer !== undefined || decision.degree !== DEGREE.AVAILABLE || decision.shedLimit >= 0) return -1;
  return shortcutThrough(plan, service, has, located);
}

/** Starts with all candidates of `decision.degree` and runs the steps. */
function runAll(
  steerer: Steerer,
  service: number,
  has: number,
  located: number,
  client: Uint8Array,
  bits: number,
  withStandbys: boolean,
): void {
  const { decision, observer } = steerer;
  startCandidates(steerer, service, has, decision.degree, withStandbys);
  if (decision.shedLimit >= 0) keepWithin(steerer, service, client, bits, decision.shedLimit);
  observer?.(service, -1, decision);
  runSteps(steerer, service, has, 0, located, client, bits, withStandbys);
}

/** The TTL of the key takes the place of a fixed TTL, and of the maximum of a range. */
function ttlWithKey(steerer: Steerer, service: number, has: number): number {
  const { keyTtlSeconds } = steerer.decision;
  const min = serviceWord(steerer.plan.services, service, SERVICE.TTL_MIN);
  if (min === serviceWord(steerer.plan.services, service, SERVICE.TTL_MAX)) return keyTtlSeconds;
  return Math.min(keyTtlSeconds, Math.max(min, serviceHoldSeconds(steerer, service, has)));
}

function ttlOf(steerer: Steerer, service: number, has: number): number {
  const min = serviceWord(steerer.plan.services, service, SERVICE.TTL_MIN);
  const max = serviceWord(steerer.plan.services, service, SERVICE.TTL_MAX);
  if (min === max) return min;
  return Math.max(min, Math.min(max, serviceHoldSeconds(steerer, service, has)));
}
