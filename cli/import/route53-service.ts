/**
 * Record sets of one name with a routing policy, as a service.
 */
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { awsPosition } from './aws-regions.ts';
import { addCheck, addService, note, relativeName, type DraftValue, type VipDraft, type ZoneDraft } from './draft.ts';
import { fitWeights } from './geo-keys.ts';
import { aliasMessage } from './route53-alias.ts';
import { setChecks, type HealthChecks, type SetCheck } from './route53-checks.ts';
import { differs, noteNames, noteServices, ttlOf, ttlsBySet } from './route53-inner.ts';
import type { Policy, RecordSet } from './route53-sets.ts';
import type { NetworksOf } from './route53-source.ts';
import { readData, targetName } from './values.ts';

/** The port at which most load balancers listen. Their records do not state it. */
const LISTENER_PORT = 443;

/** What the files have beside record sets. */
export type Beside = { readonly checks: HealthChecks; readonly networksOf: NetworksOf };

/** The record sets with one identifier: its A, its AAAA, or the target of its CNAME. */
type Member = {
  readonly id: string;
  readonly policy: Policy;
  readonly a: readonly string[];
  readonly aaaa: readonly string[];
  readonly cname: string | undefined;
  /** The service that its VIP is, relative to the zone. */
  readonly service: string | undefined;
  /** Records of other types. */
  readonly rrsets: NonNullable<VipDraft['rrsets']>;
  readonly healthChecks: readonly string[];
  /** The check of its VIPs, if that of the service is another or none. */
  readonly check?: string | undefined;
  readonly probe?: string | undefined;
  /** The TTL of its answers, if that of the service is another. */
  readonly ttlSeconds?: number | undefined;
};

/**
 * `simple` are the address sets of the same name without a policy. `hasOthers`: the name has other records, which a
 * CNAME cannot coexist with.
 */
export function addRoute53Service(
  draft: ZoneDraft,
  steered: readonly RecordSet[],
  simple: readonly RecordSet[],
  hasOthers: boolean,
  { checks, networksOf }: Beside,
): void {
  const [first] = steered;
  if (!first) return;
  const { owner } = first;
  const { kind } = first.policy;
  const alike = steered.filter(({ policy, id, type }) => {
    if (policy.kind === kind) return true;
    note(draft, 'dropped', owner, `the ${typeText(type)} set "${id}" (${policy.kind}) beside sets that are ${kind}`);
    return false;
  });
  const named = alike.filter(isName);
  const canBeNames = named.length === alike.length && simple.length === 0 && !hasOthers;
  const usable = alike.filter((set) => {
    if (canBeNames || !isName(set)) return true;
    const target = set.alias ? aliasMessage(set.type, set.alias) : `CNAME ${set.values.join()} beside addresses`;
    note(draft, 'dropped', owner, `the set "${set.id}": ${target}`);
    return false;
  });
  if (canBeNames) noteNames(draft, owner, named);
  const placed = withSharedIds(usable);
  const members = membersOf(draft, placed);
  if (members.length === 0) return;
  noteServices(draft, owner, placed);
  const ttl = ttlOf(draft, [...usable, ...simple]);
  const ownTtls = kind === 'geolocation' || kind === 'cidr' ? ttlsBySet(draft, placed, simple) : undefined;
  if (!ownTtls && [...usable, ...simple].some((set) => differs(draft, set, ttl)))
    note(draft, 'changed', owner, `its sets have different TTLs: all get the smallest, ${ttl}`);
  const plain = members.filter(({ service }) => service === undefined);
  const checkOf = new Map([...targetChecks(draft, owner, usable), ...setChecks(draft, owner, plain, checks)]);
  const { check, checked } = shareCheck(members, checkOf);
  const timed = checked.map((member): Member => {
    const own = ownTtls?.get(member.id);
    return own === undefined || own === ttl ? member : { ...member, ttlSeconds: own };
  });
  const plan = planOf(draft, timed, owner, networksOf);
  const vips = withShared(draft, owner, plan.vips, sharedAddresses(draft, simple));
  const { steer, answers } = plan;
  addService(draft, {
    owner,
    ttl,
    ...(check === undefined ? {} : { check }),
    vips,
    steer,
    ...(answers === undefined ? {} : { answers }),
  });
}

