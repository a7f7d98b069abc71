/**
 * Cloudflare Load Balancing: the responses of its API for load balancers, pools and monitors.
 */
import type { Report } from '../../config/diagnostics.ts';
import { isCountry } from '../../geo/countries.ts';
import { parseAddress } from '../../wire/address.ts';
import { isWithin, nameKey, type Name } from '../../wire/name.ts';
import { cloudflareCheck } from './cloudflare-checks.ts';
import { createDraft, note, OUT_OF_ZONE, type DraftValue, type ZoneDraft } from './draft.ts';
import { addPooledService, type MemberPool, type PoolMember, type PooledService } from './pooled-service.ts';
import { filesIn, readJson } from './read-documents.ts';
import { fieldsOf, listOf, numberOf, textOf, wholeName, type Fields } from './values.ts';

/** Of a load balancer that does not state one. */
const DEFAULT_TTL_SECONDS = 30;

/** Cloudflare's regions are smaller than continents. */
const REGIONS: ReadonlyMap<string, string> = new Map([
  ...['WNAM', 'ENAM'].map((region) => [region, 'north-america'] as const),
  ...['WEU', 'EEU'].map((region) => [region, 'europe'] as const),
  ...['NSAM', 'SSAM'].map((region) => [region, 'south-america'] as const),
  ...['ME', 'SAS', 'SEAS', 'NEAS'].map((region) => [region, 'asia'] as const),
  ...['NAF', 'SAF'].map((region) => [region, 'africa'] as const),
  ['OC', 'oceania'],
]);

type Account = { readonly pools: ReadonlyMap<string, Fields>; readonly monitors: ReadonlyMap<string, Fields> };

/** Returns the zones of the load balancers (`zone_name`), or that of `apex` alone. */
export function fromCloudflare(path: string, apex: Name | undefined, report: Report): ZoneDraft[] {
  const objects: Fields[] = [];
  for (const file of filesIn(path, /\.json$/)) {
    const document = readJson(file, report, 'save the response of the API of Cloudflare');
    if (!document) return [];
    const content = fieldsOf(document.content);
    const lists = [content['result'], content['load_balancers'], content['pools'], content['monitors']];
    const isList = lists.some((list) => list !== undefined);
    objects.push(...(isList ? lists.flatMap(listOf) : listOf(document.content)).map(fieldsOf));
  }
  const byId = (isKind: (fields: Fields) => boolean): ReadonlyMap<string, Fields> =>
    new Map(objects.filter(isKind).map((fields) => [textOf(fields['id']) ?? '', fields]));
  const balancers = [...byId((fields) => fields['default_pools'] !== undefined).values()];
  const account = {
    pools: byId((fields) => fields['origins'] !== undefined),
    monitors: byId((fields) => fields['interval'] !== undefined && fields['origins'] === undefined),
  };
  if (balancers.length === 0) {
    const hint =
      'save GET /zones/ID/load_balancers, /accounts/ID/load_balancers/pools and .../monitors into one folder';
    report.error('PH501', `${path} has no load balancer of Cloudflare`, { file: path }, hint);
    return [];
  }
  const drafts = new Map<string, ZoneDraft>();
  for (const balancer of balancers) {
    const zoneName = textOf(balancer['zone_name']) ?? '';
    const named = zoneName === '' ? undefined : wholeName(zoneName);
    const zone = apex ?? named;
    if (!zone) {
      const name = textOf(balancer['name']) ?? '';
      report.error(
        'PH502',
        `the load balancer ${name} has no zone_name`,
        { file: path },
        'state the zone: --zone example.com',
      );
      return [];
    }
    // --zone selects one of several zones.
    if (named && nameKey(named) !== nameKey(zone)) continue;
    const draft = drafts.get(nameKey(zone)) ?? createDraft(zone, `Cloudflare, ${path}`);
    const owner = wholeName(textOf(balancer['name']) ?? '');
    if (!owner || !isWithin(owner, zone)) {
      note(draft, 'dropped', owner, owner ? `a load balancer ${OUT_OF_ZONE}` : 'a load balancer without a name');
    } else addBalancer(draft, owner, balancer, account);
    drafts.set(nameKey(zone), draft);
  }
  return [...drafts.values()];
}

