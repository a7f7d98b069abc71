/**
 * Locations of clients, and how they are read from the records of databases.
 */
import type { Continent } from '../config/settings.ts';
import { centroidOf, continentOf, isCountry } from './countries.ts';
import { lookupClass } from './find-class.ts';

/** The location of all addresses of one class. Unknown text is '', an unknown point NaN, an unknown AS 0. */
export type Location = {
  /** ISO 3166-1 alpha-2, upper case. */
  readonly country: string;
  /** ISO 3166-2: `US-CA`. */
  readonly subdivision: string;
  /** The English name of the city, as in the database; '' without a country. */
  readonly city: string;
  /** The code that a database has in place of a country, for networks that are somewhere in an area. */
  readonly area: Area | '';
  readonly continent: Continent | '';
  /** Degrees. The centroid of the country if the database has no point. */
  readonly latitude: number;
  readonly longitude: number;
  readonly asn: number;
  /** Indexes of the listed networks that contain the class, most specific first. */
  readonly networks: readonly number[];
  /** By latency table: the kind of its most specific network here (latency-classes.ts), 0 for none. */
  readonly latency: readonly number[];
};

/** The data of one database record. Unknown values are those of Location; centroids are not filled in yet. */
export type DatabaseRecord = {
  readonly country: string;
  readonly subdivision: string;
  readonly city: string;
  readonly area: Area | '';
  readonly continent: Continent | '';
  readonly latitude: number;
  readonly longitude: number;
  readonly asn: number;
};

/** The codes of MaxMind beside those of ISO 3166-1: a network in Europe, or in Asia or Oceania. */
const AREAS = ['AP', 'EU'] as const;
export type Area = (typeof AREAS)[number];

export function areaOf(code: string): Area | undefined {
  return AREAS.find((area) => area === code);
}

export const NOTHING: DatabaseRecord = {
  country: '',
  subdivision: '',
  city: '',
  area: '',
  continent: '',
  latitude: Number.NaN,
  longitude: Number.NaN,
  asn: 0,
};

export const NOWHERE: Location = { ...NOTHING, networks: [], latency: [] };

/**
 * The places of an atlas' classes, in a form for other threads: latency tables may divide a few thousand places into a
 * million classes. `latency` of a place is that of one of its classes. It only shows whether there is a kind.
 */
export type Places = {
  readonly places: readonly Location[];
  /** By class; shared memory. */ readonly placeOf: Int32Array;
};

export function placeAt({ places, placeOf }: Places, cls: number): Location {
  return places[placeOf[cls] ?? 0] ?? NOWHERE;
}

/** The location of an address of 4 or 16 octets, by an atlas whose classes have these places. */
export function locationAt(
  { nodes, v4Root, v6Root }: { readonly nodes: Int32Array; readonly v4Root: number; readonly v6Root: number },
  places: Places,
  address: Uint8Array,
): Location {
  const bits = address.length * 8;
  return placeAt(places, Math.floor(lookupClass(nodes, bits === 32 ? v4Root : v6Root, address, 0, bits) / 256));
}

/** Two-letter codes of MaxMind and IPinfo, for records that have a continent and no country. */
const CONTINENT_CODES: ReadonlyMap<string, Continent> = new Map([
  ['AF', 'africa'],
  ['AN', 'antarctica'],
  ['AS', 'asia'],
  ['EU', 'europe'],
  ['NA', 'north-america'],
  ['OC', 'oceania'],
  ['SA', 'south-america'],
]);

/**
 * Reads a record of any of these shapes. Data that is not recognised is unknown, not an error:
 *
 * - nested, as MaxMind's and DB-IP's own files have it: `country.iso_code`, `subdivisions[0].iso_code`,
 *   `city.names.en`, `location.latitude`, `continent.code`, `traits.autonomous_system_number`;
 * - flat, as the ip-location-db builds and IPinfo have it: `country_code` (or a two-letter `country`),
 *   `region_code` or `state1`, `city`, `latitude` and `longitude` (or `lat`, `lng`), `continent_code`;
 * - AS files of all of them: `autonomous_system_number`, `as_number`, `asn` (a number or `AS64500`).
 */
