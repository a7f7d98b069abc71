/**
 * What every server of the benchmark is told: zones, regions and which client gets which. Each peer's file writes it
 * down in that server's language; what a right answer is, is asked here.
 */
import type { Continent } from '../config/settings.ts';

/** Static names, answered by all; also where random names do not exist. */
export const STATIC_ZONE = 'static.example';
export const STATIC_NAMES = 10_000;
/** `www` is steered by geography. */
export const GEO_ZONE = 'geo.example';
/** `www` is a weighted draw. */
export const WEIGHTED_ZONE = 'weighted.example';
export const TTL = 20;

/** As GeoIP2 files call them. */
export const CONTINENT_CODES: Record<Continent, string> = {
  africa: 'AF',
  antarctica: 'AN',
  asia: 'AS',
  europe: 'EU',
  'north-america': 'NA',
  oceania: 'OC',
  'south-america': 'SA',
};

/** Loopback addresses, so that servers that probe find a listener on each. */
export const REGIONS: Record<string, string> = {
  virginia: '127.0.1.1',
  oregon: '127.0.1.2',
  saopaulo: '127.0.1.3',
  dublin: '127.0.1.4',
  frankfurt: '127.0.1.5',
  capetown: '127.0.1.6',
  mumbai: '127.0.1.7',
  singapore: '127.0.1.8',
  tokyo: '127.0.1.9',
  seoul: '127.0.1.10',
  sydney: '127.0.1.11',
};

/** Where a continent's clients go, its countries' exceptions beside it; all fall back to `DEFAULT_REGION`. */
export const WORLD: Partial<Record<Continent, { region: string; countries: Record<string, string> }>> = {
  africa: { region: 'capetown', countries: { EG: 'frankfurt', MA: 'dublin' } },
  asia: { region: 'singapore', countries: { KR: 'seoul', JP: 'tokyo', IN: 'mumbai', PK: 'mumbai', TW: 'tokyo' } },
  europe: { region: 'frankfurt', countries: { IE: 'dublin', GB: 'dublin', IS: 'dublin', PT: 'dublin' } },
  'north-america': { region: 'virginia', countries: { MX: 'oregon', GT: 'oregon' } },
  oceania: { region: 'sydney', countries: { GU: 'tokyo' } },
  'south-america': { region: 'saopaulo', countries: { CO: 'virginia', VE: 'virginia' } },
};
export const DEFAULT_REGION = 'virginia';

/** Addresses and weights of the weighted name. */
export const WEIGHTS: readonly { readonly address: string; readonly weight: number }[] = [
  { address: '127.0.2.1', weight: 1 },
  { address: '127.0.2.2', weight: 2 },
  { address: '127.0.2.3', weight: 4 },
  { address: '127.0.2.4', weight: 8 },
  { address: '127.0.2.5', weight: 5 },
];

/** The address that a client in this place is to be answered with; '' where the place is unknown. */
export function addressFor(country: string, continent: Continent | ''): string {
  const there = continent === '' ? undefined : WORLD[continent];
  return REGIONS[there?.countries[country] ?? there?.region ?? DEFAULT_REGION] ?? '';
}

/** `n00042` */
export function staticName(index: number): string {
  return `n${index.toString().padStart(5, '0')}`;
}

export function staticAddress(index: number): string {
  return `192.0.${index >> 8}.${index & 0xff}`;
}

/** A zone in master-file form, its SOA and NS in front of `lines`. */
export function masterFile(zone: string, lines: readonly string[]): string {
  return [
    `$ORIGIN ${zone}.`,
    '$TTL 300',
    '@ SOA ns1 hostmaster 1 7200 1800 1209600 60',
    '@ NS ns1',
    'ns1 A 192.0.2.53',
    ...lines,
    '',
  ].join('\n');
}

export function staticZone(): string {
  const names = Array.from({ length: STATIC_NAMES }, (_, index) => `${staticName(index)} A ${staticAddress(index)}`);
  return masterFile(STATIC_ZONE, names);
}
