/**
 * Compiles models to an image and its catalog. Runs in the compile thread. Pure: serials, which depend on the clock,
 * come from an argument.
 */
import { createReport, type Diagnostic, type Report } from '../../config/diagnostics.ts';
import type { RegionSpec, Settings } from '../../config/settings.ts';
import type { ZoneSigner } from '../../dnssec/zone-signer.ts';
import { startBitsFor } from '../../geo/atlas.ts';
import { centroidOf } from '../../geo/countries.ts';
import type { AtlasInputs, FoundAtlas } from '../../geo/find-atlas.ts';
import { latencyKinds, type LatencyUse } from '../../geo/latency-classes.ts';
import type { LatencyTable } from '../../geo/latency-table.ts';
import type { Places } from '../../geo/location.ts';
import { ownNetworkWords } from '../../geo/own-networks.ts';
import type { Allocate } from '../../geo/packed-atlas.ts';
import { networkText, type LatencySource } from '../../steering/place.ts';
import { traitsOf } from '../../steering/steps.ts';
import { formatAddress, type Prefix } from '../../wire/address.ts';
import { formatName, canonical, type Name } from '../../wire/name.ts';
import { formatRdata } from '../../wire/rdata.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type { AliasInfo, Catalog, RegionInfo, ServiceInfo, VipInfo, ZoneInfo } from '../catalog.ts';
import { dynamicInfo } from '../read/dynamic-records.ts';
import {
  foreignServices,
  type AliasAnswer,
  type ServiceModel,
  type VipModel,
  type ZoneModel,
  type ZoneSummary,
} from '../read/model.ts';
import { compileService, createPlan, keepMaps, type BuildingPlan, type KeptMap } from './compile-services.ts';
import { pushWords } from './growable.ts';
import { HEADER, HEADER_WORDS, type ImageMemory, PLAN_MAGIC, planSection, SECTION, SECTION_COUNT } from './image.ts';
import { addPart, addRoot, copyWithSerial, type Part, type PartStore } from './part-store.ts';

const LINE_OCTETS = 64;
const ALLOCATOR_OCTETS = 16;

/** A zone to compile, or one that was compiled for an earlier generation. */
export type ZoneSource = {
  readonly summary: ZoneSummary;
  /** Apexes (`nameKey`) of the served zones below it. */
  readonly children: ReadonlySet<string>;
  /** The serial of a zone: that of its SOA, or an assigned one with `serial: auto`. */
  readonly serial: number;
} & (
  | { readonly model: ZoneModel; readonly compiled?: undefined; readonly signer?: ZoneSigner | undefined }
  | { readonly compiled: CompiledZone; readonly signer?: undefined }
);

export type CompiledZone = {
  readonly info: ZoneInfo;
  readonly apex: Name;
  readonly part: Part;
  /** Undefined: the zone is not signed. */
  readonly signer: ZoneSigner | undefined;
};

export type CompileInput = {
  readonly settings: Settings;
  readonly zones: readonly ZoneSource[];
  /** The zones of an earlier generation: those at other indexes than `changed` are the same. */
  readonly kept?: { readonly zones: readonly CompiledZone[]; readonly changed: readonly number[] } | undefined;
  readonly atlasFor: (inputs: AtlasInputs) => FoundAtlas;
  /** By the path that a latency step names. */
  readonly latencyTables: ReadonlyMap<string, LatencyTable>;
  readonly store: PartStore;
  /** Cores for signing. */
  readonly cores: number;
  /** Whether zones are compiled because updates change them: then more of them will come. */
  readonly isUpdate: boolean;
  /** The plan to use again; undefined: it is compiled. */
  readonly plan?: CompiledPlan | undefined;
  /** The plan of an earlier generation. */
  readonly planBefore?: CompiledPlan | undefined;
  readonly report: Report;
};

/** What steering needs: all services, and the regions and places that they choose by. */
export type CompiledPlan = {
  readonly memory: SharedArrayBuffer;
  readonly atlas: SharedArrayBuffer;
  /** By class of the atlas. */
  readonly locations: Places;
  readonly catalog: Pick<Catalog, 'services' | 'vips' | 'regions'>;
  readonly warnings: readonly Diagnostic[];
  /** Its maps, which a later plan with this atlas and number of start bits may use again. */
  readonly maps: ReadonlyMap<string, KeptMap>;
  readonly startBits: number;
};

export type Compiled = {
  readonly image: ImageMemory;
  readonly plan: CompiledPlan;
  /** In the order of the sources. */
  readonly zones: readonly CompiledZone[];
  readonly catalog: Catalog;
};

