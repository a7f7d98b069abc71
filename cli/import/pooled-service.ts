/**
 * A service of pools: each pool is a region, and steps choose among regions and within one. Several readers have this
 * shape in common.
 */
import { parseAddress } from '../../wire/address.ts';
import { nameKey, type Name } from '../../wire/name.ts';
import { typeText } from '../../wire/types.ts';
import { addService, note, type DraftValue, type RegionDraft, type VipDraft, type ZoneDraft } from './draft.ts';
import { fitWeights } from './geo-keys.ts';
import { oneOrList, targetName } from './values.ts';

/** `value`: an address, or a name; or `rrsets` of other types. `check`: the name of a check, or `none`. */
export type PoolMember = {
  readonly value?: string | undefined;
  readonly rrsets?: VipDraft['rrsets'];
  readonly name?: string;
  readonly weight?: number;
  readonly check?: string | undefined;
  readonly probe?: string | undefined;
};

/** `at`: its position. `minHealthy`: the share of its weight that must be up. */
export type MemberPool = {
  readonly name: string;
  readonly at?: string | undefined;
  readonly minHealthy?: string | undefined;
  readonly members: readonly PoolMember[];
};

export type PooledService = {
  readonly owner: Name;
  readonly ttl: number;
  readonly pools: readonly MemberPool[];
  /** Keys of `geo` with the names of pools. */
  readonly geo?: Readonly<Record<string, readonly string[]>>;
  /** The TTL of keys that do not have that of the service. */
  readonly keyTtls?: Readonly<Record<string, number>>;
  readonly fence?: boolean;
  /** Names of pools, the first choice first. */
  readonly failover?: readonly string[];
  /** Steps behind `geo` and `failover`. */
  readonly steps: readonly DraftValue[];
  readonly answers?: number | 'all' | undefined;
  readonly whenAllDown?: DraftValue | undefined;
};

/**
 * Adds the service. A service has either addresses or names, and names only where a CNAME is allowed: the others become
 * notes. Without any member that can be used, nothing is added.
 */
export function addPooledService(draft: ZoneDraft, service: PooledService): void {
  const { owner, pools } = service;
  const usable = usablePools(draft, owner, pools);
  if (usable.length === 0) {
    note(draft, 'dropped', owner, 'its service: no address or name is left');
    return;
  }
  const names = new Map(usable.map((pool) => [pool.name, regionFor(draft, pool)]));
  const namesOf = (list: readonly string[]): readonly string[] => [
    ...new Set(list.flatMap((name) => names.get(name) ?? [])),
  ];
  const { check: common, vips } = shareCheck(
    uniqueNames(usable.flatMap((pool) => vipsOf(pool, names.get(pool.name) ?? ''))),
  );
  const geo = Object.fromEntries(
    Object.entries(service.geo ?? {}).flatMap(([key, list]): [string, DraftValue][] => {
      const regions = namesOf(list);
      const ttl = service.keyTtls?.[key];
      if (regions.length === 0) return [];
      return [[key, ttl === undefined ? oneOrList(regions) : { to: oneOrList(regions), ttl }]];
    }),
  );
  const order = namesOf(service.failover ?? []);
  const steer: readonly DraftValue[] = [
    ...(Object.keys(geo).length > 0 ? [{ geo, ...(service.fence ? { fence: true } : {}) }] : []),
    ...(order.length > 1 ? [{ failover: order }] : []),
    ...(vips.length > 1 ? service.steps : []),
  ];
  addService(draft, {
    owner,
    ttl: service.ttl,
    ...(common === undefined ? {} : { check: common }),
    vips,
    steer: steer.length > 0 ? steer : ['all'],
    ...(service.answers === undefined ? {} : { answers: service.answers }),
    ...(service.whenAllDown === undefined ? {} : { whenAllDown: service.whenAllDown }),
  });
}

/**
 * The check of the service, if all VIPs with an address or name have the same. Those with other records alone have
 * nothing that it could connect to.
 */
