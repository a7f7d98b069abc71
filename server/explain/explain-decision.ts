/**
 * Explain: observes the decisions behind an answer and describes each. There are several if CNAMEs lead from one
 * service to the next.
 */
import type { Location } from '../../geo/location.ts';
import { FULL, stateAt, weightAt, withheldAt, pressureAt } from '../../health/health-table.ts';
import { weightUnit } from '../../health/ramp.ts';
import { regionShare } from '../../steering/candidates.ts';
import { DEGREE, RESULT, type Decision, type Steerer } from '../../steering/decision.ts';
import { innerCounts } from '../../steering/inner.ts';
import { HAS, SERVICE, VIP, serviceWord, vipWord } from '../../steering/plan.ts';
import { bearing, shedNetwork } from '../../steering/shed.ts';
import { traitsOf } from '../../steering/steps.ts';
import type { TraceCandidate, TraceClient, TraceDecision, TraceStep } from '../../steering/trace.ts';
import { typeText } from '../../wire/types.ts';
import type { ServiceInfo, VipInfo } from '../../zones/catalog.ts';
import { staticFor } from '../answer/answer-service.ts';
import type { Answerer } from '../answer/answer-state.ts';
import { vipData } from '../vip-data.ts';
import { localRegions, placeStepsFor, type ExplainedGeneration } from './explain-place.ts';
import { whyStep, placeWithheld } from './explain-step.ts';
import {
  describeCandidate,
  JOINS_REGION,
  SUPPOSED,
  whyAllDown,
  whyCut,
  whyScope,
  whyShed,
  whyStandby,
  whyTtl,
  type OperatorOrders,
  type Shares,
} from './explain-words.ts';

/** Facts about a VIP that the health table does not have. */
export type VipNews = {
  /** The reason of the last result, such as `HTTP 503 (expected 200-399)`. */
  readonly reasonOf: (vip: VipInfo) => string | undefined;
  /** Orders of operators and schedules. Without them, the table only shows that there is an override. */
  readonly ordersOf?: (vip: VipInfo) => OperatorOrders | undefined;
};

/** The client, read at each decision. */
export type Asker = {
  readonly source: () => TraceClient['source'];
  /** 4 or 16 octets: the client address that steering uses. */
  readonly address: () => Uint8Array;
  /** Its place; `address` is undefined if only a place was given. */
  readonly place: () => { readonly location: Location; readonly address: Uint8Array | undefined };
  /** Slots that are assumed down. */
  readonly down: ReadonlySet<number>;
};

/** `ttl` is undefined if the answer is negative: the TTL of the SOA applies. */
export type Heard = Omit<TraceDecision, 'ttl'> & { readonly ttl: TraceDecision['ttl'] | undefined };

/** The decisions that the answerer makes from now on, in order. Each decision is appended to the array. */
export function recordDecisions(
  generation: ExplainedGeneration,
  answerer: Answerer,
  asker: Asker,
  news: VipNews | undefined,
): readonly Heard[] {
  const { catalog } = generation;
  const { steerer } = answerer;
  const heard: Heard[] = [];
  let number = -1;
  let has = 0;
  let candidates: TraceCandidate[] = [];
  let steps: TraceStep[] = [];
  let placed: ReturnType<typeof placeStepsFor> | undefined;
  steerer.observer = (service, step, decision) => {
    const info = catalog.services[service];
    if (!info) return;
    const vips = catalog.vips.slice(info.firstSlot, info.firstSlot + info.vipCount);
    const kept = [...decision.candidates.subarray(0, decision.count)].flatMap((vip) => vips[vip] ?? []);
    if (step === -1) {
      const { location, address } = asker.place();
      placed = placeStepsFor(generation, info, location, address);
      steps = [];
      // The decision restarts with a weaker degree of availability; the states of its first start are shown.
      if (decision.degree !== DEGREE.AVAILABLE && number === service) return;
      number = service;
      ({ has } = decision);
      candidates = candidatesOf(generation, steerer, info, has, asker, news);
      return;
    }
    const spec = info.steps[step];
    if (step >= 0 && spec && placed) {
      const why = whyStep(spec, {
        kept,
        vips,
        regions: catalog.regions,
        localRegions: localRegions(generation, info),
        preferences: placed.steps.get(step)?.(placed.location),
        weightOf: (vip) => sharesOf(steerer, info, vip, asker.address()).now,
        client: asker.address(),
      });
      const measured = placed.measured.get(step);
      const whole = measured === undefined ? why : `${why}; ${measured}`;
      steps.push({ step: spec.kind, kept: kept.map((vip) => vip.name), why: whole });
      return;
    }
    // RFC 2181 10.1: a name has one CNAME.
    const served = kept.slice(0, has === HAS.CNAME ? 1 : kept.length).map((vip) => vip.name);
    const last = steps.at(-1);
    if (last && decision.result === RESULT.VIPS) {
      const cut = whyCut(info, last.kept.length, served.length, has === HAS.CNAME);
      if (cut !== '') steps[steps.length - 1] = { ...last, why: `${last.why}; ${cut}` };
    }
    const own = ttlOf(answerer, service, info, has, decision, vips);
    heard.push({
      service: info.name,
      candidates,
      steps,
      allDown: whyAllDown(
        decision,
        info,
        candidates.some(({ available }) => available),
        lacksStatic(answerer, service, has) ? typeText(answerer.query.type) : undefined,
        decision.result === RESULT.EMPTY ? withheldBy(info, placed) : undefined,
      ),
      vips: decision.result === RESULT.VIPS ? served : [],
      ttl: own && lowest(own, decision.depth > 0 ? heard.at(-1) : undefined),
      scope:
        decision.result === RESULT.EMPTY || (decision.result === RESULT.STATIC && lacksStatic(answerer, service, has))
          ? { bits: 0, why: 'a negative answer holds for all clients (RFC 7871 7.4)' }
          : scopeOf(info, decision, asker.source(), answerer),
    });
  };
  return heard;
}

