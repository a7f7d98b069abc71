/**
 * Reads the whole configuration, pharos.yaml and every zone, and reports all mistakes in it.
 */
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { serialize } from 'node:v8';
import { createReport, type Diagnostic, type Place, type Report } from '../../config/diagnostics.ts';
import { hidePaths, type Environment, type ShownPath } from '../../config/environment.ts';
import { judgeUsed, type UsedPath } from '../../config/file-rights.ts';
import type { FolderListing, FolderListings } from '../../config/find-zones.ts';
import { isNamed, lookAt } from '../../config/folder.ts';
import type { CheckedKeyPair } from '../../config/key-pair.ts';
import type { IsCountry } from '../../config/network-fields.ts';
import { readSettings } from '../../config/read-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { digestsOf, markOf, sameFile, statsOf, type FileMark } from './file-marks.ts';
import type { ZoneModel, ZoneSummary } from './model.ts';
import { readZone } from './read-zone.ts';

export type Configuration = {
  /** Undefined if pharos.yaml cannot be used at all. */
  readonly settings: Settings | undefined;
  readonly zones: readonly ZoneModel[];
  /** The result is usable only if none of these is an error. Paths inside `cwd` are relative to it. */
  readonly diagnostics: readonly Diagnostic[];
};

export type ConfigurationInput = {
  readonly file?: string;
  readonly cwd: string;
  readonly env: Environment;
  /** Cores of the machine, for `workers: auto`. */
  readonly cores: number;
  readonly isCountry?: IsCountry;
  /** The TLS key pair of the server, at a reload. */
  readonly keyPairInUse?: CheckedKeyPair | undefined;
  /** Finds a zone that was read earlier, if nothing that it depends on has changed. `key` is that of the settings. */
  readonly findZone?: ((file: string, settings: Settings, key: Buffer) => ZoneReading | undefined) | undefined;
  /** Whether the zone of a file must be read again although nothing has changed. */
  readonly isDue?: (zoneFile: string) => boolean;
};

/** A zone that was read now, for an earlier generation, or by an earlier process. */
export type ZoneReading = {
  readonly summary: ZoneSummary;
  /** `nameKey` of the apex. */
  readonly key: string;
  /** Undefined if it was read for an earlier generation, and nothing has changed. */
  readonly model: ZoneModel | undefined;
  /** Where the apex is stated. */
  readonly place: Place;
  readonly marks: readonly FileMark[];
  /** Apexes (`nameKey`) of the served zones below it. */
  readonly children: ReadonlySet<string>;
  /** Warnings of reading it, and of its names. */
  readonly found: readonly Diagnostic[];
  readonly judged: readonly Diagnostic[];
};

/** The zones of an earlier generation. */
export type KnownZones = {
  /** The settings that zones depend on. */
  readonly key: Buffer;
  /** By the zone's file. */
  readonly readings: ReadonlyMap<string, ZoneReading>;
  /** The apexes (`nameKey`). */
  readonly apexes: ReadonlySet<string>;
  /** See `readSettings`. */
  readonly listings: FolderListings;
  /** The folders of all files. */
  readonly folderPaths: ReadonlySet<string>;
  /** Modes of the folders, and whether no file or folder may be changed by every user. */
  readonly folders: string;
  readonly isSafe: boolean;
};

export type ConfigurationReading = {
  readonly settings: Settings | undefined;
  readonly readings: readonly ZoneReading[];
  /** For the next reading; undefined without settings. */
  readonly known: KnownZones | undefined;
  readonly diagnostics: readonly Diagnostic[];
};

/**
 * Reads `file`, or `pharos.yaml` in `cwd`, which may be absent if there is a folder `zones`; then all zones, even after
 * mistakes, so that all mistakes are shown at once.
 */
export function readConfiguration(input: ConfigurationInput): Configuration {
  const { settings, readings, diagnostics } = readChanges(input, undefined);
  return { settings, zones: readings.flatMap(({ model }) => model ?? []), diagnostics };
}

