/**
 * Country codes, and the continent and centroid of each country. The data is from the npm package `country-locale-map`
 * (MIT), with corrections where it has no point or an ocean as the continent; see
 * docs/decisions/geo-database.md.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Continent } from '../config/settings.ts';

/** A point in degrees: north and east are positive. */
export type Point = { readonly latitude: number; readonly longitude: number };

type Country = Point & { readonly continent: Continent };

/** Continents by the names of the package. `region` splits America; CONTINENT_CORRECTIONS replaces oceans. */
const CONTINENT_OF: ReadonlyMap<string, Continent> = new Map([
  ['Africa', 'africa'],
  ['Antarctica', 'antarctica'],
  ['Asia', 'asia'],
  ['Europe', 'europe'],
  ['Oceania', 'oceania'],
  ['Americas', 'north-america'],
]);

/**
 * Continents from GeoNames, which the databases follow, for countries where the package has an ocean or another
 * continent.
 */
const CONTINENT_CORRECTIONS: ReadonlyMap<string, Continent> = new Map([
  ['BV', 'antarctica'],
  ['CY', 'europe'],
  ['GS', 'antarctica'],
  ['HM', 'antarctica'],
  ['RU', 'europe'],
  ['SH', 'africa'],
  ['TF', 'antarctica'],
  ['TL', 'oceania'],
  ['UM', 'oceania'],
]);

/**
 * Points that the package lacks, and points that are far from where people live: for Kiribati the package has the
 * uninhabited Phoenix Islands, for Micronesia a point in the sea.
 */
const POINT_CORRECTIONS: ReadonlyMap<string, Point> = new Map([
  ['AX', { latitude: 60.2, longitude: 20.0 }],
  ['BL', { latitude: 17.9, longitude: -62.83 }],
  ['BQ', { latitude: 12.18, longitude: -68.26 }],
  ['CW', { latitude: 12.17, longitude: -68.99 }],
  ['FM', { latitude: 6.92, longitude: 158.19 }],
  ['KI', { latitude: 1.42, longitude: 173.0 }],
  ['MF', { latitude: 18.08, longitude: -63.06 }],
  ['SS', { latitude: 7.3, longitude: 30.3 }],
  ['SX', { latitude: 18.04, longitude: -63.07 }],
  ['UM', { latitude: 19.28, longitude: 166.65 }],
]);

/** Codes in the package that ISO 3166-1 has withdrawn. */
const WITHDRAWN: ReadonlySet<string> = new Set(['AN']);

const countries = readCountries();

function readCountries(): ReadonlyMap<string, Country> {
  const path = createRequire(import.meta.url).resolve('country-locale-map/countries.json');
  // The type of the package has points as numbers; its file has them as text.
  const rows = JSON.parse(readFileSync(path, 'utf8')) as readonly Readonly<Record<string, unknown>>[];
  const found = new Map<string, Country>();
  for (const row of rows) {
    const code = String(row['alpha2']);
    if (WITHDRAWN.has(code)) continue;
    const continent =
      CONTINENT_CORRECTIONS.get(code) ??
      (row['region'] === 'South America' ? 'south-america' : CONTINENT_OF.get(String(row['continent'])));
    const point = POINT_CORRECTIONS.get(code) ?? {
      latitude: Number.parseFloat(String(row['latitude'])),
      longitude: Number.parseFloat(String(row['longitude'])),
    };
    if (continent !== undefined) found.set(code, { continent, ...point });
  }
  return found;
}

/** Whether `code` is an ISO 3166-1 alpha-2 country code in upper case. `XK` (Kosovo) is accepted too. */
export function isCountry(code: string): boolean {
  return countries.has(code);
}

/** All country codes, in alphabetical order. */
export function countryCodes(): string[] {
  return [...countries.keys()].toSorted();
}

/** The country's continent, with the names of docs/steering.md#geo. '' for an unknown code. */
export function continentOf(code: string): Continent | '' {
  return countries.get(code)?.continent ?? '';
}

/** The centroid of the country. Undefined for an unknown code. */
export function centroidOf(code: string): Point | undefined {
  return countries.get(code);
}
