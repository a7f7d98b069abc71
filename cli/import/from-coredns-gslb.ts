/**
 * CoreDNS-GSLB: the YAML files of its zones, and those of its location map and shared health checks if the source is a
 * folder.
 */
import { basename } from 'node:path';
import type { Report } from '../../config/diagnostics.ts';
import { isCountry } from '../../geo/countries.ts';
import { parseAddress } from '../../wire/address.ts';
import { isWithin, nameKey, type Name } from '../../wire/name.ts';
import { corednsCheck } from './coredns-gslb-checks.ts';
import { createDraft, note, OUT_OF_ZONE, type DraftValue, type ZoneDraft } from './draft.ts';
import { continentKey } from './geo-keys.ts';
import { addPooledService, type MemberPool, type PoolMember, type PooledService } from './pooled-service.ts';
import { filesIn, readYamlDocuments, type ReadDocument } from './read-documents.ts';
import { fieldsOf, listOf, numberOf, textOf, wholeName, type Fields } from './values.ts';

/** The plug-in's default record_ttl. */
const DEFAULT_TTL_SECONDS = 30;

/** What all zones share. `networks`: by location. */
type Shared = { readonly networks: ReadonlyMap<string, readonly string[]>; readonly profiles: Fields };

/** Returns the zones. A zone is named like its file (`db.example.com.yml`), or by `apex` if there is one. */
export function fromCorednsGslb(path: string, apex: Name | undefined, report: Report): ZoneDraft[] {
  const documents: ReadDocument[] = [];
  let unread = 0;
  for (const file of filesIn(path, /\.ya?ml$/)) {
    const read = readYamlDocuments(file, report);
    if (read) documents.push(...read);
    else unread++;
  }
  const shared = sharedOf(documents);
  const zones = documents.filter(({ content }) => fieldsOf(content)['records'] !== undefined);
  if (zones.length === 0 && unread === 0) {
    report.error(
      'PH501',
      `${path} has no map "records"`,
      { file: path },
      'give the YAML file of a zone, or its folder',
    );
  }
  return zones.flatMap(({ file, content }) => {
    const named = zoneOf(basename(file));
    if (apex && zones.length > 1 && named && nameKey(named) !== nameKey(apex)) return [];
    const zone = apex ?? named;
    if (!zone) {
      const message = `the file name ${basename(file)} has no name of a zone`;
      report.error('PH502', message, { file }, 'state the zone: --zone example.com');
      return [];
    }
    return [zoneDraft(zone, file, fieldsOf(content), shared)];
  });
}

function zoneOf(file: string): Name | undefined {
  const [, name = ''] = /^(?:db\.|gslb_config\.)?(.+?)\.ya?ml$/.exec(file) ?? [];
  return name.includes('.') ? wholeName(name) : undefined;
}

function sharedOf(documents: readonly ReadDocument[]): Shared {
  const networks = new Map<string, string[]>();
  let profiles: Fields = {};
  for (const { content } of documents) {
    const fields = fieldsOf(content);
    for (const entry of listOf(fields['subnets']).map(fieldsOf)) {
      const subnet = textOf(entry['subnet']);
      for (const location of listOf(entry['location'])) {
        const name = textOf(location) ?? '';
        if (subnet !== undefined) networks.set(name, [...(networks.get(name) ?? []), subnet]);
      }
    }
    if (fields['records'] === undefined) profiles = { ...profiles, ...fieldsOf(fields['healthcheck_profiles']) };
  }
  return { networks, profiles };
}

function zoneDraft(zone: Name, file: string, content: Fields, shared: Shared): ZoneDraft {
  const draft = createDraft(zone, `CoreDNS-GSLB, ${file}`);
  const profiles = { ...shared.profiles, ...fieldsOf(content['healthcheck_profiles']) };
  for (const [written, record] of Object.entries(fieldsOf(content['records']))) {
    const owner = wholeName(written);
    if (!owner) note(draft, 'dropped', undefined, `${written}, which is not a domain name`);
    else if (!isWithin(owner, zone)) note(draft, 'dropped', owner, `a record ${OUT_OF_ZONE}`);
    else addRecord(draft, owner, { ...fieldsOf(content['defaults']), ...fieldsOf(record) }, { ...shared, profiles });
  }
  return draft;
}

/** A backend that is enabled. */
type Backend = { readonly fields: Fields; readonly member: PoolMember; readonly priority: number };

