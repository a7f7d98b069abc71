/**
 * `geo`: the regions that a map names for the client's place.
 */
import type { Continent } from '../config/settings.ts';
import type { Area } from '../geo/location.ts';
import { formatPrefix, type Prefix } from '../wire/address.ts';
import { networkText, NO_ANSWER, type PlaceContext, type PlaceStep, type Preference } from './place.ts';

/** A key of a geo map, broadest last. `text` is what the operator wrote. */
export type GeoKey = { readonly text: string } & (
  | { readonly kind: 'network'; readonly prefix: Prefix }
  | { readonly kind: 'asn'; readonly asn: number }
  /** `place`: a country or a subdivision. `city` is folded (foldCity). */
  | { readonly kind: 'city'; readonly place: string; readonly city: string }
  | { readonly kind: 'subdivision'; readonly subdivision: string }
  | { readonly kind: 'country'; readonly country: string }
  | { readonly kind: 'area'; readonly area: Area }
  | { readonly kind: 'continent'; readonly continent: Continent }
  | { readonly kind: 'default' }
);

export type GeoStep = {
  readonly map: readonly GeoEntry[];
  readonly fence: boolean;
  /** Undefined: the service states the map itself. */
  readonly shared?: SharedMap | undefined;
};

/** A map of `maps`, whose step all its services share. */
export type SharedMap = {
  readonly name: string;
  /** The zone that defines it; undefined: pharos.yaml. */
  readonly zone: string | undefined;
  /** Changes with the content. */
  readonly digest: string;
};

/** For JSON.stringify: the step of a shared map is its digest, because the map may be large and have many services. */
export function withoutSharedMap(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('shared' in value) || !('map' in value)) return value;
  return { shared: (value as GeoStep).shared?.digest };
}

export type GeoEntry = {
  readonly key: GeoKey;
  /** Names, in the operator's order. Empty: `none`, so clients there get no answer. */
  readonly regions: readonly string[];
  /** The TTL of answers that this key leads to; undefined: that of the service. */
  readonly ttlSeconds?: number | undefined;
};

/** The value of a key as text: `seoul, virginia (ttl 10 s)`, `none`. */
export function entryText({ regions, ttlSeconds }: GeoEntry): string {
  if (regions.length === 0) return 'none';
  return `${regions.join(', ')}${ttlSeconds === undefined ? '' : ` (ttl ${ttlSeconds} s)`}`;
}

/** The name of a city in a form in which equal names are equal, whatever their case. */
export function foldCity(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** Equal for keys that mean the same, such as `kr` and `KR`. */
export function identityOf(key: GeoKey): string {
  switch (key.kind) {
    case 'network':
      return formatPrefix(key.prefix);
    case 'asn':
      return `AS${key.asn}`;
    case 'city':
      return `${key.place}/${key.city}`;
    case 'subdivision':
      return key.subdivision;
    case 'country':
      return key.country;
    case 'area':
      return key.area;
    case 'continent':
      return key.continent;
    case 'default':
      return 'default';
  }
}

/**
 * The regions of the most specific key that matches, then of the next broader one and so on: network, AS, city,
 * subdivision, country, area, continent, default. With `fence`, only the most specific key counts. No key that is
 * broader than one with `none` counts. `detail` of a preference is the index of its key.
 */
export function prepareGeo(step: GeoStep, context: PlaceContext): PlaceStep {
  const local = new Map(context.regions.map((region, number) => [region.name, number]));
  const keys = new Map<string | number, GeoEntry & { readonly index: number }>();
  step.map.forEach((entry, index) => {
    const { key } = entry;
    // Listed networks have numbers and other keys have strings, so the kinds cannot be confused.
    const network = key.kind === 'network' ? (context.networkIndex.get(networkText(key.prefix)) ?? -1) : undefined;
    keys.set(network ?? identityOf(key), { ...entry, index });
  });
  const hasCities = step.map.some(({ key }) => key.kind === 'city');
  return (location) => {
    const preferences: Preference[] = [];
    const take = (key: string | number): boolean => {
      const entry = keys.get(key);
      if (entry === undefined) return false;
      const add = (region: number): void => {
        if (preferences.some((known) => known.region === region)) return;
        preferences.push({ region, end: preferences.length + 1, detail: entry.index, ttlSeconds: entry.ttlSeconds });
      };
      if (entry.regions.length === 0) add(NO_ANSWER);
      for (const name of entry.regions) {
        const region = local.get(name);
        if (region !== undefined) add(region);
      }
      return step.fence || entry.regions.length === 0;
    };
    const { asn, subdivision, country, area, continent } = location;
    const cities = hasCities ? [subdivision, country].map((place) => `${place}/${foldCity(location.city)}`) : [];
    const keysOfPlace = [`AS${asn}`, ...cities, subdivision, country, area, continent, 'default'];
    // `some` stops when `take` returns true because of a fence or `none`.
    [...location.networks, ...keysOfPlace].some(take);
    return preferences;
  };
}