export function compile(input: CompileInput): Compiled {
  const { store, report } = input;
  const zones = compileSources(input);
  const plan = input.plan ?? compilePlan(input, zones);
  report.diagnostics.push(...plan.warnings);
  return {
    image: { ...addRoot(store, zones), plan: plan.memory },
    plan,
    zones,
    catalog: { zones: zones.map(({ info }) => info), ...plan.catalog },
  };
}

function compileSources(input: CompileInput): CompiledZone[] {
  const compiledOf = (source: ZoneSource): CompiledZone =>
    source.compiled ? withSerial(source.compiled, source.serial, input.store) : compileSource(source, input);
  if (!input.kept) return input.zones.map(compiledOf);
  const zones = input.kept.zones.slice();
  for (const index of input.kept.changed) {
    const source = input.zones[index];
    if (source) zones[index] = compiledOf(source);
  }
  return zones;
}

function compileSource(
  { model, children, serial, signer }: ZoneSource & { readonly model: ZoneModel },
  { store, report, cores, isUpdate }: Pick<CompileInput, 'store' | 'report' | 'cores' | 'isUpdate'>,
): CompiledZone {
  const apex = canonical(model.apex);
  const part = addPart(store, {
    model,
    serial,
    children,
    report,
    signer,
    cores,
    isChangeable: model.isUpdated,
    isChanging: isUpdate,
  });
  const info: ZoneInfo = {
    name: formatName(apex),
    serial,
    file: model.file,
    records: model.records.count,
    services: model.services.length,
    size: sizeOf(model),
    dynamic: model.dynamic && dynamicInfo(model.dynamic),
    ...(model.aliases ? { foreignServices: foreignServices(model).length, aliases: describeAliases(model) } : {}),
    signing: signer?.describe(),
  };
  return { info, apex, part, signer };
}

function describeAliases({ aliases = [], resolved = [] }: ZoneModel): readonly AliasInfo[] {
  return aliases.map(({ owner }, index) => {
    const answer: AliasAnswer = resolved[index] ?? { kind: 'nothing', path: [], watched: [] };
    const { path, watched, kind } = answer;
    const foreign = 'foreign' in answer ? answer.foreign : undefined;
    return { name: formatName(canonical(owner)), path, leadsTo: kind, foreign, watched };
  });
}

/** A compiled zone, with another serial if nodes of a fleet agreed on one. */
function withSerial(zone: CompiledZone, serial: number, store: PartStore): CompiledZone {
  if (zone.info.serial === serial) return zone;
  const part = copyWithSerial(store, zone.part, serial, zone.signer?.signSerial(serial));
  return { ...zone, info: { ...zone.info, serial }, part };
}

function compilePlan(input: CompileInput, compiled: readonly CompiledZone[]): CompiledPlan {
  const { settings, latencyTables } = input;
  const report = createReport();
  const zones = input.zones.map(({ summary }) => summary);
  const operator = settings.geo.networks;
  const listed = listNetworks(zones, operator);
  const atOf = new Map(
    operator.flatMap(({ prefix, at }) => {
      const index = listed.indexOf.get(networkText(prefix));
      return index === undefined ? [] : [[index, at] as const];
    }),
  );
  const measured = [...latencyTables].map(([path, table]) => ({
    path,
    table,
    ...latencyKinds(table, usesOf(zones, path)),
  }));
  const latencyTrees = measured.map(({ tree }) => tree);
  const { atlas, memory } = input.atlasFor({ networks: listed.prefixes, operator: atOf, latency: latencyTrees });
  const latency = new Map(
    measured.map(({ path, table, rowOf }, index): [string, LatencySource] => [
      path,
      { table, networkRow: (location) => rowOf[location.latency[index] ?? 0] ?? -1 },
    ]),
  );
  const startBits = startBitsFor(zones.reduce((sum, { services }) => sum + services.length, 0));
  const { planBefore } = input;
  const kept = planBefore?.atlas === memory && planBefore.startBits === startBits ? planBefore : undefined;
  const plan = createPlan(kept?.maps, kept && sizeFor(planSection(kept.memory, SECTION.MAP_WORDS).length));
  const regions = numberRegions(settings.regions, zones);
  const services: ServiceInfo[] = [];
  const vips: VipInfo[] = [];
  const rows = new Map<string, AnswerRows>();
  for (const [index, summary] of zones.entries()) {
    const regionNumber = (region: string | undefined): number => regions.numberIn(summary, region);
    const answers = (compiled[index]?.part.answers ?? []).values();
    const name = compiled[index]?.info.name ?? '';
    const firstService = services.length;
    const numbers = new Map(summary.services.map((service, place) => [service.name, firstService + place]));
    const serviceNumber = ({ name: wanted }: ServiceModel): number => numbers.get(wanted) ?? -1;
    for (const service of summary.services) {
      const firstSlot = vips.length;
      const context = {
        atlas,
        startBits,
        regions: regions.list,
        regionNumber,
        serviceNumber,
        place: { networkIndex: listed.indexOf, latency },
        report,
      };
      rows.set(service.name, { number: services.length, ...takeRows(answers, (next) => { compileService(plan, service, next, context); }) }); // prettier-ignore
      const number = services.push(describeService(service, name, firstSlot)) - 1;
      for (const vip of service.vips) {
        vips.push(describeVip(service, vip, number, vips.length, regionNumber(vip.region)));
      }
    }
  }
  addAliases(plan, zones, compiled, rows);
  const ownNetworks = ownNetworkWords(operator.map(({ prefix }) => prefix));
  const shared = sharePlan(plan, ownNetworks, input.store.allocate);
  return {
    memory: shared,
    atlas: memory,
    locations: atlas.places,
    catalog: { services, vips, regions: regions.list },
    warnings: report.diagnostics,
    maps: keepMaps(plan, planSection(shared, SECTION.MAPS), planSection(shared, SECTION.MAP_WORDS)),
    startBits,
  };
}

