/**
 * octoDNS records with `dynamic` or `geo` as services: a pool is a region, a rule a key of a `geo` step.
 */
import type { Name } from '../../wire/name.ts';
import {
  addCheck,
  addService,
  note,
  type DraftValue,
  type ServiceDraft,
  type VipDraft,
  type ZoneDraft,
} from './draft.ts';
import { fitWeights, placeKey } from './geo-keys.ts';
import { presentation } from './octodns-values.ts';
import { fieldsOf, listOf, numberOf, oneOrList, targetName, textOf, type Fields } from './values.ts';

/** A record of a type that Pharos steers, as written in the file. */
export type SteeredRecord = { readonly type: 'A' | 'AAAA' | 'CNAME'; readonly ttl: number; readonly fields: Fields };

/** `isTrusted`: it is always up. */
type Member = { readonly value: string; readonly weight: number; readonly isTrusted?: boolean };
type Plan = {
  /** Values by pool, in the file's order. */
  readonly pools: ReadonlyMap<string, readonly Member[]>;
  readonly geo: Readonly<Record<string, DraftValue>>;
  /** The answer when all pools fail. */
  readonly values: readonly string[];
};

/** Adds the steered records of one name. `beside` has the values of the other address type, which has no rules. */
export function addPools(
  draft: ZoneDraft,
  owner: Name,
  records: readonly SteeredRecord[],
  beside: Readonly<Partial<Record<'A' | 'AAAA', readonly string[]>>>,
): void {
  const [first, ...more] = records;
  if (!first) return;
  const plan = planOf(draft, owner, first);
  const plans = new Map([[first.type, plan]]);
  for (const record of more) {
    const other = planOf(draft, owner, record);
    plans.set(record.type, other);
    if (JSON.stringify(other.geo) !== JSON.stringify(plan.geo)) {
      note(
        draft,
        'changed',
        owner,
        `${first.type} and ${record.type} have different rules: both get those of ${first.type}`,
      );
    }
  }
  const vips = [...new Set([...plans.values()].flatMap(({ pools }) => [...pools.keys()]))].flatMap((pool) => {
    const region = targetName(pool);
    if (!draft.regions.has(region)) draft.regions.set(region, {});
    return vipsOf(draft, owner, region, pool, plans, beside);
  });
  const ttl = Math.min(...records.map((record) => record.ttl));
  const check = checkOf(draft, first.fields);
  const whenAllDown = allDown(plans, beside);
  const several = vips.length > new Set(vips.map(({ region }) => region)).size;
  // A pool of `dynamic` gives one value per query, a place of `geo` all its values.
  const within = first.fields['dynamic'] === undefined ? 'all' : 'weighted';
  const service: ServiceDraft = {
    owner,
    ttl,
    ...(check === undefined ? {} : { check }),
    vips,
    steer: [{ geo: plan.geo, fence: true }, ...(several ? [within] : [])],
    ...(whenAllDown === undefined ? {} : { whenAllDown }),
  };
  addService(draft, service);
}

function planOf(draft: ZoneDraft, owner: Name, record: SteeredRecord): Plan {
  const { fields, type } = record;
  const values = valuesOf(type, fields);
  return fields['dynamic'] === undefined
    ? geoPlan(draft, owner, record, values)
    : dynamicPlan(draft, owner, record, values);
}

/** `value` or `values` of a record, in presentation format. */
export function valuesOf(type: string, fields: Fields): string[] {
  return listOf(fields['values'] ?? fields['value']).flatMap((value) => presentation(type, value) ?? []);
}

