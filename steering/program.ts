/**
 * The steps of services as the packet path runs them: the layout of the table `program` (plan.ts), and the code that
 * runs a service's rows. Steps that prefer regions or VIPs share PLACE and FIXED; each other step has its OP. steps.ts
 * defines the row of each step.
 */
import { MAX_VIPS } from '../wire/limits.ts';
import { hasTrait } from './candidates.ts';
import { candidateAt, type Steerer } from './decision.ts';
import { givesNoAnswer, keepFirstGroup, ttlInOrdering } from './ordering.ts';
import { HAS, mapOf, OTHER, otherColumn, SERVICE, TRAIT, type SteeringPlan, serviceWord } from './plan.ts';
import { orderSticky } from './sticky-step.ts';
import { drawWeighted, dropStandby } from './weighted-step.ts';

export const OP = {
  /** Keep the first group of the ordering that the client's place gives; arguments: which of its map's orderings, and 1
   * if these have TTLs. */
  PLACE: 0,
  /** Keep the first group of an ordering that is the same for all clients; arguments: its offset, and that of its
   * shortcut or -1. */
  FIXED: 1,
  WEIGHTED: 2,
  /** Arguments: prefix bits of IPv4 and IPv6 clients. */
  STICKY: 3,
  ALL: 4,
  WORDS: 3,
} as const;

export type Op = (typeof OP)[Exclude<keyof typeof OP, 'WORDS'>];

/** A row of `program`: its OP and two arguments. */
export type ProgramRow = readonly [op: Op, argument: number, argument2: number];

/** The OP of a row; undefined after the last. */
function opOf({ program }: SteeringPlan, row: number): Op | undefined {
  return program[row * OP.WORDS] as Op | undefined;
}

/** Runs the steps on the candidates, except the first `from`, which are done. */
export function runSteps(
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
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  // Which VIPs an answer has is decided afterwards if some of them are services (keepAnswer).
  const nests = hasTrait(plan.services, service, TRAIT.NESTS);
  const answers = nests ? MAX_VIPS : serviceWord(plan.services, service, SERVICE.ANSWERS);
  const firstStep = serviceWord(plan.services, service, SERVICE.FIRST_STEP);
  const stepCount = serviceWord(plan.services, service, SERVICE.STEP_COUNT);
  const map = mapOf(plan, service, has);
  decision.keyTtlSeconds = -1;
  for (let step = from; step < stepCount && decision.count > 0; step++) {
    const at = (firstStep + step) * OP.WORDS;
    const argument = plan.program[at + 1] ?? 0;
    switch (opOf(plan, firstStep + step)) {
      case OP.PLACE:
        if (map) {
          const ordering = map.orderingAt[outcome * map.steps + argument] ?? 0;
          keepFirstGroup(steerer, firstSlot, ordering);
          if (plan.program[at + 2] === 1 && decision.count > 0) takeTtl(steerer, firstSlot, ordering);
        }
        break;
      case OP.FIXED:
        keepFirstGroup(steerer, firstSlot, argument);
        break;
      case OP.WEIGHTED:
        if (withStandbys) dropStandby(steerer, firstSlot);
        // After the last step, only the order of the VIPs in the answer matters.
        drawWeighted(steerer, firstSlot, step === stepCount - 1 ? answers : decision.count);
        break;
      case OP.STICKY: {
        if (withStandbys) dropStandby(steerer, firstSlot);
        const prefixBits = bits === 32 ? argument : (plan.program[at + 2] ?? 0);
        // Explain shows the whole order; packets need only the VIPs that they serve.
        const isLast = step === stepCount - 1 && observer === undefined;
        orderSticky(steerer, firstSlot, client, prefixBits, isLast ? answers : decision.count);
        if (prefixBits > decision.scopeBits && sticksTo(plan, service, has)) decision.scopeBits = prefixBits;
        break;
      }
      case OP.ALL:
      case undefined:
        break;
    }
    observer?.(service, step, decision);
  }
  // If the start left standbys out, no step can have added one.
  if (withStandbys) dropStandby(steerer, firstSlot);
  if (decision.count > answers) decision.count = answers;
}

/** Takes the TTL that the ordering gives for the candidates, if it is smaller than that of an earlier step. */
function takeTtl({ plan, decision }: Steerer, firstSlot: number, ordering: number): void {
  const ttl = ttlInOrdering(plan, firstSlot, ordering, candidateAt(decision.candidates, 0));
  if (ttl >= 0 && (decision.keyTtlSeconds < 0 || ttl < decision.keyTtlSeconds)) decision.keyTtlSeconds = ttl;
}

/** Whether a step gives clients of this outcome no answer, whatever is up. */
export function hasNoAnswer(plan: SteeringPlan, service: number, has: number, located: number): boolean {
  const map = mapOf(plan, service, has);
  if (map === undefined) return false;
  const first = (located >> 8) * map.steps;
  for (let step = 0; step < map.steps; step++) {
    if (givesNoAnswer(plan, map.orderingAt[first + step] ?? 0)) return true;
  }
  return false;
}

/** Whether the client's network can decide which VIP is first in answers of this HAS bit. */
export function sticksTo(plan: SteeringPlan, service: number, has: number): boolean {
  if (has >= HAS.FIRST_OTHER) return otherColumn(plan, service, has, OTHER.STICKS) !== 0;
  return hasTrait(plan.services, service, has === HAS.AAAA ? TRAIT.STICKS_AAAA : TRAIT.STICKS);
}

/** Narrows the candidates to those that the steps leave, in any order. Steps that only order them are skipped. */
export function narrow(steerer: Steerer, service: number, has: number, located: number): void {
  const { plan } = steerer;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const first = serviceWord(plan.services, service, SERVICE.FIRST_STEP);
  const end = first + serviceWord(plan.services, service, SERVICE.STEP_COUNT);
  const map = mapOf(plan, service, has);
  for (let step = first; step < end; step++) {
    const argument = plan.program[step * OP.WORDS + 1] ?? 0;
    switch (opOf(plan, step)) {
      case OP.PLACE:
        if (map) keepFirstGroup(steerer, firstSlot, map.orderingAt[(located >> 8) * map.steps + argument] ?? 0);
        break;
      case OP.FIXED:
        keepFirstGroup(steerer, firstSlot, argument);
        break;
      case OP.WEIGHTED:
      case OP.STICKY:
      case OP.ALL:
      case undefined:
        break;
    }
  }
}

/** Offset of the shortcut (ordering.ts) through the first steps of a service; -1 if there is none. */
export function shortcutThrough(plan: SteeringPlan, service: number, has: number, located: number): number {
  if (serviceWord(plan.services, service, SERVICE.STEP_COUNT) === 0) return -1;
  const first = serviceWord(plan.services, service, SERVICE.FIRST_STEP);
  switch (opOf(plan, first)) {
    case OP.PLACE:
      return mapOf(plan, service, has)?.shortcutAt[located >> 8] ?? -1;
    case OP.FIXED:
      return plan.program[first * OP.WORDS + 2] ?? -1;
    case OP.WEIGHTED:
    case OP.STICKY:
    case OP.ALL:
    case undefined:
      return -1;
  }
}
