/**
 * Explain: reasons in words for what steering did, from the VIPs' states to the scope. Decides nothing; what steps did
 * is told in explain-step.ts.
 */
import { percent } from '../../config/units.ts';
import { serviceHoldSeconds } from '../../steering/candidates.ts';
import { DEGREE, RESULT, type Decision, type Steerer } from '../../steering/decision.ts';
import {
  FORCED,
  forcedOf,
  holdSecondsOf,
  isAvailable,
  NEVER_SECONDS,
  PROBED,
  probedOf,
} from '../../health/health-table.ts';
import type { TraceCandidate } from '../../steering/trace.ts';
import { HAS, VIP, vipWord } from '../../steering/plan.ts';
import type { RegionInfo, ServiceInfo, VipInfo } from '../../zones/catalog.ts';

const PROBED_WORDS = { [PROBED.UNKNOWN]: 'unknown', [PROBED.UP]: 'up', [PROBED.DOWN]: 'down' } as const;
const FORCED_WORDS = {
  [FORCED.NONE]: undefined,
  [FORCED.UP]: 'up',
  [FORCED.DOWN]: 'down',
  [FORCED.DRAIN]: 'drain',
} as const;

/** How much of a VIP counts. `now` is what a ramp leaves of `weight`; `refuses`: it is too loaded for this client. */
export type Shares = {
  readonly weight: number;
  readonly now: number;
  readonly ramp: number;
  readonly shed: number;
  readonly refuses: boolean;
};

/** What was said of a VIP at run time, and by whom. */
export type OperatorOrders = {
  readonly override: Order | undefined;
  readonly weightOverride: Omit<Order, 'until'> | undefined;
};

type Order = {
  readonly by: 'operator' | 'schedule';
  readonly reason: string | undefined;
  /** ISO 8601: when it ends by itself. */
  readonly until: string | undefined;
};

/** One VIP and why it is, or is not, a candidate. `share` is how much of its region's weight is up. */
export function describeCandidate(
  vip: VipInfo,
  region: RegionInfo | undefined,
  has: number,
  word: number,
  { weight, ramp, shed }: Shares,
  share: number,
  known: { readonly reason: string | undefined; readonly orders: OperatorOrders | undefined },
): TraceCandidate {
  const probed = PROBED_WORDS[probedOf(word)];
  const forced = FORCED_WORDS[forcedOf(word)];
  const regionOk = share >= (region?.minHealthy ?? 0) - 1e-6;
  const data = has === HAS.A ? vip.a : has === HAS.AAAA ? vip.aaaa : vip.cname;
  const order = known.orders?.weightOverride;
  return {
    vip: vip.name,
    target: vip.target,
    region: region?.name ?? '',
    data: data ?? '',
    weight,
    ramp,
    shed,
    probed,
    forced,
    available: isAvailable(word) && regionOk,
    why: [
      whyState(vip, probed, forced, known.reason, known.orders?.override),
      ramp < 1 ? `ramps: ${percent(ramp)} of its weight` : '',
      order ? `weight ${weight} set ${byWhom(order)}, ${vip.weight} in the file` : '',
      regionOk ? '' : whyRegion(region, share),
    ]
      .filter(Boolean)
      .join('; '),
  };
}

/** The reason of a VIP that the question takes for down. */
export const SUPPOSED = 'taken for down, as asked';

function whyState(
  vip: VipInfo,
  probed: 'up' | 'down' | 'unknown',
  forced: 'up' | 'down' | 'drain' | undefined,
  reason: string | undefined,
  order: Order | undefined,
): string {
  if (forced !== undefined) {
    const until = order?.until === undefined ? '' : `, until ${order.until.slice(0, 19).replace('T', ' ')} UTC`;
    return `${forced === 'drain' ? 'drained' : `forced ${forced}`} ${byWhom(order)}${until}`;
  }
  if (reason === SUPPOSED) return SUPPOSED;
  if (vip.check === undefined) return 'not checked, taken for up';
  if (probed === 'unknown') return `not yet known (check ${vip.check.name}), taken for up`;
  if (reason === undefined) return `${probed}, as the last run left it`;
  return reason === '' ? probed : `${probed}: ${reason}`;
}

/** `by an operator (kernel upgrade)`, `by schedule "0 22 * * *"`: a schedule's reason is its line. */
function byWhom(order: Omit<Order, 'until'> | undefined): string {
  if (order?.by === 'schedule') return `by ${order.reason ?? 'a schedule'}`;
  return order?.reason ? `by an operator (${order.reason})` : 'by an operator';
}