function addBalancer(draft: ZoneDraft, owner: Name, balancer: Fields, account: Account): void {
  noteSettings(draft, owner, balancer);
  const lists = {
    default: idsOf(balancer['default_pools']),
    countries: Object.entries(fieldsOf(balancer['country_pools'])).map(([key, ids]) => [key, idsOf(ids)] as const),
    regions: Object.entries(fieldsOf(balancer['region_pools'])).map(([key, ids]) => [key, idsOf(ids)] as const),
  };
  const written = textOf(balancer['steering_policy']) ?? '';
  const hasPlaces = lists.countries.length + lists.regions.length > 0;
  const policy = written === '' ? (hasPlaces ? 'geo' : 'off') : written;
  const used = new Set([
    ...lists.default,
    ...(policy === 'geo' ? [...lists.countries, ...lists.regions].flatMap(([, ids]) => ids) : []),
  ]);
  const pools = [...used].flatMap((id) => poolOf(draft, owner, id, account));
  const weighted = policy === 'random' ? byPoolWeight(draft, owner, pools, balancer) : pools;
  const nameOf = new Map(pools.map(({ id, name }) => [id, name]));
  const names = (ids: readonly string[]): readonly string[] => ids.flatMap((id) => nameOf.get(id) ?? []);
  const geo: Record<string, readonly string[]> = {};
  for (const [region, ids] of lists.regions) {
    const key = REGIONS.get(region);
    if (key === undefined) note(draft, 'dropped', owner, `the region ${region}: not a key of geo`);
    else if (geo[key] && JSON.stringify(geo[key]) !== JSON.stringify(names(ids))) {
      note(
        draft,
        'changed',
        owner,
        `${region} is a part of ${key}, which has the pools of another part: add keys of its countries or states`,
      );
    } else geo[key] = names(ids);
  }
  for (const [country, ids] of lists.countries) {
    if (isCountry(country)) geo[country] = names(ids);
    else note(draft, 'dropped', owner, `the country ${country}: not a key of geo`);
  }
  if (lists.regions.length > 0 && policy === 'geo') {
    note(draft, 'changed', owner, 'regions of Cloudflare are parts of continents: here each is the whole continent');
  }
  geo['default'] = names(lists.default);
  const plan = planOf(draft, owner, policy, names(lists.default), geo, weighted);
  addPooledService(draft, {
    owner,
    ttl: numberOf(balancer['ttl']) ?? DEFAULT_TTL_SECONDS,
    pools: weighted,
    ...plan,
    whenAllDown: fallbackOf(textOf(balancer['fallback_pool']), account),
  });
}

function idsOf(list: unknown): readonly string[] {
  return listOf(list).flatMap((each) => textOf(each) ?? []);
}

function noteSettings(draft: ZoneDraft, owner: Name, balancer: Fields): void {
  if (textOf(balancer['proxied']) === 'true') {
    note(
      draft,
      'changed',
      owner,
      'it is proxied: clients got addresses of Cloudflare, and get those of the origins here',
    );
  }
  if (textOf(balancer['enabled']) === 'false')
    note(draft, 'changed', owner, 'it is disabled at Cloudflare, and is served here');
  const affinity = textOf(balancer['session_affinity']) ?? 'none';
  if (affinity !== 'none' && affinity !== '')
    note(draft, 'dropped', owner, `session_affinity ${affinity}: consider the step sticky`);
  if (Object.keys(fieldsOf(balancer['pop_pools'])).length > 0) {
    note(draft, 'dropped', owner, 'pop_pools: data centres of Cloudflare');
  }
  if (listOf(balancer['rules']).length > 0) note(draft, 'dropped', owner, 'its rules: they read HTTP requests');
}

type Pool = MemberPool & { readonly id: string; readonly isHashed: boolean };

function poolOf(draft: ZoneDraft, owner: Name, id: string, { pools, monitors }: Account): readonly Pool[] {
  const fields = pools.get(id);
  if (!fields) {
    note(draft, 'dropped', owner, `the pool ${id}, which is not in these files`);
    return [];
  }
  const name = textOf(fields['name']) ?? id;
  if (textOf(fields['enabled']) === 'false') {
    note(draft, 'dropped', owner, `the pool ${name}, which is disabled`);
    return [];
  }
  if (Number(textOf(fieldsOf(fields['load_shedding'])['default_percent']) ?? 0) > 0) {
    note(draft, 'dropped', owner, `load_shedding of the pool ${name}: use pharos weight, or shed`);
  }
  const monitor = textOf(fields['monitor']);
  const found = monitor === undefined || monitor === '' ? undefined : monitors.get(monitor);
  const group = textOf(fields['monitor_group']) ?? '';
  if (group !== '')
    note(draft, 'changed', owner, `the monitor group ${group} of the pool ${name}: give the service a check`);
  if (monitor !== undefined && monitor !== '' && !found) {
    note(draft, 'changed', owner, `the monitor ${monitor} is not in these files: give the service a check`);
  }
  const [latitude, longitude] = [textOf(fields['latitude']), textOf(fields['longitude'])];
  const steering = textOf(fieldsOf(fields['origin_steering'])['policy']) ?? 'random';
  if (steering !== 'random' && steering !== 'hash') {
    note(draft, 'changed', owner, `origin_steering ${steering} of the pool ${name}: its origins are chosen by weight`);
  }
  const members = listOf(fields['origins'])
    .map(fieldsOf)
    .flatMap((origin): PoolMember[] => {
      const value = textOf(origin['address']) ?? '';
      if (textOf(origin['enabled']) === 'false') {
        note(draft, 'dropped', owner, `the origin ${value} of the pool ${name}, which is disabled`);
        return [];
      }
      const weight = Math.round(Number(textOf(origin['weight']) ?? 1) * 100);
      if (weight === 0) note(draft, 'changed', owner, `the weight 0 of ${value}: it is a standby here`);
      const check = found && cloudflareCheck(draft, owner, found, origin);
      return [{ value, name: textOf(origin['name']) ?? value, weight: Number.isFinite(weight) ? weight : 100, check }];
    });
  const at = latitude === undefined || longitude === undefined ? undefined : `${latitude},${longitude}`;
  const isEven = members.every(({ weight }) => weight === members[0]?.weight && weight !== 0);
  return [
    {
      id,
      name,
      at,
      isHashed: steering === 'hash',
      minHealthy: leastShare(draft, owner, name, numberOf(fields['minimum_origins']) ?? 1, members),
      members: isEven ? members.map((each) => ({ ...each, weight: 1 })) : members,
    },
  ];
}

