/**
 * The maps of gdnsd's geoip plugin as a `geo` or `nearest` step.
 */
import { isCountry } from '../../geo/countries.ts';
import { areaOf } from '../../geo/location.ts';
import { note, type DraftValue } from './draft.ts';
import type { Resolving } from './gdnsd-resources.ts';
import { continentKey } from './geo-keys.ts';
import { hashOf, stringOf, stringsOf, type Vscf, type VscfHash } from './vscf.ts';

export type MapPlan = {
  readonly step: DraftValue;
  readonly datacenters: readonly string[];
  /** Positions by datacenter, if the map states them. */
  readonly at: ReadonlyMap<string, string>;
};

/** Returns the step for a map. Returns undefined and adds a note if the map is not defined. */
export function mapPlan(name: string, context: Resolving): MapPlan | undefined {
  const { draft, owner, config } = context;
  const maps = hashOf(hashOf(hashOf(config.get('plugins')).get('geoip')).get('maps'));
  const value = maps.get(name);
  if (value === undefined) {
    note(draft, 'dropped', owner, `the map ${name} is not defined`);
    return undefined;
  }
  const map = hashOf(value);
  const datacenters = stringsOf(map.get('datacenters'));
  const at = new Map(
    [...hashOf(map.get('auto_dc_coords'))].map(([dc, place]) => [dc, stringsOf(place).join(',')] as const),
  );
  if (stringOf(map.get('ignore_ecs')) === 'true') {
    note(draft, 'changed', owner, `the map ${name} ignores client subnets: Pharos uses them`);
  }
  const places = hashOf(map.get('map'));
  const isAuto = at.size > 0 && [...places.values()].every((each) => each === 'auto');
  if (isAuto) {
    const nets = [...hashOf(map.get('nets'))].map(([network, dcs]) => `${network} => ${stringsOf(dcs).join(' ')}`);
    if (nets.length > 0) {
      const advice = 'give them the location of their datacenter under geo.networks in pharos.yaml';
      note(draft, 'dropped', owner, `the nets of ${name} (${nets.join(', ')}): ${advice}`);
    }
    return { step: 'nearest', datacenters, at };
  }
  return { step: geoStep(name, map, datacenters, context), datacenters, at };
}

function geoStep(name: string, map: VscfHash, datacenters: readonly string[], context: Resolving): DraftValue {
  const { draft, owner } = context;
  const geo = new Map<string, readonly string[]>();
  const nets = map.get('nets');
  if (typeof nets === 'string')
    note(draft, 'dropped', owner, `the nets of ${name} in the file ${nets}: add them to geo`);
  for (const [network, dcs] of hashOf(nets)) geo.set(network, stringsOf(dcs));
  const put = (key: string | undefined, path: string, value: Vscf): void => {
    const list = value === 'auto' ? datacenters : stringsOf(value);
    if (value === 'auto') {
      note(draft, 'changed', owner, `${path} is auto in a map with lists: it gets the datacenters in their order`);
    }
    if (key === undefined) note(draft, 'dropped', owner, `${path} of the map ${name}: ${whyNot(path)}`);
    else geo.set(key, list);
  };
  const walk = (value: Vscf, path: readonly string[]): void => {
    if (!(value instanceof Map)) {
      put(keyOf(path), path.join(' '), value);
      return;
    }
    for (const [key, inner] of hashOf(value)) {
      if (key.toLowerCase() === 'default') {
        if (path.length > 0) put(keyOf(path), [...path, key].join(' '), inner);
        else put('default', key, inner);
      } else walk(inner, [...path, key]);
    }
  };
  walk(hashOf(map.get('map')), []);
  if (!geo.has('default')) geo.set('default', datacenters);
  // gdnsd only answers with datacenters of the list: if all are down, with the first one. `fence` also excludes all
  // others.
  const isShort = [...geo.values()].some((list) => list.length > 0 && datacenters.some((dc) => !list.includes(dc)));
  // An empty list means that clients there get no answer.
  const lists = [...geo].map(([key, list]): [string, DraftValue] => {
    const [first] = list;
    if (first === undefined) return [key, 'none'];
    return [key, list.length === 1 && first !== 'none' ? first : list];
  });
  return isShort ? { geo: Object.fromEntries(lists), fence: true } : { geo: Object.fromEntries(lists) };
}

/**
 * Continent, country, subdivision, city. gdnsd finds a city below its country too, whatever the subdivision. Undefined
 * for other codes in place of a country, and for a subdivision of a subdivision.
 */
function keyOf([continent = '', code, ...names]: readonly string[]): string | undefined {
  if (code === undefined) return continentKey(continent);
  const country = code.toUpperCase();
  if (!isCountry(country)) return names.length === 0 ? areaOf(country) : undefined;
  const [first] = names;
  const subdivision = first !== undefined && /^[A-Z0-9]{1,3}$/i.test(first) ? first.toUpperCase() : undefined;
  const place = subdivision === undefined ? country : `${country}-${subdivision}`;
  const [city, ...more] = subdivision === undefined ? names : names.slice(1);
  if (city === undefined) return place;
  return more.length > 0 || /^[A-Z0-9]{1,3}$/i.test(city) ? undefined : `${place}/${city}`;
}

/** MaxMind has A1, A2 and O1 beside the countries of ISO 3166. */
function whyNot(path: string): string {
  const [, country, subdivision] = path.split(' ');
  const isOther = country !== undefined && subdivision === undefined && !isCountry(country.toUpperCase());
  return isOther ? 'not a country' : 'not a key of geo';
}
