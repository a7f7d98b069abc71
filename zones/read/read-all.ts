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
import { readSettings, type SharedNodes } from '../../config/read-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { readForeignNames, type ForeignNames } from '../foreign-names.ts';
import { byFile, sameFiles, type ByFile } from './by-file.ts';
import { catalogZone } from './catalog-zone.ts';
import {
  digestsOf,
  isUnchangedZone,
  markOf,
  markTable,
  sameFile,
  statsOf,
  type FileMark,
  type MarkTable,
} from './file-marks.ts';
import type { AliasAnswer, ZoneModel, ZoneSummary } from './model.ts';
import { readZone, type ReadZone } from './read-zone.ts';
import { createAliasResolver, isSameAnswers, type AliasZones } from './resolve-aliases.ts';
import { keyOfParts, readSharedParts, type SharedParts } from './shared-parts.ts';

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
  readonly isDue?: ((zoneFile: string) => boolean) | undefined;
  /** See ReadZoneInput. */
  readonly judgesUpdate?: boolean;
  /** See `readSettings`. */
  readonly becomesUser?: boolean | undefined;
  /** Finds names in the zones of `before`, for aliases. */
  readonly findServed?: AliasZones['findServed'] | undefined;
  /** The addresses of names outside the zones; undefined: those of the state folder. */
  readonly foreign?: ForeignNames | undefined;
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
  /** See ReadZone. */
  readonly again?: ((answers: readonly AliasAnswer[] | undefined) => Fresh) | undefined;
  /** Warnings of reading it, and of its names. */
  readonly found: readonly Diagnostic[];
  readonly judged: readonly Diagnostic[];
};

/** The zones of an earlier generation. */
export type KnownZones = {
  /** The settings that zones depend on. */
  readonly key: Buffer;
  readonly shared: SharedParts;
  readonly readings: ByFile<ZoneReading>;
  /** The files of pharos.yaml that the readings are of, in their order. */
  readonly files: readonly string[];
  readonly marks: MarkTable;
  /** Whether no reading has warnings. */
  readonly isQuiet: boolean;
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
  /** The indexes of readings that are not those of `before`; undefined: it may be any, or other files were read. */
  readonly changed: readonly number[] | undefined;
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
    return { ...NOTHING_READ, diagnostics: shown(report.diagnostics, cwd) };
  }
  const file = isDefault ? undefined : path;
  const listings = before?.listings ?? new Map<string, FolderListing>();
  let nodes: SharedNodes = { maps: undefined, templates: undefined };
  const onShared = (read: SharedNodes): void => void (nodes = read);
  const settings = readSettings({
    file,
    baseDir: cwd,
    env,
    cores,
    report,
    isCountry,
    keyPairInUse,
    listings,
    becomesUser: input.becomesUser,
    onShared,
  });
  if (!settings) {
    return { ...NOTHING_READ, diagnostics: shown(report.diagnostics, cwd) };
  }
  const parts = readSharedParts(nodes, settings, isCountry, report);
  const key = keyOfZones(settings, parts);
  const usable = before?.key.equals(key) === true ? before : undefined;
  // The same objects, so that zones that are read now share them with those that were read before.
  const shared = usable?.shared ?? parts;
  const { judgesUpdate = false } = input;
  const readNow = (zoneFile: string): Fresh =>
    readFresh({ file: zoneFile, settings, env, isCountry, shared, judgesUpdate });
  // With the same files, each zone is at the index that it had before.
  const aligned = usable && differences(settings.zoneFiles, usable.files)?.length === 0 ? usable : undefined;
  const found = settings.zoneFiles.map((zoneFile, index): Found => {
    const isDue = input.isDue?.(zoneFile) === true;
    const last =
      isDue || !aligned || !isUnchangedZone(aligned.marks, index) ? undefined : aligned.readings.items[index];
    return (
      last ??
      (isDue ? undefined : reuse(usable?.readings.get(zoneFile))) ??
      (usable || settings.updates ? undefined : input.findZone?.(zoneFile, settings, key)) ??
      readNow(zoneFile)
    );
  });
  addCatalog(found, settings, usable);
  const others = aligned && differences(found, aligned.readings.items);
  const isSame = hasSameApexes(others ? others.flatMap((index) => found[index] ?? []) : found, found.length, usable);
  // If the apexes have not changed, every zone is stated once, and has the same zones below it as before.
  const firstFile = isSame ? new Map<string, string>() : firstFiles(found);
  const apexes = isSame && usable ? usable.apexes : new Set(firstFile.keys());
  const children = isSame ? undefined : childrenOf(found.flatMap((each) => readingOf(each)?.summary.apex ?? []));
  const readings: ZoneReading[] = [];
  const judged: Diagnostic[] = [];
  found.forEach((each, index) => {
    if (isSame && aligned?.isQuiet === true && each === aligned.readings.items[index]) {
      readings.push(each);
      return;
    }
    const before = readingOf(each);
    const file = isFresh(each) ? each.file : each.summary.file;
    const last = isFresh(each) ? usable?.readings.get(file) : each;
    const below = (children ? before && children.get(before.key) : last?.children) ?? NO_CHILDREN;
    // A zone depends on the zones below it.
    const fresh = isFresh(each) ? each : isSameSet(each.children, below) ? undefined : readNow(file);
    const zone = fresh ? fresh.zone : before;
    if (!zone?.summary.aliases) addAll(report.diagnostics, zone?.found ?? fresh?.diagnostics);
    if (!zone) return;
    const first = firstFile.get(zone.key);
    if (first !== undefined && first !== file) {
      const message = `the zone ${formatName(zone.summary.apex)} is in ${shownPath(first, cwd, settings.shownPaths)} too`;
      report.error('PH101', message, zone.place, 'put it all into one file');
      return;
    }
    const reading = fresh?.judge ? { ...zone, children: below, judged: fresh.judge(apexes) } : zone;
    readings.push(reading);
    if (!zone.summary.aliases) addAll(judged, reading.judged);
  });
  report.diagnostics.push(...judged);
  const led = resolveAliases(readings, apexes, settings.stateDir, input, report);
  const rights = judgeRights(settings, readings, isSame ? usable : undefined, report);
  const changed = isSame && aligned && others ? withOthers(others, led) : undefined;
  const known = { key, shared, files: settings.zoneFiles, apexes, listings, ...rights, ...knownReadings(readings, before, changed) }; // prettier-ignore
  return { settings, readings, changed, known, diagnostics: shown(report.diagnostics, cwd, settings.shownPaths) };
}

