/**
 * Reads `templates` of pharos.yaml or of a zone file (docs/configuration.md#templates). Each is checked as if it were a
 * service, so that a mistake in it is told once, where it is.
 */
import { createReport, hasErrors } from '../../config/diagnostics.ts';
import { dictionary, entriesOf, keysOf } from '../../config/fields.ts';
import { openMap, type JsonSchema } from '../../config/schema.ts';
import type { YamlEntry, YamlMap, YamlNode } from '../../config/yaml.ts';
import { parseName } from '../../wire/name.ts';
import { readService, serviceSchema, type ServiceContext } from './read-service.ts';
import { isSharedName, SHARED_KEY } from './shared-names.ts';
import { isAlone, diagnosticKey, type SharedTemplates, type Template } from './templates.ts';

/** The services of `context` are those of the file that has the templates. */
export function readTemplates(node: YamlNode, context: ServiceContext): SharedTemplates {
  const read = dictionary((entry) => {
    const template = readTemplate(entry, context);
    return template && ([entry.key.text, template] as const);
  })(node, 'templates', context.report);
  const parts = new Map(read);
  return { parts, broken: new Set(keysOf(node).filter((name) => !parts.has(name))) };
}

export function templatesSchema(): JsonSchema {
  return openMap(serviceSchema(), SHARED_KEY);
}

function readTemplate({ key, value }: YamlEntry, context: ServiceContext): Template | undefined {
  const own = createReport();
  const body = bodyOf({ key, value }, { ...context, report: own });
  const before = context.report.diagnostics.length;
  const owner = parseName('template', context.apex);
  const isSound = body && readService(owner, { key, value: body }, { ...context, report: own }) !== undefined;
  context.report.diagnostics.push(...own.diagnostics);
  if (isSound !== true || hasErrors(context.report.diagnostics.slice(before))) return undefined;
  return { body, told: new Set(own.diagnostics.map(diagnosticKey)) };
}

function bodyOf({ key, value }: YamlEntry, { report }: ServiceContext): YamlMap | undefined {
  const isNamed = isSharedName(key, 'template', report);
  const entries = entriesOf(value, `template ${key.text}`, report);
  if (!entries) return undefined;
  const body = { ...value, kind: 'map', entries } as const;
  return isAlone(body, report) && isNamed ? body : undefined;
}
