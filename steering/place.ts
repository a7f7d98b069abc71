/**
 * What a place means to a service: the contract of the steps that prefer regions (`geo-step.ts` and its like). Pure; run
 * at load time for every class of the atlas, and by explain, which also shows `detail`.
 */
import type { LatencyTable } from '../geo/latency-table.ts';
import type { Location } from '../geo/location.ts';

/**
 * One preference. `region` is a local number, or ~n for VIP n; when it is the first with a candidate, those before
 * `end` are kept with it. `detail` is what the step went by: a number that the step itself explains.
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

/** The key of a network in `networkIndex`. */
export function networkText(prefix: { readonly bytes: Uint8Array; readonly bits: number }): string {
  return `${Buffer.from(prefix.bytes).toString('hex')}/${prefix.bits}`;
}

/** Least first; the group of an entry reaches to the last that is at most `within` more. NaN last, as one group. */
export function rankRegions(measures: { region: number; detail: number }[], within: number): Preference[] {
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
