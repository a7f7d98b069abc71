/**
 * The contract of the steps that prefer regions by the client's place, such as `geo-step.ts`. Pure. It runs at load
 * time for every class of the atlas, and in explain, which also shows `detail`.
 */
import type { LatencyTable } from '../geo/latency-table.ts';
import type { Location } from '../geo/location.ts';

/**
 * One preference. `region` is a local number, or ~n for VIP n; when it is the first with a candidate, those before
 * `end` are kept with it. `detail` is the reason as a number, whose meaning the step defines. `ttlSeconds` is the TTL
 * of the answer if this one is chosen; undefined: that of the service.
 */
export type Preference = {
  readonly region: number;
  end: number;
  readonly detail: number;
  readonly ttlSeconds?: number | undefined;
};

/**
 * In place of a region: clients get no answer. It is the last preference. If it is the only one, `when_all_down` gives
 * none either. No VIP is in a region of this number.
 */
export const NO_ANSWER = 0x7fff_ffff;

/** Whether these are the preferences of clients that get no answer. */
export function isNoAnswer(preferences: readonly Preference[]): boolean {
  return preferences[0]?.region === NO_ANSWER;
}

/**
 * Preferences in the form that the packet path reads: an ordering (ordering.ts). `hasTtls`: the step gives TTLs, so the
 * TTL of each preference follows, -1 for that of the service.
 */
export function orderingWords(preferences: readonly Preference[], hasTtls: boolean): number[] {
  const pairs = preferences.flatMap(({ region, end }) => [region, end]);
  const ttls = hasTtls ? preferences.map(({ ttlSeconds = -1 }) => ttlSeconds) : [];
  return [preferences.length, ...pairs, ...ttls];
}

/**
 * The result of the first steps while everything is up: a shortcut (ordering.ts), from at least one ordering. Undefined
 * if they keep no region, if an ordering has a VIP in place of a region, or if one has TTLs or NO_ANSWER.
 */
export function shortcutWords(steps: readonly (readonly Preference[])[]): number[] | undefined {
  const needed = new Set<number>();
  let kept: number[] | undefined;
  for (const preferences of steps) {
    if (isNoAnswer(preferences) || preferences.some(({ ttlSeconds }) => ttlSeconds !== undefined)) return undefined;
    const before = kept;
    const left = preferences.filter(({ region }) => before === undefined || before.includes(region));
    const [first] = left;
    if (first === undefined) return undefined;
    needed.add(first.region);
    const group = preferences.slice(preferences.indexOf(first), first.end);
    kept = [...new Set(group.filter((each) => left.includes(each)).map(({ region }) => region))];
  }
  if (kept === undefined || [...needed, ...kept].some((region) => region < 0)) return undefined;
  // A single kept region needs no check: collecting its candidates shows whether it has one.
  if (kept.length === 1) needed.delete(kept[0] ?? -1);
  return [steps.length, needed.size, ...needed, kept.length, ...kept];
}

/** A region of a service, as steps receive it. */
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

/** A prepared step that depends on the client's place: maps a location to preferences, best first. */
export type PlaceStep = (location: Location) => Preference[];

/** The key of a network in `networkIndex`. */
export function networkText(prefix: { readonly bytes: Uint8Array; readonly bits: number }): string {
  return `${Buffer.from(prefix.bytes).toString('hex')}/${prefix.bits}`;
}

/**
 * Lowest first. The group of an entry ends with the last entry that is at most `within` higher. NaN entries come last,
 * as one group.
 */
export function rankRegions(measures: { region: number; detail: number }[], within: number): Preference[] {
  const known = measures.filter(({ detail }) => !Number.isNaN(detail)).sort((a, b) => a.detail - b.detail);
  const unknown = measures.filter(({ detail }) => Number.isNaN(detail));
  const preferences = known.map(({ region, detail }, index): Preference => {
    let end = index + 1;
    while ((known[end]?.detail ?? Number.NaN) <= detail + within) end++;
    return { region, end, detail };
  });
  const all = known.length + unknown.length;
  return [...preferences, ...unknown.map(({ region, detail }): Preference => ({ region, end: all, detail }))];
}
