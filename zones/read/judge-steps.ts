/**
 * Warns of chains of steps that are valid but make little sense, and says how to correct them.
 */
import type { Place, Report } from '../../config/diagnostics.ts';
import { nodePlace, type YamlNode } from '../../config/yaml.ts';
import { traitsOf, type StepSpec } from '../../steering/steps.ts';

/** A step with its YAML node. */
export type WrittenStep = { readonly spec: StepSpec; readonly node: YamlNode };

export type JudgedVip = {
  readonly name: string;
  readonly region: string | undefined;
  readonly weight: number;
  readonly place: Place;
};

/** Warns of steps that have no effect after the steps before them, and of VIPs that no client can get. */
export function judgeSteps(steps: readonly WrittenStep[], vips: readonly JudgedVip[], report: Report): void {
  warnAfterAll(steps, report);
  warnOrderedTwice(steps, report);
  warnNothingToChoose(steps, report);
  warnNeverServed(steps, vips, report);
}

function warnAfterAll(steps: readonly WrittenStep[], report: Report): void {
  const at = steps.findIndex(({ spec }) => traitsOf(spec).servesAll);
  const [all, next] = at < 0 ? [] : steps.slice(at, at + 2);
  if (!all || !next) return;
  const { kind } = all.spec;
  const message = `a step after ${kind} has nothing to choose: ${kind} keeps every candidate`;
  report.warning('PH215', message, nodePlace(next.node), `put it before ${kind}, or remove ${kind}`);
}

function warnOrderedTwice(steps: readonly WrittenStep[], report: Report): void {
  let ordered: string | undefined;
  for (const { spec, node } of steps) {
    if (traitsOf(spec).weighs === undefined) continue;
    if (ordered !== undefined) {
      const message = `${spec.kind} replaces the order of ${ordered}: only the last order has an effect`;
      report.warning('PH227', message, nodePlace(node, 0, 1), 'keep one of the two');
    }
    ordered = spec.kind;
  }
}

function warnNothingToChoose(steps: readonly WrittenStep[], report: Report): void {
  let left: { readonly what: 'vip' | 'region' | 'near'; readonly step: string } | undefined;
  for (const { spec, node } of steps) {
    const { leaves, choosesRegions, servesAll } = traitsOf(spec);
    if (left && !servesAll && (left.what === 'vip' || choosesRegions)) {
      const what = left.what === 'vip' ? 'one VIP' : 'the VIPs of one region';
      const but = left.what === 'near' ? ', except for clients of unknown location' : '';
      const within = left.what === 'near' ? `, or give ${left.step} a within` : '';
      const message = `${spec.kind} has nothing to choose: ${left.step} leaves ${what}${but}`;
      report.warning('PH231', message, nodePlace(node, 0, 1), `remove it, or put it before ${left.step}${within}`);
    }
    if (leaves !== 'any' && left?.what !== 'vip') left = { what: leaves, step: spec.kind };
  }
}

/** Warns at the step that leaves the VIPs out. */
function warnNeverServed(steps: readonly WrittenStep[], vips: readonly JudgedVip[], report: Report): void {
  let left = vips;
  for (const { spec, node } of steps) {
    const { keepsOnly } = traitsOf(spec);
    if (!keepsOnly) continue;
    const { regions, vips: named, hint } = keepsOnly;
    const isKept = (vip: JudgedVip): boolean =>
      (vip.region !== undefined && regions.includes(vip.region)) || named.some((index) => vips[index] === vip);
    const lost = left.filter((vip) => !isKept(vip)).map(({ name }) => name);
    left = left.filter(isKept);
    if (lost.length === 0) continue;
    const message = `no client can ever get ${lost.join(', ')}: this ${spec.kind} does not lead there`;
    report.warning('PH230', message, nodePlace(node, 0, 1), `${hint}, or remove the VIP`);
  }
}

/**
 * Warns of different weights and of a ramp that have no effect: no step uses weights, or another step chooses between
 * the VIPs whose weights differ. `weighsRegions`: `min_healthy` uses weights too.
 */
export function judgeWeights(
  steps: readonly StepSpec[],
  vips: readonly JudgedVip[],
  weighsRegions: boolean,
  ramp: Place | undefined,
  report: Report,
): void {
  const byWeight = steps.some((step) => traitsOf(step).weighs !== undefined);
  if (!byWeight && ramp) {
    report.warning('PH233', 'ramp has no effect: no step uses weights', ramp, 'add weighted or sticky, or remove ramp');
  }
  const odd = oddOne(vips);
  if (!odd || weighsRegions) return;
  if (!byWeight) {
    const hint = 'add weighted or sticky, or remove the weights';
    report.warning('PH233', 'the weights have no effect: no step uses weights', odd.place, hint);
    return;
  }
  const chooser = steps.find((step) => traitsOf(step).leaves !== 'any');
  if (!chooser) return;
  const { leaves } = traitsOf(chooser);
  const regions = Map.groupBy(vips, ({ region }) => region);
  if (leaves === 'vip' || [...regions.values()].some((those) => oddOne(those))) return;
  const but = leaves === 'near' ? ' except for clients of unknown location' : '';
  const message = `the weights have no effect${but}: they differ only between regions, and ${chooser.kind} chooses the region`;
  report.warning(
    'PH233',
    message,
    odd.place,
    `for shares between regions remove ${chooser.kind}; else remove the weights`,
  );
}

/** The first VIP whose weight differs from that of the first; standbys (weight 0) are ignored. */
function oddOne(vips: readonly JudgedVip[]): JudgedVip | undefined {
  const weighing = vips.filter(({ weight }) => weight > 0);
  return weighing.find(({ weight }) => weight !== weighing[0]?.weight);
}
