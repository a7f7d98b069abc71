/**
 * Reads regions, of pharos.yaml and of zone files (docs/configuration.md#regions), and the names used in targets.
 */
import type { Report } from './diagnostics.ts';
import { dictionary, map, optional, share, show, valueOf, withDefault, type Read } from './fields.ts';
import { at, type IsCountry } from './network-fields.ts';
import { like, pattern } from './schema.ts';
import type { RegionSpec } from './settings.ts';
import { nodePlace, type YamlNode, type YamlScalar } from './yaml.ts';

export function regions(isCountry: IsCountry): Read<ReadonlyMap<string, RegionSpec>> {
  const readRegion = map('region', { at: optional(at(isCountry)), min_healthy: withDefault(share(), 0) });
  const readAll = dictionary(
    ({ key, value }, report): RegionSpec | undefined => {
      const usable = isTargetName(key, 'region', report);
      const values = readRegion(value, `region ${key.text}`, report);
      if (!usable || !values) return undefined;
      const isMisplaced = values.at === undefined && valueOf(value, 'at') !== undefined;
      return {
        name: key.text,
        at: values.at,
        ...(isMisplaced ? { isMisplaced } : {}),
        minHealthy: values.min_healthy,
        place: nodePlace(key),
      };
    },
    readRegion,
    TARGET_NAME,
  );
  return like(readAll, (node: YamlNode, name: string, report: Report) => {
    const found = readAll(node, name, report);
    return found && new Map(found.map((region) => [region.name, region]));
  });
}

const NAME_IN_TARGET = /^[^\s/@]+$/;
export const TARGET_NAME = pattern(NAME_IN_TARGET);

/**
 * Targets are `name/vip`, `name/@region` and `@region` (docs/commands.md#targets), so names cannot contain these signs.
 */
export function isTargetName(name: YamlScalar, what: string, report: Report): boolean {
  if (NAME_IN_TARGET.test(name.text)) return true;
  const hint = 'targets such as www.example.com/seoul-a are made of it: use letters, digits, "-", "_" and "."';
  report.error('PH037', `a ${what} cannot be named ${show(name.text)}: no spaces, "/" or "@"`, nodePlace(name), hint);
  return false;
}
