/**
 * A DYNA or DYNC record as a service.
 */
import { nameKey } from '../../wire/name.ts';
import { addService, note, type DraftValue, type RegionDraft, type VipDraft } from './draft.ts';
import { checkFor } from './gdnsd-checks.ts';
import { mapPlan } from './gdnsd-maps.ts';
import { groupFrom, groupOf, publish, stepOf, type Group, type Resolving } from './gdnsd-resources.ts';
import { targetName } from './values.ts';
import { hashOf, stringOf, stringsOf, type Vscf, type VscfHash } from './vscf.ts';

/** `reference` is `plugin!resource`; TTLs are in seconds, within gdnsd's limits. */
export type Dynamic = { readonly reference: string; readonly minSeconds: number; readonly maxSeconds: number };

type Plan = {
  readonly vips: readonly VipDraft[];
  readonly steer: readonly DraftValue[];
  readonly answers?: 'all';
  readonly whenAllDown?: DraftValue;
  readonly serviceTypes: readonly string[];
};

export function addDynamic({ reference, minSeconds, maxSeconds }: Dynamic, context: Resolving): void {
  const { draft, owner, config } = context;
  const [plugin = '', resource = ''] = reference.split('!');
  const plan = isMeta(plugin) ? metaPlan(plugin, resource, context) : plainPlan(plugin, resource, context);
  if (!plan) return; // a note was added
  const { vips, steer, answers, whenAllDown } = plan;
  const check = checkFor(draft, plan.serviceTypes, config);
  addService(draft, {
    owner,
    // Without a check no state changes, and gdnsd uses the maximum.
    ttl: check === undefined || minSeconds === maxSeconds ? maxSeconds : { min: minSeconds, max: maxSeconds },
    ...(check === undefined ? {} : { check }),
    vips,
    steer,
    ...(answers === undefined ? {} : { answers }),
    ...(whenAllDown === undefined ? {} : { whenAllDown }),
  });
}

function isMeta(plugin: string): boolean {
  return plugin === 'metafo' || plugin === 'geoip';
}

function plainPlan(plugin: string, resource: string, context: Resolving): Plan | undefined {
  const group = groupOf(plugin, resource, context);
  if (!group) return undefined;
  const region = isMonitored(group) ? addRegion(resource, thresholdOf(group), context) : undefined;
  const vips = group.vips.map((vip): VipDraft => (region === undefined ? vip : { ...vip, region }));
  const steer = stepOf(group);
  const { serviceTypes } = group;
  // Without a step, the default steps would apply, which begin with `nearest`.
  return { vips, steer: steer.length > 0 ? steer : ['all'], serviceTypes, ...(group.multi ? { answers: 'all' } : {}) };
}

/** Below the threshold gdnsd answers as if all were up; a region's min_healthy has the same effect. */
function isMonitored({ threshold, vips, serviceTypes }: Group): boolean {
  return threshold !== undefined && vips.length > 1 && serviceTypes.some((type) => type !== 'up');
}

function thresholdOf({ threshold }: Group): RegionDraft {
  const percent = Math.round((threshold ?? 0) * 100);
  return percent > 0 ? { min_healthy: `${percent}%` } : {};
}

/** Adds a region and returns its name, which differs from `name` if the zone has a different region of that name. */
function addRegion(name: string, region: RegionDraft, { draft, owner }: Resolving): string {
  const wanted = targetName(name);
  const known = draft.regions.get(wanted) ?? {};
  const both = { ...known, ...region };
  // Adding a missing position or threshold changes nothing for other services.
  if ((known.at ?? both.at) === both.at && (known.min_healthy ?? both.min_healthy) === both.min_healthy) {
    draft.regions.set(wanted, both);
    return wanted;
  }
  const other = `${wanted}-${[...draft.regions.keys()].filter((each) => each.startsWith(`${wanted}-`)).length + 2}`;
  note(draft, 'changed', owner, `${wanted} has a different threshold or position here: it becomes the region ${other}`);
  draft.regions.set(other, region);
  return other;
}

type Datacenter = { readonly name: string; readonly group: Group };

/** metafo and geoip: datacenters in a fixed order, or ordered by location. `resource` may be `name/datacenter`. */
function metaPlan(plugin: string, resource: string, context: Resolving): Plan | undefined {
  const { draft, owner, config } = context;
  const stanza = hashOf(hashOf(config.get('plugins')).get(plugin));
  const [name = '', only] = resource.split('/');
  const value = hashOf(stanza.get('resources')).get(name);
  if (value === undefined) {
    note(draft, 'dropped', owner, `${plugin}!${name} is not defined`);
    return undefined;
  }
  const hash = hashOf(value);
  const inherited = new Map([...stanza, ...hash].filter(([key]) => !META_KEYS.has(key)));
  const map = plugin === 'geoip' ? mapPlan(stringOf(hash.get('map')) ?? '', context) : undefined;
  if (plugin === 'geoip' && !map) return undefined;
  if (stringOf(hash.get('skip_first')) === 'true') {
    note(draft, 'changed', owner, 'skip_first is not kept: answers can have the first datacenter too');
  }
  const order = only === undefined ? (map?.datacenters ?? stringsOf(hash.get('datacenters'))) : [only];
  const dcmap = hashOf(hash.get('dcmap'));
  const found = order.flatMap((dc): Datacenter[] => {
    const entry = dcmap.get(dc);
    const group = entry === undefined ? undefined : datacenterGroup(entry, inherited, context);
    if (!group) note(draft, 'dropped', owner, `the datacenter ${dc}, which has no addresses`);
    return group ? [{ name: dc, group }] : [];
  });
  return planOf(found, map, only !== undefined, context);
}

