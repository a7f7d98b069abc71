/**
 * Reads regions, of pharos.yaml and of zone files (docs/configuration.md#regions), and the names used in targets.
 */
import type { Report } from './diagnostics.ts';
import { dictionary, map, optional, share, show, valueOf, withDefault, type Read } from './fields.ts';
import { at, type IsCountry } from './network-fields.ts';
import { checkOrNone, type FindCheck } from './read-checks.ts';
import { like, pattern } from './schema.ts';
import type { RegionSpec } from './settings.ts';
import { nodePlace, type YamlNode, type YamlScalar } from './yaml.ts';

/** A region whose `check` is read later, because the checks that it may name are read after the regions. */
export type WrittenRegion = RegionSpec & { readonly checkNode?: YamlNode };

export function regions(isCountry: IsCountry): Read<ReadonlyMap<string, WrittenRegion>> {
  const readRegion = map('region', {
    at: optional(at(isCountry)),
    min_healthy: withDefault(share(), 0),
    check: optional(
      like(checkOrNone('', nothingFound), (node: YamlNode) => (node.kind === 'broken' ? undefined : node)),
    ),
  });
  const readAll = dictionary(
    ({ key, value }, report): WrittenRegion | undefined => {
      const usable = isTargetName(key, 'region', report);
      const values = readRegion(value, `region ${key.text}`, report);
      if (!usable || !values) return undefined;
      const isMisplaced = values.at === undefined && valueOf(value, 'at') !== undefined;
      return {
        name: key.text,
        at: values.at,
        ...(isMisplaced ? { isMisplaced } : {}),
        minHealthy: values.min_healthy,
        ...(values.check ? { checkNode: values.check } : {}),
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

const nothingFound: FindCheck = () => undefined;

/** The regions with their checks. A check that a region defines itself is named like the target `@seoul`. */
export function withChecks(
  written: ReadonlyMap<string, WrittenRegion>,
  find: FindCheck,
  report: Report,
): ReadonlyMap<string, RegionSpec> {
  const done = [...written].map(([name, { checkNode, ...region }]): [string, RegionSpec] => {
    const check = checkNode && checkOrNone(`@${name}`, find)(checkNode, `check of region ${name}`, report);
    return [name, check === undefined ? region : { ...region, check }];
  });
  return new Map(done);
}

/** The regions without their checks, which the VIPs in them have. */
export function withoutChecks(written: ReadonlyMap<string, WrittenRegion>): ReadonlyMap<string, RegionSpec> {
  return new Map([...written].map(([name, { checkNode: _, ...region }]) => [name, region]));
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
