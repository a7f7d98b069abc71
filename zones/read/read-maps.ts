/**
 * Reads `maps` of pharos.yaml or of a zone file (docs/configuration.md#shared-maps): bodies of `geo` steps by name.
 * Each becomes one step, which all its services share.
 */
import { hash } from 'node:crypto';
import { hasErrors, type Report, type ReportOnce } from '../../config/diagnostics.ts';
import { dictionary, entriesOf, keysOf, text, type Read } from '../../config/fields.ts';
import { nearestHint } from '../../config/nearest-word.ts';
import type { IsCountry } from '../../config/network-fields.ts';
import { like, openMap, type JsonSchema } from '../../config/schema.ts';
import { nodePlace, type YamlEntry, type YamlNode } from '../../config/yaml.ts';
import type { GeoStep } from '../../steering/geo-step.ts';
import type { MapStep } from '../../steering/steps.ts';
import { warnFence } from './read-geo-map.ts';
import { isSharedName, SHARED_KEY, type SharedMaps } from './shared-names.ts';
import { geoSchema, readGeoBody } from './step-options.ts';

export type MapsContext = {
  /** The zone that states the maps; undefined: pharos.yaml. */
  readonly zone: string | undefined;
  readonly regions: ReadonlyMap<string, unknown>;
  readonly brokenRegions: ReadonlySet<string>;
  readonly isCountry: IsCountry;
  readonly report: Report;
  readonly once: ReportOnce;
};

export function readMaps(node: YamlNode, context: MapsContext): SharedMaps {
  const read = dictionary((entry) => readMap(entry, context))(node, 'maps', context.report) ?? [];
  const parts = new Map(read.map((step) => [step.shared.name, step]));
  return { parts, broken: new Set(keysOf(node).filter((name) => !parts.has(name))) };
}

export function mapsSchema(): JsonSchema {
  const nothing = { regions: new Map<string, never>(), vips: [], folder: '', isCountry: undefined };
  const report = { diagnostics: [], error: () => undefined, warning: () => undefined };
  return openMap(geoSchema({ ...nothing, report, addFile: () => undefined }), SHARED_KEY);
}

type SharedStep = MapStep & { readonly shared: NonNullable<GeoStep['shared']> };

function readMap({ key, value }: YamlEntry, context: MapsContext): SharedStep | undefined {
  const { report, zone } = context;
  const before = report.diagnostics.length;
  const isNamed = isSharedName(key, 'map', report);
  const entries = entriesOf(value, `map ${key.text}`, report);
  if (!entries) return undefined;
  const options = { ...value, kind: 'map', entries } as const;
  const step = readGeoBody(key, options, regionName(context), context);
  if (!step || !isNamed || hasErrors(report.diagnostics.slice(before))) return undefined;
  warnFence(step, key, report);
  const text = JSON.stringify(step, (_, inner: unknown) => (inner instanceof Uint8Array ? [...inner] : inner));
  return { ...step, shared: { name: key.text, zone, digest: hash('sha256', text) } };
}

/** Reads the name of a region. A shared map may name regions without VIPs of a service that uses it. */
function regionName({ regions, brokenRegions, once }: MapsContext): Read<string> {
  return like(text(), (node: YamlNode, name: string, report: Report): string | undefined => {
    const region = text()(node, name, report);
    if (region === undefined || regions.has(region) || brokenRegions.has(region)) return region;
    const hint = nearestHint(region, regions.keys());
    once(`region ${region}`, 'PH210', `unknown region "${region}"`, nodePlace(node), hint);
    return undefined;
  });
}