/**
 * The check of the service, if all its sets have the same one. Otherwise each VIP has that of its set. A VIP that is a
 * service has none.
 */
function shareCheck(
  members: readonly Member[],
  checks: ReadonlyMap<string, SetCheck>,
): { readonly check: string | undefined; readonly checked: readonly Member[] } {
  const own = members.map(({ id }) => checks.get(id));
  const plain = own.filter((_, at) => members[at]?.service === undefined);
  const common = plain.every((each) => each?.check === plain[0]?.check) ? plain[0]?.check : undefined;
  const checked = members.map((member, at) => ({
    ...member,
    check: common === undefined ? own[at]?.check : undefined,
    probe: own[at]?.probe,
  }));
  return { check: common, checked };
}

/** Instead of EvaluateTargetHealth, by which Route 53 fails over when a load balancer has no healthy target. */
function targetChecks(draft: ZoneDraft, owner: Uint8Array, sets: readonly RecordSet[]): ReadonlyMap<string, SetCheck> {
  const aliases = sets.filter(({ alias, service, evaluatesTarget }) => alias && !service && evaluatesTarget);
  if (aliases.length === 0) return new Map();
  const ids = [...new Set(aliases.map(({ id }) => id))];
  const advice = `EvaluateTargetHealth of the alias (${ids.join(', ')}): give the service a check`;
  if (!aliases.every(({ alias }) => alias && /(?:^|\.)elb\./i.test(formatName(alias)))) {
    note(draft, 'changed', owner, advice);
    return new Map();
  }
  note(draft, 'changed', owner, `${advice}; until then it has a tcp check of port ${LISTENER_PORT}`);
  const check = addCheck(draft, 'tcp', { type: 'tcp', port: LISTENER_PORT });
  return new Map(ids.map((id) => [id, { check, probe: undefined }]));
}

/** Whether the set has names, not addresses. */
export function isName({ alias, type, service }: RecordSet): boolean {
  if (service) return service.answersNames;
  return alias !== undefined || type === TYPE.CNAME;
}

/**
 * Gives sets of other types the identifier of the set of addresses with the same policy, so that they become one VIP;
 * another one if a set with another policy has it.
 */
function withSharedIds(sets: readonly RecordSet[]): readonly RecordSet[] {
  const policyOf = ({ policy }: RecordSet): string => JSON.stringify(policy);
  const placed: RecordSet[] = [];
  for (const set of sets) {
    const own = placed.find(({ id, type }) => id === set.id && type !== set.type);
    // Of a weight there may be several sets, and only the identifier tells which belong together.
    const isPlace = set.policy.kind !== 'weighted' && set.policy.kind !== 'multivalue';
    const twin = set.service && placed.find((each) => serviceKey(each) === serviceKey(set) && policyOf(each) === policyOf(set) && !placed.some(({ id, type }) => id === each.id && type === set.type)); // prettier-ignore
    if (twin) {
      placed.push({ ...set, id: twin.id });
      continue;
    }
    // A VIP has either records or a service.
    if (own && serviceKey(own) !== serviceKey(set)) {
      placed.push({ ...set, id: `${set.id}-${typeText(set.type).toLowerCase()}` });
      continue;
    }
    const same = own && policyOf(own) === policyOf(set) ? own : isPlace && isOther(set) ? placed.find((each) => !each.service && policyOf(each) === policyOf(set)) : undefined; // prettier-ignore
    if (same) placed.push({ ...set, id: same.id });
    else if (own && isOther(set)) placed.push({ ...set, id: `${set.id}-${typeText(set.type).toLowerCase()}` });
    else placed.push(set);
  }
  return placed;
}

function serviceKey({ service }: RecordSet): string {
  return service ? nameKey(service.name) : '';
}

function isOther({ type }: RecordSet): boolean {
  return type !== TYPE.A && type !== TYPE.AAAA && type !== TYPE.CNAME;
}

