/**
 * Services as dynamic records of octoDNS. A rule leads to a pool, and a pool to its fallback: each list of regions
 * becomes such a chain.
 */
import type { RegionSpec } from '../config/settings.ts';
import { continentOf } from '../geo/countries.ts';
import type { GeoKey, GeoStep } from '../steering/geo-step.ts';
import { formatAddress, formatPrefix, inPrefix } from '../wire/address.ts';
import { formatName } from '../wire/name.ts';
import type { ServiceModel, VipModel } from '../zones/read/model.ts';
import type { OctodnsYaml } from './octodns-record.ts';

/** Takes a difference. */
export type OctodnsNote = (message: string) => void;

type OctodnsType = 'A' | 'AAAA' | 'CNAME';
type Members = readonly { readonly value: string; readonly vip: VipModel }[];
/** The names of pools, the first choice first. */
type Chain = readonly string[];
/** `geos` and `subnets` are empty for the last rule. */
type Rule = { readonly geos: readonly string[]; readonly subnets: readonly string[]; readonly chain: Chain };

/** octoDNS allows weights from 1 to 100. */
const MAX_OCTODNS_WEIGHT = 100;

/** The records of a service: A, AAAA or CNAME, each with its own pools. */
export function octodnsRecords(
  service: ServiceModel,
  regions: ReadonlyMap<string, RegionSpec>,
  note: OctodnsNote,
): readonly { readonly [key: string]: OctodnsYaml }[] {
  noteOptions(service, regions, note);
  return (['A', 'AAAA', 'CNAME'] as const).flatMap((type) => {
    const members = membersOf(service, type);
    return members.length === 0 ? [] : [recordOf(service, type, members, note)];
  });
}

function membersOf({ vips }: ServiceModel, type: OctodnsType): Members {
  return vips.flatMap((vip) => {
    const value =
      type === 'A'
        ? vip.a && formatAddress(vip.a)
        : type === 'AAAA'
          ? vip.aaaa && formatAddress(vip.aaaa)
          : vip.cname && `${formatName(vip.cname)}.`;
    return value === undefined ? [] : [{ value, vip }];
  });
}

function recordOf(
  service: ServiceModel,
  type: OctodnsType,
  members: Members,
  note: OctodnsNote,
): { readonly [key: string]: OctodnsYaml } {
  const { ttl } = service;
  const [only] = service.steps;
  const isChecked = members.some(({ vip }) => vip.check !== undefined);
  if (service.steps.length === 1 && only?.kind === 'all' && !isChecked && type !== 'CNAME') {
    return { ttl: ttl.minSeconds, type, values: members.map(({ value }) => value) };
  }
  const pools = poolsOf(service, members, note);
  const rules = rulesOf(service, pools, note);
  const { named, heads } = namePools(rules);
  const values = lastResort(service, type, pools, rules);
  return {
    dynamic: {
      pools: Object.fromEntries(
        named.map(({ name, pool, fallback }) => [
          name,
          { ...(fallback === undefined ? {} : { fallback }), values: valuesOf(pools.get(pool) ?? [], isChecked) },
        ]),
      ),
      rules: rules.map(({ geos, subnets }, at) => ({
        ...(geos.length > 0 ? { geos } : {}),
        pool: heads[at] ?? '',
        ...(subnets.length > 0 ? { subnets } : {}),
      })),
    },
    ...healthcheckOf(members, note),
    ttl: ttl.minSeconds,
    type,
    ...(type === 'CNAME' ? { value: values[0] ?? '' } : { values }),
  };
}

/**
 * The members by region if the first step chooses regions, else all in one. Standbys are in a pool of their own, behind
 * that of the region.
 */
function poolsOf(service: ServiceModel, members: Members, note: OctodnsNote): ReadonlyMap<string, Members> {
  const pools = new Map<string, Members>();
  for (const [name, own] of groupsOf(service, members)) {
    const standbys = own.filter(({ vip }) => vip.weight === 0);
    const others = own.filter(({ vip }) => vip.weight > 0);
    if (others.length > 0) pools.set(name, others);
    if (standbys.length > 0) pools.set(others.length > 0 ? `${name}${STANDBY}` : name, standbys);
    if (standbys.length > 0 && others.length > 0) {
      note('standbys are the last pools of each rule: in Pharos they also wait for the other regions');
    }
  }
  return pools;
}

