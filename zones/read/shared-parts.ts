/**
 * The parts of zones that pharos.yaml states once for all of them.
 */
import { dirname } from 'node:path';
import { createReportOnce, type Report } from '../../config/diagnostics.ts';
import type { IsCountry } from '../../config/network-fields.ts';
import type { SharedNodes, SharedSchemas } from '../../config/read-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { nodePlace } from '../../config/yaml.ts';
import { ROOT } from '../../wire/name.ts';
import { mapsSchema, readMaps } from './read-maps.ts';
import { readTemplates, templatesSchema } from './read-templates.ts';
import { NO_SHARED, type SharedMaps } from './shared-names.ts';
import type { SharedTemplates } from './templates.ts';

export type SharedParts = { readonly maps: SharedMaps; readonly templates: SharedTemplates };

export const NO_PARTS: SharedParts = { maps: NO_SHARED, templates: NO_SHARED };

export function readSharedParts(
  nodes: SharedNodes,
  { regions, checks, misread, file = '', beacon, fleet }: Settings,
  isCountry: IsCountry,
  report: Report,
): SharedParts {
  const brokenRegions = misread?.regions ?? new Set();
  const named = { regions, brokenRegions, isCountry, report, once: createReportOnce(report) };
  const maps = nodes.maps ? readMaps(nodes.maps, { zone: undefined, ...named }) : NO_SHARED;
  if (!nodes.templates) return { ...NO_PARTS, maps };
  const templates = readTemplates(nodes.templates, {
    ...named,
    apex: ROOT,
    checks,
    brokenChecks: misread?.checks ?? new Set(),
    maps,
    defaultTtlSeconds: 0,
    folder: dirname(file),
    below: undefined,
    addFile: () => undefined,
    hasBeacon: beacon !== undefined,
    withoutFleet: fleet ? undefined : new Set(),
  });
  return { maps, templates };
}

export function sharedSchemas(): SharedSchemas {
  return { maps: mapsSchema(), templates: templatesSchema() };
}

/** Equal if no zone can see a difference. */
export function keyOfParts({ maps, templates }: SharedParts): readonly unknown[] {
  // Diagnostics of zones have the lines of templates.
  const texts = [...templates.parts].map(([name, { body }]) => {
    const { file, start, end } = body;
    return [name, nodePlace(body, 0, 1).line, file.text.slice(start, end)];
  });
  return [[...maps.parts].map(([name, { shared }]) => [name, shared?.digest]), maps.broken, texts, templates.broken];
}
