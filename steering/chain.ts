/**
 * A decision from start to end (SPEC 4): candidates, steps, what is left when none is, TTL and scope. Packets,
 * explain and simulate all come through here.
 */
import { lookupOutcome } from '../geo/find-class.ts';
import { hasTrait, serviceHoldSeconds, isPartlyForcedOut, startCandidates, takeShortcut } from './candidates.ts';
import { DEGREE, RESULT, type Steerer } from './decision.ts';
import { keepFirstGroup } from './ordering.ts';
import { ALL_DOWN, HAS, mapOf, OP, SERVICE, TRAIT, type SteeringPlan } from './plan.ts';
import { keepWithin, shedLimitOf } from './shed.ts';
import { orderSticky } from './sticky.ts';
import { drawWeighted, dropStandby } from './weighted.ts';

/**
 * The outcome that the client's place has for a service's answers of one HAS bit, and its scope: outcome × 256 + scope
 * bits. 0 where no step depends on the place. `client` has the address in network order, `bits` is 32 or 128.
 */
export function locate({ plan }: Steerer, service: number, has: number, client: Uint8Array, bits: number): number {
  const map = mapOf(plan, service * SERVICE.WORDS, has);
  if (map === undefined) return 0;
  return lookupOutcome(plan.atlas.nodes, map.starts, map.outcomes, map.mixed, client, 0, bits);
}

/** Whether answers of this HAS bit can differ between two clients, whichever family their addresses have. */
export function dependsOnClient(plan: SteeringPlan, service: number, has: number): boolean {
  const row = service * SERVICE.WORDS;
  const map = mapOf(plan, row, has);
  return (map !== undefined && map.orderingAt.length > map.steps) || sticksTo(plan.services, row, has);
}

/**
 * Decides. `has` is the HAS bit of the type asked for, `located` what `locate` said. Fills `steerer.decision`;
 * `result` says how to read it.
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
  const row = service * SERVICE.WORDS;
  decision.scopeBits = located & 0xff;
  decision.ttlSeconds = ttlOf(steerer, service, has);
  decision.shedLimit = hasTrait(plan.services, row, TRAIT.SHEDS)
    ? shedLimitOf(steerer, service, has, located, client, bits)
    : -1;
  for (let degree: number = DEGREE.AVAILABLE; ; degree++) {
    decision.degree = degree;
    const shortcut = shortcutOf(steerer, service, has, located);
    decision.count = 0;
    if (shortcut >= 0 && takeShortcut(steerer, service, has, shortcut)) {
      runSteps(steerer, service, has, plan.orderings[shortcut] ?? 0, located, client, bits, false);
    }
    if (decision.count === 0) runAll(steerer, service, has, located, client, bits, false);
    // The steps may leave nobody but standbys to this client, at a fence for one.
    if (decision.count === 0 && decision.heldBack > 0) runAll(steerer, service, has, located, client, bits, true);
    const allDown = plan.services[row + SERVICE.ALL_DOWN] ?? 0;
    if (decision.count > 0) decision.result = RESULT.VIPS;
    else if (allDown === ALL_DOWN.STATIC) decision.result = RESULT.STATIC;
    else if (allDown === ALL_DOWN.NONE || degree === DEGREE.ALL) decision.result = RESULT.EMPTY;
    // Who took a VIP out wants no client there: it comes back only where that would take the whole service away.
    else if (degree === DEGREE.NOT_FORCED && isPartlyForcedOut(steerer, service)) decision.result = RESULT.EMPTY;
    else continue;
    observer?.(service, -2, decision);
    return;
  }
}

/** Offset of the shortcut through the first steps, -1 where there is none for this decision. */
function shortcutOf({ plan, decision, observer }: Steerer, service: number, has: number, located: number): number {
  // Explain wants to see every candidate; with availability overlooked, speed no longer matters.
  if (observer !== undefined || decision.degree !== DEGREE.AVAILABLE || decision.shedLimit >= 0) return -1;
  const row = service * SERVICE.WORDS;
  if (plan.services[row + SERVICE.STEP_COUNT] === 0) return -1;
  const at = (plan.services[row + SERVICE.FIRST_STEP] ?? 0) * OP.WORDS;
  const op = plan.program[at];
  if (op === OP.FAILOVER) return plan.program[at + 2] ?? -1;
  return (op === OP.PLACE ? mapOf(plan, row, has) : undefined)?.shortcutAt[located >> 8] ?? -1;
}

/** From all candidates of `decision.degree` to what the steps leave. */
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

/** From the candidates to what the steps leave, of which the first `from` are done. */
function runSteps(
  steerer: Steerer,
  service: number,
  has: number,
  from: number,
  located: number,
  client: Uint8Array,
  bits: number,
  withStandbys: boolean,
): void {
  const { plan, decision, observer } = steerer;
  const outcome = located >> 8;
  const row = service * SERVICE.WORDS;
  const firstSlot = plan.services[row + SERVICE.FIRST_SLOT] ?? 0;
  const answers = plan.services[row + SERVICE.ANSWERS] ?? 1;
  const firstStep = plan.services[row + SERVICE.FIRST_STEP] ?? 0;
  const stepCount = plan.services[row + SERVICE.STEP_COUNT] ?? 0;
  const map = mapOf(plan, row, has);
  for (let step = from; step < stepCount && decision.count > 0; step++) {
    const at = (firstStep + step) * OP.WORDS;
    const argument = plan.program[at + 1] ?? 0;
    switch (plan.program[at]) {
      case OP.PLACE:
        if (map) keepFirstGroup(steerer, firstSlot, map.orderingAt[outcome * map.steps + argument] ?? 0);
        break;
      case OP.FAILOVER:
        keepFirstGroup(steerer, firstSlot, argument);
        break;
      case OP.WEIGHTED:
        if (withStandbys) dropStandby(steerer, firstSlot);
        // Nobody looks at the order behind the answers once this is the last step.
        drawWeighted(steerer, firstSlot, step === stepCount - 1 ? answers : decision.count);
        break;
      case OP.STICKY: {
        if (withStandbys) dropStandby(steerer, firstSlot);
        const prefixBits = bits === 32 ? argument : (plan.program[at + 2] ?? 0);
        // Explain shows all of the order; packets need what they serve.
        const isLast = step === stepCount - 1 && observer === undefined;
        orderSticky(steerer, firstSlot, client, prefixBits, isLast ? answers : decision.count);
        if (prefixBits > decision.scopeBits && sticksTo(plan.services, row, has)) decision.scopeBits = prefixBits;
        break;
      }
      case OP.ALL:
      case undefined:
        break;
    }
    observer?.(service, step, decision);
  }
  // Without them from the start, none can have come in.
  if (withStandbys) dropStandby(steerer, firstSlot);
  if (decision.count > answers) decision.count = answers;
}

/** Whether the client's network can decide which VIP is first in answers of this HAS bit. */
function sticksTo(services: Int32Array, row: number, has: number): boolean {
  return hasTrait(services, row, has === HAS.AAAA ? TRAIT.STICKS_AAAA : TRAIT.STICKS);
}

function ttlOf(steerer: Steerer, service: number, has: number): number {
  const row = service * SERVICE.WORDS;
  const min = steerer.plan.services[row + SERVICE.TTL_MIN] ?? 0;
  const max = steerer.plan.services[row + SERVICE.TTL_MAX] ?? 0;
  if (min === max) return min;
  return Math.max(min, Math.min(max, serviceHoldSeconds(steerer, service, has)));
}
