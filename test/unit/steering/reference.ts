/**
 * Steering from docs/steering.md alone, slow and simple: plain objects in, every possible answer out. It shares no code
 * with compiled steering except the location of an address and the hash of a name, which have separate references
 * (test/unit/geo, test/unit/wire).
 */
import { hashText } from '../../../wire/name-hash.ts';

export type RefVip = {
  readonly name: string;
  readonly region: string | undefined;
  /** Text of the address, or undefined. */
  readonly a: string | undefined;
  readonly aaaa: string | undefined;
  /** Then every VIP of the service has one, and none has an address. */
  readonly cname: string | undefined;
  /** The records, with a plus sign between them. */
  readonly txt?: string | undefined;
  readonly mx?: string | undefined;
  /** The service that answers in its place. Its data above only says which types that service has. */
  readonly inner?: string | undefined;
};
/** The services of a zone, and the states of their VIPs. */
export type RefTree = {
  readonly services: ReadonlyMap<string, RefService>;
  readonly health: ReadonlyMap<string, ReadonlyMap<string, RefHealth>>;
  readonly regions: Readonly<Record<string, RefRegion>>;
};
export type RefFamily = 'a' | 'aaaa' | 'cname' | 'txt' | 'mx';
export type RefPoint = { readonly latitude: number; readonly longitude: number };
export type RefRegion = { readonly point: RefPoint | undefined; readonly minHealthy: number };
export type RefKey =
  | { readonly kind: 'network'; readonly contains: (client: Uint8Array) => boolean; readonly bits: number }
  | { readonly kind: 'asn' | 'subdivision' | 'country' | 'area' | 'continent'; readonly value: string }
  /** `in`: a country or a subdivision. */
  | { readonly kind: 'city'; readonly in: string; readonly name: string }
  | { readonly kind: 'default' };
export type RefMeasurement = {
  readonly key: Exclude<RefKey, { kind: 'default' }>;
  readonly region: string;
  readonly ms: number;
};
export type RefStep =
  | {
      readonly kind: 'geo';
      /** Without regions: `none`. */
      readonly map: readonly { readonly key: RefKey; readonly regions: readonly string[]; readonly ttl?: number }[];
      readonly fence: boolean;
    }
  | { readonly kind: 'nearest'; readonly bias: Readonly<Record<string, number>>; readonly withinKm: number }
  | { readonly kind: 'latency'; readonly table: readonly RefMeasurement[]; readonly withinMs: number }
  | { readonly kind: 'failover'; readonly order: readonly string[] }
  | { readonly kind: 'sticky'; readonly v4Bits: number; readonly v6Bits: number }
  | { readonly kind: 'weighted' | 'all' };
export type RefService = {
  readonly vips: readonly RefVip[];
  readonly steps: readonly RefStep[];
  readonly answers: number;
  readonly sheds: boolean;
  readonly ttl: { readonly min: number; readonly max: number };
  readonly partial: 'serve_up' | 'serve_all';
  readonly whenAllDown: 'serve_all' | 'none' | RefStatic;
};
/** A static answer: addresses and other records, or only a CNAME. */
export type RefStatic = Omit<RefVip, 'name' | 'region' | 'inner'>;
export type RefHealth = {
  readonly probed: 'unknown' | 'up' | 'down';
  readonly forced: 'none' | 'up' | 'down' | 'drain';
  readonly holdSeconds: number;
  readonly weight: number;
  /** What a ramp takes from the weight. */
  readonly withheld: number;
  /** 0 to 65535: the share of clients that it sheds, in 65536ths; above that it is full. */
  readonly pressure: number;
};
export type RefClient = {
  readonly address: Uint8Array;
  /** The threshold of the client's network at a VIP, 0 to 65535. */
  readonly bears: (vip: string) => number;
  readonly country: string;
  readonly subdivision: string;
  readonly city: string;
  readonly area: string;
  readonly continent: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly asn: number;
};

export type RefAnswer =
  /** `count` of these, each at most once; in this order if `ordered`. */
  | {
      readonly kind: 'vips';
      readonly vips: readonly RefVip[];
      readonly count: number;
      readonly ordered: boolean;
      readonly ttl: number;
      /** How much of the address `sticky` used on the way to these. */
      readonly stickyBits: number;
    }
  /** `ttl`: where a VIP is a service. */
  | { readonly kind: 'static'; readonly answer: RefStatic; readonly ttl?: number }
  | { readonly kind: 'empty' };

