/**
 * A decision from start to end (docs/steering.md): candidates, steps, `when_all_down`, TTL and scope. Packets, explain
 * and simulate all use this code.
 */
import { lookupOutcome } from '../geo/find-class.ts';
import { hasTrait, serviceHoldSeconds, isPartlyForcedOut, startCandidates, takeShortcut } from './candidates.ts';
import { DEGREE, RESULT, type Steerer } from './decision.ts';
import { ALL_DOWN, mapOf, SERVICE, TRAIT, type SteeringPlan, serviceWord, orderingWord } from './plan.ts';
import { runSteps, shortcutThrough, sticksTo } from './program.ts';
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
  return (map !== undefined && map.orderingAt.length > map.steps) || sticksTo(plan.services, service, has);
}

/**
 * Makes the decision. `has` is the HAS bit of the type of the query; `located` is the result of `locate`. Fills
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
    if (decision.count > 0) decision.result = RESULT.VIPS;
    else if (allDown === ALL_DOWN.STATIC) decision.result = RESULT.STATIC;
    else if (allDown === ALL_DOWN.NONE || degree === DEGREE.ALL) decision.result = RESULT.EMPTY;
    // An operator wants no clients at a drained VIP: it is served only if all VIPs of the service are forced out.
    else if (degree === DEGREE.NOT_FORCED && isPartlyForcedOut(steerer, service)) decision.result = RESULT.EMPTY;
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

function ttlOf(steerer: Steerer, service: number, has: number): number {
  const min = serviceWord(steerer.plan.services, service, SERVICE.TTL_MIN);
  const max = serviceWord(steerer.plan.services, service, SERVICE.TTL_MAX);
  if (min === max) return min;
  return Math.max(min, Math.min(max, serviceHoldSeconds(steerer, service, has)));
}
