/**
 * Explain: reasons in words for what steering did. Decides nothing: it is told what was kept, and asks the
 * steps' own functions why.
 */
import { holdSeconds } from '../steering/candidates.ts';
import { DEGREE, RESULT, type Decision, type Steerer } from '../steering/decision.ts';
import type { Preference } from '../steering/place.ts';
import type { StepSpec } from '../steering/steps.ts';
import { FORCED, PROBED, forcedOf, isAvailable, probedOf } from '../health/table.ts';
import type { TraceCandidate } from '../steering/trace.ts';
import { formatAddress } from '../wire/address.ts';
import { HAS } from '../steering/plan.ts';
import type { RegionInfo, ServiceInfo, VipInfo } from '../zones/catalog.ts';

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

/** One VIP and why it is, or is not, a candidate. `share` is how much of its region's weight is up. */
export function describeCandidate(
  vip: VipInfo,
  region: RegionInfo | undefined,
  has: number,
  word: number,
  { weight, ramp, shed }: Shares,
  share: number,
  reason: string | undefined,
): TraceCandidate {
  const probed = PROBED_WORDS[probedOf(word)];
  const forced = FORCED_WORDS[forcedOf(word)];
  const regionOk = share >= (region?.minHealthy ?? 0) - 1e-6;
  const data = has === HAS.A ? vip.a : has === HAS.AAAA ? vip.aaaa : vip.cname;
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
    why:
      whyState(vip, probed, forced, reason) +
      (ramp < 1 ? `; ramps: ${percent(ramp)} of its weight` : '') +
      (regionOk ? '' : `; ${whyRegion(region, share)}`),
  };
}

/** The reason of a VIP that the question takes for down. */
export const SUPPOSED = 'taken for down, as asked';

function whyState(
  vip: VipInfo,
  probed: 'up' | 'down' | 'unknown',
  forced: 'up' | 'down' | 'drain' | undefined,
  reason: string | undefined,
): string {
  if (forced === 'drain') return 'draining by an operator';
  if (forced !== undefined) return `forced ${forced} by an operator`;
  if (reason === SUPPOSED) return SUPPOSED;
  if (vip.check === undefined) return 'not checked, taken for up';
  if (probed === 'unknown') return `not yet known (check ${vip.check.name}), taken for up`;
  return reason === undefined || reason === '' ? probed : `${probed}: ${reason}`;
}

function whyRegion(region: RegionInfo | undefined, share: number): string {
  return `region ${region?.name ?? ''} has ${percent(share)} of its weight up, needs ${percent(region?.minHealthy ?? 0)}`;
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10}%`;
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

/** What a step left and why. `before` and `kept` are VIP names; `preferences` are the step's for this place. */
export function whyStep(
  step: StepSpec,
  kept: readonly VipInfo[],
  regions: readonly RegionInfo[],
  localRegions: readonly number[],
  preferences: readonly Preference[] | undefined,
  weightOf: (vip: VipInfo) => number,
  client: Uint8Array,
): string {
  const nameOf = (local: number): string => regions[localRegions[local] ?? 0]?.name ?? '';
  const keptRegions = new Set(kept.map((vip) => regions[vip.region]?.name ?? ''));
  switch (step.kind) {
    case 'geo': {
      const passed = preferences?.filter(({ region }) => !keptRegions.has(nameOf(region))) ?? [];
      const chosen = preferences?.find(({ region }) => keptRegions.has(nameOf(region)));
      const arrow = ({ region, detail }: Preference): string =>
        `${step.map[detail]?.key.text ?? ''} -> ${nameOf(region)}`;
      const before = passed.filter(
        (entry) => !chosen || (preferences?.indexOf(entry) ?? 0) < (preferences?.indexOf(chosen) ?? 0),
      );
      const skipped = before.map((entry) => `${arrow(entry)} has no candidate`);
      if (!preferences || preferences.length === 0) return 'no key of the map matches this client';
      if (!chosen)
        return [...skipped, step.fence ? 'the map is fenced: no broader key is tried' : ''].filter(Boolean).join('; ');
      return [...skipped, arrow(chosen)].join('; ');
    }
    case 'nearest':
      return measured(
        preferences,
        nameOf,
        keptRegions,
        (km) => `${Math.round(km).toLocaleString('en-US')} km`,
        'where the client is, or the regions are, is not known: all are equal',
      );
    case 'latency':
      return measured(
        preferences,
        nameOf,
        keptRegions,
        (ms) => `${Math.round(ms * 10) / 10} ms`,
        'nothing is measured for this client: by distance',
      );
    case 'failover':
      return `the first with a candidate in the order ${step.order
        .map((entry) => (entry.kind === 'region' ? entry.region : `VIP ${entry.vip + 1}`))
        .join(', ')}`;
    case 'weighted':
      return `drawn at random by weight: ${kept.map((vip) => `${vip.name} ${weightOf(vip)}`).join(', ')}`;
    case 'sticky': {
      const bits = client.length === 4 ? step.v4Bits : step.v6Bits;
      return `ordered by rendezvous hash of the client's /${bits} (${formatAddress(client)})`;
    }
    case 'all':
      return 'all of them';
  }
}

function measured(
  preferences: readonly Preference[] | undefined,
  nameOf: (local: number) => string,
  kept: ReadonlySet<string>,
  show: (detail: number) => string,
  unknown: string,
): string {
  if (!preferences || preferences.every(({ detail }) => Number.isNaN(detail))) return unknown;
  return preferences
    .map(({ region, detail }) => {
      const what = Number.isNaN(detail) ? 'not measured' : show(detail);
      return `${nameOf(region)} ${what}${kept.has(nameOf(region)) ? ' (kept)' : ''}`;
    })
    .join(', ');
}

/** What `when_all_down` did; undefined where candidates were left. */
export function whyAllDown(decision: Decision): string | undefined {
  if (decision.result === RESULT.STATIC) return 'no candidate is left: when_all_down gives its own answer';
  if (decision.result === RESULT.EMPTY) return 'no candidate is left, and when_all_down has no answer for that';
  if (decision.degree === DEGREE.AVAILABLE) return undefined;
  return decision.degree === DEGREE.NOT_FORCED
    ? 'no candidate is left: when_all_down is serve_all, so all VIPs are taken for up but those forced down or draining'
    : 'no candidate is left: when_all_down is serve_all, so all VIPs are taken for up';
}

export function whyTtl(service: ServiceInfo, steerer: Steerer, number: number, has: number): string {
  const { minSeconds, maxSeconds } = service.ttl;
  if (minSeconds === maxSeconds) return 'fixed in the zone file';
  const hold = holdSeconds(steerer, number, has);
  const known = hold >= 0xff_ffff ? 'no state can change by itself' : `no state can change within ${hold} s`;
  return `${known}; clamped to ${minSeconds} to ${maxSeconds} s`;
}

export function whyScope(bits: number, dependsOnPlace: boolean, source: 'subnet' | 'resolver' | 'place'): string {
  if (!dependsOnPlace) return 'the answer does not depend on the client';
  if (source === 'place') return 'no address was given';
  const reach = `every address in the client's /${bits} gets the same candidates`;
  return source === 'subnet' ? reach : `${reach}; the response says 0, for no subnet was used`;
}