/** `ordered`: the list is in the order to serve, and not one of many random ones. */
type Result = {
  readonly list: readonly Candidate[];
  readonly ordered: boolean;
  readonly stickyBits: number;
  /** The smallest TTL of the keys of `geo` that led here. */
  readonly keyTtl: number | undefined;
};

type Candidate = { readonly vip: RefVip; readonly health: RefHealth };

export function decide(
  service: RefService,
  regions: Readonly<Record<string, RefRegion>>,
  health: ReadonlyMap<string, RefHealth>,
  family: RefFamily,
  client: RefClient,
  tree?: RefTree,
): RefAnswer {
  const innerCounts = ({ vip }: Candidate, type: RefFamily | 'any', degree: Degree): boolean =>
    vip.inner === undefined || (tree !== undefined && hasCounting(tree, vip.inner, type, degree));
  const all = service.vips.map((vip): Candidate => {
    const state = health.get(vip.name);
    if (!state) throw new Error(`no health for ${vip.name}`);
    return { vip, health: state };
  });
  const withType = all.filter(({ vip }) => vip[family] !== undefined);
  const isForcedOut = ({ health: { forced } }: Candidate): boolean => forced === 'down' || forced === 'drain';
  const isAvailable = (candidate: Candidate, type: RefFamily | 'any' = family): boolean =>
    isUp(candidate.health) && innerCounts(candidate, type, 'up');
  /**
   * docs/steering.md#candidates: the region has at least min_healthy of its weight up; a region of weight 0 is counted
   * by number of VIPs.
   */
  const isRegionHealthy = ({ vip }: Candidate): boolean => {
    const least = vip.region === undefined ? 0 : (regions[vip.region]?.minHealthy ?? 0);
    const inRegion = all.filter((other) => other.vip.region === vip.region);
    const weighs = inRegion.some((other) => other.health.weight > 0);
    const sum = (list: readonly Candidate[]): number =>
      list.reduce((total, { health: { weight, withheld } }) => total + (weighs ? weight + withheld : 1), 0);
    return sum(inRegion.filter((each) => isAvailable(each, 'any'))) / sum(inRegion) >= least - 1e-6;
  };
  /** docs/steering.md#candidates: a standby is a candidate only if no VIP with a weight is left for this client. */
  const run = (pool: readonly Candidate[]): Result => {
    const others = pool.filter((candidate) => candidate.health.weight > 0);
    const first = steps(service, regions, others.length > 0 ? others : pool, client);
    return first.list.length > 0 ? first : steps(service, regions, pool, client);
  };
  /**
   * docs/steering.md#which-clients-are-shed: a VIP whose pressure exceeds the client's threshold is not a candidate; if
   * that leaves none, those that exceed it least join. Standbys are not activated because others shed, and if the steps
   * lead to no VIP, or to VIPs that do not shed, shedding changes nothing.
   */
  const runShedding = (pool: readonly Candidate[]): Result => {
    const plain = run(pool);
    // Also if `within` counts from a region that sheds: its load does not move clients that are not sent to it.
    if (plain.list.every(({ health: { pressure } }) => pressure === 0)) return plain;
    if (plain.list.every(({ health: { weight } }) => weight === 0) && pool.some(({ health }) => health.weight > 0)) {
      return plain;
    }
    const others = pool.filter((candidate) => candidate.health.weight > 0);
    const base = others.length > 0 ? others : pool;
    const over = ({ vip, health: { pressure } }: Candidate): number =>
      pressure === 0 ? 0 : Math.max(0, pressure - client.bears(vip.name));
    for (const limit of [0, ...base.map(over).toSorted((a, b) => a - b)]) {
      const result = steps(
        service,
        regions,
        base.filter((each) => over(each) <= limit),
        client,
      );
      if (result.list.length > 0) return result;
    }
    return plain;
  };
  const answer = ({ list, ordered, stickyBits, keyTtl }: Result): RefAnswer => {
    const served = list.some(({ health: { weight } }) => weight > 0)
      ? list.filter((each) => each.health.weight > 0)
      : list;
    const hold = Math.min(...withType.map((each) => holdOf(tree, each, family)));
    const { min } = service.ttl;
    const max = keyTtl ?? service.ttl.max;
    // docs/steering.md#ttl: the TTL of a key takes the place of a fixed one, and of the maximum of a range.
    const ttl = service.ttl.min === service.ttl.max ? max : Math.min(max, Math.max(min, hold));
    return {
      kind: 'vips',
      vips: served.map(({ vip }) => vip),
      count: Math.min(service.answers, served.length),
      ordered,
      ttl,
      stickyBits,
    };
  };

  /** docs/steering.md#partly-down */
  const isServing = (each: Candidate): boolean => isAvailable(each) && each.health.weight > 0;
  const joins = (each: Candidate): boolean =>
    service.partial === 'serve_all' &&
    !isForcedOut(each) &&
    innerCounts(each, family, 'up') &&
    each.health.weight > 0 &&
    withType.some((other) => other.vip.region === each.vip.region && isServing(other));
  const isCandidate = (each: Candidate): boolean => (isAvailable(each) || joins(each)) && isRegionHealthy(each);
  const available = (service.sheds ? runShedding : run)(withType.filter(isCandidate));
  if (available.list.length > 0) return answer(available);
  if (service.steps.some((step) => step.kind === 'geo' && isWithheld(step, service, client))) return { kind: 'empty' };
  if (service.whenAllDown === 'none') return { kind: 'empty' };
  if (service.whenAllDown !== 'serve_all') return { kind: 'static', answer: service.whenAllDown };
  // serve_all: as if all were up; VIPs that an operator took out only if the operator took out all.
  const left = withType.filter((each) => !isForcedOut(each) && innerCounts(each, family, 'not out'));
  const isAllOut = all.every((each) => isForcedOut(each) || (tree !== undefined && isInnerOut(tree, each.vip)));
  for (const pool of [left, isAllOut ? withType : []]) {
    const result = run(pool);
    if (result.list.length > 0) return answer(result);
  }
  return { kind: 'empty' };
}

