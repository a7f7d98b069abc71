/**
 * Names of shared parts (`maps`, docs/configuration.md#shared-maps): `$name` where one is used.
 */
import { createReportOnce, type Report, type ReportOnce } from '../../config/diagnostics.ts';
import { keysOf } from '../../config/fields.ts';
import { nearestHint } from '../../config/nearest-word.ts';
import { pattern } from '../../config/schema.ts';
import { nodePlace, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import type { MapStep } from '../../steering/steps.ts';

/** Shared parts of one kind, by name. */
export type Shared<Part> = {
  readonly parts: ReadonlyMap<string, Part>;
  /** Names with a reported mistake: a use of one is not reported again. */
  readonly broken: ReadonlySet<string>;
};

export type SharedMaps = Shared<MapStep>;

export const NO_SHARED: Shared<never> = { parts: new Map<string, never>(), broken: new Set<string>() };

const NAME = /^[\w.-]+$/;
export const SHARED_KEY = pattern(NAME);
export const SHARED_NAME = pattern(/^\$[\w.-]+$/);

/** Whether a shared part can have this name. */
export function isSharedName(key: YamlScalar, what: string, report: Report): boolean {
  if (NAME.test(key.text)) return true;
  const message = `a ${what} cannot be named ${key.text}`;
  report.error('PH241', message, nodePlace(key), 'use letters, digits, "-", "_" and "."');
  return false;
}

/** `europe` for `$europe`; undefined for other text. */
export function nameOfShared({ text }: YamlScalar): string | undefined {
  return text.startsWith('$') ? text.slice(1) : undefined;
}

/** Finds a part by its name, which is at `at`. Reports an unknown name once. */
export function findShared<Part>(
  what: string,
  at: YamlScalar,
  name: string,
  { parts, broken }: Shared<Part>,
  { report, once = createReportOnce(report) }: { readonly report: Report; readonly once?: ReportOnce | undefined },
): Part | undefined {
  const found = parts.get(name);
  if (found !== undefined || broken.has(name)) return found;
  const hint = nearestHint(
    at.text,
    [...parts.keys()].map((each) => `$${each}`),
  );
  once(`${what} ${name}`, 'PH242', `unknown ${what} "${at.text}"`, nodePlace(at), hint);
  return undefined;
}

/** The parts of pharos.yaml and of a zone, whose own replace those. `node` has the zone's own. */
export function withOwn<Part>(shared: Shared<Part>, own: Shared<Part>, node: YamlNode | undefined): Shared<Part> {
  const names = keysOf(node);
  if (names.length === 0) return shared;
  const parts = new Map(shared.parts);
  for (const name of names) parts.delete(name);
  return {
    parts: new Map([...parts, ...own.parts]),
    broken: new Set([...[...shared.broken].filter((name) => !names.includes(name)), ...own.broken]),
  };
}
