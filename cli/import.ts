/**
 * `pharos import FORMAT FILE`: writes zone YAML from the files of other systems to stdout or a file, and notes about
 * differences to stderr. The YAML is then checked like `pharos check` does.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createReport, hasErrors, type Diagnostic, type Report } from '../config/diagnostics.ts';
import { lookAt } from '../config/folder.ts';
import { heapOctets, shrinkGrownHeap } from '../config/garbage.ts';
import { formatName, nameKey } from '../wire/name.ts';
import { loadGeneration, type LoadInput } from '../zones/load-generation.ts';
import { countRecords, noteLines, type Note, type ZoneDraft } from './import/draft.ts';
import { FORMATS } from './import/format-names.ts';
import { importZones, type ImportRequest } from './import/formats.ts';
import { shareParts } from './import/share-parts.ts';
import { IMPORTED_FROM, writeSettings, writeZone } from './import/write-zone.ts';
import { loadInputFor } from './load-input.ts';
import { nameArgument } from './name-argument.ts';
import { EXIT, fail, plural, showDiagnostics, type Output } from './output.ts';
import { startProgress } from './progress.ts';

/** `output`: a file, or a folder for one file per zone; undefined for stdout. */
export type ImportOptions = {
  readonly format: string;
  readonly path: string;
  readonly zone: string | undefined;
  readonly nameServers: readonly string[];
  readonly output: string | undefined;
  readonly json: boolean;
};

/** One zone in the output of `--json`. Without --output, `file` is null and `yaml` has the text. */
type ZoneReport = {
  readonly zone: string;
  readonly file: string | null;
  readonly yaml?: string;
  readonly records: number;
  readonly services: number;
  readonly vips: number;
  readonly notes: readonly Note[];
};

/**
 * Records of a zone that are written into YAML. With more, they are in a master file, which every later start and
 * reload reads in a fraction of the time.
 */
const MAX_YAML_RECORDS = 10_000;

/** The same, if there are more records than that in all zones together. */
const MAX_YAML_RECORDS_OF_MANY = 50;

/** The pharos.yaml of parts that zones share. `textFor` returns its text for a folder of zones; theirs is `zones`. */
type WrittenSettings = {
  readonly file: string;
  readonly zones: string;
  readonly textFor: (zones: string) => string;
};

/** `records`: the master file that the YAML includes. */
type Written = {
  readonly report: ZoneReport;
  readonly text: string;
  readonly file: string | null;
  readonly records: { readonly file: string; readonly text: Buffer } | undefined;
};

/**
 * Returns 0 if every zone was written and is valid; 1 if a source cannot be read, or a result is not valid. `input`:
 * what the check has besides the files.
 */
export function importCommand(options: ImportOptions, output: Output, input = loadInputFor(undefined)): number {
  const format = FORMATS.find((each) => each === options.format);
  if (!format)
    return fail(
      'import',
      `unknown format "${options.format}"; use ${FORMATS.slice(0, -1).join(', ')} or ${FORMATS.at(-1) ?? ''}`,
      EXIT.USAGE,
      output,
    );
  const zone = options.zone === undefined ? undefined : nameArgument(options.zone);
  const nameServers = options.nameServers.map(nameArgument);
  const wrong = [options.zone, ...options.nameServers].find((text) => text !== undefined && !nameArgument(text));
  if (wrong !== undefined) return fail('import', `${wrong} is not a domain name`, EXIT.USAGE, output);

  using progress = startProgress([`Reading ${options.path}`, 'Writing zone YAML', 'Reading it back'], output);
  const report = createReport();
  const request = { format, path: options.path, zone, nameServers: nameServers.flatMap((name) => name ?? []) };
  const heapBefore = heapOctets();
  const written = convert(request, options, report, () => {
    progress.next();
  });
  if (typeof written === 'string') return fail('import', written, EXIT.FAILED, output);
  progress.next();
  shrinkGrownHeap(heapBefore);
  const { zones, settings } = written;
  const readBack = check(zones, settings, input);
  const diagnostics = [...report.diagnostics, ...readBack];
  const ofZones = zones.flatMap(({ file, text, records }) =>
    [records ?? [], file === null ? [] : { file, text }].flat(),
  );
  const files = settings ? [...ofZones, { file: settings.file, text: settings.textFor(settings.zones) }] : ofZones;
  for (const { file, text } of files) {
    try {
      writeFileSync(file, text);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const message = `cannot write ${file} (${String(code)}): name a file in an existing folder, or the folder`;
      return fail('import', message, EXIT.FAILED, output);
    }
  }
  const ok = zones.length > 0 && !hasErrors(diagnostics);
  if (options.json) {
    const shared = settings && { settings: settings.file };
    output.out(JSON.stringify({ ok, ...shared, zones: zones.map((each) => each.report), diagnostics }, undefined, 2));
  } else {
    for (const { text, file } of zones) if (file === null) output.out(text.trimEnd());
    showDiagnostics(diagnostics, output);
    for (const each of zones) output.error(summary(each, output));
    if (settings) output.error(`regions, checks, maps and templates of all zones -> ${settings.file}`);
    if (zones.length === 0 && diagnostics.length === 0) output.error(`pharos import: ${options.path} has no zone`);
  }
  return ok ? EXIT.OK : EXIT.FAILED;
}

/**
 * Writes every zone as text, or returns why that is not possible. The drafts need much memory; nothing refers to them
 * when this returns, before the result is read back.
 */