function dynamicPlan(draft: ZoneDraft, owner: Name, { fields, type }: SteeredRecord, values: readonly string[]): Plan {
  const dynamic = fieldsOf(fields['dynamic']);
  const pools = new Map<string, readonly Member[]>();
  const fallbacks = new Map<string, string>();
  for (const [name, pool] of Object.entries(fieldsOf(dynamic['pools']))) {
    const fallback = textOf(fieldsOf(pool)['fallback']);
    if (fallback !== undefined) fallbacks.set(name, fallback);
    const members = listOf(fieldsOf(pool)['values']).flatMap((each): Member[] => {
      const member = fieldsOf(each);
      const value = presentation(type, member['value']);
      const status = textOf(member['status']) ?? 'obey';
      if (value === undefined) return [];
      if (status === 'down') {
        note(draft, 'changed', owner, `${value} has the status down: in Pharos it is checked; use pharos down`);
      }
      return [{ value, weight: numberOf(member['weight']) ?? 1, isTrusted: status === 'up' }];
    });
    pools.set(name, members);
  }
  const geo = Object.create(null) as Record<string, DraftValue>;
  for (const rule of listOf(dynamic['rules']).map(fieldsOf)) {
    const chain = chainOf(textOf(rule['pool']) ?? '', fallbacks).filter((name) => pools.has(name));
    const codes = listOf(rule['geos']).map((code) => textOf(code) ?? '');
    const networks = listOf(rule['subnets']).map((network) => textOf(network) ?? '');
    if (codes.length > 0 && networks.length > 0) {
      note(
        draft,
        'changed',
        owner,
        `the rule of ${chain[0] ?? ''} requires a network and a place: in Pharos either is enough`,
      );
    }
    const keys = codes.length + networks.length === 0 ? ['default'] : [...networks, ...placeKeys(draft, owner, codes)];
    for (const key of keys) {
      if (chain.length === 0) note(draft, 'dropped', owner, `the rule for ${key}, whose pool is not defined`);
      else if (geo[key] !== undefined) note(draft, 'dropped', owner, `a second rule for ${key}, which never applies`);
      else if (isShadowed(key, codes, geo)) {
        note(draft, 'dropped', owner, `the rule for ${key}: in octoDNS an earlier rule for a larger place applies`);
      } else geo[key] = oneOrList(chain.map(targetName));
    }
  }
  return { pools, geo, values };
}

/** In octoDNS the first matching rule wins; in Pharos the most specific one. */
function isShadowed(key: string, codes: readonly string[], geo: Readonly<Record<string, DraftValue>>): boolean {
  if (geo['default'] !== undefined) return true;
  const code = codes.find((each) => placeKey(each) === key) ?? '';
  const parts = code.split('-');
  return parts.slice(1).some((_, at) => geo[placeKey(parts.slice(0, at + 1).join('-')) ?? ''] !== undefined);
}

/** A pool, followed by its fallbacks. */
function chainOf(pool: string, fallbacks: ReadonlyMap<string, string>): string[] {
  const chain: string[] = [];
  for (let at: string | undefined = pool; at !== undefined && !chain.includes(at); at = fallbacks.get(at))
    chain.push(at);
  return chain;
}

function placeKeys(draft: ZoneDraft, owner: Name, codes: readonly string[]): string[] {
  return codes.flatMap((code) => {
    const key = placeKey(code);
    if (key === undefined) note(draft, 'dropped', owner, `the rule for ${code}: not a key of geo`);
    return key ?? [];
  });
}

/** `geo`, the predecessor of `dynamic`: values by location, and the record's own values for all other clients. */
function geoPlan(draft: ZoneDraft, owner: Name, { fields, type }: SteeredRecord, values: readonly string[]): Plan {
  const pools = new Map<string, readonly Member[]>();
  const geo = Object.create(null) as Record<string, DraftValue>;
  for (const [code, list] of Object.entries(fieldsOf(fields['geo']))) {
    const members = listOf(list).flatMap((value) => presentation(type, value) ?? []);
    for (const key of placeKeys(draft, owner, [code])) {
      pools.set(
        code.toLowerCase(),
        members.map((value) => ({ value, weight: 1 })),
      );
      geo[key] = [targetName(code.toLowerCase()), 'default'];
    }
  }
  pools.set(
    'default',
    values.map((value) => ({ value, weight: 1 })),
  );
  geo['default'] = 'default';
  return { pools, geo, values: [] };
}

