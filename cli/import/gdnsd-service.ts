/**
 * A DYNA or DYNC record as a service.
 */
import { MAX_LABEL_OCTETS } from '../../wire/limits.ts';
import { nameKey, parseName } from '../../wire/name.ts';
import {
  addService,
  note,
  type DraftValue,
  type RegionDraft,
  type ServiceDraft,
  type VipDraft,
  type ZoneDraft,
} from './draft.ts';
import { checkFor } from './gdnsd-checks.ts';
import { mapPlan } from './gdnsd-maps.ts';
import { groupFrom, groupOf, publish, stepOf, type Group, type Resolving } from './gdnsd-resources.ts';
import { answersNames } from './inner-drafts.ts';
import { targetName } from './values.ts';
import { hashOf, stringOf, stringsOf, type Vscf, type VscfHash } from './vscf.ts';

/** `reference` is `plugin!resource`; TTLs are in seconds, within gdnsd's limits. */
export type Dynamic = { readonly reference: string; readonly minSeconds: number; readonly maxSeconds: number };

type Plan = {
  readonly vips: readonly VipDraft[];
  readonly steer: readonly DraftValue[];
  readonly answers?: 'all';
  readonly whenAllDown?: DraftValue;
  readonly partial?: 'serve_all';
  /** By VIP. */
  readonly serviceTypes: readonly (readonly string[])[];
};

/** `way`: the references that led here; `ttl`: of the record. */
type Nesting = Resolving & { readonly way: readonly string[]; readonly ttl: Omit<Dynamic, 'reference'> };

export function addDynamic({ reference, ...ttl }: Dynamic, resolving: Resolving): void {
  addResource(reference, { ...resolving, way: [reference], ttl });
}

/** Adds a service for `plugin!resource` at the owner. Returns false if a note says why there is none. */
function addResource(reference: string, context: Nesting): boolean {
  const [plugin = '', resource = ''] = reference.split('!');
  const plan = isMeta(plugin) ? metaPlan(plugin, resource, context) : plainPlan(plugin, resource, context);
  if (!plan) return false;
  addPlan(plan, plugin, resource, context);
  return true;
}

function addPlan(plan: Plan, plugin: string, resource: string, context: Nesting): void {
  const { draft, owner, config } = context;
  const { minSeconds, maxSeconds } = context.ttl;
  const { steer, answers, whenAllDown, partial } = plan;
  // A VIP that is a service has no check.
  const checks = plan.serviceTypes.map((types, at) => plan.vips[at]?.service === undefined ? checkFor(draft, types, config) : undefined); // prettier-ignore
  const own = checks.filter((_, at) => plan.vips[at]?.service === undefined);
  const isCommon = own.every((each) => JSON.stringify(each) === JSON.stringify(own[0]));
  const check = isCommon ? own[0] : undefined;
  const vips = plan.vips.map((vip, at): VipDraft => {
    const ofVip = checks[at];
    return isCommon || ofVip === undefined ? vip : { ...vip, check: ofVip };
  });
  const isChecked = own.length < checks.length || checks.some((each) => each !== undefined);
  addService(draft, {
    owner,
    hints: hintsOf(plugin, resource, config),
    // Without a check no state changes, and gdnsd uses the maximum.
    ttl: !isChecked || minSeconds === maxSeconds ? maxSeconds : { min: minSeconds, max: maxSeconds },
    ...(check === undefined ? {} : { check }),
    vips,
    steer,
    ...(answers === undefined ? {} : { answers }),
    ...(whenAllDown === undefined ? {} : { whenAllDown }),
    ...(partial === undefined ? {} : { partial }),
  });
}