/** A service, the number of RRsets of its answers that were asked for, and the row of the first that there is. */
type AnswerRows = { readonly number: number; readonly count: number; readonly first: number };

/** Calls `take` with a function that returns the next row; -1 for an RRset that there is not. */
function takeRows(answers: Iterator<number>, take: (next: () => number) => void): Pick<AnswerRows, 'count' | 'first'> {
  let [count, first] = [0, -1];
  take(() => {
    count++;
    const { value = -1 } = answers.next() as { value?: number };
    if (first < 0) first = value;
    return value;
  });
  return { count, first };
}

/**
 * Adds the services of other zones that aliases lead to. Their RRsets are behind those of the zone's own services, in
 * the same order as in their zone.
 */
function addAliases(
  plan: BuildingPlan,
  zones: readonly ZoneSummary[],
  compiled: readonly CompiledZone[],
  rows: ReadonlyMap<string, AnswerRows>,
): void {
  for (const [index, summary] of zones.entries()) {
    const foreign = foreignServices(summary);
    if (foreign.length === 0) continue;
    const answers = (compiled[index]?.part.answers ?? []).values();
    for (const { name } of summary.services) takeRows(answers, (next) => { skipRows(next, rows.get(name)); }); // prettier-ignore
    for (const { name } of foreign) {
      const service = rows.get(name);
      const { first } = takeRows(answers, (next) => { skipRows(next, service); }); // prettier-ignore
      pushWords(plan.aliases, service?.number ?? 0, first - (service?.first ?? 0));
    }
  }
}

function skipRows(next: () => number, rows: AnswerRows | undefined): void {
  for (let index = 0; index < (rows?.count ?? 0); index++) next();
}

/** Room for the maps of a plan and a few changed ones. */
function sizeFor(mapWords: number): number {
  return mapWords + (mapWords >> 4) + 1024;
}

/** See ZoneInfo. */
function sizeOf({ records, services, apex }: ZoneModel): number {
  let size = services.reduce((sum, { vips }) => sum + vips.length, 0);
  for (let row = 0; row < records.count; row++) {
    const type = records.type[row];
    const isOfApex = (type === TYPE.SOA || type === TYPE.NS) && records.ownerOctets[row] === apex.length;
    if (!isOfApex) size++;
  }
  return size;
}

/** How the services' steps use a latency table. */
function usesOf(zones: readonly ZoneSummary[], path: string): LatencyUse[] {
  return zones.flatMap(({ services }) =>
    services.flatMap(({ steps, vips }) =>
      steps.flatMap((step) => {
        const { table } = traitsOf(step);
        if (table?.path !== path) return [];
        return { regions: vips.flatMap(({ region }) => region ?? []), withinMs: table.withinMs };
      }),
    ),
  );
}

/** Operator networks and the networks that steps name, each once; those of latency tables are not included. */
function listNetworks(
  zones: readonly ZoneSummary[],
  operator: Settings['geo']['networks'],
): { prefixes: Prefix[]; indexOf: Map<string, number> } {
  const prefixes: Prefix[] = [];
  const indexOf = new Map<string, number>();
  const add = (prefix: Prefix): void => {
    const text = networkText(prefix);
    if (indexOf.has(text)) return;
    indexOf.set(text, prefixes.push(prefix) - 1);
  };
  for (const { prefix } of operator) add(prefix);
  // Services share the step of a shared map.
  const steps = new Set(zones.flatMap(({ services }) => services.flatMap((service) => service.steps)));
  for (const step of steps) for (const prefix of traitsOf(step).networks ?? []) add(prefix);
  return { prefixes, indexOf };
}

