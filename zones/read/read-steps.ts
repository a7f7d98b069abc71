/**
 * `steer` of a service (SPEC 4): a list of steps. A step's options stand below its name or beside it:
 *
 *     - nearest: { within: 300km }        - { nearest: , within: 300km }
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createReportOnce, hasErrors, reportOutside, type Report, type ReportOnce } from '../../config/diagnostics.ts';
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
import { nodePlace, type YamlEntry, type YamlMap, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import { NO_TABLE, type StepSpec } from '../../steering/steps.ts';
import { judgeSteps, type JudgedVip, type WrittenStep } from './judge-steps.ts';
import { readGeoMap } from './read-geo-map.ts';

const STEPS = ['geo', 'nearest', 'latency', 'failover', 'weighted', 'sticky', 'all'] as const;
type StepName = (typeof STEPS)[number];

/** What steps may name, and where what they read is noted. */
export type StepsContext = {
  /** Every region that pharos.yaml or the zone defines; true for those that have a position. */
  readonly regions: ReadonlyMap<string, boolean>;
  readonly vips: readonly JudgedVip[];
  /** False where a VIP has a mistake: then nothing is said of steps that lead to none. */
  readonly isSound?: boolean;
  /** Regions that are defined with a mistake; and the report of names that are defined nowhere. */
  readonly brokenRegions?: ReadonlySet<string>;
  readonly once?: ReportOnce;
  /** Absolute path that tables are relative to. */
  readonly folder: string;
  /** The folder that they must be in; undefined: any. */
  readonly below?: string | undefined;
  readonly isCountry: IsCountry;
  readonly report: Report;
  /** Takes the absolute path of every latency table. */
  readonly addFile: (path: string) => void;
  /** Whether browsers measure: then `latency` can do without a table. */
  readonly hasBeacon?: boolean;
};

/** SPEC 4: a service that says nothing. */
export const DEFAULT_STEPS: readonly StepSpec[] = [
  { kind: 'nearest', bias: new Map(), withinKm: 0 },
  { kind: 'weighted' },
];

export function steps(context: StepsContext): Read<StepSpec[]> {
  return (node, _name, report) => {
    if (node.kind === 'broken') return undefined;
    const items = node.kind === 'list' ? node.items : [node];
    if (items.length === 0) {
      report.error('PH208', 'steer has no steps', nodePlace(node), 'remove it for [nearest, weighted], or name a step');
    }
    const before = report.diagnostics.length;
    const written = items.flatMap((item): WrittenStep[] => {
      const spec = readStep(item, context);
      return spec ? [{ spec, node: item }] : [];
    });
    // What is wrong in a step may be all that is wrong with the chain.
    const isSound = context.isSound !== false && !hasErrors(report.diagnostics.slice(before));
    if (isSound) judgeSteps(written, context.vips, report);
    return written.map(({ spec }) => spec);
  };
}

function readStep(node: YamlNode, context: StepsContext): StepSpec | undefined {
  const { report } = context;
  if (node.kind === 'broken') return undefined;
  if (node.kind === 'scalar') {
    const name = STEPS.find((step) => step === node.text);
    if (!name) reportUnknownStep(node, report);
    return name && readStepOf(name, node, { ...node, kind: 'map', entries: [] }, context);
  }
  const first = node.kind === 'map' ? node.entries[0] : undefined;
  if (node.kind !== 'map' || !first) {
    const hint = `one of ${STEPS.join(', ')}, such as "- weighted" or "- geo: {...}"`;
    report.error('PH208', 'a step must have a name', nodePlace(node, 0, 1), hint);
    return undefined;
  }
  const named = node.entries.flatMap((entry) => {
    const name = STEPS.find((step) => step === entry.key.text);
    return name ? [{ name, entry }] : [];
  });
  const [step, second] = named;
  if (!step) {
    reportUnknownStep(first.key, report);
    return undefined;
  }
  if (second) {
    const message = `${step.name} and ${second.name} stand in one step`;
    report.error('PH209', message, nodePlace(second.entry.key), 'give each its own "- " at the start of the line');
    return undefined;
  }
  return readStepOf(step.name, step.entry.key, joinOptions(node, step.entry, context), context);
}