/** The key by which clients of this place get no answer. */
function withheldBy({ steps }: ServiceInfo, placed: ReturnType<typeof placeStepsFor> | undefined): string | undefined {
  for (const [number, prefer] of placed?.steps ?? []) {
    const step = steps[number];
    const key = step && placed && placeWithheld(step, prefer(placed.location));
    if (key !== undefined) return key;
  }
  return undefined;
}

/** Whether the static answer (`when_all_down`) does not have the type of the query. */
function lacksStatic(answerer: Answerer, service: number, has: number): boolean {
  const { services } = answerer.steerer.plan;
  return serviceWord(services, service, SERVICE.STATIC_CNAME) < 0 && staticFor(answerer, service, has) < 0;
}

function ttlOf(
  answerer: Answerer,
  service: number,
  info: ServiceInfo,
  has: number,
  decision: Decision,
  vips: readonly VipInfo[],
): Heard['ttl'] {
  if (decision.result === RESULT.VIPS)
    return { seconds: decision.ttlSeconds, why: whyTtl(info, answerer.steerer, service, has, vips) };
  if (decision.result === RESULT.EMPTY || lacksStatic(answerer, service, has)) return undefined;
  const { minSeconds, maxSeconds } = info.ttl;
  return {
    seconds: minSeconds,
    why: minSeconds === maxSeconds ? FIXED_TTL : 'the minimum of the service (min): no VIP is served',
  };
}

/** The TTL of an inner service, which is not above that of the service that leads to it. */
function lowest(own: TraceDecision['ttl'], outer: Heard | undefined): TraceDecision['ttl'] {
  if (!outer?.ttl || outer.ttl.seconds >= own.seconds) return own;
  return { seconds: outer.ttl.seconds, why: `that of ${outer.service}, which is lower than ${own.seconds}` };
}

const FIXED_TTL = 'fixed in the zone file';

function scopeOf(
  info: ServiceInfo,
  decision: Decision,
  source: TraceClient['source'],
  { isSubnetSetAside, query }: Answerer,
): TraceDecision['scope'] {
  const asksForClient = info.steps.some((known) => {
    const { action, weighs } = traitsOf(known);
    return action.by === 'place' || weighs === 'by client';
  });
  const depends = asksForClient || decision.shedLimit >= 0;
  const bits = isSubnetSetAside && depends && source !== 'place' ? query.subnetBits : decision.scopeBits;
  return { bits, why: whyScope(decision.scopeBits, depends, source, isSubnetSetAside) };
}

/** The weight of a VIP, its effective weight, and whether it sheds this client. */
function sharesOf({ plan, health }: Steerer, info: ServiceInfo, { slot }: VipInfo, client: Uint8Array): Shares {
  const unit = weightUnit(info.rampMs);
  const counts = weightAt(health, slot);
  const full = counts + withheldAt(health, slot);
  const pressure = pressureAt(health, slot);
  return {
    weight: full / unit,
    now: counts / unit,
    ramp: full === 0 ? 1 : counts / full,
    shed: Math.min(1, pressure / FULL),
    refuses: pressure > bearing(plan, slot, shedNetwork(client, client.length * 8)),
  };
}

/** The VIPs that have the type, with their state at the start of the decision. */
function candidatesOf(
  { catalog }: ExplainedGeneration,
  steerer: Steerer,
  info: ServiceInfo,
  has: number,
  { address, down }: Asker,
  news: VipNews | undefined,
): TraceCandidate[] {
  const { plan, health, decision } = steerer;
  return catalog.vips.slice(info.firstSlot, info.firstSlot + info.vipCount).flatMap((vip) => {
    if ((vipWord(plan.vips, vip.slot, VIP.HAS) & has) === 0) return [];
    const shares = sharesOf(steerer, info, vip, address());
    const share = regionShare(decision, vipWord(plan.vips, vip.slot, VIP.REGION));
    const data = vipData(plan, vip, has) ?? '';
    const told = describeCandidate(vip, catalog.regions[vip.region], data, stateAt(health, vip.slot), shares, share, {
      reason: down.has(vip.slot) ? SUPPOSED : news?.reasonOf(vip),
      orders: news?.ordersOf?.(vip),
      isInnerUp: innerCounts(steerer, vip.service, vip.slot, has, DEGREE.AVAILABLE),
    });
    const { candidates, count, shedLimit } = decision;
    const joins = candidates.subarray(0, count).includes(vip.slot - info.firstSlot);
    if (!told.available) return joins ? { ...told, why: `${told.why}; ${JOINS_REGION}` } : told;
    const load = whyShed(shares, shedLimit, joins);
    if (load !== '') return { ...told, why: `${told.why}; ${load}` };
    if (shares.weight > 0) return told;
    return { ...told, why: `${told.why}; ${whyStandby(joins)}` };
  });
}