function convert(
  request: ImportRequest,
  { output, json, path }: ImportOptions,
  report: Report,
  beginWriting: () => void,
): { readonly zones: readonly Written[]; readonly settings: WrittenSettings | undefined } | string {
  const drafts = importZones(request, report);
  const isFolder = output !== undefined && lookAt(output).kind === 'folder';
  if (drafts.length > 1 && !isFolder && !json) {
    const names = drafts.map(({ apex }) => formatName(apex)).join(', ');
    return `${path} has ${drafts.length} zones: ${names}\n  choose one with --zone, or write all of them into a folder: -o zones`;
  }
  beginWriting();
  const settingsFile = isFolder && drafts.length > 1 ? freeSettings(output) : undefined;
  const shared = shareParts(drafts, settingsFile !== undefined);
  const counts = drafts.map(countRecords);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const limit = total > MAX_YAML_RECORDS ? MAX_YAML_RECORDS_OF_MANY : MAX_YAML_RECORDS;
  const zones = drafts.map((draft, at) => write(draft, counts[at] ?? 0, limit, fileFor(draft, output, isFolder)));
  const overwritten = zones.some(({ records }) => records && resolve(records.file) === resolve(path));
  if (overwritten) return `${path} would be overwritten by the records: choose another --output`;
  if (!shared || settingsFile === undefined || output === undefined) return { zones, settings: undefined };
  const textFor = (folder: string): string => writeSettings(shared, folder, `${request.format}, ${path}`);
  return { zones, settings: { file: settingsFile, zones: `./${basename(resolve(output))}`, textFor } };
}

/** pharos.yaml beside the folder of zones, unless somebody else wrote one there: then each zone has its own parts. */
function freeSettings(zones: string): string | undefined {
  const file = join(dirname(resolve(zones)), 'pharos.yaml');
  if (!existsSync(file)) return file;
  return readFileSync(file, 'utf8').startsWith(`# ${IMPORTED_FROM} `) ? file : undefined;
}

function fileFor({ apex }: ZoneDraft, output: string | undefined, isFolder: boolean): string | null {
  if (output === undefined) return null;
  // A domain name may contain a slash (RFC 2317), a file name may not.
  const name = nameKey(apex) === '\0' ? 'root' : formatName(apex).replaceAll('/', '_');
  return isFolder ? join(output, `${name}.yaml`) : output;
}

/** Writes a zone for this file. A master file beside it needs a file. */
function write(draft: ZoneDraft, count: number, limit: number, file: string | null): Written {
  const beside = file === null || count <= limit ? undefined : `${file.replace(/\.ya?ml$/, '')}.records`;
  const { yaml, records } = writeZone(draft, beside && basename(beside));
  return {
    report: reportOf(draft, count, file, yaml),
    text: yaml,
    file,
    records: beside === undefined || records === undefined ? undefined : { file: beside, text: records },
  };
}

/** Runs the checks of `pharos check` on all of them in a temporary folder. */
function check(written: readonly Written[], settings: WrittenSettings | undefined, input: LoadInput): Diagnostic[] {
  if (written.length === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), 'pharos-import-'));
  try {
    mkdirSync(join(folder, 'zones'));
    const names = new Map<string, string>();
    if (settings) {
      writeFileSync(join(folder, 'pharos.yaml'), settings.textFor('./zones'));
      names.set('pharos.yaml', settings.file);
    }
    written.forEach(({ report, text, file, records }, index) => {
      // Without an output for either, two zones can have the same file name.
      const [yaml, beside] = [`${index}.yaml`, records && basename(records.file)];
      writeFileSync(join(folder, 'zones', yaml), text);
      names.set(yaml, file ?? `${report.zone}.yaml`);
      if (!records || beside === undefined) return;
      writeFileSync(join(folder, 'zones', beside), records.text);
      names.set(beside, records.file);
    });
    // Nothing finds a zone of this folder in the cache again, and making an entry of a large one needs memory.
    const cache = written.some(({ records }) => records) ? undefined : input.cache;
    const { diagnostics } = loadGeneration({ ...input, cache, cwd: folder, env: {} });
    return diagnostics.map((each) => {
      const file = names.get(basename(each.place.file)) ?? each.place.file;
      return { ...each, place: { ...each.place, file } };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function reportOf(draft: ZoneDraft, records: number, file: string | null, text: string): ZoneReport {
  const services = [...draft.services.values()];
  return {
    zone: formatName(draft.apex),
    file,
    ...(file === null ? { yaml: text } : {}),
    records,
    services: services.length,
    vips: services.reduce((sum, { vips }) => sum + vips.length, 0),
    notes: draft.notes,
  };
}

function summary(written: Written, { styleError }: Output): string {
  const { zone, file, records, services, vips, notes } = written.report;
  const counts = [plural(records, 'record'), plural(services, 'service'), plural(vips, 'VIP')].join(', ');
  const kinds = (['changed', 'dropped'] as const).map((kind) => {
    const count = notes.filter((each) => each.kind === kind).length;
    return `${count} ${kind}`;
  });
  const { lines: noted, hidden } = noteLines(notes);
  const lines = noted.map(({ kind, text }) => `  ${styleError(kind === 'dropped' ? 'yellow' : 'cyan', kind)} ${text}`);
  if (hidden > 0) lines.push(`  and ${hidden} more: --json lists all`);
  const head = `${styleError('bold', zone)}: ${counts}; ${kinds.join(', ')}${file === null ? '' : ` -> ${[file, written.records?.file ?? []].flat().join(' and ')}`}`;
  return [head, ...lines].join('\n');
}