type Degree = 'up' | 'not out';

function isUp({ forced, probed }: RefHealth): boolean {
  return forced === 'up' || (forced === 'none' && probed !== 'down');
}

function stateOf({ health }: RefTree, service: string, vip: RefVip): RefHealth {
  const state = health.get(service)?.get(vip.name);
  if (!state) throw new Error(`no health for ${service}/${vip.name}`);
  return state;
}

function vipsOf({ services }: RefTree, service: string): readonly RefVip[] {
  return services.get(service)?.vips ?? [];
}

/** docs/steering.md#services-as-vips: whether a service has a VIP with the type that counts. */
function hasCounting(tree: RefTree, service: string, type: RefFamily | 'any', degree: Degree): boolean {
  const vips = vipsOf(tree, service);
  const isCounted = (vip: RefVip, wanted: RefFamily | 'any'): boolean => {
    const state = stateOf(tree, service, vip);
    const isOwn = degree === 'up' ? isUp(state) : state.forced !== 'down' && state.forced !== 'drain';
    return isOwn && (vip.inner === undefined || hasCounting(tree, vip.inner, wanted, degree));
  };
  return vips.some((vip) => {
    if ((type !== 'any' && vip[type] === undefined) || !isCounted(vip, type)) return false;
    const least = vip.region === undefined || degree !== 'up' ? 0 : (tree.regions[vip.region]?.minHealthy ?? 0);
    const inRegion = vips.filter(({ region }) => region === vip.region);
    const weighs = inRegion.some((each) => stateOf(tree, service, each).weight > 0);
    const weightOf = (each: RefVip): number => {
      const { weight, withheld } = stateOf(tree, service, each);
      return weighs ? weight + withheld : 1;
    };
    const sum = (list: readonly RefVip[]): number => list.reduce((total, each) => total + weightOf(each), 0);
    return sum(inRegion.filter((each) => isCounted(each, 'any'))) / sum(inRegion) >= least - 1e-6;
  });
}

function isInnerOut(tree: RefTree, { inner }: RefVip): boolean {
  if (inner === undefined) return false;
  return vipsOf(tree, inner).every(
    (vip) => ['down', 'drain'].includes(stateOf(tree, inner, vip).forced) || isInnerOut(tree, vip),
  );
}

function holdOf(tree: RefTree | undefined, { vip, health }: Candidate, family: RefFamily): number {
  const { inner } = vip;
  if (inner === undefined || !tree) return health.holdSeconds;
  const others = vipsOf(tree, inner)
    .filter((each) => each[family] !== undefined)
    .map((each) => holdOf(tree, { vip: each, health: stateOf(tree, inner, each) }, family));
  return Math.min(health.holdSeconds, ...others);
}

/**
 * docs/steering.md#services-as-vips: every answer that is possible, with the services that give them. `clientOf`: the
 * client as the VIPs of a service see it.
 */