function membersOf(draft: ZoneDraft, sets: readonly RecordSet[]): Member[] {
  return [...new Set(sets.map(({ id }) => id))].flatMap((id) => {
    const own = sets.filter((set) => set.id === id);
    const valuesOf = (type: number): readonly string[] =>
      own.flatMap((set) => (set.type === type && !isName(set) ? set.values : []));
    const [first] = own;
    const service = first?.service && relativeName(first.service.name, draft.apex);
    const [named] = service === undefined ? own.filter(isName) : [];
    const alias = named?.alias && `${formatName(named.alias)}.`;
    if (!first) return [];
    return {
      service,
      id,
      policy: first.policy,
      a: valuesOf(TYPE.A),
      aaaa: valuesOf(TYPE.AAAA),
      cname: alias ?? named?.values[0]?.replace(/\.?$/, '.'),
      rrsets: rrsetsOf(draft, own.filter(isOther)),
      healthChecks: [...new Set(own.flatMap(({ healthCheck }) => healthCheck ?? []))],
    };
  });
}

/** The records of sets of other types, by type. */
function rrsetsOf(draft: ZoneDraft, sets: readonly RecordSet[]): Member['rrsets'] {
  const types = [...new Set(sets.map(({ type }) => type))].sort((a, b) => a - b);
  return types.flatMap((type) => {
    const own = sets.filter((set) => set.type === type);
    const rdata = own.flatMap(({ owner, values }) => values.flatMap((value) => readData(draft, owner, type, value) ?? [])); // prettier-ignore
    return rdata.length === 0 ? [] : { type, rdata };
  });
}

type Plan = { readonly vips: readonly VipDraft[]; readonly steer: readonly DraftValue[]; readonly answers?: number };

/** Returns the steps that are equivalent to the policy. */
function planOf(draft: ZoneDraft, members: readonly Member[], owner: Uint8Array, networksOf: NetworksOf): Plan {
  const sizes = members.map(sizeOf);
  const isSplit = sizes.some((size) => size > 1);
  const last: readonly DraftValue[] = isSplit ? ['all'] : [];
  const kind = members[0]?.policy.kind;
  switch (kind) {
    case 'weighted': {
      if (isSplit) {
        note(
          draft,
          'changed',
          owner,
          'Route 53 answers with all values of the chosen set: Pharos answers with one of them',
        );
      }
      return { vips: weightedVips(draft, members, sizes, owner), steer: ['weighted'] };
    }
    case 'failover': {
      const order = [...members].sort((a, b) => Number(isPrimary(b)) - Number(isPrimary(a)));
      const named = isSplit ? addRegions(draft, members) : members.map(({ id }) => targetName(id));
      const failover = order.map((member) => named[members.indexOf(member)] ?? '');
      return { vips: vipsOf(members, isSplit ? named : []), steer: [{ failover }, ...last] };
    }
    case 'geolocation': {
      const geo = members.flatMap(({ policy }, at): [string, number][] =>
        policy.kind === 'geolocation' ? [[policy.key, at]] : [],
      );
      return placePlan(draft, members, owner, geo, last);
    }
    case 'latency':
    case 'geoproximity': {
      if (kind === 'latency') {
        const message =
          'the latencies of AWS are not in this file: nearest replaces them until you have a latency table';
        note(draft, 'changed', owner, message);
      }
      return nearestPlan(draft, members, last);
    }
    case 'cidr':
      return placePlan(draft, members, owner, networkKeys(draft, members, owner, networksOf), last);
    default: {
      const count = sizes.reduce((sum, size) => sum + size, 0);
      return { vips: vipsOf(members, []), steer: ['weighted'], answers: Math.min(8, count) };
    }
  }
}

