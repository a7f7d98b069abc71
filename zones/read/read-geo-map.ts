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
import { identityOf, type GeoKey, type GeoStep } from '../../steering/geo-step.ts';
import { enclosingNetwork, inPrefix, parsePrefix } from '../../wire/address.ts';

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
  for (const { code, node } of codes) {
    const continent = CONTINENT_CODES.get(code);
    if (continent?.country === undefined || (code === 'SA' && isOfCountries)) continue;
    const hint = `for the continent write ${continent.name}`;
    report.warning('PH132', `${node.text} is the country ${continent.country}`, nodePlace(node), hint);
  }
}

/** Returns the entries in the file's order; steering matches the most specific one. */
export function readGeoMap(
  entries: readonly YamlEntry[],
  readRegions: (node: YamlNode, name: string) => string[] | undefined,
  isCountry: IsCountry,
  report: Report,
): { key: GeoKey; regions: string[] }[] {
  const seen = new Map<string, YamlScalar>();
  const keys: { key: GeoKey; node: YamlScalar }[] = [];
  const read = entries.flatMap(({ key, value }) => {
    const geoKey = readGeoKey(key, isCountry, report);
    if (geoKey) keys.push({ key: geoKey, node: key });
    const regions = readRegions(value.kind === 'null' ? { ...value, start: key.start, end: key.end } : value, key.text);
    if (!geoKey || !regions) return [];
    const identity = identityOf(geoKey);
    const first = seen.get(identity);
    if (first) {
      const message = `${key.text} is the same key as ${first.text} on line ${nodePlace(first).line}`;
      report.error('PH213', message, nodePlace(key), 'remove one of the two');
      return [];
    }
    seen.set(identity, key);
    return [{ key: geoKey, regions }];
  });
  warnContinents(keys, report);
  return read;
}

function readGeoKey(node: YamlScalar, isCountry: IsCountry, report: Report): GeoKey | undefined {
  const key = parseGeoKey(node.text);
  const country =
    key?.kind === 'country' ? key.country : key?.kind === 'subdivision' ? key.subdivision.slice(0, 2) : undefined;
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
      ? 'a network 10.0.0.0/8, AS64500, US-CA, KR, a continent such as north-america, or default'
      : `did you mean "${near}"?`;
  report.error('PH212', `${show(node.text)} is not a valid key of geo`, nodePlace(node), hint);
  return undefined;
}

function parseGeoKey(text: string): GeoKey | undefined {
  if (text === 'default') return { text, kind: 'default' };
  const continent = CONTINENTS.find((name) => name === text.toLowerCase());
  if (continent) return { text, kind: 'continent', continent };
  if (/^[A-Za-z]{2}$/.test(text)) return { text, kind: 'country', country: text.toUpperCase() };
  const asn = /^AS(\d{1,10})$/i.exec(text);
  // RFC 7607 reserves AS 0; here it is the AS of clients whose AS is unknown.
  if (asn)
    return /[1-9]/.test(text) && Number(asn[1]) <= MAX_ASN ? { text, kind: 'asn', asn: Number(asn[1]) } : undefined;
  // ISO 3166-2: the country, and up to three letters or digits.
  if (/^[A-Za-z]{2}-[A-Za-z0-9]{1,3}$/.test(text)) {
    return { text, kind: 'subdivision', subdivision: text.toUpperCase() };
  }
  const prefix = parsePrefix(text);
  return prefix && { text, kind: 'network', prefix };
}

/**
 * Warns of a fence without effect. It has one if a client can match two keys, and the broader has a region that the
 * other lacks.
 */
export function warnFence({ map, fence }: GeoStep, node: YamlNode, report: Report): void {
  if (!fence) return;
  const holds = map.some((one) =>
    map.some(
      (other) =>
        isBroader(other.key, one.key) &&
        canBothMatch(one.key, other.key) &&
        other.regions.some((name) => !one.regions.includes(name)),
    ),
  );
  if (holds) return;
  const message = 'fence has no effect: no key has a broader one that leads elsewhere';
  report.warning('PH232', message, nodePlace(node, 0, 1), 'remove fence, or add default: [...]');
}

const BROADEST_LAST: readonly GeoKey['kind'][] = ['network', 'asn', 'subdivision', 'country', 'continent', 'default'];

function isBroader(one: GeoKey, than: GeoKey): boolean {
  if (one.kind === 'network' && than.kind === 'network') return one.prefix.bits < than.prefix.bits;
  return BROADEST_LAST.indexOf(one.kind) > BROADEST_LAST.indexOf(than.kind);
}

/** Whether a client can match both keys. Networks and AS numbers may be anywhere. */
function canBothMatch(one: GeoKey, other: GeoKey): boolean {
  if (one.kind === 'network' && other.kind === 'network') {
    return inPrefix(one.prefix.bytes, other.prefix) || inPrefix(other.prefix.bytes, one.prefix);
  }
  if (one.kind === other.kind) return false;
  const countries = [countryOf(one), countryOf(other)].filter((country) => country !== undefined);
  if (countries.length === 2) return countries[0] === countries[1];
  const continent = one.kind === 'continent' ? one.continent : other.kind === 'continent' ? other.continent : undefined;
  return countries[0] === undefined || continent === undefined || continentOf(countries[0]) === continent;
}

function countryOf(key: GeoKey): string | undefined {
  return key.kind === 'country' ? key.country : key.kind === 'subdivision' ? key.subdivision.slice(0, 2) : undefined;
}
