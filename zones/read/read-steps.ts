/**
 * Reads `steer` of a service (docs/configuration.md#steps), a list of steps. A step's options are below its name or
 * beside it:
 *
 *     - nearest: { within: 300km }        - { nearest: , within: 300km }
 */
import { hasErrors, type Report } from '../../config/diagnostics.ts';
import { without, type Read } from '../../config/fields.ts';
import { nearestHint } from '../../config/nearest-word.ts';
import { described, oneOrMore, type JsonSchema } from '../../config/schema.ts';
import {
  nodePlace,
  refuseReference,
  type YamlEntry,
  type YamlMap,
  type YamlNode,
  type YamlScalar,
} from '../../config/yaml.ts';
import type { StepSpec } from '../../steering/steps.ts';
import { judgeSteps, type WrittenStep } from './judge-steps.ts';
import { judgeStep, readStepOf, STEP_KINDS, stepSchema, type StepsContext } from './step-options.ts';

export function steps(context: StepsContext): Read<StepSpec[]> {
  const schema = (): JsonSchema => oneOrMore(stepSchema(context), 1, Infinity);
  return described(schema, (node: YamlNode, _name: string, report: Report): StepSpec[] | undefined => {
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
    // A mistake in a step may be the cause of mistakes in the chain.
    const isSound =
      context.isSound !== false && written.length === items.length && !hasErrors(report.diagnostics.slice(before));
    if (isSound) {
      judgeSteps(written, context.vips, report);
      for (const { spec, node: item } of written) judgeStep(spec, item, report);
    }
    return written.map(({ spec }) => spec);
  });
}

function readStep(node: YamlNode, context: StepsContext): StepSpec | undefined {
  const { report } = context;
  if (node.kind === 'broken') return undefined;
  if (node.kind === 'reference') {
    refuseReference(node, 'a step', report);
    return undefined;
  }
  if (node.kind === 'scalar') {
    const name = STEP_KINDS.find((step) => step === node.text);
    if (!name) reportUnknownStep(node, report);
    return name && readStepOf(name, node, { ...node, kind: 'map', entries: [] }, context);
  }
  const first = node.kind === 'map' ? node.entries[0] : undefined;
  if (node.kind !== 'map' || !first) {
    const hint = `one of ${STEP_KINDS.join(', ')}, such as "- weighted" or "- geo: {...}"`;
    report.error('PH208', 'a step must have a name', nodePlace(node, 0, 1), hint);
    return undefined;
  }
  const named = node.entries.flatMap((entry) => {
    const name = STEP_KINDS.find((step) => step === entry.key.text);
    return name ? [{ name, entry }] : [];
  });
  const [step, second] = named;
  if (!step) {
    reportUnknownStep(first.key, report);
    return undefined;
  }
  if (second) {
    const message = `${step.name} and ${second.name} are in one step`;
    report.error('PH209', message, nodePlace(second.entry.key), 'give each its own "- " at the start of the line');
    return undefined;
  }
  return readStepOf(step.name, step.entry.key, joinOptions(node, step.entry, context), context);
}

function reportUnknownStep(node: YamlScalar, report: Report): void {
  const hint = nearestHint(node.text, STEP_KINDS);
  report.error('PH208', `${node.text} is not a step`, nodePlace(node), hint);
}

/** Joins the options below the step's name and those beside it in one map. A value that is not a map stays under the
 * step's name. */
function joinOptions(node: YamlMap, { key, value }: YamlEntry, { report }: StepsContext): YamlMap {
  const beside = without(node, key.text).entries;
  if (value.kind !== 'map') {
    const own = value.kind === 'null' ? [] : [{ key, value }];
    return { ...node, start: key.start, entries: [...own, ...beside] };
  }
  for (const entry of beside) {
    const first = value.entries.find((each) => each.key.text === entry.key.text);
    if (!first) continue;
    const message = `duplicate key "${entry.key.text}" (first defined on line ${nodePlace(first.key).line})`;
    report.error('PH004', message, nodePlace(entry.key), 'remove one of the two');
  }
  return { ...value, start: key.start, entries: [...value.entries, ...beside] };
}
