/**
 * The words of explain for VIP states, shedding, TTL and scope. This file makes no decisions; explain-step.ts has the
 * words for steps.
 */
import { percent } from '../../config/units.ts';
import type { Author } from '../../health/engine.ts';
import {
  FORCED,
  forcedOf,
  holdSecondsOf,
  isAvailable,
  NEVER_SECONDS,
  PROBED,
  probedOf,
  stateAt,
} from '../../health/health-table.ts';
import { DEGREE, RESULT, type Decision, type Steerer } from '../../steering/decision.ts';
import { serviceHoldSeconds } from '../../steering/inner.ts';
import { VIP, vipWord } from '../../steering/plan.ts';
import type { TraceCandidate } from '../../steering/trace.ts';
import type { RegionInfo, ServiceInfo, VipInfo } from '../../zones/catalog.ts';

const PROBED_WORDS = { [PROBED.UNKNOWN]: 'unknown', [PROBED.UP]: 'up', [PROBED.DOWN]: 'down' } as const;
const FORCED_WORDS = {
  [FORCED.NONE]: undefined,
  [FORCED.UP]: 'up',
  [FORCED.DOWN]: 'down',
  [FORCED.DRAIN]: 'drain',
} as const;

/**
 * A VIP's part in a decision. `now` is the effective weight during a ramp. `ramp` and `shed` are shares from 0 to 1.
 * `refuses`: the VIP sheds this client.
 */
export type Shares = {
  readonly weight: number;
  readonly now: number;
  readonly ramp: number;
  readonly shed: number;
  readonly refuses: boolean;
};

/** Override and run-time weight of a VIP, with their source. */
export type OperatorOrders = {
  readonly override: Order | undefined;
  readonly weightOverride: Omit<Order, 'until'> | undefined;
};

type Order = {
  readonly by: Author;
  readonly reason: string | undefined;
  /** ISO 8601: when the override expires. */
  readonly until: string | undefined;
};

/**
 * One VIP and why it is, or is not, a candidate. `data` is for the type of the query. `share` is the share of its
 * region's weight that is up.
 */
export function describeCandidate(
  vip: VipInfo,
  region: RegionInfo | undefined,
  data: string,
  word: number,
  { weight, ramp, shed }: Shares,
  share: number,
  known: {
    readonly reason: string | undefined;
    readonly orders: OperatorOrders | undefined;
    /** If the VIP is a service: whether that has a VIP that is available. */
    readonly isInnerUp: boolean;
  },
): TraceCandidate {
  const probed = PROBED_WORDS[probedOf(word)];
  const forced = FORCED_WORDS[forcedOf(word)];
  const regionOk = share >= (region?.minHealthy ?? 0) - 1e-6;
  const order = known.orders?.weightOverride;
  return {
    vip: vip.name,
    target: vip.target,
    region: region?.name ?? '',
    data,
    weight,
    ramp,
    shed,
    probed,
    forced,
    available: isAvailable(word) && known.isInnerUp && regionOk,
    why: [
      whyState(vip, probed, forced, known.reason, known.orders?.override, known.isInnerUp),
      ramp < 1 ? `ramps: ${percent(ramp)} of its weight` : '',
      order ? `weight ${weight} set ${byWhom(order)}, ${vip.weight} in the file` : '',
      regionOk ? '' : whyRegion(region, share),
    ]
      .filter(Boolean)
      .join('; '),
  };
}

/** The reason for a VIP that the request lists in `down`. */
export const SUPPOSED = 'assumed down, as requested';

function whyState(
  vip: VipInfo,
  probed: 'up' | 'down' | 'unknown',
  forced: 'up' | 'down' | 'drain' | undefined,
  reason: string | undefined,
  order: Order | undefined,
  isInnerUp: boolean,
): string {
  const inner = vip.inner === undefined ? '' : `service ${vip.inner} is ${isInnerUp ? 'up' : 'down'}`;
  if (forced !== undefined) {
    const until = order?.until === undefined ? '' : `, until ${order.until.slice(0, 19).replace('T', ' ')} UTC`;
    const also = isInnerUp ? '' : `; ${inner}`;
    return `${forced === 'drain' ? 'drained' : `forced ${forced}`} ${byWhom(order)}${until}${also}`;
  }
  if (reason === SUPPOSED) return SUPPOSED;
  if (inner !== '') return inner;
  if (vip.check === undefined) return 'not checked (counts as up)';
  if (probed === 'unknown') return `no result yet from check ${vip.check.name} (counts as up)`;
  if (reason === undefined) return `${probed} (saved by the previous run)`;
  return reason === '' ? probed : `${probed}: ${reason}`;
}

/**
 * Such as `by an operator (kernel upgrade)` or `by schedule "0 22 * * *"`. The reason of a schedule is its cron line.
 */
function byWhom(order: Omit<Order, 'until'> | undefined): string {
  if (order?.by === 'schedule') return `by ${order.reason ?? 'a schedule'}`;
  const whom = order?.by === 'node' ? 'by an operator on this node alone' : 'by an operator';
  return order?.reason ? `${whom} (${order.reason})` : whom;
}

function whyRegion(region: RegionInfo | undefined, share: number): string {
  return `region ${region?.name ?? ''} has ${percent(share)} of its weight up, needs ${percent(region?.minHealthy ?? 0)}`;
}