/**
 * Finds what the aliases of all zones lead to, and reads those zones again for which that has changed. Returns their
 * indexes. Reports the mistakes of all zones with aliases.
 */
function resolveAliases(
  readings: ZoneReading[],
  apexes: ReadonlySet<string>,
  stateDir: string,
  { findServed, foreign: given }: Pick<ConfigurationInput, 'findServed' | 'foreign'>,
  report: Report,
): readonly number[] {
  if (!readings.some(({ summary }) => summary.aliases)) return [];
  let foreign = given;
  const resolve = createAliasResolver({
    zones: new Map(readings.map(({ key, summary, model }) => [key, { summary, model }])),
    findServed: findServed ?? (() => ({ kind: 'absent' })),
    foreign: (name) => {
      foreign ??= readForeignNames(stateDir, (message) => {
        report.warning('PH454', message, { file: stateDir }, 'the server resolves them again');
      });
      return foreign.get(name);
    },
  });
  const led: number[] = [];
  const answers = readings.map(({ summary }) => summary.aliases && resolve(summary.aliases, report));
  for (const [index, reading] of readings.entries()) {
    const { summary, marks, children, again } = reading;
    if (!summary.aliases) continue;
    if (again && !isSameAnswers(summary.resolved, answers[index])) {
      const fresh = again(answers[index]);
      if (fresh.zone) {
        readings[index] = { ...fresh.zone, marks, children, judged: fresh.judge?.(apexes) ?? [] };
        led.push(index);
      }
    }
    addAll(report.diagnostics, readings[index]?.found);
    addAll(report.diagnostics, readings[index]?.judged);
  }
  return led;
}

function withOthers(indexes: readonly number[], more: readonly number[]): readonly number[] {
  return more.length === 0 ? indexes : [...new Set([...indexes, ...more])];
}

const NOTHING_READ: Omit<ConfigurationReading, 'diagnostics'> = {
  settings: undefined,
  readings: [],
  changed: undefined,
  known: undefined,
};

/** The indexes at which two lists of one length have different items. */
function differences<Item>(list: readonly Item[], before: readonly Item[]): number[] | undefined {
  if (list.length !== before.length) return undefined;
  const at: number[] = [];
  for (let index = 0; index < list.length; index++) if (list[index] !== before[index]) at.push(index);
  return at;
}