function addRecord(draft: ZoneDraft, owner: Name, record: Fields, shared: Shared): void {
  for (const key of ['discovery', 'alpn'] as const) {
    const advice = key === 'alpn' ? 'give the service svcb' : 'give its VIPs';
    if (listOf(record[key]).length > 0) note(draft, 'dropped', owner, `${key}: ${advice}`);
  }
  const backends = listOf(record['backends']).flatMap((each): Backend[] => {
    const fields = fieldsOf(each);
    const value = textOf(fields['address']) ?? '';
    if (textOf(fields['enable']) === 'false') {
      note(draft, 'dropped', owner, `${value}, which is disabled`);
      return [];
    }
    const check = corednsCheck(draft, owner, record, fields, shared.profiles);
    const priority = numberOf(fields['priority']) ?? 0;
    return [{ fields, priority, member: { value, weight: numberOf(fields['weight']) ?? 1, check } }];
  });
  const mode = (textOf(record['mode']) ?? 'failover').toLowerCase().replace(/[-_ ]/g, '');
  const plan = planOf(draft, owner, mode, backends, shared);
  if (!plan) {
    note(draft, 'dropped', owner, `the mode ${mode} has no equivalent`);
    return;
  }
  const whenAllDown = fallbackOf(draft, owner, record);
  if (whenAllDown === undefined && mode !== 'random') {
    const message = 'if all backends are down, all of them were answered; here the steps choose as if all were up';
    note(draft, 'changed', owner, message);
  }
  addPooledService(draft, { owner, ttl: numberOf(record['record_ttl']) ?? DEFAULT_TTL_SECONDS, ...plan, whenAllDown });
}

type Plan = Pick<PooledService, 'pools' | 'geo' | 'failover' | 'steps' | 'answers'>;

function planOf(
  draft: ZoneDraft,
  owner: Name,
  mode: string,
  backends: readonly Backend[],
  shared: Shared,
): Plan | undefined {
  const one = (members: readonly PoolMember[]): readonly MemberPool[] => [{ name: 'backends', members }];
  const unweighted = backends.map(({ member }): PoolMember => ({ ...member, weight: 1 }));
  switch (mode) {
    case 'failover': {
      const pools = byPriority(backends);
      return { pools, failover: pools.map(({ name }) => name), steps: ['all'] };
    }
    case 'roundrobin':
      return { pools: one(unweighted), steps: ['weighted'] };
    case 'random':
      return { pools: one(unweighted), steps: ['weighted'], answers: 'all' };
    case 'weighted':
      return {
        // A weight of 0 or less is 1.
        pools: one(
          backends.map(({ member }) => ({ ...member, weight: member.weight === 0 ? 1 : (member.weight ?? 1) })),
        ),
        steps: ['weighted'],
      };
    case 'iphash':
      note(draft, 'changed', owner, 'ip-hash becomes sticky: a client may get another backend than it had');
      return { pools: one(unweighted), steps: ['sticky'] };
    case 'geoip':
    case 'geoipaffinity': {
      const near = nearPools(backends);
      const placed = backends.some((backend) => keysOf(draft, owner, backend, shared).length > 0);
      if (near.some(({ at }) => at !== undefined) && !(mode === 'geoipaffinity' && placed)) {
        return { pools: near, steps: ['nearest', 'all'] };
      }
      if (near.some(({ at }) => at !== undefined)) {
        note(draft, 'changed', owner, 'geoip_affinity: within a place, the distance does not count here');
      }
      return placePlan(draft, owner, backends, shared);
    }
    default:
      return undefined;
  }
}

function byPriority(backends: readonly Backend[]): readonly MemberPool[] {
  const groups = Map.groupBy(backends, ({ priority }) => priority);
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([priority, group]) => ({
      name: `priority-${priority}`,
      members: group.map(({ member }) => ({ ...member, weight: 1 })),
    }));
}

/** Backends with the same coordinates are one region. Those without are chosen last. */
function nearPools(backends: readonly Backend[]): readonly MemberPool[] {
  const groups = Map.groupBy(backends, ({ fields }) => {
    const [latitude, longitude] = [textOf(fields['latitude']), textOf(fields['longitude'])];
    return latitude === undefined || longitude === undefined ? '' : `${latitude},${longitude}`;
  });
  return [...groups].map(([at, group], index) => ({
    name: at === '' ? 'elsewhere' : `site-${index + 1}`,
    at: at === '' ? undefined : at,
    members: group.map(({ member }) => ({ ...member, weight: 1 })),
  }));
}