export function decideNested(
  tree: RefTree,
  name: string,
  family: RefFamily,
  clientOf: (service: string) => RefClient,
): readonly { readonly service: RefService; readonly answer: RefAnswer }[] {
  const service = tree.services.get(name);
  if (!service) throw new Error(`no service ${name}`);
  const answer = decide(service, tree.regions, tree.health.get(name) ?? new Map(), family, clientOf(name), tree);
  if (answer.kind === 'static') return [{ service, answer: { ...answer, ttl: service.ttl.min } }];
  if (answer.kind === 'empty') return [{ service, answer }];
  // Any of them may be first, unless they have an order.
  const firsts = answer.ordered ? answer.vips.slice(0, 1) : answer.vips;
  const plain = answer.vips.filter(({ inner }) => inner === undefined);
  const own = { ...answer, vips: plain, count: Math.min(service.answers, plain.length) };
  return [
    ...(firsts.some(({ inner }) => inner === undefined) ? [{ service, answer: own }] : []),
    ...firsts.flatMap(({ inner }) => {
      if (inner === undefined) return [];
      return decideNested(tree, inner, family, clientOf).map(({ service: last, answer: theirs }) => ({
        service: last,
        answer: theirs.kind === 'empty' ? theirs : { ...theirs, ttl: Math.min(answer.ttl, theirs.ttl ?? Infinity) },
      }));
    }),
  ];
}

function steps(
  service: RefService,
  regions: Readonly<Record<string, RefRegion>>,
  pool: readonly Candidate[],
  client: RefClient,
): Result {
  let list = pool;
  let ordered = true;
  let stickyBits = 0;
  let keyTtl: number | undefined;
  for (const step of service.steps) {
    switch (step.kind) {
      case 'geo': {
        const found = geo(step, list, client);
        list = found.list;
        if (found.ttl !== undefined) keyTtl = Math.min(keyTtl ?? Infinity, found.ttl);
        break;
      }
      case 'nearest':
        list = leastRegions(list, (region) => biasedKm(region, regions, step.bias, client), step.withinKm);
        break;
      case 'latency':
        list = latency(step, list, regions, client);
        break;
      case 'failover': {
        const name = step.order.find((each) => list.some(({ vip }) => named(each, service, vip)));
        list = name === undefined ? [] : list.filter(({ vip }) => named(name, service, vip));
        break;
      }
      case 'weighted':
        ordered = false;
        list = withoutStandbys(list);
        break;
      case 'sticky': {
        if (list.length === 0) break;
        ordered = true;
        list = withoutStandbys(list);
        const bits = client.address.length === 4 ? step.v4Bits : step.v6Bits;
        // One VIP needs no order.
        if (list.length > 1) stickyBits = Math.max(stickyBits, bits);
        // Among standbys alone, all are equal.
        const score = ({ vip, health }: Candidate): number => {
          const chance = rendezvous(vip.name, client.address, bits);
          return -(health.weight === 0 ? 1 : health.weight) / Math.log(chance);
        };
        list = list.toSorted((a, b) => score(b) - score(a));
        break;
      }
      case 'all':
        break;
    }
  }
  return { list, ordered, stickyBits, keyTtl };
}

function withoutStandbys(list: readonly Candidate[]): readonly Candidate[] {
  const others = list.filter(({ health }) => health.weight > 0);
  return others.length > 0 ? others : list;
}

/**
 * The number between 0 and 1 that a network draws at a VIP: the same on every node and in every version, because an
 * update must not move clients. FNV-1a over the network's octets and MurmurHash3's finaliser.
 */
function rendezvous(vip: string, client: Uint8Array, bits: number): number {
  const kept = [...client]
    .map((octet) => octet.toString(2).padStart(8, '0'))
    .join('')
    .slice(0, bits);
  let hash = 0x811c9dc5;
  for (const octet of kept.match(/.{1,8}/g) ?? []) {
    hash = multiply(xor(hash, Number.parseInt(octet.padEnd(8, '0'), 2)), 0x01000193);
  }
  const name = Buffer.from(vip);
  return (finalised(xor(finalised(xor(hash, bits)), hashText(name))) + 0.5) / 2 ** 32;
}

function finalised(value: number): number {
  const first = multiply(xor(value, value >>> 16), 0x85ebca6b);
  const second = multiply(xor(first, first >>> 13), 0xc2b2ae35);
  return xor(second, second >>> 16);
}

function xor(a: number, b: number): number {
  return (a ^ b) >>> 0;
}

function multiply(a: number, b: number): number {
  return Number((BigInt(a) * BigInt(b)) % 2n ** 32n);
}

/** A name of a region of one of the service's VIPs means the region, any other name a VIP. */
function named(name: string, service: RefService, vip: RefVip): boolean {
  return service.vips.some(({ region }) => region === name) ? vip.region === name : vip.name === name;
}

