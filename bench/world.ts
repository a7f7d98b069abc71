/**
 * The content that every server of the benchmark gets: zones, regions, and which client gets which region. Each peer's
 * file writes it in that server's language. The expected answers come from here.
 */
import type { Continent } from '../config/settings.ts';
import { repeatable } from './packets.ts';

/** The number of names of a static zone, with one address each; in every other zone `www` is steered. */
export type Zone =
  | { readonly kind: 'static'; readonly name: string; readonly names: number }
  | { readonly kind: SteeredKind; readonly name: string; readonly isSigned?: boolean };

/** By geography; by a weighted draw; by latency, then geography, then the same VIP for the same client. */
export type SteeredKind = 'geo' | 'weighted' | 'chain';

/** Also used for random names that do not exist. */
export const STATIC = { kind: 'static', name: 'static.example', names: 10_000 } as const;
export const MILLION = { kind: 'static', name: 'million.example', names: 1_000_000 } as const;
export const GEO: Zone = { kind: 'geo', name: 'geo.example' };
export const WEIGHTED: Zone = { kind: 'weighted', name: 'weighted.example' };
export const CHAIN: Zone = { kind: 'chain', name: 'chain.example' };
/** With DNSSEC, algorithm 13. */
export const SIGNED_GEO: Zone = { kind: 'geo', name: 'signed-geo.example', isSigned: true };
export const SIGNED_WEIGHTED: Zone = { kind: 'weighted', name: 'signed-weighted.example', isSigned: true };
/** The zones of the ordinary cases. */
export const EVERYDAY: readonly Zone[] = [STATIC, GEO, WEIGHTED];
export const TTL = 20;

/** As in GeoIP2 files. */
export const CONTINENT_CODES: Record<Continent, string> = {
  africa: 'AF',
  antarctica: 'AN',
  asia: 'AS',
  europe: 'EU',
  'north-america': 'NA',
  oceania: 'OC',
  'south-america': 'SA',
};

/** Loopback addresses, so that probing servers find a listener on each. */
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

/** The region of each continent's clients, with exceptions for countries; all fall back to `DEFAULT_REGION`. */
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

/** VIPs of each region in the chain: the third octet of their addresses, and their weights. */
const CHAIN_VIPS = [
  { octet: 1, weight: 1 },
  { octet: 3, weight: 2 },
];
export const CHAIN_WEIGHTS = CHAIN_VIPS.map(({ weight }) => weight);
/** The limit within which `latency` keeps more than the fastest region: about four of eleven. */
export const CHAIN_WITHIN_MS = 60;
/** In addition to the /8s, so that networks contain networks. */
const MEASURED_SLASH_16 = 2000;
const SLOWEST_MS = 200;
const SEED = 20_262;

/** The right address for a client at this location; '' if the location is unknown. */
export function addressFor(country: string, continent: Continent | ''): string {
  const there = continent === '' ? undefined : WORLD[continent];
  return REGIONS[there?.countries[country] ?? there?.region ?? DEFAULT_REGION] ?? '';
}

/** A region's VIPs in the chain. */
export function chainVips(region: string): { readonly address: string; readonly weight: number }[] {
  const address = REGIONS[region] ?? '';
  return CHAIN_VIPS.map(({ octet, weight }) => ({ address: address.replace('127.0.1.', `127.0.${octet}.`), weight }));
}

/** For the chain, by the first one or two octets of a client's address: milliseconds to each of REGIONS, in order. */
export function measuredLatencies(): Map<string, readonly number[]> {
  const random = repeatable(SEED);
  const keys = Array.from({ length: 223 }, (_, index) => String(index + 1));
  for (let i = 0; i < MEASURED_SLASH_16; i++) keys.push(`${1 + random(223)}.${random(256)}`);
  return new Map(keys.map((key) => [key, Object.keys(REGIONS).map(() => 1 + random(SLOWEST_MS))]));
}

/** `n00042` */
export function staticName(index: number): string {
  return `n${index.toString().padStart(5, '0')}`;
}

export function staticAddress(index: number): string {
  return `10.${index >> 16}.${(index >> 8) & 0xff}.${index & 0xff}`;
}

/** A zone as a master file; `www` has a server's own lines for the steered name. */
export function masterFile(zone: Zone, www: Partial<Record<SteeredKind, string>> = {}): string {
  const head = [
    `$ORIGIN ${zone.name}.`,
    '$TTL 300',
    '@ SOA ns1 hostmaster 1 7200 1800 1209600 60',
    '@ NS ns1',
    'ns1 A 192.0.2.53',
  ];
  if (zone.kind !== 'static') return [...head, www[zone.kind] ?? '', ''].join('\n');
  const names = Array.from({ length: zone.names }, (_, index) => `${staticName(index)} A ${staticAddress(index)}\n`);
  return `${head.join('\n')}\n${names.join('')}`;
}