/** Backends of the same places are a region. Clients of no place get them in the order of their priorities. */
function placePlan(draft: ZoneDraft, owner: Name, backends: readonly Backend[], shared: Shared): Plan {
  const groups = Map.groupBy(backends, (backend) => JSON.stringify(keysOf(draft, owner, backend, shared)));
  const geo: Record<string, string[]> = {};
  const pools = [...groups].map(([text, group], index): MemberPool & { readonly priority: number } => {
    const keys = JSON.parse(text) as string[];
    const name = keys[0]?.toLowerCase() ?? `elsewhere-${index + 1}`;
    for (const key of keys) {
      if (geo[key]) {
        note(
          draft,
          'changed',
          owner,
          `several groups of backends for ${key}: here the first with one that is up is used`,
        );
      }
      geo[key] = [...(geo[key] ?? []), name];
    }
    const priority = Math.min(...group.map((each) => each.priority));
    return { name, priority, members: group.map(({ member }) => ({ ...member, weight: 1 })) };
  });
  geo['default'] = pools.toSorted((a, b) => a.priority - b.priority).map(({ name }) => name);
  return { pools, geo, steps: ['all'] };
}

/** The keys of `geo` for a backend, the most specific first. Older files have lists such as `location_countries`. */
function keysOf(draft: ZoneDraft, owner: Name, { fields }: Backend, { networks }: Shared): readonly string[] {
  const valuesOf = (...names: readonly string[]): readonly string[] =>
    names.flatMap((name) => listOf(fields[name]).flatMap((each) => textOf(each) ?? [])).filter((text) => text !== '');
  const countries = valuesOf('country', 'location_countries').map((code) => code.toUpperCase());
  const subdivisions = valuesOf('subdivision').flatMap((code) =>
    countries.map((country) => `${country}-${code.toUpperCase()}`),
  );
  const places = [...subdivisions, ...countries].filter((code) => {
    if (isCountry(code.slice(0, 2))) return true;
    note(draft, 'dropped', owner, `the country ${code}: not a key of geo`);
    return false;
  });
  const cities = valuesOf('city', 'location_cities');
  if (cities.length > 0 && places.length === 0) {
    note(draft, 'dropped', owner, `the cities ${cities.join(', ')}: a key of geo names the country too`);
  }
  const narrowest = subdivisions.length > 0 ? subdivisions : places;
  const towns = cities.flatMap((city) => narrowest.map((place) => `${place}/${city}`));
  const continents = valuesOf('continent').flatMap((code) => continentKey(code) ?? []);
  const systems = valuesOf('asn', 'location_asns').map((number) => `AS${number.replace(/^AS/i, '')}`);
  const own = valuesOf('location', 'location_custom').flatMap((location) => {
    const list = networks.get(location);
    if (!list)
      note(
        draft,
        'changed',
        owner,
        `the networks of the location ${location} are not in these files: add them as keys of geo`,
      );
    return list ?? [];
  });
  return [...towns, ...places, ...continents, ...systems, ...own];
}

/** `failover_policy`, or `fallback_policy` in newer versions. Undefined for the default. */
function fallbackOf(draft: ZoneDraft, owner: Name, record: Fields): DraftValue | undefined {
  const policy = fieldsOf(record['failover_policy'] ?? record['fallback_policy']);
  const mode = textOf(policy['mode']) ?? 'fail-open';
  const name = textOf(policy['fallback_cname']);
  const addresses = listOf(policy['fallback_ips']).flatMap((each) => textOf(each) ?? []);
  if (mode === 'fail-open') return undefined;
  if (mode === 'fail-closed' || mode === 'rcode') {
    const code = textOf(policy['rcode']) ?? 'SERVFAIL';
    if (code !== 'NOERROR')
      note(draft, 'changed', owner, `the answer ${code} if all backends are down: here it is NODATA`);
    return 'none';
  }
  if (addresses.length > 0) {
    const of = (octets: number): readonly string[] => addresses.filter((each) => parseAddress(each)?.length === octets);
    return { ...(of(4).length > 0 ? { A: of(4) } : {}), ...(of(16).length > 0 ? { AAAA: of(16) } : {}) };
  }
  return name === undefined ? undefined : { CNAME: name.replace(/\.?$/, '.') };
}