/**
 * Reads the dynamic records of some zones again, and nothing else: neither settings nor zone files, which may have
 * changed meanwhile. `files` are those of the zones.
 */
export function readUpdated(
  settings: Settings,
  before: KnownZones,
  files: ReadonlySet<string>,
  cwd: string,
  aliases: Pick<ConfigurationInput, 'findServed' | 'foreign'>,
): ConfigurationReading {
  const diagnostics: Diagnostic[] = [];
  const readings = before.readings.items.slice();
  const changed: number[] = [];
  for (const file of files) {
    const index = before.readings.indexOf.get(file) ?? -1;
    const last = before.readings.items[index];
    const fresh = last?.again?.(last.summary.resolved);
    if (!last || !fresh) continue;
    addAll(diagnostics, fresh.diagnostics);
    if (!fresh.zone) continue;
    readings[index] = { ...fresh.zone, marks: last.marks, children: last.children, judged: last.judged };
    changed.push(index);
  }
  const report = createReport();
  const led = resolveAliases(readings, before.apexes, settings.stateDir, aliases, report);
  addAll(diagnostics, report.diagnostics);
  const all = withOthers(changed, led);
  const known = { ...before, ...knownReadings(readings, before, all) };
  return { settings, readings, changed: all, known, diagnostics: shown(diagnostics, cwd, settings.shownPaths) };
}

/** By apex (`nameKey`): the first file that states it. */
function firstFiles(found: readonly Found[]): Map<string, string> {
  const first = new Map<string, string>();
  for (const each of found) {
    const zone = readingOf(each);
    if (zone && !first.has(zone.key)) first.set(zone.key, zone.summary.file);
  }
  return first;
}

/** The readings without records. `changed`: the indexes at which they are not those of `before`. */
function knownReadings(
  readings: readonly ZoneReading[],
  before: KnownZones | undefined,
  changed: readonly number[] | undefined,
): Pick<KnownZones, 'readings' | 'marks' | 'isQuiet'> {
  const isQuiet = ({ found, judged }: ZoneReading): boolean => found.length === 0 && judged.length === 0;
  if (!before || !changed) {
    const items = readings.map(withoutModel);
    const fileOf = (index: number): string => items[index]?.summary.file ?? '';
    return {
      readings: byFile(items, fileOf, before?.readings),
      marks: markTable(items),
      isQuiet: items.every(isQuiet),
    };
  }
  const items = readings.slice();
  const others = changed.flatMap((index) => {
    const reading = readings[index];
    return reading ? (items[index] = withoutModel(reading)) : [];
  });
  return {
    readings: sameFiles(items, before.readings),
    marks: markTable(items, before.marks, changed),
    isQuiet: before.isQuiet ? others.every(isQuiet) : items.every(isQuiet),
  };
}

function withoutModel(reading: ZoneReading): ZoneReading {
  return reading.model ? { ...reading, model: undefined } : reading;
}

function addAll(to: Diagnostic[], more: readonly Diagnostic[] | undefined): void {
  if (more !== undefined && more.length > 0) to.push(...more);
}

/** A zone file that was read now. */
type Fresh = {
  readonly file: string;
  /** Undefined if the file states no zone. */
  readonly zone: ZoneReading | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Returns the warnings of its names. Undefined without a zone. */
  readonly judge: ((apexes: ReadonlySet<string>) => readonly Diagnostic[]) | undefined;
};

/** A zone file that was read now, or the zone as it was read earlier: a reload makes no object for it. */
type Found = Fresh | ZoneReading;

function isFresh(found: Found): found is Fresh {
  return 'judge' in found;
}

function readingOf(found: Found): ZoneReading | undefined {
  return isFresh(found) ? found.zone : found;
}

/** The zone as it was read before, if none of its files has changed. */
function reuse(before: ZoneReading | undefined): ZoneReading | undefined {
  if (!before) return undefined;
  let marks: FileMark[] | undefined;
  for (let index = 0; index < before.marks.length; index++) {
    const mark = before.marks[index];
    const same = mark && sameFile(mark);
    if (!same) return undefined;
    if (same === mark) continue;
    marks ??= before.marks.slice();
    marks[index] = same;
  }
  return marks ? { ...before, marks } : before;
}

function readFresh(input: Omit<Parameters<typeof readZone>[0], 'report'>): Fresh {
  const { file } = input;
  const report = createReport();
  const own = markOf(file);
  const { result: read, digests } = digestsOf(() => readZone({ ...input, report }));
  if (!read) return { file, zone: undefined, diagnostics: report.diagnostics, judge: undefined };
  return freshOf(file, read, report, marksOf(read.files, file, own, digests));
}