/** Does the same, but does not read zones again whose files and settings have not changed since `before`. */
export function readChanges(input: ConfigurationInput, before: KnownZones | undefined): ConfigurationReading {
  const { cwd, env, cores, isCountry, keyPairInUse } = input;
  const report = createReport();
  const path = resolve(cwd, input.file ?? 'pharos.yaml');
  const isDefault = input.file === undefined && !isNamed(path);
  if (isDefault && ['absent', 'file'].includes(lookAt(resolve(cwd, 'zones')).kind)) {
    const hint = 'name a configuration, write pharos.yaml, or put zone files into a folder zones';
    report.error('PH031', 'there is neither pharos.yaml nor a folder zones here', { file: path }, hint);
    return { settings: undefined, readings: [], known: undefined, diagnostics: shown(report.diagnostics, cwd) };
  }
  const file = isDefault ? undefined : path;
  const listings = before?.listings ?? new Map<string, FolderListing>();
  const settings = readSettings({ file, baseDir: cwd, env, cores, report, isCountry, keyPairInUse, listings });
  if (!settings) {
    return { settings, readings: [], known: undefined, diagnostics: shown(report.diagnostics, cwd) };
  }
  const key = keyOfZones(settings);
  const usable = before?.key.equals(key) === true ? before : undefined;
  const readNow = (zoneFile: string): Found => readFresh({ file: zoneFile, settings, env, isCountry });
  const find = (zoneFile: string): Found | undefined => {
    const zone = usable ? undefined : input.findZone?.(zoneFile, settings, key);
    return zone && { file: zoneFile, zone, diagnostics: zone.found, judge: undefined };
  };
  const found = settings.zoneFiles.map(
    (zoneFile): Found =>
      (input.isDue?.(zoneFile) === true ? undefined : reuse(usable?.readings.get(zoneFile))) ??
      find(zoneFile) ??
      readNow(zoneFile),
  );
  const isSame = hasSameApexes(found, usable);
  // If the apexes have not changed, every zone is stated once, and has the same zones below it as before.
  const firstFile = isSame ? new Map<string, string>() : firstFiles(found);
  const apexes = isSame && usable ? usable.apexes : new Set(firstFile.keys());
  const children = isSame ? undefined : childrenOf(found.flatMap(({ zone }) => zone?.summary.apex ?? []));
  const readings: ZoneReading[] = [];
  const judged: Diagnostic[] = [];
  for (const each of found) {
    const below =
      (children ? each.zone && children.get(each.zone.key) : usable?.readings.get(each.file)?.children) ?? NO_CHILDREN;
    const isKept = each.judge === undefined && each.zone !== undefined && isSameSet(each.zone.children, below);
    // A zone depends on the zones below it.
    const { zone, judge } = isKept || each.judge ? each : readNow(each.file);
    report.diagnostics.push(...(zone?.found ?? each.diagnostics));
    if (!zone) continue;
    const first = firstFile.get(zone.key);
    if (first !== undefined && first !== each.file) {
      const message = `the zone ${formatName(zone.summary.apex)} is in ${shownPath(first, cwd, settings.shownPaths)} too`;
      report.error('PH101', message, zone.place, 'put it all into one file');
      continue;
    }
    const reading = judge ? { ...zone, children: below, judged: judge(apexes) } : zone;
    readings.push(reading);
    judged.push(...reading.judged);
  }
  report.diagnostics.push(...judged);
  const rights = judgeRights(settings, readings, isSame ? usable : undefined, report);
  const known = { key, readings: knownReadings(readings, isSame ? usable : undefined), apexes, listings, ...rights };
  return { settings, readings, known, diagnostics: shown(report.diagnostics, cwd, settings.shownPaths) };
}

/** By apex (`nameKey`): the first file that states it. */
function firstFiles(found: readonly Found[]): Map<string, string> {
  const first = new Map<string, string>();
  for (const { zone, file } of found) if (zone && !first.has(zone.key)) first.set(zone.key, file);
  return first;
}

/** The readings without records, by file. `before` has the readings of the same files. */
function knownReadings(readings: readonly ZoneReading[], before: KnownZones | undefined): Map<string, ZoneReading> {
  const known = new Map(before?.readings);
  for (const reading of readings) {
    const { file } = reading.summary;
    if (reading.model) known.set(file, { ...reading, model: undefined });
    else if (known.get(file) !== reading) known.set(file, reading);
  }
  return known;
}

/** A zone file that was read now or earlier. */
type Found = {
  readonly file: string;
  /** Undefined if the file states no zone. */
  readonly zone: ZoneReading | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Undefined if the zone is known. Returns the warnings of its names. */
  readonly judge: ((apexes: ReadonlySet<string>) => readonly Diagnostic[]) | undefined;
};

/** The zone as it was read before, if none of its files has changed. */
function reuse(before: ZoneReading | undefined): Found | undefined {
  if (!before) return undefined;
  let marks: FileMark[] | undefined;
  for (const [index, mark] of before.marks.entries()) {
    const same = sameFile(mark);
    if (!same) return undefined;
    if (same === mark) continue;
    marks ??= before.marks.slice();
    marks[index] = same;
  }
  const zone = marks ? { ...before, marks } : before;
  return { file: before.summary.file, zone, diagnostics: before.found, judge: undefined };
}