/** Names without slashes, which gdnsd has before a datacenter. */
function hintsOf(plugin: string, resource: string, config: VscfHash): NonNullable<ServiceDraft['hints']> {
  const [name = ''] = resource.split('/');
  const stanza = hashOf(hashOf(hashOf(config.get('plugins')).get(plugin)).get('resources'));
  const map = stringOf(hashOf(stanza.get(name)).get('map'));
  return { template: resource, ...(map === undefined ? {} : { map }) };
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
  const serviceTypes = vips.map(() => group.serviceTypes);
  // Without a step, the default steps would apply, which begin with `nearest`.
  return {
    vips,
    steer: steer.length > 0 ? steer : ['all'],
    serviceTypes,
    ...(group.multi ? { answers: 'all' } : {}),
    ...partialOf([group], context),
  };
}

/** With ignore_health, gdnsd answers with all addresses of a resource until it is down as a whole. */
function partialOf(groups: readonly Group[], { draft, owner }: Resolving): { readonly partial?: 'serve_all' } {
  const several = groups.filter(({ vips }) => vips.length > 1);
  if (!several.some(({ ignoresHealth }) => ignoresHealth)) return {};
  if (several.every(({ ignoresHealth }) => ignoresHealth)) return { partial: 'serve_all' };
  note(draft, 'changed', owner, 'ignore_health is not kept for some of its datacenters: the others do not have it');
  return {};
}

/** Below the threshold gdnsd answers as if all were up; a region's min_healthy has the same effect. */
function isMonitored(group: Group): boolean {
  return group.threshold !== undefined && canFailInPart(group);
}

/** Whether some addresses can be down while others are up. Then it matters whether the region has a threshold. */
function canFailInPart({ vips, serviceTypes }: Group): boolean {
  return vips.length > 1 && serviceTypes.some((type) => type !== 'up');
}

/** Without a threshold: 0 %, so that the region does not get that of another group (`addRegion`). */
function thresholdOf({ threshold }: Group): RegionDraft {
  return { min_healthy: `${Math.round((threshold ?? 0) * 100)}%` };
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
  let other = wanted;
  for (let number = 2; draft.regions.has(other); number++) other = `${wanted}-${number}`;
  note(draft, 'changed', owner, `${wanted} has a different threshold or position here: it becomes the region ${other}`);
  draft.regions.set(other, region);
  return other;
}

type Datacenter = { readonly name: string; readonly group: Group };

/** metafo and geoip: datacenters in a fixed order, or ordered by location. `resource` may be `name/datacenter`. */
function metaPlan(plugin: string, resource: string, context: Nesting): Plan | undefined {
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
    const reference = entry === undefined ? undefined : metaReference(entry, inherited);
    const inner = reference === undefined ? undefined : innerService(reference, context);
    if (inner !== undefined) return [{ name: dc, group: innerGroup(inner, draft) }];
    const group = entry === undefined || reference !== undefined ? undefined : datacenterGroup(entry, inherited, context); // prettier-ignore
    if (!group) note(draft, 'dropped', owner, `the datacenter ${dc}, which has no addresses`);
    return group ? [{ name: dc, group }] : [];
  });
  return planOf(found, map, only !== undefined, context);
}

const META_KEYS: ReadonlySet<string> = new Set([
  ...['resources', 'maps', 'datacenters', 'dcmap', 'map', 'skip_first', 'undefined_datacenters_ok'],
]);

function datacenterGroup(entry: Vscf, inherited: VscfHash, context: Resolving): Group | undefined {
  const plugin = pluginOf(entry, inherited);
  if (typeof entry !== 'string') return groupFrom(Array.isArray(entry) ? 'multifo' : plugin, entry, inherited, context);
  const reference = referenceIn(entry, plugin);
  if (reference) return groupOf(reference.plugin, reference.resource, context);
  const target = publish(entry);
  if (target?.CNAME === undefined) return groupFrom('multifo', entry, inherited, context);
  return { vips: [{ name: '1', ...target }], step: 'none', multi: false, serviceTypes: [], threshold: undefined };
}

