/**
 * The share of clients that each VIP gets. `steer` makes the decision; if the order is random, the probabilities
 * replace the draw.
 */
import { weightAt } from '../../health/health-table.ts';
import { hasTrait } from '../../steering/candidates.ts';
import { steer } from '../../steering/chain.ts';
import { DEGREE, RESULT, type Steerer } from '../../steering/decision.ts';
import { innerOf } from '../../steering/inner.ts';
import { HAS, mapOf, SERVICE, staticRrset, TRAIT, serviceWord } from '../../steering/plan.ts';
import { isPressed } from '../../steering/shed.ts';
import { traitsOf } from '../../steering/steps.ts';
import { MAX_VIPS } from '../../wire/limits.ts';
import type { ForecastGeneration } from '../../zones/packed-generation.ts';
import { createAnswererState } from '../answer/answerer.ts';
import { numberAt } from './numbers.ts';
import { countEach, createSample } from './sample-networks.ts';

/** A generation in a state of health. */
export type Side = {
  readonly generation: ForecastGeneration;
  /** Leaves every VIP that may be in the answer, not only the first `answers`. */
  readonly steerer: Steerer;
  /** By service: the number of VIPs in an answer. */
  readonly answers: readonly number[];
  /** By service: whether a step orders the VIPs by weight. Later steps narrow the choice and keep the order. */
  readonly weighs: readonly boolean[];
};

/** One service on one side, for one record type. `has` is the HAS bit of the type. */
export type Seat = { readonly side: Side; readonly service: number; readonly has: number };

/** Not VIPs: no data, and the static answer of `when_all_down`. */
export const LANDING = { NODATA: -1, STATIC: -2 } as const;

/** Where clients of one outcome land. */
export type Landing = {
  /** Local numbers of VIPs, or LANDING; the shares add up to 1. */
  readonly shares: readonly { readonly vip: number; readonly share: number }[];
  /** No candidate was left for them: `when_all_down` decided. */
  readonly stranded: boolean;
};

/** `health` is a health table for the generation's slots (health/health-table.ts). */
export function createSide(generation: ForecastGeneration, health: SharedArrayBuffer): Side {
  const { image, atlas, catalog } = generation;
  const none = new Uint8Array(0);
  // The order of a draw is never read, so the seed does not matter.
  const { steerer } = createAnswererState({ image, atlas, health, served: [], nsid: none, version: none }, 0, 1);
  const services = steerer.plan.services.slice();
  const answers = catalog.services.map((_, service) => serviceWord(services, service, SERVICE.ANSWERS));
  catalog.services.forEach((_, service) => (services[service * SERVICE.WORDS + SERVICE.ANSWERS] = MAX_VIPS));
  const weighs = catalog.services.map(({ steps }) => steps.some((step) => traitsOf(step).weighs !== undefined));
  return { generation, steerer: { ...steerer, plan: { ...steerer.plan, services }, keepsAll: true }, answers, weighs };
}

/** The outcome of a class of the atlas for a service's answers of one HAS bit; 0 if no step depends on the place. */
export function outcomeOf({ steerer }: Side, service: number, has: number, cls: number): number {
  return mapOf(steerer.plan, service, has)?.outcomes[cls] ?? 0;
}

const ANY_CLIENT = new Uint8Array(16);

/**
 * Number of clients, each with a different network, for which decisions are made if VIPs shed: the candidates then
 * depend on the client.
 */
export const SAMPLED_CLIENTS = 4096;
/** The most decisions per outcome: if there are more kinds of clients, only this many clients are sampled. */
const MAX_KINDS = 1024;

/**
 * Where clients of an outcome land, with the pressures that the side's health table has at the first call. `has` is the
 * HAS bit of the type of the query.
 */
export function createLandings(side: Side, service: number, has: number): (outcome: number) => Landing {
  const known = new Map<number, Landing>();
  let shares: readonly (readonly [client: Uint8Array, share: number])[] | undefined;
  return (outcome) => {
    shares ??= sharesByClient(side, service);
    const landing = known.get(outcome) ?? landingOfAll(side, service, has, outcome, shares);
    known.set(outcome, landing);
    return landing;
  };
}

/** Clients that represent all: one, or, if VIPs shed, one per kind. */
function sharesByClient(side: Side, service: number): [client: Uint8Array, share: number][] {
  const { services } = side.steerer.plan;
  const sheds = hasTrait(services, service, TRAIT.SHEDS) && isPressed(side.steerer, service);
  if (!sheds) return [[ANY_CLIENT, 1]];
  const { kinds, clients } = createSample(side.steerer, service, SAMPLED_CLIENTS).sort(MAX_KINDS);
  const counts = countEach(kinds);
  return [...clients].map(([kind, client]) => [client, (counts.get(kind) ?? 0) / kinds.length]);
}

function landingOfAll(
  side: Side,
  service: number,
  has: number,
  outcome: number,
  clients: readonly (readonly [client: Uint8Array, share: number])[],
): Landing {
  const shares = new Map<number, number>();
  let stranded = false;
  for (const [client, part] of clients) {
    const landing = landingOf(side, service, has, outcome, client);
    stranded ||= landing.stranded;
    for (const { vip, share } of landing.shares) shares.set(vip, (shares.get(vip) ?? 0) + share * part);
  }
  return { shares: [...shares].map(([vip, share]) => ({ vip, share })), stranded };
}

