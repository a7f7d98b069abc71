/**
 * The map of a `geo` step (docs/steering.md#geo): keys from a network to `default`, each with regions.
 */
import type { Report } from '../../config/diagnostics.ts';
import { show } from '../../config/fields.ts';
import { nearestWord } from '../../config/nearest-word.ts';
import { hostBits, withoutHostBits, type IsCountry } from '../../config/network-fields.ts';
import { CONTINENTS } from '../../config/settings.ts';
import { nodePlace, type YamlEntry, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import { continentOf } from '../../geo/countries.ts';
import { areaOf } from '../../geo/location.ts';
import { foldCity, identityOf, type GeoEntry, type GeoKey, type GeoStep } from '../../steering/geo-step.ts';
import { enclosingNetwork, inPrefix, parsePrefix, type Prefix } from '../../wire/address.ts';

/** RFC 6793: an AS number has 32 bits. */
const MAX_ASN = 0xffff_ffff;

/** Continent codes of databases and other servers, and the country with the same code. */
const CONTINENT_CODES: ReadonlyMap<string, { readonly name: string; readonly country?: string }> = new Map([
  ['AF', { name: 'africa', country: 'Afghanistan' }],
  ['AN', { name: 'antarctica' }],
  ['AS', { name: 'asia', country: 'American Samoa' }],
  ['EU', { name: 'europe' }],
  ['NA', { name: 'north-america', country: 'Namibia' }],
  ['OC', { name: 'oceania' }],
  ['SA', { name: 'south-america', country: 'Saudi Arabia' }],
]);

/**
 * Warns of countries whose code is also that of a continent. Saudi Arabia is in many maps, so there is a warning only
 * if no other key is a country.
 */
function warnContinents(keys: readonly { readonly key: GeoKey; readonly node: YamlScalar }[], report: Report): void {
  const codes = keys.flatMap(({ key, node }) => (key.kind === 'country' ? [{ code: key.country, node }] : []));
  const others = codes.filter(({ code }) => code !== 'SA');
  const isOfCountries = others.length > 0 && others.every(({ code }) => !CONTINENT_CODES.has(code));
  const isContinent = keys.some(({ key }) => key.kind === 'continent' && key.continent === 'europe');
  const eu = keys.find(({ key }) => key.kind === 'area' && key.area === 'EU');
  if (eu && !isContinent) {
    const message = `${eu.node.text} matches only networks that a database has somewhere in Europe, without a country`;
    report.warning('PH132', message, nodePlace(eu.node), 'for the continent write europe');
  }
  for (const { code, node } of codes) {
    const continent = CONTINENT_CODES.get(code);
    if (continent?.country === undefined || (code === 'SA' && isOfCountries)) continue;
    const hint = `for the continent write ${continent.name}`;
    report.warning('PH132', `${node.text} is the country ${continent.country}`, nodePlace(node), hint);
  }
}

/** The value of a key. */
export type GeoTarget = Omit<GeoEntry, 'key'>;

/** Returns the entries in the file's order; steering matches the most specific one. */
export function readGeoMap(
  entries: readonly YamlEntry[],
  readTarget: (node: YamlNode, name: string) => GeoTarget | undefined,
  isCountry: IsCountry,
  report: Report,
): GeoEntry[] {
  const seen = new Map<string, YamlScalar>();
  const keys: { key: GeoKey; node: YamlScalar }[] = [];
  const read = entries.flatMap(({ key, value }) => {
    const geoKey = readGeoKey(key, isCountry, report);
    if (geoKey) keys.push({ key: geoKey, node: key });
    const target = readTarget(value.kind === 'null' ? { ...value, start: key.start, end: key.end } : value, key.text);
    if (!geoKey || !target) return [];
    const identity = identityOf(geoKey);
    const first = seen.get(identity);
    if (first) {
      const message = `${key.text} is the same key as ${first.text} on line ${nodePlace(first).line}`;
      report.error('PH213', message, nodePlace(key), 'remove one of the two');
      return [];
    }
    seen.set(identity, key);
    return [{ key: geoKey, ...target }];
  });
  warnContinents(keys, report);
  return read;
}

function readGeoKey(node: YamlScalar, isCountry: IsCountry, report: Report): GeoKey | undefined {
  const key = parseGeoKey(node.text);
  const country = key && countryOf(key);
  if (country !== undefined && isCountry && !isCountry(country)) {
    const continent = CONTINENT_CODES.get(country);
    const meant =
      country === 'UK' ? 'the United Kingdom is GB' : continent && `the continent is written ${continent.name}`;
    report.error(
      'PH033',
      `unknown country "${country}"`,
      nodePlace(node),
      meant ?? 'use a code of ISO 3166-1, such as KR',
    );
    return undefined;
  }
  if (key) return key;
  const network = enclosingNetwork(node.text);
  if (network) {
    report.error(
      'PH212',
      `a key of geo must be a network, got ${hostBits(node.text)}`,
      nodePlace(node),
      withoutHostBits(network),
    );
    return undefined;
  }
  const near = nearestWord(node.text, [...CONTINENTS, 'default', 'fence']);
  const hint =
    near === undefined
      ? 'a network 10.0.0.0/8, AS64500, KR/Seoul, US-CA, KR, a continent such as north-america, or default'
      : `did you mean "${near}"?`;
  report.error('PH212', `${show(node.text)} is not a valid key of geo`, nodePlace(node), hint);
  return undefined;
}

function parseGeoKey(text: string): GeoKey | undefined {
  if (text === 'default') return { text, kind: 'default' };
  const continent = CONTINENTS.find((name) => name === text.toLowerCase());
  if (continent) return { text, kind: 'continent', continent };
  const area = areaOf(text.toUpperCase());
  if (area) return { text, kind: 'area', area };
  if (/^[A-Za-z]{2}$/.test(text)) return { text, kind: 'country', country: text.toUpperCase() };
  const asn = /^AS(\d{1,10})$/i.exec(text);
  // RFC 7607 reserves AS 0; here it is the AS of clients whose AS is unknown.
  if (asn)
    return /[1-9]/.test(text) && Number(asn[1]) <= MAX_ASN ? { text, kind: 'asn', asn: Number(asn[1]) } : undefined;
  // ISO 3166-2: the country, and up to three letters or digits.
  if (/^[A-Za-z]{2}-[A-Za-z0-9]{1,3}$/.test(text)) {
    return { text, kind: 'subdivision', subdivision: text.toUpperCase() };
  }
  const [, place, city = ''] = /^([A-Za-z]{2}(?:-[A-Za-z0-9]{1,3})?)\/\s*(\S.*)$/.exec(text) ?? [];
  if (place !== undefined) return { text, kind: 'city', place: place.toUpperCase(), city: foldCity(city.trim()) };
  const prefix = parsePrefix(text);
  return prefix && { text, kind: 'network', prefix };
}

/**
 * Warns of a fence without effect. It has one if a client can match two keys, and the broader has a region that the
 * other lacks. A key with `none` needs no fence.
 */
export function warnFence({ map, fence }: GeoStep, node: YamlNode, report: Report): void {
  if (!fence || fenceHolds(map)) return;
  const message = 'fence has no effect: no key has a broader one that leads elsewhere';
  report.warning('PH232', message, nodePlace(node, 0, 1), 'remove fence, or add default: [...]');
}

/** Maps have thousands of keys, so each is compared with the union of the broader ones, not with every other key. */
export function fenceHolds(map: GeoStep['map']): boolean {
  const unions = new Map<string, Set<string>>();
  for (const { key, regions } of map) {
    for (const group of groupsOf(key)) unions.set(group, new Set([...(unions.get(group) ?? []), ...regions]));
  }
  const holds = map.some(
    ({ key, regions }) =>
      regions.length > 0 && broaderGroups(key).some((group) => leadsElsewhere(unions.get(group), regions)),
  );
  return holds || networksLeadElsewhere(map);
}

function leadsElsewhere(broader: ReadonlySet<string> | undefined, regions: readonly string[]): boolean {
  return broader !== undefined && [...broader].some((name) => !regions.includes(name));
}

/** Groups of keys that are broader than others. Networks and AS numbers may be anywhere. */
const ABOVE_NETWORKS = 'above networks';
const ABOVE_AS = 'above AS numbers';
const ALL_CONTINENTS = 'all continents';
const subdivisionsOf = (country: string): string => `subdivisions of ${country}`;
/** US-CA/Los Angeles and US/Los Angeles are the same city; the longer place is more specific. */
const citiesOf = (place: string, city: string, placeLength: number): string =>
  `${placeLength} ${place.slice(0, 2)}/${city}`;

function groupsOf(key: GeoKey): readonly string[] {
  switch (key.kind) {
    case 'network':
      return [];
    case 'asn':
      return [ABOVE_NETWORKS];
    case 'city':
      return [ABOVE_NETWORKS, ABOVE_AS, citiesOf(key.place, key.city, key.place.length)];
    case 'subdivision':
      return [ABOVE_NETWORKS, ABOVE_AS, subdivisionsOf(key.subdivision.slice(0, 2))];
    case 'area':
      return [ABOVE_NETWORKS, ABOVE_AS];
    case 'continent':
      return [ABOVE_NETWORKS, ABOVE_AS, ALL_CONTINENTS, identityOf(key)];
    case 'country':
    case 'default':
      return [ABOVE_NETWORKS, ABOVE_AS, identityOf(key)];
  }
}

/** The groups with keys that a client of `key` can match too, and that are broader. */
function broaderGroups(key: GeoKey): readonly string[] {
  switch (key.kind) {
    case 'network':
      return [ABOVE_NETWORKS];
    case 'asn':
      return [ABOVE_AS];
    case 'city': {
      const country = key.place.slice(0, 2);
      const shorter = Array.from({ length: key.place.length }, (_, length) => citiesOf(key.place, key.city, length));
      return [...shorter, subdivisionsOf(country), country, continentOf(country), 'default'];
    }
    case 'subdivision': {
      const country = key.subdivision.slice(0, 2);
      return [country, continentOf(country), 'default'];
    }
    case 'country':
      return [continentOf(key.country), 'default'];
    case 'area':
      // A network that has only an area has no country, and may be on any continent.
      return [ALL_CONTINENTS, 'default'];
    case 'continent':
      return ['default'];
    case 'default':
      return [];
  }
}

/** Whether a network is within one that leads elsewhere. */
function networksLeadElsewhere(map: GeoStep['map']): boolean {
  const networks = map.flatMap(({ key, regions }) => (key.kind === 'network' ? [{ prefix: key.prefix, regions }] : []));
  // Sorted, a network comes after all that contain it, and those are neighbours on the stack.
  networks.sort(
    ({ prefix: a }, { prefix: b }) =>
      a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes) || a.bits - b.bits,
  );
  const above: { readonly prefix: Prefix; readonly regions: ReadonlySet<string> }[] = [];
  for (const { prefix, regions } of networks) {
    for (let last = above.at(-1); last && !inPrefix(prefix.bytes, last.prefix); last = above.at(-1)) above.pop();
    const broader = above.at(-1)?.regions;
    if (regions.length > 0 && leadsElsewhere(broader, regions)) return true;
    above.push({ prefix, regions: new Set([...(broader ?? []), ...regions]) });
  }
  return false;
}

function countryOf(key: GeoKey): string | undefined {
  if (key.kind === 'city') return key.place.slice(0, 2);
  return key.kind === 'country' ? key.country : key.kind === 'subdivision' ? key.subdivision.slice(0, 2) : undefined;
}