/** A `geo` step. `keys`: each key with the index of its member. Members that are alike are one region. */
function placePlan(
  draft: ZoneDraft,
  members: readonly Member[],
  owner: Uint8Array,
  keys: readonly (readonly [key: string, member: number])[],
  last: readonly DraftValue[],
): Plan {
  const first = members.map((member) => members.findIndex((each) => areAlike(each, member)));
  const kept = members.filter((_, at) => first[at] === at);
  const regions = addRegions(draft, kept);
  const regionOf = (at: number): string => regions[kept.indexOf(members[first[at] ?? at] as Member)] ?? '';
  const valueOf = (at: number): DraftValue => {
    const ttl = members[at]?.ttlSeconds;
    return ttl === undefined ? regionOf(at) : { to: regionOf(at), ttl };
  };
  const geo: Record<string, DraftValue> = {};
  for (const [key, at] of keys) {
    const known = geo[key];
    // A set of A and one of AAAA that lead to different services are two regions.
    geo[key] = known === undefined ? valueOf(at) : bothOf(known, valueOf(at));
  }
  if (geo['default'] === undefined) {
    note(draft, 'changed', owner, 'no default location: clients elsewhere have no answer, as in Route 53');
  }
  return { vips: vipsOf(kept, regions), steer: [{ geo }, ...last] };
}

/** Two values of a key, as one. */
function bothOf(one: DraftValue, other: DraftValue): DraftValue {
  const read = (value: DraftValue): { readonly to: readonly DraftValue[]; readonly ttl?: DraftValue } => {
    if (typeof value !== 'object') return { to: [value] };
    if (Array.isArray(value)) return { to: value as readonly DraftValue[] };
    const { to = [], ttl = 0 } = value as Readonly<Record<string, DraftValue>>;
    return { ...read(to), ttl };
  };
  const [a, b] = [read(one), read(other)];
  const to = [...new Set([...a.to, ...b.to])];
  const ttl = a.ttl ?? b.ttl;
  const list = to.length === 1 && to[0] !== undefined ? to[0] : to;
  return ttl === undefined ? list : { to: list, ttl };
}

/** Whether two members give the same answers and have the same checks. */
function areAlike(a: Member, b: Member): boolean {
  const textOf = ({ id: _id, policy: _policy, ttlSeconds: _ttl, ...rest }: Member): string => JSON.stringify(rest);
  return textOf(a) === textOf(b);
}

/** The networks of the locations, and `default` for the location `*`. */
function networkKeys(
  draft: ZoneDraft,
  members: readonly Member[],
  owner: Uint8Array,
  networksOf: NetworksOf,
): readonly [string, number][] {
  const lost: string[] = [];
  const keys = members.flatMap(({ policy }, at): [string, number][] => {
    if (policy.kind !== 'cidr') return [];
    if (policy.location === '*') return [['default', at]];
    const networks = networksOf(policy.collection, policy.location);
    if (!networks) lost.push(policy.location);
    return (networks ?? []).map((network) => [network, at]);
  });
  if (lost.length > 0) {
    const message = `the networks of the locations ${lost.join(', ')} are not in these files (list-cidr-blocks): add them as keys of geo`;
    note(draft, 'changed', owner, message);
  }
  // A geo step needs a key.
  return keys.length > 0 ? keys : [['default', 0]];
}

function nearestPlan(draft: ZoneDraft, members: readonly Member[], last: readonly DraftValue[]): Plan {
  const biases = Object.create(null) as Record<string, number>;
  const regions = members.map(({ id, policy }) => {
    const near = policy.kind === 'latency' ? { region: policy.region, at: undefined, bias: 0 } : undefined;
    const place = near ?? (policy.kind === 'geoproximity' ? policy : { region: '', at: undefined, bias: 0 });
    const name = targetName(place.region === '' ? id : place.region);
    const known = awsPosition(place.region);
    const at = place.at ?? known.at;
    if (place.at === undefined && at !== undefined && known.isParent) {
      note(draft, 'changed', undefined, `the position of ${name} is not known: it has that of its AWS region`);
    }
    if (at === undefined) {
      note(draft, 'changed', undefined, `the position of ${name} is not in this file: give the region "at"`);
    }
    draft.regions.set(name, at === undefined ? {} : { at });
    if (place.bias !== 0) biases[name] = Math.max(-99, Math.min(99, place.bias));
    return name;
  });
  const nearest: DraftValue = Object.keys(biases).length === 0 ? 'nearest' : { nearest: { bias: biases } };
  return { vips: vipsOf(members, regions), steer: [nearest, ...(last.length > 0 ? last : ['weighted'])] };
}