function reportUnknownStep(node: YamlScalar, report: Report): void {
  const hint = nearestHint(node.text, STEPS);
  report.error('PH208', `${node.text} is not a step`, nodePlace(node), hint);
}

/** The options below the step's name and those beside it, as one map. A value that is no map stays under the
 * step's own key. */
function joinOptions(node: YamlMap, { key, value }: YamlEntry, { report }: StepsContext): YamlMap {
  const beside = without(node, key.text).entries;
  if (value.kind !== 'map') {
    const own = value.kind === 'null' ? [] : [{ key, value }];
    return { ...node, start: key.start, entries: [...own, ...beside] };
  }
  for (const entry of beside) {
    const first = value.entries.find((each) => each.key.text === entry.key.text);
    if (!first) continue;
    const message = `"${entry.key.text}" stands here twice; the first is in line ${nodePlace(first.key).line}`;
    report.error('PH004', message, nodePlace(entry.key), 'remove one of the two');
  }
  return { ...value, start: key.start, entries: [...value.entries, ...beside] };
}

/** An example of the options of each step that has some. */
const OPTIONS: Readonly<Partial<Record<StepName, string>>> = {
  nearest: '{ within: 300km }',
  latency: '{ table: rtt.csv }',
  sticky: '{ v4: 24 }',
};

const sticky = map('sticky', {
  v4: withDefault(integer({ min: 0, max: 32 }), 24),
  v6: withDefault(integer({ min: 0, max: 128 }), 56),
});

function readStepOf(name: StepName, at: YamlScalar, options: YamlMap, context: StepsContext): StepSpec | undefined {
  const { report } = context;
  const bare = options.entries.find(({ key }) => key === at);
  if (bare && name !== 'geo' && name !== 'failover') {
    const hint = OPTIONS[name] ? `such as ${name}: ${OPTIONS[name]}` : `write "- ${name}" alone`;
    report.error(
      'PH209',
      `${name} takes ${OPTIONS[name] ? 'a map of options' : 'no options'}`,
      nodePlace(bare.value),
      hint,
    );
    return undefined;
  }
  switch (name) {
    case 'geo':
      return readGeo(at, options, context);
    case 'nearest': {
      const fields = {
        bias: withDefault(bias(context), []),
        within: withDefault(distanceField({ max: MAX_DISTANCE_KM }), 0),
      };
      const read = map('nearest', fields)(options, name, report);
      warnWithoutPosition(at, context);
      return read && { kind: name, bias: new Map(read.bias), withinKm: read.within };
    }
    case 'latency': {
      const fields = {
        table: context.hasBeacon
          ? optional(text())
          : required(text(), 'the CSV file of measurements: table: rtt.csv; without one, pharos.yaml needs a beacon'),
        within: withDefault(duration(), 0),
      };
      const read = map('latency', fields)(options, name, report);
      const table = read?.table === undefined ? NO_TABLE : findTable(read.table, options, context);
      return read && table !== undefined ? { kind: name, table, withinMs: read.within } : undefined;
    }
    case 'failover': {
      const read = map('failover', { failover: required(failoverOrder(context), 'such as [seoul, virginia]') });
      const order = read(options, name, report)?.failover;
      return order && { kind: name, order };
    }
    case 'sticky': {
      const read = sticky(options, name, report);
      return read && { kind: name, v4Bits: read.v4, v6Bits: read.v6 };
    }
    case 'weighted':
    case 'all':
      return map(name, {})(options, name, report) && { kind: name };
  }
}