function readFresh(input: Omit<Parameters<typeof readZone>[0], 'report'>): Found {
  const { file } = input;
  const report = createReport();
  const own = markOf(file);
  const { result: read, digests } = digestsOf(() => readZone({ ...input, report }));
  if (!read) return { file, zone: undefined, diagnostics: report.diagnostics, judge: undefined };
  const { judge, place, ...model } = read;
  const marks = model.files.map((path): FileMark => {
    const mark = path === file ? own : markOf(path);
    // An unreadable file is read again each time.
    return { ...(mark ?? NO_FILE), path, digest: digests.get(path) ?? '' };
  });
  const { records, owners, ...summary } = model;
  const found = report.diagnostics.slice();
  return {
    file,
    zone: {
      summary,
      key: nameKey(summary.apex),
      model: { ...summary, records, owners },
      place,
      marks,
      children: NO_CHILDREN,
      found,
      judged: [],
    },
    diagnostics: found,
    judge: (apexes) => {
      judge(apexes);
      return report.diagnostics.slice(found.length);
    },
  };
}

const NO_FILE = { mtimeMs: 0, ctimeMs: 0, size: -1, ino: 0, dev: 0, isSettled: false, text: '-' };
const NO_CHILDREN: ReadonlySet<string> = new Set();

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a === b || (a.size === b.size && [...a].every((key) => b.has(key)));
}

/** Whether the files have the same zones as before. */
function hasSameApexes(found: readonly Found[], before: KnownZones | undefined): boolean {
  if (before?.readings.size !== found.length) return false;
  return found.every(({ file, zone }) => zone !== undefined && before.readings.get(file)?.key === zone.key);
}

/** By apex (`nameKey`): the apexes of all zones below it. Zones without any are left out. */
function childrenOf(apexes: readonly Name[]): ReadonlyMap<string, ReadonlySet<string>> {
  const all = new Set(apexes.map(nameKey));
  const children = new Map<string, Set<string>>();
  for (const apex of apexes) {
    const key = nameKey(apex);
    for (let at = 0; at < apex.length - 1;) {
      at += (apex[at] ?? 0) + 1;
      const above = nameKey(apex.subarray(at));
      if (!all.has(above)) continue;
      const set = children.get(above);
      if (set) set.add(key);
      else children.set(above, new Set([key]));
    }
  }
  return children;
}

/** The settings that zones depend on. */
function keyOfZones(settings: Settings): Buffer {
  const { files, zoneFolders, secretVariables, checks, regions, misread, beacon, fleet } = settings;
  const parts = [beacon !== undefined, fleet !== undefined];
  return serialize([files, zoneFolders, secretVariables, checks, regions, misread, ...parts]);
}

/**
 * Reports files and folders that every user may change. Files that have not changed are not checked again while their
 * folders have the same modes and all was safe. `before` is the result for the same zones.
 */
function judgeRights(
  settings: Settings,
  readings: readonly ZoneReading[],
  before: KnownZones | undefined,
  report: Report,
): Pick<KnownZones, 'folders' | 'folderPaths' | 'isSafe'> {
  const read = readings.filter(({ model }) => model);
  const folderPaths = new Set(before?.folderPaths);
  for (const { marks } of before ? read : readings) for (const { path } of marks) folderPaths.add(dirname(path));
  const folders = modesOfFolders(folderPaths);
  const isSafe = before?.isSafe === true && before.folders === folders;
  const zones = isSafe ? read : readings;
  const own = createReport();
  judgeUsed(
    usedPaths(
      { ...settings, zoneFiles: isSafe ? [] : settings.zoneFiles },
      zones.map(({ summary }) => summary),
    ),
    own,
  );
  report.diagnostics.push(...own.diagnostics);
  return { folders, folderPaths, isSafe: own.diagnostics.length === 0 };
}

/** The modes of these folders and of all above them. */
function modesOfFolders(paths: ReadonlySet<string>): string {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let at = path; !folders.has(at); at = dirname(at)) folders.add(at);
  }
  const modes = [...folders].sort().map((path) => {
    const stats = statsOf(path);
    return `${path} ${String(stats?.mode)} ${String(stats?.ino)} ${String(stats?.dev)}`;
  });
  return modes.join('\n');
}

/** The files and folders from which the server's answers, states and checks come. */
function usedPaths(settings: Settings, zones: readonly ZoneSummary[]): UsedPath[] {
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