function isPrimary({ policy }: Member): boolean {
  return policy.kind === 'failover' && policy.primary;
}

function sizeOf({ a, aaaa }: Member): number {
  return Math.max(a.length, aaaa.length, 1);
}

/** Adds one region per set, so that steps can choose whole sets. Returns their names. */
function addRegions(draft: ZoneDraft, members: readonly Member[]): string[] {
  return members.map(({ id }) => {
    const name = targetName(id);
    if (!draft.regions.has(name)) draft.regions.set(name, {});
    return name;
  });
}

function vipsOf(members: readonly Member[], regions: readonly string[], weights: readonly number[] = []): VipDraft[] {
  return members.flatMap((member, at) => {
    const size = sizeOf(member);
    const region = regions[at];
    const weight = weights[at];
    return Array.from({ length: size }, (_, index): VipDraft => {
      const a = member.a[index];
      const aaaa = member.aaaa[index];
      return {
        name: targetName(size === 1 ? member.id : `${member.id}-${index + 1}`),
        ...(region === undefined ? {} : { region }),
        ...(a === undefined ? {} : { A: a }),
        ...(aaaa === undefined ? {} : { AAAA: aaaa }),
        ...(member.service === undefined ? {} : { service: member.service }),
        ...(member.cname === undefined ? {} : { CNAME: member.cname }),
        ...(member.rrsets.length === 0 ? {} : { rrsets: member.rrsets }),
        ...(weight === undefined ? {} : { weight }),
        ...(member.probe === undefined || member.probe === (a ?? aaaa) ? {} : { probe: member.probe }),
        ...(member.check === undefined ? {} : { check: member.check }),
        ...(member.healthChecks.length === 0 ? {} : { comment: `health check ${member.healthChecks.join(', ')}` }),
      };
    });
  });
}

/** Divides a set's weight among its values, so that sets keep their proportions. */
function weightedVips(
  draft: ZoneDraft,
  members: readonly Member[],
  sizes: readonly number[],
  owner: Uint8Array,
): VipDraft[] {
  const weights = members.map(({ policy }) => (policy.kind === 'weighted' ? policy.weight : 1));
  const isAllZero = weights.every((weight) => weight === 0);
  if (isAllZero)
    note(draft, 'changed', owner, 'every weight is 0, which means equal weights in Route 53: they become 1');
  const common = sizes.reduce((product, size) => (product * size) / divisor(product, size), 1);
  const spread = weights.map((weight, at) => ((isAllZero ? 1 : weight) * common) / (sizes[at] ?? 1));
  return vipsOf(members, [], fitWeights(spread));
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

/** VIPs with the addresses that all of them share. One that is a service has no addresses. */
function withShared(
  draft: ZoneDraft,
  owner: Name,
  vips: readonly VipDraft[],
  shared: { readonly A?: string; readonly AAAA?: string },
): readonly VipDraft[] {
  const types = Object.keys(shared);
  const nested = vips.filter(({ service }) => service !== undefined);
  if (types.length === 0 || nested.length === 0) return vips.map((vip) => ({ ...vip, ...shared }));
  const names = nested.map(({ name }) => name).join(', ');
  note(draft, 'dropped', owner, `the ${types.join(' and ')} without a policy at ${names}, which are services`);
  return vips.map((vip) => (vip.service === undefined ? { ...vip, ...shared } : vip));
}

/** An address set without a policy beside steered ones: every VIP gets its address. */
function sharedAddresses(draft: ZoneDraft, simple: readonly RecordSet[]): { A?: string; AAAA?: string } {
  const shared: { A?: string; AAAA?: string } = {};
  for (const { owner, type, values, alias } of simple) {
    const [value, ...more] = values;
    if (alias) note(draft, 'dropped', owner, aliasMessage(type, alias));
    if (value === undefined) continue;
    if (type === TYPE.A) shared.A = value;
    if (type === TYPE.AAAA) shared.AAAA = value;
    const lost = more.length > 0 ? `; left out: ${more.join(', ')}` : '';
    note(draft, 'changed', owner, `every VIP gets the ${typeText(type)} without a policy${lost}`);
  }
  return shared;
}