/** Where this client lands, and with it all clients of the same outcome and kind (sample-networks.ts). */
export function landingOf(
  { steerer, answers, weighs }: Side,
  service: number,
  has: number,
  outcome: number,
  client: Uint8Array,
): Landing {
  const { plan, health, decision } = steerer;
  // The VIPs that are left depend on the outcome, and on the address only because of shedding. `sticky` only orders
  // them.
  steer(steerer, service, has, outcome << 8, client, 32);
  const stranded = decision.degree !== DEGREE.AVAILABLE || decision.result !== RESULT.VIPS;
  if (decision.result !== RESULT.VIPS) {
    const isStatic = decision.result === RESULT.STATIC && hasStatic(steerer, service, has);
    return { shares: [{ vip: isStatic ? LANDING.STATIC : LANDING.NODATA, share: 1 }], stranded };
  }
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const left = [...decision.candidates.subarray(0, decision.count)];
  const isInner = (vip: number): boolean => innerOf(plan, firstSlot + vip) >= 0;
  const withRecords = left.filter((vip) => !isInner(vip));
  // RFC 2181 10.1: a name has one CNAME.
  const served = Math.min(has === HAS.CNAME ? 1 : (answers[service] ?? 1), withRecords.length);
  if (!(weighs[service] ?? false)) {
    const first = left.slice(0, 1);
    const chosen = first.some(isInner) ? first : withRecords.slice(0, served);
    return { shares: chosen.map((vip) => ({ vip, share: 1 / chosen.length })), stranded };
  }
  const real = left.map((vip) => weightAt(health, firstSlot + vip));
  // If only standbys are left, they have equal chances.
  const weights = real.every((weight) => weight === 0) ? real.map(() => 1) : real;
  // The first VIP decides whether the answer has records of several. Which of these are in it does not depend on that.
  const firsts = shareOfFirst(weights, 1);
  const ofRecords = firsts.reduce((sum, share, index) => sum + (isInner(left[index] ?? 0) ? 0 : share), 0);
  const chances = shareOfFirst(weights.filter((_, index) => !isInner(left[index] ?? 0)), served); // prettier-ignore
  const shares = new Map(withRecords.map((vip, index) => [vip, ofRecords * numberAt(chances, index)]));
  return { shares: left.map((vip, index) => ({ vip, share: shares.get(vip) ?? numberAt(firsts, index) })), stranded };
}

/** Whether the static answer of `when_all_down` has the type, or a CNAME, which answers every type. */
export function hasStatic({ plan }: Steerer, service: number, has: number): boolean {
  return staticRrset(plan, service, has) >= 0 || serviceWord(plan.services, service, SERVICE.STATIC_CNAME) >= 0;
}

/**
 * The probability that each VIP is among the first `places`, divided by `places`, because a client uses any address of
 * its answer. Weights are above 0. Weighted draws without replacement, and rendezvous hashing too, are a race in which
 * runner i needs an exponential time with rate `weights[i]`. The result is the integral, over the time of i, of the
 * probability that fewer than `places` others were faster.
 */
export function shareOfFirst(weights: readonly number[], places: number): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (places >= weights.length) return weights.map(() => 1 / weights.length);
  if (places === 1) return weights.map((weight) => weight / total);
  const chances = weights.map((own, index) => {
    let chance = 0;
    for (const { weight, logRest } of NODES) {
      const others = weights.flatMap((other, at) => (at === index ? [] : [-Math.expm1((other / own) * logRest)]));
      chance += weight * fewerThan(places, others);
    }
    return chance;
  });
  const sum = chances.reduce((a, b) => a + b, 0);
  return chances.map((chance) => chance / sum);
}

/** The probability that fewer than `places` of independent events happen. */
function fewerThan(places: number, chances: readonly number[]): number {
  // Indexed by the number of events that have happened, up to places - 1; higher numbers are left out.
  const counts = new Float64Array(places);
  counts.fill(1, 0, 1);
  for (const chance of chances) {
    for (let count = places - 1; count > 0; count--) {
      counts[count] = numberAt(counts, count) * (1 - chance) + numberAt(counts, count - 1) * chance;
    }
    counts[0] = numberAt(counts, 0) * (1 - chance);
  }
  return counts.reduce((a, b) => a + b, 0);
}

/**
 * Nodes x of tanh-sinh quadrature over (0, 1) (H. Takahasi, M. Mori, 1974), as log(1 - x). They are dense at
 * both ends, where the integrand changes fast if weights differ by factors of thousands.
 */
const NODES = createNodes(1 / 16, 4);

function createNodes(step: number, reach: number): { readonly weight: number; readonly logRest: number }[] {
  return Array.from({ length: Math.round((2 * reach) / step) + 1 }, (_, index) => {
    const t = index * step - reach;
    const s = (Math.PI / 2) * Math.sinh(t);
    const weight = (step * (Math.PI / 4) * Math.cosh(t)) / Math.cosh(s) ** 2;
    return { weight, logRest: -Math.log1p(Math.exp(2 * s)) };
  });
}