function whyRegion(region: RegionInfo | undefined, share: number): string {
  return `region ${region?.name ?? ''} has ${percent(share)} of its weight up, needs ${percent(region?.minHealthy ?? 0)}`;
}

/** What its load means to this client; empty where it has none. `limit` is that of the decision. */
export function whyShed({ shed, refuses }: Shares, limit: number, joins: boolean): string {
  if (shed === 0) return '';
  const gives = `gives up ${percent(shed)} of its clients for its load`;
  if (!refuses) return `${gives}, and this one is not among them`;
  if (limit < 0) return `${gives}, this one too, if the steps led here`;
  return joins ? `${gives}, this one too, but all others are no less loaded` : `${gives}: this one too`;
}

/** Of an available VIP of weight 0: whether it takes part. */
export function whyStandby(joins: boolean): string {
  return joins
    ? 'a standby (weight 0), which joins because nobody else can serve this client'
    : 'a standby (weight 0), held back while others can serve this client';
}

/** Why not all that the last step left are served; empty where they are. */
export function whyCut({ answers }: ServiceInfo, left: number, served: number, isCname: boolean): string {
  if (served >= left) return '';
  if (isCname) return 'the first is served: a name has one CNAME';
  return answers === 1 ? 'the first is served (answers: 1)' : `the first ${served} are served (answers: ${answers})`;
}

/**
 * What `when_all_down` did; undefined where candidates were left. `available`: whether any VIP was, so that the steps
 * left none of them to this client; `lacking`: the type that an answer of its own does not have.
 */
export function whyAllDown(
  { result, degree }: Decision,
  { whenAllDown }: ServiceInfo,
  available: boolean,
  lacking: string | undefined,
): string | undefined {
  const nobody = available ? 'the steps lead this client to no available VIP' : 'no VIP is available';
  if (result === RESULT.STATIC) {
    const none = lacking === undefined ? '' : `, in which there is no ${lacking}`;
    return `${nobody}: when_all_down gives its own answer${none}`;
  }
  if (result === RESULT.EMPTY) {
    if (whenAllDown === 'none') return `${nobody}: when_all_down is none, so there is no data`;
    if (degree === DEGREE.NOT_FORCED) {
      return `${nobody}, nor to one that is only down (when_all_down: serve_all): there is no data rather than a VIP that is drained or forced down`;
    }
    return `${nobody}, and to none if all VIPs are taken for up (when_all_down: serve_all): there is no data`;
  }
  if (degree === DEGREE.AVAILABLE) return undefined;
  return degree === DEGREE.NOT_FORCED
    ? `${nobody}: when_all_down is serve_all, so all VIPs are taken for up but those forced down or drained`
    : `${nobody}: when_all_down is serve_all, so all VIPs are taken for up, those forced down or drained too`;
}

/** Names the VIP whose state can change first. */
export function whyTtl(
  service: ServiceInfo,
  steerer: Steerer,
  number: number,
  has: number,
  vips: readonly VipInfo[],
): string {
  const { minSeconds, maxSeconds } = service.ttl;
  if (minSeconds === maxSeconds) return 'fixed in the zone file';
  const hold = serviceHoldSeconds(steerer, number, has);
  if (hold >= NEVER_SECONDS) return `no state can change by itself: the most there may be (max: ${maxSeconds})`;
  const first = vips.find(
    ({ slot }) =>
      (vipWord(steerer.plan.vips, slot, VIP.HAS) & has) !== 0 &&
      holdSecondsOf(steerer.health.states[slot] ?? 0) === hold,
  );
  const known = `the state of ${first?.name ?? 'a VIP'} can change ${hold === 0 ? 'at once' : `in ${hold} s, and none before`}`;
  if (hold < minSeconds) return `${known}; not below ${minSeconds} s (min)`;
  return hold > maxSeconds ? `${known}; not above ${maxSeconds} s (max)` : known;
}

export function whyScope(
  bits: number,
  dependsOnPlace: boolean,
  source: 'subnet' | 'resolver' | 'place',
  isSubnetSetAside: boolean,
): string {
  if (!dependsOnPlace) return 'the answer does not depend on the client';
  if (source === 'place') return 'a place was asked for, which has no prefix';
  const reach = `every address in the client's /${bits} gets the same candidates`;
  if (source === 'subnet') return reach;
  return isSubnetSetAside
    ? `${reach}; the response says the length of the client subnet, which was set aside`
    : `${reach}; the response says 0: the query had no client subnet`;
}
