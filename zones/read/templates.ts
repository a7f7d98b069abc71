/**
 * Templates (docs/configuration.md#templates): bodies of services by name. A service is one (`$name`), is one with some
 * keys of its own (`use: $name`), or has its VIPs (`vips: $name`).
 */
import { basename } from 'node:path';
import type { Diagnostic, Place, Report } from '../../config/diagnostics.ts';
import { valueOf } from '../../config/fields.ts';
import {
  nodePlace,
  refuseReference,
  yamlPlace,
  type YamlEntry,
  type YamlMap,
  type YamlNode,
  type YamlScalar,
} from '../../config/yaml.ts';
import { findShared, nameOfShared, type Shared } from './shared-names.ts';

export type Template = {
  readonly body: YamlMap;
  /** Marks of what was reported where the template is stated. */
  readonly told: ReadonlySet<string>;
};

export type SharedTemplates = Shared<Template>;

/** A service with the parts of its template in place. `template` is undefined if it uses none. */
export type ExpandedService = { readonly value: YamlNode; readonly template: Template | undefined };

type Context = { readonly templates: SharedTemplates; readonly report: Report };

/** Returns undefined if the template does not exist or has a mistake; both have been reported. */
export function expandService({ key, value }: YamlEntry, context: Context): ExpandedService | undefined {
  if (value.kind === 'scalar' && nameOfShared(value) !== undefined) {
    const template = find(value, context);
    // The service is where its key is.
    return template && { value: { ...template.body, start: template.body.start }, template };
  }
  if (value.kind !== 'map') return { value, template: undefined };
  const use = valueOf(value, 'use');
  if (use) {
    if (use.kind !== 'scalar' || nameOfShared(use) === undefined) {
      reportNoName('use', use.kind === 'broken' ? undefined : use, context.report);
      return undefined;
    }
    const template = find(use, context);
    return template && { value: withKeys(template.body, value, key), template };
  }
  const vips = valueOf(value, 'vips');
  if (vips?.kind !== 'scalar' || nameOfShared(vips) === undefined) return { value, template: undefined };
  const template = find(vips, context);
  const own = template && valueOf(template.body, 'vips');
  if (!template || !own) return undefined;
  const entries = value.entries.map((entry) => (entry.key.text === 'vips' ? { ...entry, value: own } : entry));
  return { value: { ...value, entries }, template };
}

function find(at: YamlScalar, { templates, report }: Context): Template | undefined {
  return findShared('template', at, nameOfShared(at) ?? '', templates, { report });
}

function reportNoName(key: string, node: YamlNode | undefined, report: Report): void {
  if (node?.kind === 'reference') refuseReference(node, key, report);
  else if (node)
    report.error('PH243', `${key} must be the name of a template`, nodePlace(node, 0, 1), 'such as use: $web');
}

/** The keys of a template, with those of the service over them. */
function withKeys(body: YamlMap, own: YamlMap, at: YamlScalar): YamlMap {
  const entries = own.entries.filter(({ key }) => key.text !== 'use');
  const names = new Set(entries.map(({ key }) => key.text));
  const { file, start, end } = at;
  return {
    kind: 'map',
    file,
    start,
    end,
    entries: [...body.entries.filter(({ key }) => !names.has(key.text)), ...entries],
  };
}

/** Reports that a template uses another one. */
export function isAlone(body: YamlMap, report: Report): boolean {
  const use = valueOf(body, 'use');
  const vips = valueOf(body, 'vips');
  const other = use ?? (vips?.kind === 'scalar' && nameOfShared(vips) !== undefined ? vips : undefined);
  if (!other) return true;
  const hint = 'write its keys here';
  report.error('PH244', 'a template cannot use another template', nodePlace(other, 0, 1), hint);
  return false;
}

export function diagnosticKey({ code, place: { line = 0, column = 0 } }: Diagnostic): string {
  return `${code} ${line}:${column}`;
}

/**
 * Reports what was found in a service, whose key is at `at`. Each mistake in a template is told once, with its
 * services.
 */
export type TemplateReporter = (
  found: readonly Diagnostic[],
  service: string,
  at: Place,
  template: Template | undefined,
) => void;

export function createTemplateReporter(report: Report): TemplateReporter {
  const first = new Map<
    string,
    { readonly index: number; readonly diagnostic: Diagnostic; readonly who: string; count: number }
  >();
  return (found, service, at, template) => {
    for (const diagnostic of found) {
      if (!template || !isIn(diagnostic.place, template.body)) {
        report.diagnostics.push(diagnostic);
        continue;
      }
      if (template.told.has(diagnosticKey(diagnostic))) continue;
      const key = JSON.stringify([diagnostic.place.file, diagnosticKey(diagnostic)]);
      let known = first.get(key);
      if (known) known.count++;
      else {
        const who = `for the service ${service}, line ${at.line ?? 0} of ${basename(at.file)}`;
        known = { index: report.diagnostics.length, diagnostic, who, count: 0 };
        first.set(key, known);
      }
      const more = known.count === 0 ? '' : `, and ${known.count} more`;
      report.diagnostics[known.index] = {
        ...known.diagnostic,
        message: `${known.diagnostic.message} (${known.who}${more})`,
      };
    }
  };
}

/** Whether a place is within a node. */
function isIn({ file, line = 0 }: Place, body: YamlMap): boolean {
  return (
    file === body.file.path && line >= nodePlace(body, 0, 1).line && line <= yamlPlace(body.file, body.end, 0).line
  );
}
