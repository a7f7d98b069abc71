/**
 * Reads the options of each kind of step.
 */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createReportOnce, reportOutside, type Report, type ReportOnce } from '../../config/diagnostics.ts';
import {
  boolean,
  dictionary,
  distanceField,
  duration,
  integer,
  list,
  map,
  optional,
  required,
  text,
  valueOf,
  withDefault,
  without,
  type Read,
} from '../../config/fields.ts';
import { MAX_BIAS, MAX_DISTANCE_KM } from '../../config/limits.ts';
import { nearestHint } from '../../config/nearest-word.ts';
import type { IsCountry } from '../../config/network-fields.ts';
import { isOutside } from '../../config/read-file.ts';
import { anyOf, described, like, oneOrMore, schemaOf, type JsonSchema } from '../../config/schema.ts';
import { nodePlace, type YamlMap, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import type { FailoverStep } from '../../steering/failover-step.ts';
import { NO_TABLE } from '../../steering/latency-step.ts';
import type { StepKind, StepSpec } from '../../steering/steps.ts';
import type { JudgedVip } from './judge-steps.ts';
import { readGeoMap, warnFence, type GeoTarget } from './read-geo-map.ts';
import { ttl } from './read-records.ts';
import { findShared, nameOfShared, NO_SHARED, SHARED_NAME, type SharedMaps } from './shared-names.ts';

/** The names that steps may refer to, and the destinations of their results. */
export type StepsContext = {
  /** The regions that pharos.yaml or the zone defines; true for those with a position. */
  readonly regions: ReadonlyMap<string, boolean>;
  readonly vips: readonly JudgedVip[];
  /** False if a VIP has a mistake: then steps that lead to no VIP are not reported. */
  readonly isSound?: boolean;
  /** Regions whose definition has a mistake, and the report of undefined names. */
  readonly brokenRegions?: ReadonlySet<string>;
  readonly once?: ReportOnce;
  /** Absolute path of the folder that paths of tables are relative to. */
  readonly folder: string;
  /** The folder that tables must be in; undefined: any. */
  readonly below?: string | undefined;
  readonly isCountry: IsCountry;
  readonly report: Report;
  /** Receives the absolute path of every latency table. */
  readonly addFile: (path: string) => void;
  /** Whether browsers measure latency: then `latency` needs no table. */
  readonly hasBeacon?: boolean;
  /** The maps of pharos.yaml and of the zone. */
  readonly maps?: SharedMaps | undefined;
};

/** How to read steps of one kind. */
type StepReader<K extends StepKind> = {
  /** The value of the step's key: a map of options, with this example; no options; or a value for `read`. */
  readonly takes: { readonly example: string } | 'nothing' | 'a value';
  /** `at` is the step's name, `options` those below it and beside it. */
  readonly read: (at: YamlScalar, options: YamlMap, context: StepsContext) => StepSpec<K> | undefined;
  /** Warns of a step that is valid but makes little sense, independent of the other steps. */
  readonly judge?: (step: StepSpec<K>, node: YamlNode, report: Report) => void;
};

const READERS: { readonly [K in StepKind]: StepReader<K> } = {
  geo: { takes: 'a value', read: readGeo, judge: judgeGeo },
  nearest: { takes: { example: '{ within: 300km }' }, read: readNearest },
  latency: { takes: { example: '{ table: rtt.csv }' }, read: readLatency },
  failover: { takes: 'a value', read: readFailover },
  weighted: {
    takes: 'nothing',
    read: (_, options, { report }) => map('weighted', {})(options, 'weighted', report) && { kind: 'weighted' },
  },
  sticky: { takes: { example: '{ v4: 24 }' }, read: readSticky },
  all: {
    takes: 'nothing',
    read: (_, options, { report }) => map('all', {})(options, 'all', report) && { kind: 'all' },
  },
};

export const STEP_KINDS = Object.keys(READERS) as readonly StepKind[];

/** Reads the step of a kind whose name is at `at`. */
export function readStepOf(
  kind: StepKind,
  at: YamlScalar,
  options: YamlMap,
  context: StepsContext,
): StepSpec | undefined {
  const { takes, read } = READERS[kind];
  const bare = options.entries.find(({ key }) => key === at);
  if (bare && takes !== 'a value') {
    const [what, hint] =
      takes === 'nothing'
        ? ['no options', `write "- ${kind}" alone`]
        : ['a map of options', `such as ${kind}: ${takes.example}`];
    context.report.error('PH209', `${kind} takes ${what}`, nodePlace(bare.value), hint);
    return undefined;
  }
  return read(at, options, context);
}

export function judgeStep<K extends StepKind>(step: StepSpec<K>, node: YamlNode, report: Report): void {
  READERS[step.kind].judge?.(step, node, report);
}

function readGeo(at: YamlScalar, options: YamlMap, context: StepsContext): StepSpec<'geo'> | undefined {
  const own = valueOf(options, at.text);
  const name = own?.kind === 'scalar' ? nameOfShared(own) : undefined;
  if (own?.kind === 'scalar' && name !== undefined) {
    const [other] = without(options, at.text).entries;
    if (!other) return findShared('map', own, name, context.maps ?? NO_SHARED, context);
    const message = `geo takes the map ${own.text} as it is, without other keys`;
    context.report.error(
      'PH240',
      message,
      nodePlace(other.key),
      'write the key in the map, or give the service its own map',
    );
    return undefined;
  }
  if (own?.kind === 'scalar' && context.maps?.parts.has(own.text) === true) {
    const message = 'geo needs $ before the name of a shared map';
    context.report.error('PH212', message, nodePlace(own), `write $${own.text}`);
    return undefined;
  }
  return readGeoBody(at, options, regionName(context), context);
}

/** Reads the keys of a `geo` step or of a shared map, whose name is at `at`. */
export function readGeoBody(
  at: YamlScalar,
  options: YamlMap,
  region: Read<string>,
  { report, isCountry }: Pick<StepsContext, 'report' | 'isCountry'>,
): StepSpec<'geo'> | undefined {
  const fenceNode = valueOf(options, 'fence');
  const fence = fenceNode ? (boolean()(fenceNode, 'fence', report) ?? false) : false;
  const entries = without(options, 'fence').entries;
  const own = entries.find(({ key }) => key === at);
  if (entries.length === 0 || own) {
    const hint = 'such as geo: { KR: seoul, default: [virginia, seoul] }, or geo: $name for one of maps';
    report.error('PH212', 'geo needs a map of places to regions', nodePlace(own?.value ?? at), hint);
    return undefined;
  }
  const target = geoTarget(region);
  const geoMap = readGeoMap(entries, (node, name) => target(node, name, report), isCountry, report);
  // A default with invalid regions counts as written.
  if (!entries.some(({ key }) => key.text === 'default')) {
    const hint =
      'add default: [...]; other clients get when_all_down, and resolvers cache "no data" for all their clients';
    report.warning('PH214', 'geo has no default', nodePlace(at), hint);
  }
  return { kind: 'geo', map: geoMap, fence };
}

/** A shared map is judged once, where it is stated. */
function judgeGeo(step: StepSpec<'geo'>, node: YamlNode, report: Report): void {
  if (!step.shared) warnFence(step, node, report);
}

/**
 * A region, a list of them, `none` or an empty list, or a map of these and a TTL. A region called `none` is in a list.
 */
function geoTarget(region: Read<string>): Read<GeoTarget> {
  const names = onceEach(list(region, { min: 1, hint: 'a region, a list of them, or none' }));
  const isNone = (node: YamlNode): boolean =>
    (node.kind === 'scalar' && node.text === 'none') || (node.kind === 'list' && node.items.length === 0);
  const places: Read<string[]> = described(
    () => oneOrMore(schemaOf(region, 'geo'), 0, Infinity),
    (node: YamlNode, name: string, report: Report) => (isNone(node) ? [] : names(node, name, report)),
  );
  const withTtl = map('key of geo', { to: required(places, 'such as { to: seoul, ttl: 10 }'), ttl: optional(ttl) });
  return described(
    () => anyOf(schemaOf(places, 'geo'), schemaOf(withTtl, 'geo')),
    (node: YamlNode, name: string, report: Report): GeoTarget | undefined => {
      if (node.kind !== 'map') {
        const found = places(node, name, report);
        return found && { regions: found };
      }
      const read = withTtl(node, name, report);
      if (!read) return undefined;
      const ttlNode = valueOf(node, 'ttl');
      const to = valueOf(node, 'to');
      if (ttlNode && to && isNone(to)) {
        const message = `${name} has no answer (none), so its ttl has no effect`;
        report.error('PH229', message, nodePlace(ttlNode), 'remove it: the negative TTL of the SOA applies');
      }
      return { regions: read.to, ...(read.ttl === undefined ? {} : { ttlSeconds: read.ttl }) };
    },
  );
}

function readNearest(at: YamlScalar, options: YamlMap, context: StepsContext): StepSpec<'nearest'> | undefined {
  const read = nearestKeys(context)(options, 'nearest', context.report);
  warnWithoutPosition(at, context);
  return read && { kind: 'nearest', bias: new Map(read.bias), withinKm: read.within };
}

function nearestKeys(context: StepsContext) {
  return map('nearest', {
    bias: withDefault(bias(context), []),
    within: withDefault(distanceField({ max: MAX_DISTANCE_KM }), 0),
  });
}

function readLatency(_: YamlScalar, options: YamlMap, context: StepsContext): StepSpec<'latency'> | undefined {
  const read = latencyKeys(context)(options, 'latency', context.report);
  const table = read?.table === undefined ? NO_TABLE : findTable(read.table, options, context);
  return read && table !== undefined ? { kind: 'latency', table, withinMs: read.within } : undefined;
}

function latencyKeys(context: StepsContext) {
  return map('latency', {
    table: context.hasBeacon
      ? optional(text())
      : required(text(), 'the CSV file of measurements: table: rtt.csv; without one, pharos.yaml needs a beacon'),
    within: withDefault(duration(), 0),
  });
}

function readFailover(_: YamlScalar, options: YamlMap, context: StepsContext): StepSpec<'failover'> | undefined {
  const read = map('failover', { failover: required(failoverOrder(context), 'such as [seoul, virginia]') });
  const order = read(options, 'failover', context.report)?.failover;
  return order && { kind: 'failover', order };
}

function readSticky(_: YamlScalar, options: YamlMap, { report }: StepsContext): StepSpec<'sticky'> | undefined {
  const read = stickyKeys(options, 'sticky', report);
  return read && { kind: 'sticky', v4Bits: read.v4, v6Bits: read.v6 };
}

const stickyKeys = map('sticky', {
  v4: withDefault(integer({ min: 0, max: 32 }), 24),
  v6: withDefault(integer({ min: 0, max: 128 }), 56),
});

function bias(context: StepsContext): Read<[string, number][]> {
  const amount = integer({
    min: -MAX_BIAS,
    max: MAX_BIAS,
    hint: 'above 0 the region gets more clients, below 0 fewer',
  });
  return dictionary(({ key, value }, report) => {
    const region = regionName(context)(key, key.text, report);
    const points = amount(value, `bias of ${key.text}`, report);
    return region !== undefined && points !== undefined ? [region, points] : undefined;
  }, amount);
}

/** Reads the name of a defined region. Warns of a region without VIPs of the service. */
function regionName(context: StepsContext): Read<string> {
  const { regions, vips, brokenRegions, once } = context;
  return like(text(), (node: YamlNode, name: string, report: Report): string | undefined => {
    const region = text()(node, name, report);
    if (region === undefined) return undefined;
    if (vips.some((vip) => vip.region === region)) return region;
    if (regions.has(region)) {
      if (context.isSound !== false) warnUnusedRegion(region, node, report);
      return region;
    }
    if (brokenRegions?.has(region)) return region;
    const isVip = vips.some((vip) => vip.name === region);
    const hint = isVip ? 'it is a VIP: only failover takes those' : nearestHint(region, regions.keys());
    const tell = once ?? createReportOnce(report);
    tell(`region ${region}`, 'PH210', `unknown region "${region}"`, nodePlace(node), hint);
    return undefined;
  });
}

function warnUnusedRegion(region: string, node: YamlNode, report: Report): void {
  const message = `no VIP of this service is in the region ${region}`;
  report.warning('PH211', message, nodePlace(node), 'the step skips it: remove it, or add a VIP');
}

type FailoverEntry = FailoverStep['order'][number];

/** Regions or VIPs; a name that is both means the region (docs/steering.md#failover). */
function failoverOrder(context: StepsContext): Read<FailoverEntry[]> {
  const { regions, vips, brokenRegions, once } = context;
  const entry: Read<FailoverEntry> = like(
    text(),
    (node: YamlNode, name: string, report: Report): FailoverEntry | undefined => {
      const target = text()(node, name, report);
      if (target === undefined) return undefined;
      if (vips.some((vip) => vip.region === target)) return { kind: 'region', region: target };
      const vip = vips.findIndex((each) => each.name === target);
      if (vip >= 0) return { kind: 'vip', vip };
      if (regions.has(target)) {
        if (context.isSound !== false) warnUnusedRegion(target, node, report);
        return { kind: 'region', region: target };
      }
      if (brokenRegions?.has(target)) return { kind: 'region', region: target };
      const known = new Set([...vips.map((each) => each.name), ...regions.keys()]);
      const tell = once ?? createReportOnce(report);
      const message = `unknown region or VIP "${target}"`;
      tell(`region ${target}`, 'PH210', message, nodePlace(node), nearestHint(target, known));
      return undefined;
    },
  );
  return onceEach(list(entry, { min: 1, hint: 'regions or VIPs in the order to try them' }));
}

/** Warns of duplicates in a list of names: the second has no effect. */
function onceEach<T>(read: Read<T>): Read<T> {
  return like(read, (node: YamlNode, name: string, report: Report): T | undefined => {
    const items = node.kind === 'list' ? node.items : [];
    const seen = new Set<string>();
    for (const item of items) {
      if (item.kind !== 'scalar') continue;
      const hint = 'remove one of the two';
      if (seen.has(item.text)) report.warning('PH228', `duplicate "${item.text}" in the list`, nodePlace(item), hint);
      seen.add(item.text);
    }
    return read(node, name, report);
  });
}

function geoSchemas(context: StepsContext): { readonly [K in 'regions' | 'fence' | 'geo']: JsonSchema } {
  const regions = schemaOf(geoTarget(regionName(context)), 'geo');
  const fence = schemaOf(boolean(), 'fence');
  return {
    regions,
    fence,
    geo: { type: 'object', minProperties: 1, properties: { fence }, additionalProperties: regions },
  };
}

/** The schema of a shared map. */
export function geoSchema(context: StepsContext): JsonSchema {
  return geoSchemas(context).geo;
}

/** The schema of a step: its name alone, or a map with its options below the name or beside it. */
export function stepSchema(context: StepsContext): JsonSchema {
  const { regions, fence, geo } = geoSchemas(context);
  const nothing = { type: ['object', 'null'], properties: {}, additionalProperties: false };
  return anyOf(
    { enum: ['weighted', 'all', 'nearest', 'sticky', 'latency'] satisfies StepKind[] },
    { type: 'object', properties: { geo, fence }, required: ['geo'], additionalProperties: regions },
    { type: 'object', ...only({ geo: SHARED_NAME }), required: ['geo'] },
    withOptions('nearest', schemaOf(nearestKeys(context), 'nearest')),
    // With a beacon it needs no table, and the table may be beside its name.
    withOptions('latency', schemaOf(latencyKeys({ ...context, hasBeacon: true }), 'latency')),
    { type: 'object', ...only({ failover: schemaOf(failoverOrder(context), 'failover') }), required: ['failover'] },
    withOptions('sticky', schemaOf(stickyKeys, 'sticky')),
    withOptions('weighted', nothing),
    withOptions('all', nothing),
  );
}

function withOptions(kind: StepKind, options: JsonSchema): JsonSchema {
  const { properties } = options as { readonly properties: Readonly<Record<string, JsonSchema>> };
  return { type: 'object', ...only({ [kind]: options, ...properties }), required: [kind] };
}

function only(properties: Readonly<Record<string, JsonSchema>>): object {
  return { properties, additionalProperties: false };
}

/** Returns the absolute path of a table. Returns undefined and reports if the file does not exist. */
function findTable(written: string, options: YamlMap, context: StepsContext): string | undefined {
  const { folder, below, report, addFile } = context;
  const node = valueOf(options, 'table') ?? options;
  // A template of pharos.yaml names files relative to pharos.yaml, and any of them.
  const own = dirname(node.file.path);
  const path = resolve(own, written);
  const place = nodePlace(node);
  if (own === folder && isOutside(path, below)) {
    reportOutside(written, place, folder, report);
    return undefined;
  }
  if (existsSync(path)) {
    addFile(path);
    return path;
  }
  report.error('PH038', `there is no file ${written}`, place, `looked for ${path}`);
  return undefined;
}

function warnWithoutPosition(at: YamlScalar, { regions, vips, report }: StepsContext): void {
  const lost = new Set(
    vips.flatMap(({ region }) => (region !== undefined && regions.get(region) === false ? [region] : [])),
  );
  if (lost.size === 0) return;
  const message = `nearest cannot compute the distance of ${[...lost].join(', ')}: no "at"`;
  report.warning('PH221', message, nodePlace(at), 'add at: "37.57,126.98" or at: KR to the region');
}
