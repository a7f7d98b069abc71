/**
 * `pharos import FORMAT FILE`: writes zone YAML from the files of other systems to stdout or a file, and notes about
 * differences to stderr. The YAML is then checked like `pharos check` does.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReport, hasErrors, type Diagnostic } from '../config/diagnostics.ts';
import { lookAt } from '../config/folder.ts';
import { formatName, nameKey } from '../wire/name.ts';
import { loadGeneration } from '../zones/load-generation.ts';
import type { Note, ZoneDraft } from './import/draft.ts';
import { FORMATS, importZones } from './import/formats.ts';
import { countRecords, writeZone } from './import/write-zone.ts';
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

type Written = { readonly draft: ZoneDraft; readonly text: string; readonly file: string | null };

/** Returns 0 if every zone was written and is valid; 1 if a source cannot be read, or a result is not valid. */
export function importCommand(options: ImportOptions, output: Output): number {
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
  const drafts = importZones(
    { format, path: options.path, zone, nameServers: nameServers.flatMap((name) => name ?? []) },
    report,
  );
  const isFolder = options.output !== undefined && lookAt(options.output).kind === 'folder';
  if (drafts.length > 1 && !isFolder && !options.json) {
    const names = drafts.map(({ apex }) => formatName(apex)).join(', ');
    const message = `${options.path} has ${drafts.length} zones: ${names}\n  choose one with --zone, or write all of them into a folder: -o zones`;
    return fail('import', message, EXIT.FAILED, output);
  }
  progress.next();
  const written = drafts.map((draft): Written => {
    const text = writeZone(draft);
    return { draft, text, file: fileFor(draft, options.output, isFolder) };
  });
  progress.next();
  const readBack = written.flatMap(check);
  const diagnostics = [...report.diagnostics, ...readBack];
  for (const { file, text } of written) {
    if (file === null) continue;
    try {
      writeFileSync(file, text);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const message = `cannot write ${file} (${String(code)}): name a file in an existing folder, or the folder`;
      return fail('import', message, EXIT.FAILED, output);
    }
  }
  const ok = drafts.length > 0 && !hasErrors(diagnostics);
  if (options.json) {
    output.out(JSON.stringify({ ok, zones: written.map(reportOf), diagnostics }, undefined, 2));
  } else {
    for (const { text, file } of written) if (file === null) output.out(text.trimEnd());
    showDiagnostics(diagnostics, output);
    for (const each of written) output.error(summary(each, output));
    if (drafts.length === 0 && diagnostics.length === 0) output.error(`pharos import: ${options.path} has no zone`);
  }
  return ok ? EXIT.OK : EXIT.FAILED;
}

function fileFor({ apex }: ZoneDraft, output: string | undefined, isFolder: boolean): string | null {
  if (output === undefined) return null;
  // A domain name may contain a slash (RFC 2317), a file name may not.
  const name = nameKey(apex) === '\0' ? 'root' : formatName(apex).replaceAll('/', '_');
  return isFolder ? join(output, `${name}.yaml`) : output;
}

/** Runs the checks of `pharos check` on it in a temporary folder. */
function check({ draft, text, file }: Written): Diagnostic[] {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-import-'));
  try {
    mkdirSync(join(folder, 'zones'));
    writeFileSync(join(folder, 'zones', 'zone.yaml'), text);
    const { diagnostics } = loadGeneration({ ...loadInputFor(undefined), cwd: folder, env: {} });
    const name = file ?? `${formatName(draft.apex)}.yaml`;
    return diagnostics.map((each) => ({ ...each, place: { ...each.place, file: name } }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function reportOf({ draft, text, file }: Written): ZoneReport {
  const services = [...draft.services.values()];
  return {
    zone: formatName(draft.apex),
    file,
    ...(file === null ? { yaml: text } : {}),
    records: countRecords(draft),
    services: services.length,
    vips: services.reduce((sum, { vips }) => sum + vips.length, 0),
    notes: draft.notes,
  };
}

function summary(written: Written, { styleError }: Output): string {
  const { zone, file, records, services, vips, notes } = reportOf(written);
  const counts = [plural(records, 'record'), plural(services, 'service'), plural(vips, 'VIP')].join(', ');
  const kinds = (['changed', 'dropped'] as const).map((kind) => {
    const count = notes.filter((each) => each.kind === kind).length;
    return `${count} ${kind}`;
  });
  const lines = notes.map(({ kind, owner, message }) => {
    const word = styleError(kind === 'dropped' ? 'yellow' : 'cyan', kind);
    return `  ${word} ${owner === undefined ? '' : `${owner}: `}${message}`;
  });
  const head = `${styleError('bold', zone)}: ${counts}; ${kinds.join(', ')}${file === null ? '' : ` -> ${file}`}`;
  return [head, ...lines].join('\n');
}
