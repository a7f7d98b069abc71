/**
 * What a place means to a service: the orderings that `geo`, `nearest` and `latency` give for one location.
 * Pure; run at load time for every class of the atlas, and by explain, which also shows `detail`.
 */
import { distanceKm } from '../geo/distance.ts';
import { latencyOf, type LatencyTable } from '../geo/latency-table.ts';
import type { Location } from '../geo/location.ts';
import { identityOf, type StepSpec } from './steps.ts';

/**
 * One preference. `region` is a local number; when it is the first with a candidate, those before `end` are
 * kept with it. `detail` is the index of the geo key, the biased distance in km, or the time in ms: NaN for
 * unknown.
 */
export type Preference = { readonly region: number; end: number; readonly detail: number };

/** Preferences as the packet path reads them: an ordering (ordering.ts). */
export function orderingWords(preferences: readonly Preference[]): number[] {
  return [preferences.length, ...preferences.flatMap(({ region, end }) => [region, end])];
}

/**
 * Where the first steps lead as long as nothing is amiss: a shortcut (ordering.ts), from their orderings, one at least.
 * Undefined where they keep nobody, or where a VIP stands in place of a region.
 */
export function shortcutWords(steps: readonly (readonly Preference[])[]): number[] | undefined {
  const needed = new Set<number>();
  let kept: number[] | undefined;
  for (const preferences of steps) {
    const before = kept;
    const left = preferences.filter(({ region }) => before === undefined || before.includes(region));
    const [first] = left;
    if (first === undefined) return undefined;
    needed.add(first.region);
    const group = preferences.slice(preferences.indexOf(first), first.end);
    kept = [...new Set(group.filter((each) => left.includes(each)).map(({ region }) => region))];
  }
  if (kept === undefined || [...needed, ...kept].some((region) => region < 0)) return undefined;
  // Whoever is kept alone is found to have a candidate when these are collected.
  if (kept.length === 1) needed.delete(kept[0] ?? -1);
  return [steps.length, needed.size, ...needed, kept.length, ...kept];
}

/** A region of a service as the steps see it. */
export type PlacedRegion = {
  readonly name: string;
  readonly point: { readonly latitude: number; readonly longitude: number } | undefined;
};

/** `regions` by local number. `networkIndex` is the number of a listed network in the atlas, by its text. */
export type PlaceContext = {
  readonly regions: readonly PlacedRegion[];
  readonly networkIndex: ReadonlyMap<string, number>;
  /** By the path that a latency step names. */
  readonly latency: ReadonlyMap<string, LatencySource>;
};

/** `networkRow` is the row of the most specific network of the table that a location is in, or -1. */
export type LatencySource = { readonly table: LatencyTable; readonly networkRow: (location: Location) => number };

/** A step whose result depends on the client's place, made ready: location to preferences, best first. */
export type PlaceStep = (location: Location) => Preference[];

export type PlaceStepSpec = Extract<StepSpec, { kind: 'geo' | 'nearest' | 'latency' }>;

export function isPlaceStep(step: StepSpec): step is PlaceStepSpec {
  return step.kind === 'geo' || step.kind === 'nearest' || step.kind === 'latency';
}

export function preparePlaceStep(step: PlaceStepSpec, context: PlaceContext): PlaceStep {
  switch (step.kind) {
    case 'geo':
      return prepareGeo(step, context);
    case 'nearest':
      return (location) => nearest(location, context.regions, all(context.regions), step.bias, step.withinKm);
    case 'latency':
      return prepareLatency(step, context);
  }
}

/**
 * The regions of the most specific key that matches, then of the next broader one and so on: network, AS,
 * subdivision, country, continent, default. With `fence` the most specific key is all there is.
 */
