/**
 * Chains of steps that are written correctly and make little sense: warnings, each with what to do about it.
 */
import type { Place, Report } from '../../config/diagnostics.ts';
import { nodePlace, type YamlNode } from '../../config/yaml.ts';
import { continentOf } from '../../geo/countries.ts';
import type { GeoKey, StepSpec } from '../../steering/steps.ts';
import { inPrefix } from '../../wire/address.ts';

/** A step with where it stands. */
export type WrittenStep = { readonly spec: StepSpec; readonly node: YamlNode };

export type JudgedVip = {
  readonly name: string;
  readonly region: string | undefined;
  readonly weight: number;
  readonly place: Place;
};

type Failover = Extract<StepSpec, { kind: 'failover' }>;
type Geo = Extract<StepSpec, { kind: 'geo' }>;

/** Warns of steps that cannot do anything behind those before, and of VIPs that no client can get. */
export function judgeSteps(steps: readonly WrittenStep[], vips: readonly JudgedVip[], report: Report): void {
  warnAfterAll(steps, report);
  warnOrderedTwice(steps, report);
  warnNothingToChoose(steps, report);
  warnNeverServed(steps, vips, report);
  for (const { spec, node } of steps) if (spec.kind === 'geo') warnFence(spec, node, report);
}

function warnAfterAll(steps: readonly WrittenStep[], report: Report): void {
  const next = steps[steps.findIndex(({ spec }) => spec.kind === 'all') + 1];
  if (!next || next === steps[0]) return;
  const message = 'a step after all has nothing to choose: all keeps every candidate';
  report.warning('PH215', message, nodePlace(next.node), 'put it before all, or remove all');
}

function warnOrderedTwice(steps: readonly WrittenStep[], report: Report): void {
  let ordered: string | undefined;
  for (const { spec, node } of steps) {
    if (spec.kind !== 'weighted' && spec.kind !== 'sticky') continue;
    if (ordered !== undefined) {
      const message = `${spec.kind} orders anew what ${ordered} has ordered: only the last order counts`;
      report.warning('PH227', message, nodePlace(node, 0, 1), 'keep one of the two');
    }
    ordered = spec.kind;
  }
}

/** What a step leaves at most; `near`: one region, but for clients whose place is not known. */
function leaves(spec: StepSpec): 'vip' | 'region' | 'near' | undefined {
  switch (spec.kind) {
    case 'geo':
      return 'region';
    case 'nearest':
      return spec.withinKm > 0 ? undefined : 'near';
    case 'latency':
      return spec.withinMs > 0 ? undefined : 'near';
    case 'failover':
      return spec.order.every(({ kind }) => kind === 'vip') ? 'vip' : 'region';
    case 'weighted':
    case 'sticky':
    case 'all':
      return undefined;
  }
}

function goesByRegion(spec: StepSpec): boolean {
  if (spec.kind === 'failover') return spec.order.every(({ kind }) => kind === 'region');
  return leaves(spec) !== undefined || spec.kind === 'nearest' || spec.kind === 'latency';
}

function warnNothingToChoose(steps: readonly WrittenStep[], report: Report): void {
  let left: { readonly what: 'vip' | 'region' | 'near'; readonly step: string } | undefined;
  for (const { spec, node } of steps) {
    if (left && spec.kind !== 'all' && (left.what === 'vip' || goesByRegion(spec))) {
      const what = left.what === 'vip' ? 'one VIP' : 'the VIPs of one region';
      const but = left.what === 'near' ? ', but for clients whose place is not known' : '';
      const within = left.what === 'near' ? `, or give ${left.step} a within` : '';
      const message = `${spec.kind} has nothing to choose: ${left.step} leaves ${what}${but}`;
      report.warning('PH231', message, nodePlace(node, 0, 1), `remove it, or put it before ${left.step}${within}`);
    }
    const what = leaves(spec);
    if (what !== undefined && left?.what !== 'vip') left = { what, step: spec.kind };
  }
}

/** At the step that leaves them out for good. */
function warnNeverServed(steps: readonly WrittenStep[], vips: readonly JudgedVip[], report: Report): void {
  let left = vips;
  for (const { spec, node } of steps) {
    const led = left.filter((vip) => leadsTo(spec, vip, vips));
    const lost = left.filter((vip) => !led.includes(vip)).map(({ name }) => name);
    left = led;
    if (lost.length === 0) continue;
    const message = `no client can ever get ${lost.join(', ')}: this ${spec.kind} does not lead there`;
    const hint = spec.kind === 'geo' ? 'add the region to a key, such as default: [...]' : 'add it to the list';
    report.warning('PH230', message, nodePlace(node, 0, 1), `${hint}, or remove the VIP`);
  }
}