function vipsOf(
  draft: ZoneDraft,
  owner: Name,
  region: string,
  pool: string,
  plans: ReadonlyMap<string, Plan>,
  beside: Readonly<Partial<Record<'A' | 'AAAA', readonly string[]>>>,
): VipDraft[] {
  const columns = (['A', 'AAAA', 'CNAME'] as const).map((type) => ({
    type,
    members: plans.get(type)?.pools.get(pool) ?? [],
  }));
  const size = Math.max(...columns.map(({ members }) => members.length));
  const longest = columns.find(({ members }) => members.length === size)?.members ?? [];
  const weights = fitWeights(longest.map(({ weight }) => weight));
  const isEven = weights.every((weight) => weight === weights[0]);
  return Array.from({ length: size }, (_, at): VipDraft => {
    const published: { A?: string; AAAA?: string; CNAME?: string } = {};
    for (const { type, members } of columns) {
      const member = members[at];
      if (member) published[type] = member.value;
      if (member && member.weight !== longest[at]?.weight) {
        note(draft, 'changed', owner, `A and AAAA of ${pool} have different weights: both get those of one of them`);
      }
    }
    for (const type of ['A', 'AAAA'] as const) {
      const [value, ...more] = beside[type] ?? [];
      if (value === undefined) continue;
      published[type] ??= value;
      const lost = more.length > 0 ? `; left out: ${more.join(', ')}` : '';
      note(draft, 'changed', owner, `every VIP gets the ${type} without rules${lost}`);
    }
    const both = columns.flatMap(({ members }) => members[at] ?? []);
    const isTrusted = both.every((member) => member.isTrusted);
    if (!isTrusted && both.some((member) => member.isTrusted)) {
      note(draft, 'changed', owner, `A and AAAA of ${pool} have different statuses: the VIP is checked`);
    }
    return {
      name: size === 1 ? region : `${region}-${at + 1}`,
      region,
      ...published,
      ...(isEven ? {} : { weight: weights[at] ?? 1 }),
      ...(isTrusted ? { check: 'none' } : {}),
    };
  });
}

/** `values` are the last resort; octoDNS never checks them. */
function allDown(
  plans: ReadonlyMap<string, Plan>,
  beside: Readonly<Partial<Record<'A' | 'AAAA', readonly string[]>>>,
): DraftValue | undefined {
  const last = [...plans].map(([type, { values }]) => [type, values] as const);
  if (last.every(([, values]) => values.length === 0)) return undefined;
  const entries = [...last, ...Object.entries(beside)].flatMap(([type, values]): [string, DraftValue][] => {
    const [only] = values;
    if (only === undefined) return [];
    return [[type, type === 'CNAME' || values.length === 1 ? only : values]];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** `octodns.healthcheck`, with the defaults of octoDNS. A record with `geo` has no default check. */
function checkOf(draft: ZoneDraft, fields: Fields): string | undefined {
  const written = fieldsOf(fields['octodns'])['healthcheck'];
  if (written === undefined && fields['dynamic'] === undefined) return undefined;
  const { host, path, port, protocol } = fieldsOf(written);
  const kind = (textOf(protocol) ?? 'HTTPS').toLowerCase();
  const hostName = textOf(host);
  const number = numberOf(port) ?? 443;
  const check: DraftValue =
    kind === 'tcp'
      ? { type: 'tcp', port: number }
      : {
          type: kind === 'http' ? 'http' : 'https',
          path: `/${(textOf(path) ?? '_dns').replace(/^\//, '')}`,
          ...(hostName === undefined ? { ...(kind === 'http' ? {} : { insecure: true }) } : { host: hostName }),
          ...(number === (kind === 'http' ? 80 : 443) ? {} : { port: number }),
          status: 200,
        };
  const name = addCheck(draft, kind, check);
  if (hostName === undefined && kind !== 'http' && kind !== 'tcp') {
    note(draft, 'changed', undefined, `the check ${name} has no host: it accepts any certificate (insecure)`);
  }
  return name;
}