const META_KEYS: ReadonlySet<string> = new Set([
  ...['resources', 'maps', 'datacenters', 'dcmap', 'map', 'skip_first', 'undefined_datacenters_ok'],
]);

function datacenterGroup(entry: Vscf, inherited: VscfHash, context: Resolving): Group | undefined {
  const { draft, owner } = context;
  const plugin = stringOf(hashOf(entry).get('plugin')) ?? stringOf(inherited.get('plugin')) ?? 'multifo';
  if (typeof entry !== 'string') return groupFrom(Array.isArray(entry) ? 'multifo' : plugin, entry, inherited, context);
  const reference = /^%([^!]*)!(.+)$/.exec(entry) ?? (entry.startsWith('!') ? ['', plugin, entry.slice(1)] : null);
  if (!reference) {
    const target = publish(entry);
    if (target?.CNAME === undefined) return groupFrom('multifo', entry, inherited, context);
    return { vips: [{ name: '1', ...target }], step: 'none', multi: false, serviceTypes: [], threshold: undefined };
  }
  const [, inner = plugin, resource = ''] = reference;
  if (!isMeta(inner)) return groupOf(inner === '' ? plugin : inner, resource, context);
  note(draft, 'dropped', owner, `${inner}!${resource} inside another metaplugin: nested orders are not kept`);
  return undefined;
}

function planOf(
  datacenters: readonly Datacenter[],
  map: ReturnType<typeof mapPlan>,
  isSingle: boolean,
  context: Resolving,
): Plan | undefined {
  const { draft, owner } = context;
  const withAddresses = datacenters.filter(({ group }) => group.vips.some(({ CNAME }) => CNAME === undefined));
  const named = datacenters.filter((each) => !withAddresses.includes(each));
  const used = withAddresses.length > 0 ? withAddresses : named;
  if (used.length === 0) return undefined;
  // Addresses and names cannot be VIPs of one service. A name at the end of the order becomes when_all_down.
  const last = withAddresses.length > 0 ? named.at(-1) : undefined;
  const lastName = last?.group.vips[0]?.CNAME;
  const isLast = lastName !== undefined && named.length === 1 && datacenters.at(-1) === last;
  const beside = draft.owners.get(nameKey(owner)) !== undefined;
  for (const { name } of withAddresses.length > 0 ? named : []) {
    if (isLast && !beside) note(draft, 'changed', owner, `${name} is a name among addresses: it becomes when_all_down`);
    else note(draft, 'dropped', owner, `the datacenter ${name}, a name among addresses`);
  }
  const regions = new Map<string, string>();
  const vips = used.flatMap(({ name, group }) => {
    const at = map?.at.get(name);
    const wanted = { ...(at === undefined ? {} : { at }), ...(isMonitored(group) ? thresholdOf(group) : {}) };
    const region = addRegion(name, wanted, context);
    regions.set(name, region);
    const isOne = group.vips.length === 1;
    return group.vips.map((vip): VipDraft => ({
      ...vip,
      name: isOne ? targetName(name) : `${targetName(name)}-${vip.name}`,
      region,
    }));
  });
  const order = isSingle ? [] : [orderStep(map, used, regions)];
  const steer = [...order, ...innerSteps(used, vips, context)];
  // `up` means: not checked.
  const types = used.map(({ group }) => group.serviceTypes.filter((type) => type !== 'up'));
  const serviceTypes = types.find((list) => list.length > 0) ?? [];
  if (types.some((list) => list.join() !== serviceTypes.join())) {
    note(draft, 'changed', owner, `its datacenters have different service_types: all get ${serviceTypes.join(', ')}`);
  }
  return {
    vips,
    steer: steer.length > 0 ? steer : ['all'],
    serviceTypes,
    ...(isLast && !beside ? { whenAllDown: { CNAME: lastName } } : {}),
  };
}

function orderStep(
  map: ReturnType<typeof mapPlan>,
  used: readonly Datacenter[],
  regions: ReadonlyMap<string, string>,
): DraftValue {
  if (!map) return { failover: used.map(({ name }) => regions.get(name) ?? name) };
  if (typeof map.step === 'string') return map.step;
  const known = (dc: string): string[] => {
    const region = regions.get(dc);
    return region === undefined ? [] : [region];
  };
  const { geo, ...options } = map.step as { readonly geo: Readonly<Record<string, string | readonly string[]>> };
  const entries = Object.entries(geo).flatMap(([key, value]): [string, DraftValue][] => {
    const list = (typeof value === 'string' ? [value] : value).flatMap(known);
    const [first] = list;
    return first === undefined ? [] : [[key, list.length === 1 ? first : list]];
  });
  return { geo: Object.fromEntries(entries), ...options };
}

/** Returns the step that chooses within a datacenter. A service has one for all its datacenters. */
function innerSteps(
  used: readonly Datacenter[],
  vips: readonly VipDraft[],
  { draft, owner }: Resolving,
): readonly DraftValue[] {
  const kinds = new Set(used.flatMap(({ group }) => (group.vips.length > 1 ? [group.step] : [])));
  const [step, ...more] = kinds;
  if (step === undefined) return [];
  if (more.length > 0) {
    note(draft, 'changed', owner, `its datacenters choose in different ways: all get the step ${step}`);
  }
  return stepOf({ step, vips });
}
