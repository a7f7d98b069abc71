/**
 * `pharos records adopt ZONE`: writes the dynamic records of a zone into its file. The server's next reload finds them
 * there, and its journal forgets them. A crash in between loses nothing: the records are then in both.
 */
import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { basename, dirname, join } from 'node:path';
import { createReport, formatDiagnostic } from '../config/diagnostics.ts';
import { nearestHint } from '../config/nearest-word.ts';
import type { Settings } from '../config/settings.ts';
import { codeOf, isRecord } from '../config/unknown-values.ts';
import { isCountry } from '../geo/countries.ts';
import { formatName, nameKey, type Name } from '../wire/name.ts';
import { TYPE, typeText } from '../wire/types.ts';
import type { DynamicSet, JoinedSet } from '../zones/journal/record-set.ts';
import { loadWithZones } from '../zones/load-generation.ts';
import type { ZoneModel } from '../zones/read/model.ts';
import { readZone } from '../zones/read/read-zone.ts';
import { ownerOf, rdataOf, recordTtl, recordType, type RecordStore } from '../zones/read/record-store.ts';
import { callApi, shownUrl } from './api-client.ts';
import type { ControlOptions } from './control.ts';
import { editZoneFile, type TextEdit } from './edit-zone-file.ts';
import { reach } from './find-server.ts';
import { loadInputFor } from './load-input.ts';
import { nameArgument } from './name-argument.ts';
import { EXIT, fail, plural, showDiagnostics, type Output } from './output.ts';

export type AdoptOptions = ControlOptions & { readonly zone: string; readonly dryRun: boolean };

const COMMAND = 'records adopt';
/** Attempts while programs change the zone all the time. */
const MOST_ATTEMPTS = 5;

type SetName = { readonly name: string; readonly type: string; readonly records: number };

/** What the command did, for `--json`. */
type AdoptReport = {
  readonly zone: string;
  readonly file: string;
  readonly adopted: readonly SetName[];
  /** Dynamic records that stay in the journal, and why. */
  readonly kept: readonly (SetName & { readonly why: string })[];
};

/** How a zone file must change. */
type Plan = {
  /** The file itself, if the configuration names a link. */
  readonly file: string;
  readonly before: string;
  readonly text: string;
  readonly edits: readonly TextEdit[];
  readonly report: AdoptReport;
};

export async function adoptRecords(options: AdoptOptions, output: Output): Promise<number> {
  const apex = nameArgument(options.zone);
  if (!apex) return fail(COMMAND, `${options.zone} is not a domain name`, EXIT.USAGE, output);
  let outcome: Plan | number | 'moved';
  try {
    outcome = adoptOnce(apex, options, output);
    for (let left = MOST_ATTEMPTS - 1; outcome === 'moved' && left > 0; left--)
      outcome = adoptOnce(apex, options, output);
  } catch (error) {
    if (!(error instanceof Error) || !/^E[A-Z]+$/.test(codeOf(error))) throw error;
    return fail(COMMAND, `nothing was changed: ${error.message}`, EXIT.FAILED, output);
  }
  if (outcome === 'moved') {
    return fail(COMMAND, 'nothing was changed: the zone changes all the time; run it again', EXIT.FAILED, output);
  }
  return typeof outcome === 'number' ? outcome : await reloadAfter(outcome, options, output);
}

