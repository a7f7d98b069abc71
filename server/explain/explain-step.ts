/**
 * Explain: why a step left what it left, in words. Decides nothing: it is told what was kept, and what the step's own
 * functions prefer at the client's place.
 */
import type { FailoverStep } from '../../steering/failover-step.ts';
import type { GeoStep } from '../../steering/geo-step.ts';
import type { Preference } from '../../steering/place.ts';
import type { StepSpec } from '../../steering/steps.ts';
import { formatPrefix, networkOf } from '../../wire/address.ts';
import type { RegionInfo, VipInfo } from '../../zones/catalog.ts';
import { percent } from '../../config/units.ts';

/** What a step is told by: `preferences` are its own for this place, `vips` all of the service. */
export type StepFacts = {
  /** What it left, in order. */
  readonly kept: readonly VipInfo[];
  readonly vips: readonly VipInfo[];
  readonly regions: readonly RegionInfo[];
  /** Catalog numbers by local number. */
  readonly localRegions: readonly number[];
  readonly preferences: readonly Preference[] | undefined;
  readonly weightOf: (vip: VipInfo) => number;
  readonly client: Uint8Array;
};

/** What a step left and why. */
export function whyStep(step: StepSpec, facts: StepFacts): string {
  switch (step.kind) {
    case 'geo':
      return whyGeo(step, facts);
    case 'nearest': {
      const bias = (name: string): number => step.bias.get(name) ?? 0;
      const within = step.withinKm > 0 ? `; all within ${kilometres(step.withinKm)} of the nearest are kept` : '';
      const told = measured(facts, 'no known place', (name, km) => {
        const b = bias(name);
        if (b === 0) return kilometres(km);
        // Back from what counts (steering/nearest-step.ts) to what it is.
        return `${kilometres(b > 0 ? km / (1 - b / 100) : km * (1 + b / 100))} (counts as ${kilometres(km)}, bias ${b})`;
      });
      return told === undefined
        ? 'where the client is, or the regions are, is not known: all are equal'
        : `${told}${within}`;
    }
    case 'latency': {
      const within = step.withinMs > 0 ? `; all within ${step.withinMs} ms of the best are kept` : '';
      const told = measured(facts, 'not measured', (_, ms) => `${Math.round(ms * 10) / 10} ms`);
      if (told !== undefined) return `${told}${within}`;
      return `nothing is measured for this client: by distance, ${marked(facts, () => '').join(', ')}`;
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
      return 'all of them';
  }
}

function whyGeo(step: GeoStep, { kept, regions, localRegions, preferences = [] }: StepFacts): string {
  const nameOf = (local: number): string => regions[localRegions[local] ?? 0]?.name ?? '';
  const arrow = ({ region, detail }: Preference): string => `${step.map[detail]?.key.text ?? ''} -> ${nameOf(region)}`;
  const chosen = preferences.findIndex(({ region }) => kept.some((vip) => vip.region === localRegions[region]));
  const passed = chosen < 0 ? preferences : preferences.slice(0, chosen);
  const skipped = passed.map((entry) => `${arrow(entry)} has no candidate`);
  if (preferences.length === 0) return 'no key of the map leads this client to a region with a VIP';
  const entry = preferences[chosen];
  if (entry) return [...skipped, arrow(entry)].join('; ');
  return [...skipped, step.fence ? 'the map is fenced: no broader key is tried' : 'no other key matches'].join('; ');
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
  if (chosen < 0) return `${skipped.join('; ')}; nobody else is in the order`;
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
  return `${Math.round(km).toLocaleString('en-US')} km`;
}

/** The regions with their distances or times, best first; undefined where none has any. */
function measured(
  facts: StepFacts,
  unknown: string,
  show: (region: string, detail: number) => string,
): string | undefined {
  if (facts.preferences === undefined || facts.preferences.every(({ detail }) => Number.isNaN(detail)))
    return undefined;
  return marked(facts, (name, detail) => ` ${Number.isNaN(detail) ? unknown : show(name, detail)}`).join(', ');
}

/** Each region in the order of preference, with what it has: those that are kept, and those before that have nobody. */
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