/** Numbers all regions: 0 for none, then those of pharos.yaml, then each zone's own. */
function numberRegions(
  shared: ReadonlyMap<string, RegionSpec>,
  zones: readonly ZoneSummary[],
): { list: RegionInfo[]; numberIn: (zone: ZoneSummary, name: string | undefined) => number } {
  const list: RegionInfo[] = [{ name: '', point: undefined, minHealthy: 0 }];
  const add = (spec: RegionSpec): number => {
    const { at } = spec;
    const point = at?.kind === 'country' ? centroidOf(at.country) : at;
    return (
      list.push({
        name: spec.name,
        point: point && { latitude: point.latitude, longitude: point.longitude },
        minHealthy: spec.minHealthy,
      }) - 1
    );
  };
  const sharedNumbers = new Map([...shared].map(([name, spec]) => [name, add(spec)]));
  const ownNumbers = new Map(
    zones.map((zone) => [zone, new Map([...zone.regions].map(([name, spec]) => [name, add(spec)]))]),
  );
  return {
    list,
    numberIn: (zone, name) =>
      name === undefined ? 0 : (ownNumbers.get(zone)?.get(name) ?? sharedNumbers.get(name) ?? 0),
  };
}

function describeService(model: ServiceModel, zone: string, firstSlot: number): ServiceInfo {
  return {
    name: model.name,
    zone,
    ttl: model.ttl,
    steps: model.steps,
    answers: model.answers,
    whenAllDown: model.whenAllDown.kind,
    ...(model.partial === undefined ? {} : { partial: model.partial }),
    rampMs: model.rampMs,
    shed: model.shed,
    firstSlot,
    vipCount: model.vips.length,
  };
}

function describeVip(service: ServiceModel, vip: VipModel, number: number, slot: number, region: number): VipInfo {
  const a = vip.a && formatAddress(vip.a);
  const aaaa = vip.aaaa && formatAddress(vip.aaaa);
  const cname = vip.cname && formatName(vip.cname);
  return {
    slot,
    service: number,
    name: vip.name,
    target: `${service.name}/${vip.name}`,
    region,
    a,
    aaaa,
    cname,
    records: vip.rrsets?.map(({ type, rdata }) => ({
      type: typeText(type),
      data: rdata.map((data) => formatRdata(type, data)),
    })),
    svcb: vip.svcb && formatRdata(TYPE.HTTPS, vip.svcb),
    ...(vip.inner ? { inner: vip.inner.name } : {}),
    weight: vip.weight,
    capacity: vip.capacity,
    check: vip.check,
    probeHost: vip.probe?.host ?? a ?? aaaa ?? cname ?? '',
    probePort: vip.probe?.port,
    probeWritten: vip.probe?.written,
  };
}

/** Copies the header and the sections of a plan into one shared memory, each section at the start of a cache line. */
function sharePlan(plan: BuildingPlan, ownNetworks: Int32Array, allocate: Allocate): SharedArrayBuffer {
  const words = (list: { array: Int32Array; length: number }): Int32Array => list.array.subarray(0, list.length);
  const sections: Int32Array[] = [];
  sections[SECTION.SERVICES] = words(plan.services);
  sections[SECTION.VIPS] = words(plan.vips);
  sections[SECTION.REGIONS] = words(plan.regions);
  sections[SECTION.PROGRAM] = words(plan.program);
  sections[SECTION.ORDERINGS] = words(plan.orderings);
  sections[SECTION.MAPS] = words(plan.maps);
  sections[SECTION.MAP_WORDS] = words(plan.mapWords);
  sections[SECTION.OWN_NETWORKS] = ownNetworks;
  sections[SECTION.OTHER_OF] = words(plan.otherOf);
  sections[SECTION.OTHERS] = words(plan.others);
  sections[SECTION.ALIASES] = words(plan.aliases);
  const starts: number[] = [];
  let end = HEADER_WORDS * 4;
  for (let section = 0; section < SECTION_COUNT; section++) {
    end = alignedAt(end);
    starts.push(end);
    end += sections[section]?.byteLength ?? 0;
  }
  const memory = allocate(end);
  const target = new Int32Array(memory);
  target[HEADER.MAGIC] = PLAN_MAGIC;
  for (let section = 0; section < SECTION_COUNT; section++) {
    const source = sections[section] ?? new Int32Array(0);
    target[HEADER.SECTIONS + section * 2] = starts[section] ?? 0;
    target[HEADER.SECTIONS + section * 2 + 1] = source.length;
    target.set(source, (starts[section] ?? 0) / 4);
  }
  return memory;
}

/** The offset, rounded up to the start of a cache line: glibc puts a header of 16 octets before a large block. */
function alignedAt(offset: number): number {
  return ((offset + ALLOCATOR_OCTETS + LINE_OCTETS - 1) & -LINE_OCTETS) - ALLOCATOR_OCTETS;
}
