/**
 * Describes the differences between services and regions of two configurations.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RegionSpec, Settings } from '../config/settings.ts';
import { formatDuration } from '../config/units.ts';
import type { SharedMap } from '../steering/geo-step.ts';
import { sharedMapOf, traitsOf, type StepSpec, type StepText } from '../steering/steps.ts';
import { canonical, formatName } from '../wire/name.ts';
import type { ServiceModel, VipModel, ZoneModel } from '../zones/read/model.ts';
import { answersText, dataText, downText, probeText, shedText, optionsText, ttlText } from './service-text.ts';

export type ServiceChange = {
  readonly service: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** `vip seoul-a: weight 4 -> 2`; empty if the service was added or removed. */
  readonly what: readonly string[];
};

/** Services that differ, by name. */
export function diffServices(before: readonly ZoneModel[], after: readonly ZoneModel[]): ServiceChange[] {
  const old = servicesOf(before);
  const now = servicesOf(after);
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((service): ServiceChange[] => {
    const [was, is] = [old.get(service), now.get(service)];
    if (!was) return [{ service, change: 'added', what: [] }];
    if (!is) return [{ service, change: 'removed', what: [] }];
    const what = whatChanged(was, is);
    return what.length === 0 ? [] : [{ service, change: 'changed', what }];
  });
}

function servicesOf(zones: readonly ZoneModel[]): Map<string, ServiceModel> {
  return new Map(zones.flatMap(({ services }) => services.map((service) => [service.name, service])));
}

function whatChanged(was: ServiceModel, is: ServiceModel): string[] {
  const vipsBefore = new Map(was.vips.map((vip) => [vip.name, vip]));
  const vipsAfter = new Map(is.vips.map((vip) => [vip.name, vip]));
  const vips = [...new Set([...vipsBefore.keys(), ...vipsAfter.keys()])].flatMap((name) =>
    vipChanges(name, vipsBefore.get(name), vipsAfter.get(name)),
  );
  return [
    ...change('ttl', ttlText(was), ttlText(is)),
    ...change('answers', answersText(was), answersText(is)),
    ...change('when_all_down', downText(was.whenAllDown), downText(is.whenAllDown)),
    ...change('partial', was.partial ?? 'serve_up', is.partial ?? 'serve_up'),
    ...change('ramp', formatDuration(was.rampMs), formatDuration(is.rampMs)),
    ...change('shed', shedText(was), shedText(is)),
    ...vips,
    ...stepChanges(was, is),
  ];
}

function change(what: string, before: string, after: string): string[] {
  return before === after ? [] : [`${what}: ${before} -> ${after}`];
}

function vipChanges(name: string, was: VipModel | undefined, is: VipModel | undefined): string[] {
  if (!was || !is) {
    const vip = was ?? is;
    if (!vip) return [];
    const region = vip.region === undefined ? '' : ` in ${vip.region}`;
    return [`vip ${name} ${was ? 'removed' : 'added'}: ${dataText(vip)}${region}, weight ${vip.weight}`];
  }
  return [
    ...change(`vip ${name}`, dataText(was), dataText(is)),
    ...change(`vip ${name} region`, was.region ?? 'none', is.region ?? 'none'),
    ...change(`vip ${name} weight`, String(was.weight), String(is.weight)),
    ...change(`vip ${name} capacity`, String(was.capacity), String(is.capacity)),
    ...checkChanges(name, was, is),
    ...change(`vip ${name} probe`, probeText(was), probeText(is)),
  ];
}

function checkChanges(name: string, { check: was }: VipModel, { check: is }: VipModel): string[] {
  if (isDeepStrictEqual(was, is)) return [];
  const [before, after] = [was?.name ?? 'none', is?.name ?? 'none'];
  return [before === after ? `vip ${name}: its check ${after} changed` : `vip ${name} check: ${before} -> ${after}`];
}

function stepChanges(was: ServiceModel, is: ServiceModel): string[] {
  const kinds = ({ steps }: ServiceModel): string => steps.map(({ kind }) => kind).join(', ');
  if (kinds(was) !== kinds(is)) return [`steer: ${kinds(was)} -> ${kinds(is)}`];
  return was.steps.flatMap((step, index) => {
    const other = is.steps[index];
    if (other === undefined || hasSameMap(step, other)) return [];
    return optionChanges(optionsText(step, was), optionsText(other, is));
  });
}

/** Whether both are of the shared map of one name: `diffMaps` lists what differs. */
function hasSameMap(one: StepSpec, other: StepSpec): boolean {
  const [map, another] = [sharedMapOf(one), sharedMapOf(other)];
  return map !== undefined && map.name === another?.name && map.zone === another.zone;
}