/** The plugin of a datacenter that does not name one. */
function pluginOf(entry: Vscf, inherited: VscfHash): string {
  return stringOf(hashOf(entry).get('plugin')) ?? stringOf(inherited.get('plugin')) ?? 'multifo';
}

/** `%plugin!resource`, or `!resource` of the datacenter's plugin. */
function referenceIn(
  entry: string,
  plugin: string,
): { readonly plugin: string; readonly resource: string } | undefined {
  const [, named, resource] =
    /^%([^!]*)!(.+)$/.exec(entry) ?? (entry.startsWith('!') ? ['', plugin, entry.slice(1)] : []);
  if (named === undefined || resource === undefined) return undefined;
  return { plugin: named === '' ? plugin : named, resource };
}

/** The reference of a datacenter that is a resource of metafo or geoip. */
function metaReference(entry: Vscf, inherited: VscfHash): string | undefined {
  const found = typeof entry === 'string' ? referenceIn(entry, pluginOf(entry, inherited)) : undefined;
  return found && isMeta(found.plugin) ? `${found.plugin}!${found.resource}` : undefined;
}

/**
 * A datacenter can be a resource of metafo or geoip: this adds a service for that resource, once per zone. Returns the
 * name of the service relative to the zone; undefined if a note says why there is none.
 */
function innerService(reference: string, context: Nesting): string | undefined {
  const { draft, owner, way, ttl } = context;
  if (way.includes(reference)) {
    note(draft, 'dropped', owner, `${reference} leads back to itself: ${[...way, reference].join(' -> ')}`);
    return undefined;
  }
  const label = `_${reference.replaceAll(/[^\w-]+/g, '_')}`.slice(0, MAX_LABEL_OCTETS);
  const inner = parseName(label, draft.apex);
  const known = draft.services.get(nameKey(inner));
  if (!known) {
    if (!addResource(reference, { ...context, owner: inner, way: [...way, reference] })) return undefined;
    note(draft, 'changed', inner, `${reference}, a datacenter of another resource, is a service with this name`);
  } else {
    // The lower TTL of both services counts.
    const max = Math.max(ttl.maxSeconds, typeof known.ttl === 'number' ? known.ttl : known.ttl.max);
    const min = Math.max(ttl.minSeconds, typeof known.ttl === 'number' ? known.ttl : known.ttl.min);
    draft.services.set(nameKey(inner), { ...known, ttl: typeof known.ttl === 'number' ? max : { min, max } });
  }
  return label;
}

function innerGroup(service: string, draft: ZoneDraft): Group {
  const inner = draft.services.get(nameKey(parseName(service, draft.apex)));
  const vips = [{ name: '1', service }];
  const base = { vips, step: 'none', multi: false, serviceTypes: [], threshold: undefined } as const;
  return { ...base, answersNames: inner !== undefined && answersNames(draft, inner) };
}

function planOf(
  datacenters: readonly Datacenter[],
  map: ReturnType<typeof mapPlan>,
  isSingle: boolean,
  context: Resolving,
): Plan | undefined {
  const { draft, owner } = context;
  const withAddresses = datacenters.filter(({ group }) => group.answersNames !== true && group.vips.some(({ CNAME }) => CNAME === undefined)); // prettier-ignore
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
    const wanted = { ...(at === undefined ? {} : { at }), ...(canFailInPart(group) ? thresholdOf(group) : {}) };
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
  const serviceTypes = used.flatMap(({ group }) => group.vips.map(() => group.serviceTypes));
  return {
    vips,
    steer: steer.length > 0 ? steer : ['all'],
    serviceTypes,
    ...partialOf(
      used.map(({ group }) => group),
      context,
    ),
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
    if (value === 'none') return [[key, value]];
    const list = (typeof value === 'string' ? [value] : value).flatMap(known);
    const [first] = list;
    return first === undefined ? [] : [[key, list.length === 1 && first !== 'none' ? first : list]];
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