/** `minimum_origins` as a share of the weight of the pool. */
function leastShare(
  draft: ZoneDraft,
  owner: Name,
  name: string,
  least: number,
  members: readonly PoolMember[],
): string | undefined {
  if (least <= 1) return undefined;
  const weights = members.map(({ weight = 1 }) => weight).sort((a, b) => a - b);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shareOf = (some: readonly number[]): number => (100 * some.reduce((sum, weight) => sum + weight, 0)) / total;
  // So many origins, even the lightest, are enough; one less, even the heaviest, are not.
  const enough = Math.floor(shareOf(weights.slice(0, least)));
  const isExact =
    least <= weights.length && weights[0] !== 0 && shareOf(weights.slice(weights.length - least + 1)) < enough;
  if (isExact) return `${enough}%`;
  const share = `${Math.min(100, Math.round((100 * least) / Math.max(1, weights.length)))}%`;
  note(draft, 'changed', owner, `minimum_origins ${least} of the pool ${name}: its origins have different weights; here ${share} of the weight must be up`); // prettier-ignore
  return share;
}

/** `random`: each pool has its weight, which its origins share. */
function byPoolWeight(draft: ZoneDraft, owner: Name, pools: readonly Pool[], balancer: Fields): readonly Pool[] {
  const steering = fieldsOf(balancer['random_steering']);
  const own = fieldsOf(steering['pool_weights']);
  const other = Number(textOf(steering['default_weight']) ?? 1);
  if (pools.some(({ members }) => members.length > 1)) {
    note(
      draft,
      'changed',
      owner,
      'the weight of a pool is shared by its origins: with an origin down, its pool gets less',
    );
  }
  return pools.map((pool) => {
    const share = Number(textOf(own[pool.id]) ?? other);
    const sum = pool.members.reduce((total, { weight = 1 }) => total + weight, 0);
    const members = pool.members.map((each) => ({
      ...each,
      weight: Math.round((1000 * share * (each.weight ?? 1)) / Math.max(1, sum)),
    }));
    return { ...pool, members };
  });
}

type Plan = Pick<PooledService, 'geo' | 'failover' | 'steps'>;

function planOf(
  draft: ZoneDraft,
  owner: Name,
  policy: string,
  order: readonly string[],
  geo: Readonly<Record<string, readonly string[]>>,
  pools: readonly Pool[],
): Plan {
  const within: readonly DraftValue[] = pools.some(({ isHashed }) => isHashed) ? ['sticky'] : ['weighted'];
  if (pools.some(({ isHashed }) => isHashed) && !pools.every(({ isHashed }) => isHashed)) {
    note(draft, 'changed', owner, 'some of its pools choose origins by hash: here all do');
  }
  switch (policy) {
    case 'off':
      return { failover: order, steps: within };
    case 'geo':
      return { geo, steps: within };
    case 'random':
      return { steps: within };
    case 'proximity':
    case 'dynamic_latency': {
      const isPlaced = pools.every(({ at }) => at !== undefined);
      if (policy === 'dynamic_latency') {
        note(
          draft,
          'changed',
          owner,
          'dynamic_latency: Cloudflare measures; here it is nearest until you have a latency table',
        );
      }
      if (!isPlaced) note(draft, 'changed', owner, 'pools without latitude and longitude: give their regions "at"');
      return { steps: ['nearest', ...within] };
    }
    default:
      note(draft, 'changed', owner, `the steering policy ${policy}: its origins are chosen by weight`);
      return { steps: within };
  }
}

/** The fallback pool is used without asking for its health. */
function fallbackOf(id: string | undefined, { pools }: Account): DraftValue | undefined {
  const pool = id === undefined ? undefined : pools.get(id);
  const values = listOf(pool?.['origins'])
    .map(fieldsOf)
    .filter((origin) => textOf(origin['enabled']) !== 'false')
    .flatMap((origin) => textOf(origin['address']) ?? []);
  const of = (octets: number): readonly string[] => values.filter((each) => parseAddress(each)?.length === octets);
  const [four, six] = [of(4), of(16)];
  if (four.length + six.length > 0)
    return { ...(four.length > 0 ? { A: four } : {}), ...(six.length > 0 ? { AAAA: six } : {}) };
  const [name] = values;
  return name === undefined ? undefined : { CNAME: name.replace(/\.?$/, '.') };
}