function prepareGeo(step: Extract<StepSpec, { kind: 'geo' }>, context: PlaceContext): PlaceStep {
  const local = new Map(context.regions.map((region, number) => [region.name, number]));
  const keys = new Map<string | number, number>();
  step.map.forEach(({ key }, index) => {
    // Numbers for listed networks, texts for all others: the kinds cannot be taken for each other.
    const network = key.kind === 'network' ? (context.networkIndex.get(networkText(key.prefix)) ?? -1) : undefined;
    keys.set(network ?? identityOf(key), index);
  });
  return (location) => {
    const preferences: Preference[] = [];
    const take = (key: string | number): boolean => {
      const index = keys.get(key);
      if (index === undefined) return false;
      for (const name of step.map[index]?.regions ?? []) {
        const region = local.get(name);
        if (region === undefined || preferences.some((known) => known.region === region)) continue;
        preferences.push({ region, end: preferences.length + 1, detail: index });
      }
      return step.fence;
    };
    const keysOfPlace = [`AS${location.asn}`, location.subdivision, location.country, location.continent, 'default'];
    // `some` stops where `take` says that the map is fenced.
    [...location.networks, ...keysOfPlace].some(take);
    return preferences;
  };
}

/** The key of a network in `networkIndex`. */
export function networkText(prefix: { readonly bytes: Uint8Array; readonly bits: number }): string {
  return `${Buffer.from(prefix.bytes).toString('hex')}/${prefix.bits}`;
}

/**
 * Regions by great-circle distance, bias applied as Route 53 documents it. Regions without a place come last,
 * as one group; so do all where the client's place is unknown: nothing tells them apart.
 */
function nearest(
  location: Location,
  regions: readonly PlacedRegion[],
  among: readonly number[],
  bias: ReadonlyMap<string, number>,
  withinKm: number,
): Preference[] {
  return ranked(
    among.map((region) => {
      const { name = '', point } = regions[region] ?? {};
      const km = point
        ? distanceKm(location.latitude, location.longitude, point.latitude, point.longitude)
        : Number.NaN;
      const b = bias.get(name) ?? 0;
      return { region, detail: b >= 0 ? km * (1 - b / 100) : km / (1 + b / 100) };
    }),
    withinKm,
  );
}

function all(regions: readonly PlacedRegion[]): number[] {
  return regions.map((_, region) => region);
}

/** Regions by measured round-trip time; behind them, those nobody measured, nearest first. */
function prepareLatency(step: Extract<StepSpec, { kind: 'latency' }>, context: PlaceContext): PlaceStep {
  const source = context.latency.get(step.table);
  if (!source) throw new Error(`the latency table ${step.table} has not been read`);
  const { table } = source;
  // VIPs without a region have no column, nor have regions that nobody measured.
  const columns = context.regions.map((region) => table.regions.indexOf(region.name));
  return (location) => {
    const row = measuredRow(source, location);
    const measured = all(context.regions).flatMap((region) => {
      const ms = latencyOf(table, row, columns[region] ?? -1);
      return ms === undefined ? [] : [{ region, detail: ms }];
    });
    const preferences = ranked(measured, step.withinMs);
    const unmeasured = all(context.regions).filter((region) => !preferences.some((known) => known.region === region));
    const known = preferences.length;
    for (const { region, end } of nearest(location, context.regions, unmeasured, new Map(), 0)) {
      preferences.push({ region, end: known + end, detail: Number.NaN });
    }
    return preferences;
  };
}

/** The row that decides for a location: its network's, else its AS's, else its country's; -1 for none. */
export function measuredRow({ table, networkRow }: LatencySource, location: Location): number {
  const row = networkRow(location);
  return row >= 0 ? row : (table.asns.get(location.asn) ?? table.countries.get(location.country) ?? -1);
}

/** Least first; the group of an entry reaches to the last that is at most `within` more. NaN last, as one group. */
function ranked(measures: { region: number; detail: number }[], within: number): Preference[] {
  const known = measures.filter(({ detail }) => !Number.isNaN(detail)).sort((a, b) => a.detail - b.detail);
  const unknown = measures.filter(({ detail }) => Number.isNaN(detail));
  const preferences = known.map(({ region, detail }, index): Preference => {
    let end = index + 1;
    while (end < known.length && (known[end]?.detail ?? Infinity) <= detail + within) end++;
    return { region, end, detail };
  });
  const all = known.length + unknown.length;
  return [...preferences, ...unknown.map(({ region, detail }): Preference => ({ region, end: all, detail }))];
}
