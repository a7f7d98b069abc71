/**
 * Countries: which codes there are, the continent and the middle of each. From the npm package
 * `country-locale-map` (MIT), corrected where it has no point or names an ocean; see
 * docs/decisions/geo-database.md.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Continent } from '../config/settings.ts';

/** A point in degrees: north and east are positive. */
export type Point = { readonly latitude: number; readonly longitude: number };

type Country = Point & { readonly continent: Continent };

/** The package's own words; America is split by `region`, the oceans by CORRECTIONS. */
const CONTINENT_OF: ReadonlyMap<string, Continent> = new Map([
  ['Africa', 'africa'],
  ['Antarctica', 'antarctica'],
  ['Asia', 'asia'],
  ['Europe', 'europe'],
  ['Oceania', 'oceania'],
  ['Americas', 'north-america'],
]);

/**
 * Continents as GeoNames has them, which is what the databases follow, where the package has an ocean or
 * another custom.
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
 * Points that the package lacks, and those far from where the people are: its Kiribati is uninhabited
 * Phoenix, its Micronesia is the sea.
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

/** Codes that ISO 3166-1 withdrew and the package still lists. */
const WITHDRAWN: ReadonlySet<string> = new Set(['AN']);

const countries = readCountries();

function readCountries(): ReadonlyMap<string, Country> {
  const path = createRequire(import.meta.url).resolve('country-locale-map/countries.json');
  // The package's type says that points are numbers; its file has them as text.
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

/** Whether `code` is an ISO 3166-1 alpha-2 country code, upper case (`XK`, Kosovo, is taken as one). */
export function isCountry(code: string): boolean {
  return countries.has(code);
}

/** Every country code, in alphabetical order. */
export function countryCodes(): string[] {
  return [...countries.keys()].toSorted();
}

/** The country's continent, as SPEC 4 names them; '' for what is not a country. */
export function continentOf(code: string): Continent | '' {
  return countries.get(code)?.continent ?? '';
}

/** The middle of the country; undefined for what is not a country. */
export function centroidOf(code: string): Point | undefined {
  return countries.get(code);
}