/** Returns the plan after it was carried out, or an exit code. `moved`: the zone has changed meanwhile. */
function adoptOnce(apex: Name, options: AdoptOptions, output: Output): Plan | number | 'moved' {
  const input = loadInputFor(options.config);
  const loaded = loadWithZones(input);
  if (!loaded.ok) {
    showDiagnostics(loaded.diagnostics, output);
    return EXIT.FAILED;
  }
  const { zones, generation } = loaded.value;
  const zone = zones.find((each) => nameKey(each.apex) === nameKey(apex));
  if (!zone) {
    const names = zones.map((each) => formatName(each.apex));
    return fail(COMMAND, `unknown zone ${options.zone}; ${nearestHint(options.zone, names)}`, EXIT.FAILED, output);
  }
  if (!zone.dynamic) return fail(COMMAND, `no rule of updates covers the zone ${options.zone}`, EXIT.FAILED, output);
  const plan = planFor(zone, zone.dynamic);
  if (plan.report.adopted.length === 0) {
    tell(plan, options, output);
    return plan.report.kept.length === 0 ? EXIT.OK : EXIT.FAILED;
  }
  const { settings } = generation;
  const temporary = join(dirname(plan.file), `.${basename(plan.file)}.${process.pid}.new`);
  try {
    writeLike(plan.file, temporary, plan.text);
    const fault = faultOf(zone, readAgain(temporary, settings, input.env));
    if (fault !== undefined) return fail(COMMAND, `nothing was changed: ${fault}`, EXIT.FAILED, output);
    if (isMoved(plan, zone, settings, input.env)) return 'moved';
    if (options.dryRun) {
      tell(plan, options, output);
      return EXIT.OK;
    }
    renameSync(temporary, plan.file);
    sync(dirname(plan.file));
  } finally {
    rmSync(temporary, { force: true });
  }
  return plan;
}

function planFor(zone: ZoneModel, sets: readonly JoinedSet[]): Plan {
  const file = realpathSync(zone.file);
  const before = readFileSync(file, 'utf8');
  const isElsewhere = ({ files }: JoinedSet): boolean => files.some((each) => each !== zone.file);
  const served = sets.filter(({ state }) => state === 'used');
  const own = served.filter((each) => !isElsewhere(each)).map(({ set }) => set);
  const { text, edits, refused } = editZoneFile(before, zone.apex, own);
  const kept = [
    ...served.filter(isElsewhere).map(({ set, files }) => ({ ...named(set), why: `the records are in ${files.join(', ')}` })), // prettier-ignore
    ...refused.map(({ set, why }) => ({ ...named(set), why })),
  ];
  const left = new Set(refused.map(({ set }) => set));
  const adopted = own.filter((set) => !left.has(set)).map(named);
  return { file, before, text, edits, report: { zone: formatName(zone.apex), file: zone.file, adopted, kept } };
}

function named({ name, type, data }: DynamicSet): SetName {
  return { name: formatName(name), type: typeText(type), records: data.length };
}

type Reading = { readonly zone: ZoneModel | undefined; readonly mistake: string | undefined };

function readAgain(file: string, settings: Settings, env: NodeJS.ProcessEnv): Reading {
  const report = createReport();
  const zone = readZone({ file, settings, env, report, isCountry });
  const first = report.diagnostics.find(({ severity }) => severity === 'error');
  return { zone, mistake: first && formatDiagnostic(first) };
}

/** Why the new file must not replace the old one; undefined if it makes the zone that is served now. */
function faultOf(zone: ZoneModel, { zone: next, mistake }: Reading): string | undefined {
  if (mistake !== undefined || !next) return `the new file would have a mistake: ${mistake ?? 'it is not a zone'}`;
  const [now, then] = [rowsOf(zone.records), rowsOf(next.records)];
  const other = [...then].find((row) => !now.has(row)) ?? [...now].find((row) => !then.has(row));
  return other === undefined ? undefined : `the zone would not be the same: ${other}`;
}

/** Every record but the SOA, as text. */
function rowsOf(records: RecordStore): ReadonlySet<string> {
  const rows = new Set<string>();
  for (let row = 0; row < records.count; row++) {
    const type = recordType(records, row);
    if (type === TYPE.SOA) continue;
    const data = Buffer.from(rdataOf(records, row)).toString('hex');
    rows.add(`${nameKey(ownerOf(records, row))} ${recordTtl(records, row)} ${typeText(type)} ${data}`);
  }
  return rows;
}