function shareCheck(vips: readonly VipDraft[]): { readonly check?: DraftValue; readonly vips: readonly VipDraft[] } {
  const checked = vips.filter((vip) => vip.A !== undefined || vip.AAAA !== undefined || vip.CNAME !== undefined);
  const common = checked[0]?.check;
  if (!checked.every(({ check }) => check === common)) return { vips };
  const isChecked = common !== undefined && common !== 'none';
  return {
    ...(isChecked ? { check: common } : {}),
    vips: vips.map(({ check: _check, ...vip }): VipDraft => ({
      ...vip,
      ...(isChecked && !checked.some(({ name }) => name === vip.name) ? { check: 'none' } : {}),
    })),
  };
}

function isAddress({ value }: PoolMember): boolean {
  return value !== undefined && parseAddress(value) !== undefined;
}

function isNamed(member: PoolMember): boolean {
  return member.value !== undefined && !isAddress(member);
}

function usablePools(draft: ZoneDraft, owner: Name, pools: readonly MemberPool[]): readonly MemberPool[] {
  const members = pools.flatMap((pool) => pool.members);
  const hasOthers =
    nameKey(owner) === nameKey(draft.apex) || (draft.owners.get(nameKey(owner))?.rrsets.length ?? 0) > 0;
  const canBeNames = !hasOthers && members.some(isNamed) && !members.some(isAddress);
  const lost = members.filter((member) => (canBeNames ? member.rrsets !== undefined : isNamed(member)));
  if (lost.length > 0) {
    const why = hasOthers ? 'a CNAME is not allowed here' : 'a service has either addresses or names';
    const texts = lost.flatMap(({ value, rrsets = [] }) => value ?? rrsets.map(({ type }) => typeText(type)));
    const advice = canBeNames ? 'beside CNAMEs' : `${why}; give the addresses`;
    note(draft, 'dropped', owner, `${[...new Set(texts)].join(', ')}: ${advice}`);
  }
  return pools
    .map((pool) => ({ ...pool, members: pool.members.filter((member) => !lost.includes(member)) }))
    .filter((pool) => pool.members.length > 0);
}

/** The region of a pool. Regions are of the whole zone: one with another position or share gets another name. */
function regionFor(draft: ZoneDraft, { name, at, minHealthy }: MemberPool): string {
  const base = targetName(name);
  const wanted: RegionDraft = {
    ...(at === undefined ? {} : { at }),
    ...(minHealthy === undefined ? {} : { min_healthy: minHealthy }),
  };
  for (let suffix = 1; ; suffix++) {
    const region = suffix === 1 ? base : `${base}-${suffix}`;
    const known = draft.regions.get(region);
    if (!known) {
      draft.regions.set(region, wanted);
      return region;
    }
    if (known.at === at && known.min_healthy === minHealthy) return region;
  }
}

function vipsOf({ members }: MemberPool, region: string): VipDraft[] {
  const weights = fitWeights(members.map(({ weight }) => weight ?? 1));
  const isWeighted = members.some(({ weight }) => weight !== undefined && weight !== 1);
  return members.map(({ value, rrsets, name, check, probe }, at): VipDraft => ({
    name: targetName(name ?? (members.length === 1 ? region : `${region}-${at + 1}`)),
    region,
    ...(value === undefined ? {} : columnOf(value)),
    ...(rrsets === undefined ? {} : { rrsets }),
    ...(isWeighted ? { weight: weights[at] ?? 1 } : {}),
    ...(probe === undefined ? {} : { probe }),
    ...(check === undefined ? {} : { check }),
  }));
}

function columnOf(value: string): Pick<VipDraft, 'A' | 'AAAA' | 'CNAME'> {
  const address = parseAddress(value);
  if (address === undefined) return { CNAME: value.replace(/\.?$/, '.') };
  return address.length === 4 ? { A: value } : { AAAA: value };
}

function uniqueNames(vips: readonly VipDraft[]): VipDraft[] {
  const taken = new Set<string>();
  return vips.map((vip) => {
    let { name } = vip;
    for (let at = 2; taken.has(name); at++) name = `${vip.name}-${at}`;
    taken.add(name);
    return { ...vip, name };
  });
}