function marksOf(
  files: readonly string[],
  file: string,
  own: ReturnType<typeof markOf>,
  digests: ReadonlyMap<string, string>,
): FileMark[] {
  return files.map((path): FileMark => {
    const mark = path === file ? own : markOf(path);
    // An unreadable file is read again each time.
    return { ...(mark ?? NO_FILE), path, digest: digests.get(path) ?? '' };
  });
}

/** `report` has the mistakes that reading the zone found. */
function freshOf(
  file: string,
  read: ReadZone,
  report: Report,
  marks: readonly FileMark[],
  /** What reading the files has found. */
  before: readonly Diagnostic[] = [],
): Fresh {
  const { judge, place, again, ...model } = read;
  const { records, owners, written, ...summary } = model;
  const own = report.diagnostics.slice();
  const found = [...before, ...own];
  const isOpen = summary.aliases !== undefined && summary.resolved === undefined;
  return {
    file,
    zone: {
      summary,
      key: nameKey(summary.apex),
      model: { ...summary, records, owners, written },
      place,
      marks,
      children: NO_CHILDREN,
      again:
        again &&
        ((answers) => {
          const own = createReport();
          return freshOf(file, again(answers, own), own, marks, isOpen ? found : before);
        }),
      found,
      judged: [],
    },
    diagnostics: found,
    judge: (apexes) => {
      // The records that aliases answer with are not known yet.
      if (isOpen) return [];
      judge(apexes);
      return report.diagnostics.slice(own.length);
    },
  };
}

const NO_FILE = { mtimeMs: 0, ctimeMs: 0, size: -1, ino: 0, dev: 0, rights: '', isSettled: false, text: '-' };
const NO_CHILDREN: ReadonlySet<string> = new Set();

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a === b || (a.size === b.size && [...a].every((key) => b.has(key)));
}

/** Adds the catalog zone, if there is one: that of `before`, if it has the same members. */
function addCatalog(found: Found[], { file, transfer }: Settings, before: KnownZones | undefined): void {
  if (!transfer.catalog || file === undefined) return;
  const last = before?.readings.get(file);
  if (last && hasSameApexes(found, found.length + 1, before)) found.push(last);
  else {
    const members = found.flatMap((each) => readingOf(each)?.summary.apex ?? []);
    const { records, owners, ...summary } = catalogZone(file, transfer.catalog, members);
    const { place } = transfer.catalog;
    const zone: ZoneReading = {
      ...{ summary, key: nameKey(summary.apex), model: { ...summary, records, owners }, place },
      ...{ marks: [], children: NO_CHILDREN, found: [], judged: [] },
    };
    found.push({ file, zone, diagnostics: [], judge: () => [] });
  }
}

/**
 * Whether `count` files have the same zones as before. Only those of `found` may be others.
 */
function hasSameApexes(found: readonly Found[], count: number, before: KnownZones | undefined): boolean {
  if (before?.readings.items.length !== count) return false;
  return found.every(
    (each) => !isFresh(each) || (each.zone !== undefined && before.readings.get(each.file)?.key === each.zone.key),
  );
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
function keyOfZones(settings: Settings, shared: SharedParts): Buffer {
  const { files, zoneFolders, secretVariables, checks, regions, misread, beacon, fleet, transfer } = settings;
  const { updates, stateDir } = settings;
  const parts = [
    beacon !== undefined,
    fleet !== undefined,
    transfer.catalog,
    updates,
    updates && stateDir,
    keyOfParts(shared),
  ];
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
  const { file, zoneFolders, zoneFiles, geo, stateDir, tls, status } = settings;
  const used = (paths: readonly string[], use: string): UsedPath[] =>
    paths.map((path) => ({ path, use, place: { file: file ?? path } }));
  return [
    ...used(file === undefined ? [] : [file], 'reads its configuration there'),
    ...used([...zoneFolders, ...zoneFiles, ...zones.flatMap(({ files }) => files)], 'reads zones there'),
    ...used(tls ? [tls.keyPair.path, tls.keyPair.keyPath] : [], 'reads its TLS key pair there'),
    ...used(status?.tls ? [status.tls.keyPair.path, status.tls.keyPair.keyPath] : [], 'reads its TLS key pair there'),
    ...used(status?.tokensFile === undefined ? [] : [status.tokensFile], 'reads its tokens there'),
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
