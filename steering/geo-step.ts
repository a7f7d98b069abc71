/**
 * `geo`: the regions that a map names for the client's place.
 */
import type { Continent } from '../config/settings.ts';
import { formatPrefix, type Prefix } from '../wire/address.ts';
import { networkText, type PlaceContext, type PlaceStep, type Preference } from './place.ts';

/** A key of a geo map, broadest last. `text` is what the operator wrote. */
export type GeoKey = { readonly text: string } & (
  | { readonly kind: 'network'; readonly prefix: Prefix }
  | { readonly kind: 'asn'; readonly asn: number }
  | { readonly kind: 'subdivision'; readonly subdivision: string }
  | { readonly kind: 'country'; readonly country: string }
  | { readonly kind: 'continent'; readonly continent: Continent }
  | { readonly kind: 'default' }
);

export type GeoStep = {
  /** `regions` are names, in the operator's order. */
  readonly map: readonly { readonly key: GeoKey; readonly regions: readonly string[] }[];
  readonly fence: boolean;
};

/** Equal for keys that mean the same, such as `kr` and `KR`. */
export function identityOf(key: GeoKey): string {
  switch (key.kind) {
    case 'network':
      return formatPrefix(key.prefix);
    case 'asn':
      return `AS${key.asn}`;
    case 'subdivision':
      return key.subdivision;
    case 'country':
      return key.country;
    case 'continent':
      return key.continent;
    case 'default':
      return 'default';
  }
}

/**
 * The regions of the most specific key that matches, then of the next broader one and so on: network, AS,
 * subdivision, country, continent, default. With `fence`, only the most specific key counts. `detail` of a
 * preference is the index of its key.
 */
export function prepareGeo(step: GeoStep, context: PlaceContext): PlaceStep {
  const local = new Map(context.regions.map((region, number) => [region.name, number]));
  const keys = new Map<string | number, number>();
  step.map.forEach(({ key }, index) => {
    // Listed networks have numbers and other keys have strings, so the kinds cannot be confused.
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
    // `some` stops when `take` returns true because of a fence.
    [...location.networks, ...keysOfPlace].some(take);
    return preferences;
  };
}