function leadsTo(spec: StepSpec, vip: JudgedVip, vips: readonly JudgedVip[]): boolean {
  switch (spec.kind) {
    case 'geo':
      return spec.map.some(({ regions }) => vip.region !== undefined && regions.includes(vip.region));
    case 'failover':
      return isNamed(spec, vip, vips);
    case 'nearest':
    case 'latency':
    case 'weighted':
    case 'sticky':
    case 'all':
      return true;
  }
}

function isNamed({ order }: Failover, vip: JudgedVip, vips: readonly JudgedVip[]): boolean {
  return order.some((entry) => (entry.kind === 'region' ? entry.region === vip.region : vips[entry.vip] === vip));
}

/** A fence matters where a client can match two keys, and the broader one has a region that the other has not. */
function warnFence({ map, fence }: Geo, node: YamlNode, report: Report): void {
  if (!fence) return;
  const holds = map.some((one) =>
    map.some(
      (other) =>
        isBroader(other.key, one.key) &&
        canBothMatch(one.key, other.key) &&
        other.regions.some((name) => !one.regions.includes(name)),
    ),
  );
  if (holds) return;
  const message = 'fence has no effect: no key has a broader one that leads elsewhere';
  report.warning('PH232', message, nodePlace(node, 0, 1), 'remove fence, or add default: [...]');
}

const BROADEST_LAST: readonly GeoKey['kind'][] = ['network', 'asn', 'subdivision', 'country', 'continent', 'default'];

function isBroader(one: GeoKey, than: GeoKey): boolean {
  if (one.kind === 'network' && than.kind === 'network') return one.prefix.bits < than.prefix.bits;
  return BROADEST_LAST.indexOf(one.kind) > BROADEST_LAST.indexOf(than.kind);
}

/** Whether there can be a client at both places. Networks and AS numbers may be anywhere. */
function canBothMatch(one: GeoKey, other: GeoKey): boolean {
  if (one.kind === 'network' && other.kind === 'network') {
    return inPrefix(one.prefix.bytes, other.prefix) || inPrefix(other.prefix.bytes, one.prefix);
  }
  if (one.kind === other.kind) return false;
  const countries = [countryOf(one), countryOf(other)].filter((country) => country !== undefined);
  if (countries.length === 2) return countries[0] === countries[1];
  const continent = one.kind === 'continent' ? one.continent : other.kind === 'continent' ? other.continent : undefined;
  return countries[0] === undefined || continent === undefined || continentOf(countries[0]) === continent;
}

function countryOf(key: GeoKey): string | undefined {
  return key.kind === 'country' ? key.country : key.kind === 'subdivision' ? key.subdivision.slice(0, 2) : undefined;
}

/**
 * Warns of weights that differ and of a ramp where neither counts: no step goes by weight, or another chooses between
 * the VIPs whose weights differ. `weighsRegions`: `min_healthy` counts weights too.
 */
export function judgeWeights(
  steps: readonly StepSpec[],
  vips: readonly JudgedVip[],
  weighsRegions: boolean,
  ramp: Place | undefined,
  report: Report,
): void {
  const byWeight = steps.some(({ kind }) => kind === 'weighted' || kind === 'sticky');
  if (!byWeight && ramp) {
    report.warning(
      'PH233',
      'ramp has no effect: no step goes by weight',
      ramp,
      'add weighted or sticky, or remove ramp',
    );
  }
  const odd = oddOne(vips);
  if (!odd || weighsRegions) return;
  if (!byWeight) {
    const hint = 'add weighted or sticky, or remove the weights';
    report.warning('PH233', 'the weights have no effect: no step goes by weight', odd.place, hint);
    return;
  }
  const chooser = steps.find((spec) => leaves(spec) !== undefined);
  const regions = Map.groupBy(vips, ({ region }) => region);
  if (!chooser || leaves(chooser) === 'vip' || [...regions.values()].some((those) => oddOne(those))) return;
  const but = leaves(chooser) === 'near' ? ' but for clients whose place is not known' : '';
  const message = `the weights have no effect${but}: they differ between regions alone, and ${chooser.kind} chooses the region`;
  report.warning(
    'PH233',
    message,
    odd.place,
    `for shares between regions remove ${chooser.kind}; else remove the weights`,
  );
}

/** The first VIP whose weight is not that of the first; standbys (0) stand aside. */
function oddOne(vips: readonly JudgedVip[]): JudgedVip | undefined {
  const weighing = vips.filter(({ weight }) => weight > 0);
  return weighing.find(({ weight }) => weight !== weighing[0]?.weight);
}