function groupsOf({ steps, vips }: ServiceModel, members: Members): readonly (readonly [string, Members])[] {
  const [first] = steps;
  const inRegion = (region: string): Members => members.filter(({ vip }) => vip.region === region);
  if (first?.kind === 'geo') {
    const regions = new Set(members.flatMap(({ vip }) => vip.region ?? []));
    return [...regions].map((region) => [region, inRegion(region)] as const);
  }
  if (first?.kind === 'failover') {
    return first.order.map((entry) => {
      if (entry.kind === 'region') return [entry.region, inRegion(entry.region)] as const;
      const own = vips[entry.vip];
      return [own?.name ?? '', members.filter(({ vip }) => vip === own)] as const;
    });
  }
  return [[WHOLE, members]];
}

/** The pool of a service whose regions have no order. */
const WHOLE = 'all';
const STANDBY = '-standby';

/** A region's pool and the one of its standbys. */
function withStandbys(chain: Chain, pools: ReadonlyMap<string, Members>): Chain {
  const own = [...new Set(chain)];
  return [...own, ...own.map((name) => `${name}${STANDBY}`)].filter((name) => pools.has(name));
}

function rulesOf(service: ServiceModel, pools: ReadonlyMap<string, Members>, note: OctodnsNote): readonly Rule[] {
  const [first, ...rest] = service.steps;
  for (const step of rest) {
    if (step.kind === 'all') note('all: octoDNS gives one value at a time');
    else if (step.kind === 'sticky') note('sticky: octoDNS chooses by weight each time');
    else if (step.kind !== 'weighted') note(`the step ${step.kind} behind another is left out`);
  }
  const last = (chain: Chain): Rule => ({ geos: [], subnets: [], chain: withStandbys(chain, pools) });
  if (first?.kind === 'geo') return geoRules(first, pools, note);
  if (first?.kind === 'failover') {
    const order = first.order.map((entry) =>
      entry.kind === 'region' ? entry.region : (service.vips[entry.vip]?.name ?? ''),
    );
    return [last(order)];
  }
  if (first?.kind === 'nearest' || first?.kind === 'latency') {
    note(`${first.kind} has no equivalent: all clients get one of all VIPs by weight; write rules with geos`);
  }
  if (first?.kind === 'all') note('all: octoDNS gives one value at a time');
  if (first?.kind === 'sticky') note('sticky: octoDNS chooses by weight each time');
  return [last([WHOLE])];
}

/** Rules in the order of octoDNS: networks, then places, each the most specific first. */
function geoRules({ map, fence }: GeoStep, pools: ReadonlyMap<string, Members>, note: OctodnsNote): readonly Rule[] {
  const regionsOf = (list: readonly GeoKey[]): Chain =>
    list.flatMap((key) => map.find((entry) => entry.key === key)?.regions ?? []);
  const rules: (Rule & { readonly rank: number })[] = [];
  let fallback: Chain | undefined;
  for (const { key, regions, ttlSeconds } of map) {
    if (ttlSeconds !== undefined) note(`the TTL of the key ${key.text}: octoDNS has one per record`);
    const wider = fence
      ? []
      : map
          .map((entry) => entry.key)
          .filter((other) => other !== key && covers(other, key))
          .sort((a, b) => rankOf(a) - rankOf(b));
    const chain = withStandbys([...regions, ...regionsOf(wider)], pools);
    if (regions.length === 0) {
      note(`${key.text}: none: octoDNS has an answer for every client`);
      continue;
    }
    if (chain.length === 0) continue;
    if (key.kind === 'default') {
      fallback = chain;
      continue;
    }
    const place = placeOf(key);
    if (!place) note(`the key ${key.text}: octoDNS has no such place`);
    else rules.push({ geos: [], subnets: [], ...place, chain, rank: rankOf(key) });
  }
  const isPlaced = rules.some(({ geos }) => geos.length > 0);
  if (!fence && isPlaced && rules.some(({ subnets }) => subnets.length > 0)) {
    note(
      'if all regions of a network are down, its clients get the default in octoDNS, not the regions of their place',
    );
  }
  if (!fallback) note('no default: octoDNS needs a last rule, which has the first region');
  const last: Rule = { geos: [], subnets: [], chain: fallback ?? withStandbys([...pools.keys()].slice(0, 1), pools) };
  return [...joinedRules(rules.toSorted((a, b) => a.rank - b.rank)), last];
}

