/**
 * The words of explain for steps. This file makes no decisions: it receives the VIPs that a step kept, and the
 * preferences that the step computed for the client's place.
 */
import { groupThousands, percent } from '../../config/units.ts';
import type { FailoverStep } from '../../steering/failover-step.ts';
import type { GeoStep } from '../../steering/geo-step.ts';
import { isNoAnswer, NO_ANSWER, type Preference } from '../../steering/place.ts';
import type { StepSpec } from '../../steering/steps.ts';
import { formatPrefix, networkOf } from '../../wire/address.ts';
import type { RegionInfo, VipInfo } from '../../zones/catalog.ts';

/** The facts that explain a step. `preferences` are the step's for this place; `vips` are all VIPs of the service. */
export type StepFacts = {
  /** The VIPs that it left, in order. */
  readonly kept: readonly VipInfo[];
  readonly vips: readonly VipInfo[];
  readonly regions: readonly RegionInfo[];
  /** Catalog numbers of regions, by local number. */
  readonly localRegions: readonly number[];
  readonly preferences: readonly Preference[] | undefined;
  readonly weightOf: (vip: VipInfo) => number;
  readonly client: Uint8Array;
};

/** Why a step kept these VIPs. */
export function whyStep(step: StepSpec, facts: StepFacts): string {
  switch (step.kind) {
    case 'geo':
      return whyGeo(step, facts);
    case 'nearest': {
      const bias = (name: string): number => step.bias.get(name) ?? 0;
      const within = step.withinKm > 0 ? `; all within ${kilometres(step.withinKm)} of the nearest are kept` : '';
      const told = measured(facts, 'unknown place', (name, km) => {
        const b = bias(name);
        if (b === 0) return kilometres(km);
        // Reverses the bias (steering/nearest-step.ts) to show the real distance.
        return `${kilometres(b > 0 ? km / (1 - b / 100) : km * (1 + b / 100))} (counts as ${kilometres(km)}, bias ${b})`;
      });
      return told === undefined
        ? 'the place of the client or of the regions is unknown: all regions are equal'
        : `${told}${within}`;
    }
    case 'latency': {
      const within = step.withinMs > 0 ? `; all within ${step.withinMs} ms of the best are kept` : '';
      const told = measured(facts, 'not measured', (_, ms) => `${Math.round(ms * 10) / 10} ms`);
      if (told !== undefined) return `${told}${within}`;
      return `no measurement for this client: by distance, ${marked(facts, () => '').join(', ')}`;
    }
    case 'failover':
      return whyFailover(step, facts);
    case 'weighted':
      return whyWeighted(facts);
    case 'sticky': {
      const { client } = facts;
      const bits = client.length === 4 ? step.v4Bits : step.v6Bits;
      return `ordered by weighted rendezvous hash of the client's network ${formatPrefix(networkOf(client, bits))}`;
    }
    case 'all':
      return 'all candidates';
  }
}

function whyGeo(step: GeoStep, facts: StepFacts): string {
  const why = whyPlace(step, facts);
  return step.shared ? `map ${step.shared.name}: ${why}` : why;
}

function whyPlace(step: GeoStep, { kept, regions, localRegions, preferences = [] }: StepFacts): string {
  const nameOf = (local: number): string => regions[localRegions[local] ?? 0]?.name ?? '';
  const arrow = ({ region, detail, ttlSeconds }: Preference): string => {
    const to = region === NO_ANSWER ? 'none' : nameOf(region);
    return `${step.map[detail]?.key.text ?? ''} -> ${to}${ttlSeconds === undefined ? '' : ` (ttl ${ttlSeconds} s)`}`;
  };
  const chosen = preferences.findIndex(({ region }) => kept.some((vip) => vip.region === localRegions[region]));
  const passed = chosen < 0 ? preferences : preferences.slice(0, chosen);
  if (isNoAnswer(preferences)) return `${passed.map(arrow).join()}: no answer for clients there`;
  const last = preferences.at(-1);
  const isEnded = last?.region === NO_ANSWER;
  const skipped = passed.flatMap((entry) => (entry.region === NO_ANSWER ? [] : `${arrow(entry)} has no candidate`));
  if (preferences.length === 0) return 'no key of the map gives this client a region with a VIP';
  const entry = preferences[chosen];
  if (entry) return [...skipped, arrow(entry)].join('; ');
  if (last && isEnded) return [...skipped, `${arrow(last)}: broader keys are not tried`].join('; ');
  return [...skipped, step.fence ? 'fence: broader keys are not tried' : 'no other key matches'].join('; ');
}

/** The key by which the step gives clients with these preferences no answer, whatever is up. */
export function placeWithheld(step: StepSpec, preferences: readonly Preference[]): string | undefined {
  if (step.kind !== 'geo' || !isNoAnswer(preferences)) return undefined;
  return step.map[preferences[0]?.detail ?? 0]?.key.text;
}

function whyFailover(step: FailoverStep, { kept, vips, regions }: StepFacts): string {
  const entries = step.order.map((entry) =>
    entry.kind === 'region'
      ? { name: entry.region, has: kept.some((vip) => regions[vip.region]?.name === entry.region) }
      : { name: vips[entry.vip]?.name ?? '', has: kept.some((vip) => vip === vips[entry.vip]) },
  );
  const chosen = entries.findIndex(({ has }) => has);
  const passed = chosen < 0 ? entries : entries.slice(0, chosen);
  const skipped = passed.map(({ name }) => `${name} has no candidate`);
  const [first = ''] = entries.slice(Math.max(0, chosen)).map(({ name }) => name);
  if (chosen < 0) return `${skipped.join('; ')}; the order has no other entry`;
  return chosen === 0 ? `${first} is the first in the order` : `${skipped.join('; ')}; ${first} is next in the order`;
}

function whyWeighted({ kept, weightOf }: StepFacts): string {
  const total = kept.reduce((sum, vip) => sum + weightOf(vip), 0);
  if (total === 0 && kept.length > 1) return 'drawn at random with equal chances: all are standbys';
  const chances = kept.map((vip) => {
    const weight = weightOf(vip);
    return `${vip.name} ${Math.round(weight * 100) / 100}${kept.length > 1 ? ` (${percent(weight / total)})` : ''}`;
  });
  return `drawn at random by weight: ${chances.join(', ')}`;
}

function kilometres(km: number): string {
  return `${groupThousands(Math.round(km))} km`;
}

/** The regions with their distances or times, best first; undefined if no region has one. */
function measured(
  facts: StepFacts,
  unknown: string,
  show: (region: string, detail: number) => string,
): string | undefined {
  if (facts.preferences === undefined || facts.preferences.every(({ detail }) => Number.isNaN(detail)))
    return undefined;
  return marked(facts, (name, detail) => ` ${Number.isNaN(detail) ? unknown : show(name, detail)}`).join(', ');
}

/**
 * The regions in order of preference. Marks the regions that were kept, and those before them that had no candidate.
 */
function marked(
  { kept, regions, localRegions, preferences = [] }: StepFacts,
  show: (region: string, detail: number) => string,
): string[] {
  const isKept = ({ region }: Preference): boolean => kept.some((vip) => vip.region === localRegions[region]);
  const chosen = preferences.findIndex(isKept);
  return preferences.map((entry, index) => {
    const name = regions[localRegions[entry.region] ?? 0]?.name ?? '';
    const mark = isKept(entry) ? ' (kept)' : index < chosen ? ' (no candidate)' : '';
    return `${name === '' ? 'VIPs in no region' : name}${show(name, entry.detail)}${mark}`;
  });
}
