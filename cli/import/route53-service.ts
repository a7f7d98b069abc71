/**
 * Record sets of one name with a routing policy, as a service.
 */
import { formatName } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { AWS_REGIONS } from './aws-regions.ts';
import { addService, note, type DraftValue, type VipDraft, type ZoneDraft } from './draft.ts';
import { fitWeights } from './geo-keys.ts';
import { ALIAS_TTL_SECONDS, aliasMessage } from './route53-alias.ts';
import type { Policy, RecordSet } from './route53-sets.ts';
import { targetName } from './values.ts';

/** The record sets with one identifier: its A, its AAAA, or the target of its CNAME. */
type Member = {
  readonly id: string;
  readonly policy: Policy;
  readonly a: readonly string[];
  readonly aaaa: readonly string[];
  readonly cname: string | undefined;
  readonly healthChecks: readonly string[];
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
  if (canBeNames && named.some(({ alias }) => alias)) {
    note(draft, 'changed', owner, 'the aliases become CNAMEs, which resolvers follow');
  }
  const members = membersOf(usable);
  if (members.length === 0) return;
  const ttls = [...usable, ...simple].flatMap(({ ttlSeconds, alias }) =>
    alias ? ALIAS_TTL_SECONDS : (ttlSeconds ?? []),
  );
  const ttl = Math.min(...(ttls.length > 0 ? ttls : [ALIAS_TTL_SECONDS]));
  if (ttls.some((each) => each !== ttl))
    note(draft, 'changed', owner, `its sets have different TTLs: all get the smallest, ${ttl}`);
  const plan = planOf(draft, members, owner);
  const shared = sharedAddresses(draft, simple);
  const vips = plan.vips.map((vip): VipDraft => ({ ...vip, ...shared }));
  const { steer, answers } = plan;
  addService(draft, { owner, ttl, vips, steer, ...(answers === undefined ? {} : { answers }) });
  const checks = members.flatMap(({ id, healthChecks }) => healthChecks.map((check) => `${check} (${id})`));
  if (checks.length > 0) {
    const message = `health checks are not in this file; give the service a check: ${checks.join(', ')}`;
    note(draft, 'changed', owner, message);
  }
}

function isName({ alias, type }: RecordSet): boolean {
  return alias !== undefined || type === TYPE.CNAME;
}

function membersOf(sets: readonly RecordSet[]): Member[] {
  return [...new Set(sets.map(({ id }) => id))].flatMap((id) => {
    const own = sets.filter((set) => set.id === id);
    const valuesOf = (type: number): readonly string[] =>
      own.flatMap((set) => (set.type === type && !isName(set) ? set.values : []));
    const [named] = own.filter(isName);
    const alias = named?.alias && `${formatName(named.alias)}.`;
    const [first] = own;
    if (!first) return [];
    return {
      id,
      policy: first.policy,
      a: valuesOf(TYPE.A),
      aaaa: valuesOf(TYPE.AAAA),
      cname: alias ?? named?.values[0]?.replace(/\.?$/, '.'),
      healthChecks: [...new Set(own.flatMap(({ healthCheck }) => healthCheck ?? []))],
    };
  });
}

type Plan = { readonly vips: readonly VipDraft[]; readonly steer: readonly DraftValue[]; readonly answers?: number };

/** Returns the steps that are equivalent to the policy. */
function planOf(draft: ZoneDraft, members: readonly Member[], owner: Uint8Array): Plan {
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
      const regions = addRegions(draft, members);
      const geo = Object.fromEntries(
        members.flatMap(({ policy }, at) => (policy.kind === 'geolocation' ? [[policy.key, regions[at] ?? '']] : [])),
      );
      if (geo['default'] === undefined) {
        note(draft, 'changed', owner, 'no default location: clients elsewhere have no answer, as in Route 53');
      }
      return { vips: vipsOf(members, regions), steer: [{ geo }, ...last] };
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
    case 'cidr': {
      const regions = addRegions(draft, members);
      const fallback = members.findIndex(({ policy }) => policy.kind === 'cidr' && policy.location === '*');
      const lost = members.flatMap(({ policy }) =>
        policy.kind === 'cidr' && policy.location !== '*' ? [policy.location] : [],
      );
      const message = `the networks of the locations ${lost.join(', ')} are not in this file: add them as keys of geo`;
      note(draft, 'changed', owner, message);
      const rest = fallback < 0 ? regions : (regions[fallback] ?? '');
      return { vips: vipsOf(members, regions), steer: [{ geo: { default: rest } }, ...last] };
    }
    default: {
      const count = sizes.reduce((sum, size) => sum + size, 0);
      return { vips: vipsOf(members, []), steer: ['weighted'], answers: Math.min(8, count) };
    }
  }
}

function nearestPlan(draft: ZoneDraft, members: readonly Member[], last: readonly DraftValue[]): Plan {
  const biases = Object.create(null) as Record<string, number>;
  const regions = members.map(({ id, policy }) => {
    const near = policy.kind === 'latency' ? { region: policy.region, at: undefined, bias: 0 } : undefined;
    const place = near ?? (policy.kind === 'geoproximity' ? policy : { region: '', at: undefined, bias: 0 });
    const name = targetName(place.region === '' ? id : place.region);
    const at =
      place.at ?? AWS_REGIONS.get(place.region) ?? AWS_REGIONS.get(/^[a-z]+-[a-z]+-\d/.exec(place.region)?.[0] ?? '');
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
        ...(member.cname === undefined ? {} : { CNAME: member.cname }),
        ...(weight === undefined ? {} : { weight }),
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