/** Rules of the same kind of place that lead to the same pools are one rule. */
function joinedRules(rules: readonly (Rule & { readonly rank: number })[]): readonly Rule[] {
  const groups = Map.groupBy(rules, ({ rank, chain }) => JSON.stringify([rank, chain]));
  return [...groups.values()].map((group) => ({
    geos: group.flatMap(({ geos }) => geos),
    subnets: group.flatMap(({ subnets }) => subnets),
    chain: group[0]?.chain ?? [],
  }));
}

/** 0 to 128 for networks, the longest first; then subdivisions, countries, continents. */
function rankOf(key: GeoKey): number {
  switch (key.kind) {
    case 'network':
      return 128 - key.prefix.bits;
    case 'asn':
      return 129;
    case 'city':
      return 130;
    case 'subdivision':
      return 131;
    case 'country':
      return 132;
    case 'area':
      return 133;
    case 'continent':
      return 134;
    case 'default':
      return 135;
  }
}

/** Whether Pharos tries the key `wide` after `key` for all of its clients. */
function covers(wide: GeoKey, key: GeoKey): boolean {
  if (wide.kind === 'default') return true;
  if (wide.kind === 'network' && key.kind === 'network') {
    return wide.prefix.bits < key.prefix.bits && inPrefix(key.prefix.bytes, wide.prefix);
  }
  const country = key.kind === 'country' ? key.country : key.kind === 'subdivision' ? key.subdivision.slice(0, 2) : '';
  if (wide.kind === 'country') return key.kind === 'subdivision' && wide.country === country;
  return wide.kind === 'continent' && country !== '' && continentOf(country) === wide.continent;
}

const CODES: ReadonlyMap<string, string> = new Map([
  ['africa', 'AF'],
  ['antarctica', 'AN'],
  ['asia', 'AS'],
  ['europe', 'EU'],
  ['north-america', 'NA'],
  ['oceania', 'OC'],
  ['south-america', 'SA'],
]);

/** octoDNS knows the subdivisions of the USA and of Canada. */
function placeOf(key: GeoKey): Partial<Pick<Rule, 'geos' | 'subnets'>> | undefined {
  const country = (code: string): string | undefined => {
    const continent = CODES.get(continentOf(code));
    return continent === undefined ? undefined : `${continent}-${code}`;
  };
  switch (key.kind) {
    case 'network':
      return { subnets: [formatPrefix(key.prefix)] };
    case 'subdivision': {
      const [code = '', part = ''] = key.subdivision.split('-');
      return code === 'US' || code === 'CA' ? { geos: [`NA-${code}-${part}`] } : undefined;
    }
    case 'country': {
      const code = country(key.country);
      return code === undefined ? undefined : { geos: [code] };
    }
    case 'continent': {
      const code = CODES.get(key.continent);
      return code === undefined ? undefined : { geos: [code] };
    }
    case 'area':
    case 'asn':
    case 'city':
    case 'default':
      return undefined;
  }
}

type NamedPool = { readonly name: string; readonly pool: string; readonly fallback: string | undefined };
const SEPARATOR = '\n';

/**
 * A pool of octoDNS for each end of a chain, by its text. A pool has one fallback, so one region may need several. Two
 * rules with places or networks cannot name the same pool: the second one gets a copy. `heads`: the pool of each rule.
 */
function namePools(rules: readonly Rule[]): {
  readonly named: readonly NamedPool[];
  readonly heads: readonly string[];
} {
  const named = new Map<string, NamedPool>();
  const copies: NamedPool[] = [];
  const taken = new Set<string>();
  const freeName = (pool: string): string => {
    // octoDNS allows letters, digits, - and _ in names of pools.
    const base = pool.replace(/[^A-Za-z0-9_-]+/g, '-');
    let name = base;
    for (let at = 2; taken.has(name); at++) name = `${base}-${at}`;
    taken.add(name);
    return name;
  };
  const headOf = (chain: Chain): NamedPool | undefined => {
    const [pool, ...rest] = chain;
    if (pool === undefined) return undefined;
    const key = chain.join(SEPARATOR);
    const known = named.get(key);
    if (known) return known;
    const fallback = headOf(rest)?.name;
    const head = { name: freeName(pool), pool, fallback };
    named.set(key, head);
    return head;
  };
  const used = new Set<string>();
  const heads = rules.map(({ geos, subnets, chain }) => {
    let head = headOf(chain);
    if (head && used.has(head.name) && geos.length + subnets.length > 0) {
      head = { ...head, name: freeName(head.pool) };
      copies.push(head);
    }
    used.add(head?.name ?? '');
    return head?.name ?? '';
  });
  return { named: [...named.values(), ...copies], heads };
}