export type MapChange = {
  readonly map: string;
  /** Undefined for maps of pharos.yaml. */
  readonly zone?: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: readonly string[];
};

/** Shared maps in use that differ, in pharos.yaml and in each zone. */
export function diffMaps(before: readonly ZoneModel[], after: readonly ZoneModel[]): MapChange[] {
  const [old, now] = [mapsOf(before), mapsOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key): MapChange[] => {
    const [was, is] = [old.get(key), now.get(key)];
    const { name, zone } = (is ?? was)?.map ?? {};
    if (name === undefined || was?.map.digest === is?.map.digest) return [];
    const where = zone === undefined ? { map: name } : { map: name, zone };
    if (!was || !is) return [{ ...where, change: was ? 'removed' : 'added', what: [] }];
    const what = optionChanges(traitsOf(was.step).text([]), traitsOf(is.step).text([]));
    return what.length === 0 ? [] : [{ ...where, change: 'changed', what }];
  });
}

function mapsOf(zones: readonly ZoneModel[]): Map<string, { readonly map: SharedMap; readonly step: StepSpec }> {
  const steps = new Set(zones.flatMap(({ services }) => services.flatMap((service) => service.steps)));
  return new Map(
    [...steps].flatMap((step) => {
      const map = sharedMapOf(step);
      return map ? [[`${map.name} ${map.zone ?? ''}`, { map, step }] as const] : [];
    }),
  );
}

function optionChanges(before: StepText, after: StepText): string[] {
  return [...changes(before.entries, after.entries), ...changes(new Map(before.options), new Map(after.options))];
}

type Texts = ReadonlyMap<string, string>;

function changes(before: Texts = new Map<string, string>(), after: Texts = new Map<string, string>()): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) =>
    change(key, before.get(key) ?? 'no entry', after.get(key) ?? 'no entry'),
  );
}

export type RegionChange = {
  readonly region: string;
  /** Undefined for regions of pharos.yaml. */
  readonly zone?: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: readonly string[];
};

type Regions = { readonly settings: Pick<Settings, 'regions'>; readonly zones: readonly ZoneModel[] };

/** Regions that differ, in pharos.yaml and in each zone. */
export function diffRegions(before: Regions, after: Regions): RegionChange[] {
  const [old, now] = [regionsOf(before), regionsOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key): RegionChange[] => {
    const [was, is] = [old.get(key), now.get(key)];
    const { spec, zone } = is ?? was ?? {};
    if (!spec) return [];
    const where = zone === undefined ? { region: spec.name } : { region: spec.name, zone };
    if (!was || !is) return [{ ...where, change: was ? 'removed' : 'added', what: [] }];
    const what = [
      ...change('at', atText(was.spec), atText(is.spec)),
      ...change('min_healthy', `${was.spec.minHealthy * 100}%`, `${is.spec.minHealthy * 100}%`),
    ];
    return what.length === 0 ? [] : [{ ...where, change: 'changed', what }];
  });
}

function regionsOf({ settings, zones }: Regions): Map<string, { readonly spec: RegionSpec; readonly zone?: string }> {
  const shared = [...settings.regions.values()].map((spec) => [`${spec.name} `, { spec }] as const);
  const own = zones.flatMap(({ apex, regions }) => {
    const zone = formatName(canonical(apex));
    return [...regions.values()].map((spec) => [`${spec.name} ${zone}`, { spec, zone }] as const);
  });
  return new Map<string, { readonly spec: RegionSpec; readonly zone?: string }>([...shared, ...own]);
}

function atText({ at }: RegionSpec): string {
  if (at === undefined) return 'none';
  return at.kind === 'point' ? `${at.latitude},${at.longitude}` : at.country;
}

export type AliasChange = {
  readonly name: string;
  /** The name that the ALIAS gives; null if there is none. */
  readonly before: string | null;
  readonly after: string | null;
};

/** Aliases that differ, by name. Addresses that they answer with are among the records. */
export function diffAliases(before: readonly ZoneModel[], after: readonly ZoneModel[]): AliasChange[] {
  const [old, now] = [aliasesOf(before), aliasesOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name): AliasChange[] => {
    const [was = null, is = null] = [old.get(name), now.get(name)];
    return was === is ? [] : [{ name, before: was, after: is }];
  });
}

function aliasesOf(zones: readonly ZoneModel[]): Map<string, string> {
  const all = zones.flatMap(({ aliases = [] }) => aliases);
  return new Map(all.map(({ owner, target }) => [formatName(canonical(owner)), formatName(canonical(target))]));
}