/** Whether the file or the journal has changed since the plan was made. */
function isMoved(plan: Plan, zone: ZoneModel, settings: Settings, env: NodeJS.ProcessEnv): boolean {
  if (readFileSync(plan.file, 'utf8') !== plan.before) return true;
  const marks = (sets: readonly JoinedSet[] = []): string => sets.map(({ set, state }) => `${state} ${JSON.stringify(named(set))} ${set.ttlSeconds} ${set.data.map((each) => Buffer.from(each).toString('hex')).join()}`).join('\n'); // prettier-ignore
  return marks(readAgain(zone.file, settings, env).zone?.dynamic) !== marks(zone.dynamic);
}

/** Writes a file with the owner and the mode of another one. */
function writeLike(model: string, file: string, text: string): void {
  const { mode, uid, gid } = statSync(model);
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    writeFileSync(descriptor, text);
    if (process.geteuid?.() === 0) fchownSync(descriptor, uid, gid);
    fchmodSync(descriptor, mode & 0o7777);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function sync(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the server read the file, so that its journal forgets what the file has. */
async function reloadAfter(plan: Plan, options: AdoptOptions, output: Output): Promise<number> {
  const found = reach(options);
  const reply = found.ok ? await callApi(found.api, 'POST', '/api/v1/reload', {}) : undefined;
  tell(plan, options, output, reply?.ok === true);
  if (found.ok && reply?.ok === true) {
    const warnings = isRecord(reply.value) && Array.isArray(reply.value['warnings']) ? reply.value['warnings'] : [];
    const lost = warnings.filter((each) => isRecord(each) && each['code'] === 'PH426' && isRecord(each['place']) && plan.file.endsWith(String(each['place']['file']))); // prettier-ignore
    for (const each of lost) output.error(`  ${String((each as Record<string, unknown>)['message'])}`);
    return EXIT.OK;
  }
  const why = found.ok ? (reply?.ok === false ? reply.message : '') : found.message;
  const where = found.ok ? ` of ${shownUrl(found.api)}` : '';
  const next = 'the journal has the records too until the server reads the file: pharos reload, or a start';
  // A server that does not run reads the file when it starts.
  const isStopped = found.ok && reply?.ok === false && reply.status === 0;
  if (!isStopped) return fail(COMMAND, `${why}; ${next}`, EXIT.FAILED, output);
  output.error(`No server was reached${where}: ${next}.`);
  return EXIT.OK;
}

function tell({ before, edits, report }: Plan, { dryRun, json }: AdoptOptions, output: Output, reloaded = false): void {
  const { zone, file, adopted, kept } = report;
  if (json) {
    output.out(JSON.stringify({ ...report, dry_run: dryRun, reloaded }, undefined, 2));
    return;
  }
  if (adopted.length === 0 && kept.length === 0) output.out(`${zone} has no dynamic records to adopt.`);
  if (dryRun) for (const edit of edits) showEdit(before, edit, output);
  for (const { name, type, records } of adopted) {
    output.out(`${name} ${type}: ${records === 0 ? 'deleted' : plural(records, 'record')}`);
  }
  for (const { name, type, why } of kept) output.error(`${name} ${type} stays dynamic: ${why}`);
  if (adopted.length === 0) return;
  const what = `${adopted.length} dynamic ${adopted.length === 1 ? 'set' : 'sets'} of records`;
  output.out(dryRun ? `Nothing was changed (--dry-run): ${file} would get ${what}.` : `${file} has ${what} now.`);
}

/** The lines that change, as in a diff. */
function showEdit(before: string, { at, end, text }: TextEdit, output: Output): void {
  const from = before.lastIndexOf('\n', at - 1) + 1;
  const next = before.indexOf('\n', end);
  const to = next < 0 ? before.length : next;
  const old = at === end && from !== at ? '' : before.slice(from, to);
  const now = at === end && from !== at ? text : before.slice(from, at) + text + before.slice(end, to);
  for (const line of old.split('\n').filter((each) => each.trim() !== '')) output.out(output.style('red', `- ${line}`));
  for (const line of now.split('\n').filter((each) => each.trim() !== '')) output.out(output.style('green', `+ ${line}`)); // prettier-ignore
}