function valuesOf(members: Members, isChecked: boolean): readonly OctodnsYaml[] {
  const most = Math.max(...members.map(({ vip }) => vip.weight), 1);
  return members.map(({ value, vip }) => {
    const scaled = most <= MAX_OCTODNS_WEIGHT ? vip.weight : Math.round((vip.weight * MAX_OCTODNS_WEIGHT) / most);
    // A standby has weight 0 in Pharos; octoDNS wants 1 for a pool of one value.
    const weight = members.length === 1 ? 1 : Math.max(1, scaled);
    return {
      // Without a check of its own, a value would get octoDNS's default check.
      ...(vip.check === undefined || !isChecked ? { status: 'up' } : {}),
      value,
      weight,
    };
  });
}

/** The values beside the pools: the answer of `when_all_down`, or those of the last rule's first pool. */
function lastResort(
  { whenAllDown }: ServiceModel,
  type: OctodnsType,
  pools: ReadonlyMap<string, Members>,
  rules: readonly Rule[],
): readonly string[] {
  if (whenAllDown.kind === 'static') {
    const fixed =
      type === 'A'
        ? whenAllDown.a
        : type === 'AAAA'
          ? whenAllDown.aaaa
          : whenAllDown.cname
            ? [`${formatName(whenAllDown.cname)}.`]
            : [];
    if (fixed.length > 0) return fixed;
  }
  return (pools.get(rules.at(-1)?.chain[0] ?? '') ?? []).map(({ value }) => value);
}

/** `octodns.healthcheck`, from the check that all VIPs share. */
function healthcheckOf(members: Members, note: OctodnsNote): { readonly [key: string]: OctodnsYaml } {
  const checks = members.flatMap(({ vip }) => vip.check ?? []);
  const [check] = checks;
  if (!check) return {};
  if (checks.some((each) => each.name !== check.name)) {
    note(`its VIPs have different checks: octoDNS has one per record, ${check.name}`);
  }
  if (members.some(({ vip }) => vip.probe !== undefined)) note('probe: octoDNS checks the published value');
  if (check.kind === 'http' || check.kind === 'https') {
    const { host, path, port } = check;
    return {
      octodns: {
        healthcheck: {
          ...(host === undefined ? {} : { host }),
          path,
          port: port ?? (check.kind === 'http' ? 80 : 443),
          protocol: check.kind.toUpperCase(),
        },
      },
    };
  }
  if (check.kind === 'tcp' && check.port > 0) {
    return { octodns: { healthcheck: { port: check.port, protocol: 'TCP' } } };
  }
  note(`the check ${check.name} of the type ${check.kind}: octoDNS has http, https and tcp`);
  return {};
}

/** Notes what a dynamic record does not have. */
function noteOptions(service: ServiceModel, regions: ReadonlyMap<string, RegionSpec>, note: OctodnsNote): void {
  const { ttl, answers, whenAllDown, partial, rampMs, shed, vips } = service;
  if (ttl.minSeconds !== ttl.maxSeconds)
    note(`a TTL of ${ttl.minSeconds} to ${ttl.maxSeconds} s: the smaller is written`);
  if (answers > 1 && service.steps.at(-1)?.kind !== 'all') note('several answers: octoDNS gives one value at a time');
  if (whenAllDown.kind === 'none') note('when_all_down: none: octoDNS has values for this case');
  if (partial !== undefined) note('partial: serve_all');
  if (rampMs > 0) note('ramp');
  if (shed !== undefined) note('shed and capacity');
  if (vips.some(({ svcb }) => svcb !== undefined)) note('svcb: the HTTPS and SVCB records of its VIPs');
  if (vips.some(({ rrsets }) => rrsets !== undefined)) note('the records of other types in its VIPs');
  for (const { name, inner } of vips) if (inner) note(`VIP ${name}, which is the service ${inner.name}`);
  const used = new Set(vips.flatMap(({ region }) => region ?? []));
  for (const region of used)
    if ((regions.get(region)?.minHealthy ?? 0) > 0) note(`min_healthy of the region ${region}`);
}
