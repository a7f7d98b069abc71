/**
 * The whole configuration: pharos.yaml and every zone, with all mistakes in all of them.
 */
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { createReport, type Diagnostic } from '../../config/diagnostics.ts';
import type { Environment } from '../../config/environment.ts';
import { isNamed, lookAt } from '../../config/folder.ts';
import type { IsCountry } from '../../config/network-fields.ts';
import { readSettings } from '../../config/read-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { formatName, nameKey } from '../../wire/name.ts';
import type { ZoneModel } from './model.ts';
import { readZone, type ReadZone } from './read-zone.ts';

export type Configuration = {
  /** Undefined when pharos.yaml says nothing that could be used. */
  readonly settings: Settings | undefined;
  readonly zones: readonly ZoneModel[];
  /** Usable only when none of these is an error. Their paths are relative to `cwd` where they are inside it. */
  readonly diagnostics: readonly Diagnostic[];
};

/**
 * Reads `file`, or `pharos.yaml` in `cwd`, which may be absent where there is a folder `zones`; and then all
 * zones, whatever is wrong, so that all mistakes are shown at once.
 */
export function readConfiguration(input: {
  readonly file?: string;
  readonly cwd: string;
  readonly env: Environment;
  /** Cores of the machine, for `workers: auto`. */
  readonly cores: number;
  readonly isCountry?: IsCountry;
}): Configuration {
  const { cwd, env, cores, isCountry } = input;
  const report = createReport();
  const path = resolve(cwd, input.file ?? 'pharos.yaml');
  const isDefault = input.file === undefined && !isNamed(path);
  if (isDefault && ['absent', 'file'].includes(lookAt(resolve(cwd, 'zones')).kind)) {
    const hint = 'name a configuration, write pharos.yaml, or put zone files into a folder zones';
    report.error('PH031', 'there is neither pharos.yaml nor a folder zones here', { file: path }, hint);
    return { settings: undefined, zones: [], diagnostics: shown(report.diagnostics, cwd) };
  }
  const file = isDefault ? undefined : path;
  const settings = readSettings({ file, baseDir: cwd, env, cores, report, isCountry });
  const read: ReadZone[] = [];
  const files = new Map<string, string>();
  for (const zoneFile of settings?.zoneFiles ?? []) {
    if (!settings) break;
    const zone = readZone({ file: zoneFile, settings, env, report, isCountry });
    if (!zone) continue;
    const first = files.get(nameKey(zone.apex));
    if (first !== undefined) {
      const message = `the zone ${formatName(zone.apex)} is in ${shownPath(first, cwd)} too`;
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
  return { settings, zones, diagnostics: shown(report.diagnostics, cwd) };
}

function shown(diagnostics: readonly Diagnostic[], cwd: string): Diagnostic[] {
  return diagnostics.map((diagnostic) => ({
    ...diagnostic,
    place: { ...diagnostic.place, file: shownPath(diagnostic.place.file, cwd) },
  }));
}

/** `zones/example.com.yaml` for what is inside `cwd`; other paths in full. */
export function shownPath(path: string, cwd: string): string {
  const inside = relative(cwd, path);
  return inside === '' || inside === '../..' || inside.startsWith(`..${sep}`) || isAbsolute(inside) ? path : inside;
}