export function readRecord(data: unknown): DatabaseRecord {
  const record = asMap(data);
  if (!record) return NOTHING;
  const location = asMap(record['location']) ?? record;
  const code = textOf(
    asMap(record['country'])?.['iso_code'] ?? record['country_code'] ?? record['country'],
  ).toUpperCase();
  // Some files have `EU`, `AP`, `ZZ` and `-`, which are not countries.
  const country = isCountry(code) ? code : '';
  const latitude = degrees(location['latitude'] ?? location['lat'], 90);
  const longitude = degrees(location['longitude'] ?? location['lng'] ?? location['lon'], 180);
  const hasPoint = !Number.isNaN(latitude) && !Number.isNaN(longitude);
  const continent = asMap(record['continent'])?.['code'] ?? record['continent_code'] ?? record['continent'];
  return {
    country,
    subdivision: country === '' ? '' : subdivisionCode(country, record),
    city: country === '' ? '' : textOf(asMap(asMap(record['city'])?.['names'])?.['en'] ?? record['city']),
    area: areaOf(code) ?? '',
    continent: continentOf(country) || (CONTINENT_CODES.get(String(continent)) ?? ''),
    latitude: hasPoint ? latitude : Number.NaN,
    longitude: hasPoint ? longitude : Number.NaN,
    asn: asNumber(
      record['autonomous_system_number'] ??
        asMap(record['traits'])?.['autonomous_system_number'] ??
        record['as_number'] ??
        record['asn'],
    ),
  };
}

/**
 * Whether the record has an impossible place: not a number, or outside of ±90° and ±180°. Only damaged files have such
 * places. Missing and empty fields are not places.
 */
export function hasImpossiblePlace(data: unknown): boolean {
  const record = asMap(data);
  if (!record) return false;
  const location = asMap(record['location']) ?? record;
  const isImpossible = (value: unknown, limit: number): boolean =>
    value !== undefined && value !== null && value !== '' && Number.isNaN(degrees(value, limit));
  return (
    isImpossible(location['latitude'] ?? location['lat'], 90) ||
    isImpossible(location['longitude'] ?? location['lng'] ?? location['lon'], 180)
  );
}

/** Whether the record has a place, not only an AS. */
export function hasPlace(record: DatabaseRecord): boolean {
  return record.country !== '' || record.area !== '' || record.continent !== '' || !Number.isNaN(record.latitude);
}

/** The record with the centroid of its country if it has no point. */
export function withCentroid(record: DatabaseRecord): DatabaseRecord {
  const centroid = Number.isNaN(record.latitude) ? centroidOf(record.country) : undefined;
  return centroid ? { ...record, latitude: centroid.latitude, longitude: centroid.longitude } : record;
}

function asMap(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function subdivisionCode(country: string, record: Readonly<Record<string, unknown>>): string {
  const divisions = record['subdivisions'];
  const first: unknown = Array.isArray(divisions) ? divisions[0] : undefined;
  const value = asMap(first)?.['iso_code'] ?? record['region_code'] ?? record['state_code'] ?? record['state1'];
  if (typeof value !== 'string') return '';
  const code = value.startsWith(`${country}-`) ? value.slice(country.length + 1) : value;
  // Some files have the division's name here (`California`), which no key of a geo map can match.
  return /^[A-Z0-9]{1,3}$/.test(code) ? `${country}-${code}` : '';
}

function degrees(value: unknown, limit: number): number {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= limit ? number : Number.NaN;
}

function asNumber(value: unknown): number {
  const number = typeof value === 'string' ? Number(value.replace(/^AS/i, '')) : value;
  return typeof number === 'number' && Number.isInteger(number) && number > 0 && number <= 0xffff_ffff ? number : 0;
}