/** How the VIP's load affects this client; '' if it sheds no clients. `limit` is `shedLimit` of the decision. */
export function whyShed({ shed, refuses }: Shares, limit: number, joins: boolean): string {
  if (shed === 0) return '';
  const sheds = `sheds ${percent(shed)} of its clients because of its load`;
  if (!refuses) return `${sheds}, but not this one`;
  if (limit < 0) return `${sheds}, including this one if the steps lead here`;
  return joins ? `${sheds}, including this one, but no other VIP is less loaded` : `${sheds}, including this one`;
}

/** Why a VIP that is down is a candidate. */
export const JOINS_REGION = 'a candidate nevertheless, because another VIP of its region is up (partial: serve_all)';

/** Whether an available VIP of weight 0 is a candidate. */
export function whyStandby(joins: boolean): string {
  return joins
    ? 'a standby (weight 0), used because no other VIP can serve this client'
    : 'a standby (weight 0), not used while other VIPs can serve this client';
}

/** Why not all VIPs that the last step left are served; '' if all are. */
export function whyCut({ answers }: ServiceInfo, left: number, served: number, isCname: boolean): string {
  if (served >= left) return '';
  if (isCname) return 'the first is served: a name can have only one CNAME';
  return answers === 1 ? 'the first is served (answers: 1)' : `the first ${served} are served (answers: ${answers})`;
}

/**
 * What `when_all_down` did; undefined if candidates were left. `available`: whether any VIP was available, so that only
 * the steps excluded them for this client. `lacking`: the type that the static answer does not have. `withheld`: the
 * key of `geo` that gives clients of this place no answer.
 */
export function whyAllDown(
  { result, degree }: Decision,
  { whenAllDown }: ServiceInfo,
  available: boolean,
  lacking: string | undefined,
  withheld: string | undefined,
): string | undefined {
  if (withheld !== undefined) {
    return `the file gives clients of ${withheld} no answer (none), whatever when_all_down says, so the answer is NODATA`;
  }
  const none = available ? 'the steps leave no available VIP for this client' : 'no VIP is available';
  if (result === RESULT.STATIC) {
    const lacks = lacking === undefined ? '' : `, which has no ${lacking} record`;
    return `${none}: the static answer of when_all_down is served${lacks}`;
  }
  if (result === RESULT.EMPTY) {
    if (whenAllDown === 'none') return `${none}: when_all_down is none, so the answer is NODATA`;
    if (degree === DEGREE.NOT_FORCED) {
      return `${none}, and none that is only down (when_all_down: serve_all). VIPs that are drained or forced down stay out, so the answer is NODATA`;
    }
    return `${none}, even if all VIPs count as up (when_all_down: serve_all), so the answer is NODATA`;
  }
  if (degree === DEGREE.AVAILABLE) return undefined;
  return degree === DEGREE.NOT_FORCED
    ? `${none}: when_all_down is serve_all, so all VIPs count as up except those forced down or drained`
    : `${none}: when_all_down is serve_all, so all VIPs count as up, even those forced down or drained`;
}

/** Why the TTL has its value: names the VIP whose state can change first. */
export function whyTtl(
  service: ServiceInfo,
  steerer: Steerer,
  number: number,
  has: number,
  vips: readonly VipInfo[],
): string {
  const { minSeconds } = service.ttl;
  const { keyTtlSeconds } = steerer.decision;
  const isFixed = minSeconds === service.ttl.maxSeconds;
  if (keyTtlSeconds >= 0 && isFixed) return 'fixed in the zone file, for the key of geo that leads here';
  if (isFixed) return 'fixed in the zone file';
  const [maxSeconds, max] =
    keyTtlSeconds >= 0 ? [keyTtlSeconds, 'ttl of the key of geo'] : [service.ttl.maxSeconds, 'max'];
  const hold = serviceHoldSeconds(steerer, number, has);
  if (hold >= NEVER_SECONDS) return `no state can change by itself, so the TTL is the maximum (${max}: ${maxSeconds})`;
  const first = vips.find(
    ({ slot }) =>
      (vipWord(steerer.plan.vips, slot, VIP.HAS) & has) !== 0 && holdSecondsOf(stateAt(steerer.health, slot)) === hold,
  );
  const known = `the earliest possible state change is that of ${first?.name ?? 'a VIP'}, ${hold === 0 ? 'at once' : `in ${hold} s`}`;
  if (hold < minSeconds && minSeconds < maxSeconds) return `${known}; raised to ${minSeconds} s (min)`;
  return hold > maxSeconds || minSeconds > maxSeconds ? `${known}; limited to ${maxSeconds} s (${max})` : known;
}

export function whyScope(
  bits: number,
  dependsOnPlace: boolean,
  source: 'subnet' | 'resolver' | 'place',
  isSubnetSetAside: boolean,
): string {
  if (!dependsOnPlace) return 'the answer does not depend on the client';
  if (source === 'place') return 'the request gave a place, which has no prefix';
  const reachOf = (whose: string): string =>
    `every ${bits === 0 ? 'client' : `address in the ${whose}'s /${bits}`} gets the same candidates`;
  if (source === 'subnet') return reachOf('client');
  return isSubnetSetAside
    ? `the length of the client subnet, which was ignored; ${reachOf('resolver')}`
    : `${reachOf('client')}; the response has scope 0, because the query had no client subnet`;
}