function matches(key: RefKey, client: RefClient): boolean {
  switch (key.kind) {
    case 'network':
      return key.contains(client.address);
    case 'asn':
      return `AS${client.asn}` === key.value;
    case 'city':
      return (
        [client.country, client.subdivision].includes(key.in) && client.city.toUpperCase() === key.name.toUpperCase()
      );
    case 'area':
      return client.area === key.value;
    case 'subdivision':
      return client.subdivision === key.value;
    case 'country':
      return client.country === key.value;
    case 'continent':
      return client.continent === key.value;
    case 'default':
      return true;
  }
}

const BROADNESS = ['network', 'asn', 'city', 'subdivision', 'country', 'area', 'continent', 'default'];

function specificity(key: RefKey): number {
  const depth = key.kind === 'network' ? key.bits : key.kind === 'city' ? key.in.length : 0;
  return BROADNESS.indexOf(key.kind) * 1000 - depth;
}

type RefGeo = Extract<RefStep, { kind: 'geo' }>;

/** The entries that count for a client, the most specific first. None follows one with `none`. */
function entriesFor(step: RefGeo, client: RefClient): RefGeo['map'] {
  const fitting = step.map
    .filter(({ key }) => matches(key, client))
    .toSorted((a, b) => specificity(a.key) - specificity(b.key));
  const end = fitting.findIndex(({ regions }) => step.fence || regions.length === 0);
  return end < 0 ? fitting : fitting.slice(0, end + 1);
}

function geo(
  step: RefGeo,
  list: readonly Candidate[],
  client: RefClient,
): { readonly list: readonly Candidate[]; readonly ttl?: number | undefined } {
  for (const { regions, ttl } of entriesFor(step, client)) {
    for (const region of regions) {
      const kept = list.filter(({ vip }) => vip.region === region);
      if (kept.length > 0) return { list: kept, ttl };
    }
  }
  return { list: [] };
}

/** docs/steering.md#geo: `none` is the most specific key that the service has an answer for. */
function isWithheld(step: RefGeo, { vips }: RefService, client: RefClient): boolean {
  const has = (names: readonly string[]): boolean =>
    vips.some(({ region }) => region !== undefined && names.includes(region));
  const first = entriesFor(step, client).find(({ regions }) => regions.length === 0 || has(regions));
  return first?.regions.length === 0;
}

/** The region with the least measure, and those at most `within` more. Unknown measures come last, all equal. */
function leastRegions(
  list: readonly Candidate[],
  measure: (region: string | undefined) => number | undefined,
  within: number,
): readonly Candidate[] {
  const known = list.flatMap(({ vip }) => measure(vip.region) ?? []);
  if (known.length === 0) return list;
  const least = Math.min(...known);
  return list.filter(({ vip }) => {
    const value = measure(vip.region);
    return value !== undefined && value <= least + within;
  });
}

function biasedKm(
  region: string | undefined,
  regions: Readonly<Record<string, RefRegion>>,
  bias: Readonly<Record<string, number>>,
  client: RefClient,
): number | undefined {
  const point = region === undefined ? undefined : regions[region]?.point;
  if (!point || region === undefined || Number.isNaN(client.latitude)) return undefined;
  const km = angle(vector(point), vector(client)) * 6371.0088;
  const b = bias[region] ?? 0;
  return b < 0 ? km / (1 + b / 100) : km * (1 - b / 100);
}

function vector({ latitude, longitude }: RefPoint): readonly [number, number, number] {
  const [phi, lambda] = [(latitude * Math.PI) / 180, (longitude * Math.PI) / 180];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

function angle([a, b, c]: readonly [number, number, number], [x, y, z]: readonly [number, number, number]): number {
  return Math.atan2(Math.hypot(b * z - c * y, c * x - a * z, a * y - b * x), a * x + b * y + c * z);
}

/** By the most specific row of the table for the client; if none applies, the nearest. */
function latency(
  step: Extract<RefStep, { kind: 'latency' }>,
  list: readonly Candidate[],
  regions: Readonly<Record<string, RefRegion>>,
  client: RefClient,
): readonly Candidate[] {
  const rows = step.table.filter(({ key }) => matches(key, client));
  const best = Math.min(...rows.map(({ key }) => specificity(key)));
  const measured = new Map(rows.filter(({ key }) => specificity(key) === best).map(({ region, ms }) => [region, ms]));
  const msOf = (region: string | undefined): number | undefined =>
    region === undefined ? undefined : measured.get(region);
  if (list.some(({ vip }) => msOf(vip.region) !== undefined)) return leastRegions(list, msOf, step.withinMs);
  return leastRegions(list, (region) => biasedKm(region, regions, {}, client), 0);
}