function readGeo(at: YamlScalar, options: YamlMap, context: StepsContext): StepSpec | undefined {
  const { report, isCountry } = context;
  const fenceNode = valueOf(options, 'fence');
  const fence = fenceNode ? (boolean()(fenceNode, 'fence', report) ?? false) : false;
  const entries = without(options, 'fence').entries;
  const own = entries.find(({ key }) => key === at);
  if (entries.length === 0 || own) {
    const hint = 'such as geo: { KR: seoul, default: [virginia, seoul] }';
    report.error('PH212', 'geo needs a map of places to regions', nodePlace(own?.value ?? at), hint);
    return undefined;
  }
  const readRegions = (node: YamlNode, name: string): string[] | undefined =>
    onceEach(list(regionName(context), { min: 1, hint: 'a region, or a list of them' }))(node, name, report);
  const geoMap = readGeoMap(entries, readRegions, isCountry, report);
  // Judged by what is written: a default whose regions are wrong is there all the same.
  if (!entries.some(({ key }) => key.text === 'default')) {
    const hint =
      'add default: [...]; other clients get when_all_down, and resolvers cache "no data" for all their clients';
    report.warning('PH214', 'geo has no default', nodePlace(at), hint);
  }
  return { kind: 'geo', map: geoMap, fence };
}

function bias(context: StepsContext): Read<[string, number][]> {
  const amount = integer({
    min: -MAX_BIAS,
    max: MAX_BIAS,
    hint: 'above 0 the region draws more clients, below 0 fewer',
  });
  return dictionary(({ key, value }, report) => {
    const region = regionName(context)(key, key.text, report);
    const points = amount(value, `bias of ${key.text}`, report);
    return region !== undefined && points !== undefined ? [region, points] : undefined;
  });
}

/** The name of a region that is defined; one that none of the service's VIPs is in gets a warning. */
function regionName(context: StepsContext): Read<string> {
  const { regions, vips, brokenRegions, once } = context;
  return (node, name, report) => {
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
    tell(`region ${region}`, 'PH210', `there is no region ${region}`, nodePlace(node), hint);
    return undefined;
  };
}

function warnUnusedRegion(region: string, node: YamlNode, report: Report): void {
  const message = `no VIP of this service is in the region ${region}`;
  report.warning('PH211', message, nodePlace(node), 'the step passes over it: remove it, or add a VIP');
}

type FailoverEntry = Extract<StepSpec, { kind: 'failover' }>['order'][number];

/** SPEC 4: regions or VIPs; a name that is both is the region. */
function failoverOrder(context: StepsContext): Read<FailoverEntry[]> {
  const { regions, vips, brokenRegions, once } = context;
  const entry: Read<FailoverEntry> = (node, name, report) => {
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
    const message = `there is no region or VIP ${target}`;
    tell(`region ${target}`, 'PH210', message, nodePlace(node), nearestHint(target, known));
    return undefined;
  };
  return onceEach(list(entry, { min: 1, hint: 'regions or VIPs in the order to try them' }));
}

/** Warns of what stands twice in a list of names: the second is never reached. */
function onceEach<T>(read: Read<T>): Read<T> {
  return (node, name, report) => {
    const items = node.kind === 'list' ? node.items : [];
    const seen = new Set<string>();
    for (const item of items) {
      if (item.kind !== 'scalar') continue;
      const hint = 'remove one of the two';
      if (seen.has(item.text)) report.warning('PH228', `${item.text} stands here twice`, nodePlace(item), hint);
      seen.add(item.text);
    }
    return read(node, name, report);
  };
}

/** The absolute path; undefined where there is no such file. */
function findTable(written: string, options: YamlMap, context: StepsContext): string | undefined {
  const { folder, below, report, addFile } = context;
  const path = resolve(folder, written);
  const place = nodePlace(valueOf(options, 'table') ?? options);
  if (isOutside(path, below)) {
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
  const message = `nearest cannot tell how far ${[...lost].join(', ')} is: no "at"`;
  report.warning('PH221', message, nodePlace(at), 'add at: "37.57,126.98" or at: KR to the region');
}
