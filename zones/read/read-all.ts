/**
 * Reads the whole configuration, pharos.yaml and every zone, and reports all mistakes in it.
 */
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { createReport, type Diagnostic } from '../../config/diagnostics.ts';
import { hidePaths, type Environment, type ShownPath } from '../../config/environment.ts';
import { judgeUsed, type UsedPath } from '../../config/file-rights.ts';
import { isNamed, lookAt } from '../../config/folder.ts';
import type { CheckedKeyPair } from '../../config/key-pair.ts';
import type { IsCountry } from '../../config/network-fields.ts';
import { readSettings } from '../../config/read-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { formatName, nameKey } from '../../wire/name.ts';
import type { ZoneModel } from './model.ts';
import { readZone, type ReadZone } from './read-zone.ts';

export type Configuration = {
  /** Undefined if pharos.yaml cannot be used at all. */
  readonly settings: Settings | undefined;
  readonly zones: readonly ZoneModel[];
  /** The result is usable only if none of these is an error. Paths inside `cwd` are relative to it. */
  readonly diagnostics: readonly Diagnostic[];
};

/**
 * Reads `file`, or `pharos.yaml` in `cwd`, which may be absent if there is a folder `zones`; then all zones, even after
 * mistakes, so that all mistakes are shown at once.
 */
export function readConfiguration(input: {
  readonly file?: string;
  readonly cwd: string;
  readonly env: Environment;
  /** Cores of the machine, for `workers: auto`. */
  readonly cores: number;
  readonly isCountry?: IsCountry;
  /** The TLS key pair of the server, at a reload. */
  readonly keyPairInUse?: CheckedKeyPair | undefined;
}): Configuration {
  const { cwd, env, cores, isCountry, keyPairInUse } = input;
  const report = createReport();
  const path = resolve(cwd, input.file ?? 'pharos.yaml');
  const isDefault = input.file === undefined && !isNamed(path);
  if (isDefault && ['absent', 'file'].includes(lookAt(resolve(cwd, 'zones')).kind)) {
    const hint = 'name a configuration, write pharos.yaml, or put zone files into a folder zones';
    report.error('PH031', 'there is neither pharos.yaml nor a folder zones here', { file: path }, hint);
    return { settings: undefined, zones: [], diagnostics: shown(report.diagnostics, cwd) };
  }
  const file = isDefault ? undefined : path;
  const settings = readSettings({ file, baseDir: cwd, env, cores, report, isCountry, keyPairInUse });
  const read: ReadZone[] = [];
  const files = new Map<string, string>();
  for (const zoneFile of settings?.zoneFiles ?? []) {
    if (!settings) break;
    const zone = readZone({ file: zoneFile, settings, env, report, isCountry });
    if (!zone) continue;
    const first = files.get(nameKey(zone.apex));
    if (first !== undefined) {
      const message = `the zone ${formatName(zone.apex)} is in ${shownPath(first, cwd, settings.shownPaths)} too`;
      report.error('PH101', message, zone.place, 'put it all into one file');
      continue;
    }
    files.set(nameKey(zone.apex), zoneFile);
    read.push(zone);
  }
  const apexes = new Set(files.keys());
  const zones = read.map(({ judge, place: _place, ...zone }): ZoneModel => {
    judge(apexes);
    return zone;
  });
  if (settings) judgeUsed(usedPaths(settings, zones), report);
  return { settings, zones, diagnostics: shown(report.diagnostics, cwd, settings?.shownPaths) };
}

/** The files and folders from which the server's answers, states and checks come. */
function usedPaths(settings: Settings, zones: readonly ZoneModel[]): UsedPath[] {
  const { file, zoneFolders, zoneFiles, geo, stateDir, tls } = settings;
  const used = (paths: readonly string[], use: string): UsedPath[] =>
    paths.map((path) => ({ path, use, place: { file: file ?? path } }));
  return [
    ...used(file === undefined ? [] : [file], 'reads its configuration there'),
    ...used([...zoneFolders, ...zoneFiles, ...zones.flatMap(({ files }) => files)], 'reads zones there'),
    ...used(tls ? [tls.keyPair.path, tls.keyPair.keyPath] : [], 'reads its TLS key pair there'),
    ...used(geo.databases.map(({ path }) => path), 'reads places of clients there'), // prettier-ignore
    ...used([stateDir], 'keeps states and overrides there'),
  ];
}

/** Diagnostics for display: paths are short, and paths from the environment are hidden. */
export function shown(
  diagnostics: readonly Diagnostic[],
  cwd: string,
  hidden: readonly ShownPath[] = [],
): Diagnostic[] {
  return diagnostics.map(({ place, message, hint, ...rest }) => ({
    ...rest,
    message: hidePaths(message, hidden),
    place: { ...place, file: shownPath(place.file, cwd, hidden) },
    ...(hint === undefined ? {} : { hint: hidePaths(hint, hidden) }),
  }));
}

/** `zones/example.com.yaml` for a path inside `cwd`; other paths in full, or as `hidden` states. */
export function shownPath(path: string, cwd: string, hidden: readonly ShownPath[] = []): string {
  const written = hidePaths(path, hidden);
  if (written !== path) return written;
  const inside = relative(cwd, path);
  return inside === '' || inside === '../..' || inside.startsWith(`..${sep}`) || isAbsolute(inside) ? path : inside;
}
