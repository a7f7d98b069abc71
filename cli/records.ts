/**
 * `pharos records list`, `set` and `delete`: the records of a zone, through the API of a running server.
 */
import { parseDurationMs } from '../config/units.ts';
import { isRecord } from '../config/unknown-values.ts';
import type { ListedDocument, RecordsChanged, SetDocument } from '../status/routes-records.ts';
import { callApi, type ApiReply } from './api-client.ts';
import type { ControlOptions } from './control.ts';
import { reach } from './find-server.ts';
import { EXIT, fail, table, type Output } from './output.ts';

export type ListRecordsOptions = ControlOptions & {
  readonly zone: string;
  readonly name: string | undefined;
  readonly type: string | undefined;
  readonly onlyDynamic: boolean;
};

/** The records of one name and type. `serial`: the one that the zone must have. */
export type ChangeOptions = ControlOptions & {
  readonly zone: string;
  readonly name: string;
  readonly type: string;
  readonly serial: string | undefined;
  readonly dryRun: boolean;
};

export async function showRecords(options: ListRecordsOptions, output: Output): Promise<number> {
  const { zone, name, type, onlyDynamic, json } = options;
  const found = reach(options);
  if (!found.ok) return fail('records list', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const query = new URLSearchParams({ zone, ...(name === undefined ? {} : { name }), ...(type === undefined ? {} : { type }) }); // prettier-ignore
  const reply = await callApi(found.api, 'GET', `/api/v1/records?${query.toString()}`);
  if (!reply.ok) return refused('records list', reply, json, output);
  const value = reply.value as { readonly serial: number; readonly records: readonly ListedDocument[] };
  const records = value.records.filter(({ source }) => !onlyDynamic || source === 'dynamic');
  if (json) output.out(JSON.stringify({ ...value, records }, undefined, 2));
  else if (records.length === 0) output.out(`${zone} has no such records (serial ${value.serial})`);
  else {
    const rows = records.flatMap((each) =>
      (each.records.length === 0 ? ['(deleted)'] : each.records).map((data) => [
        ...[each.name, each.ttl === null ? '-' : String(each.ttl), each.type, data],
        each.replaces_file ? 'dynamic, in place of the file' : each.source,
      ]),
    );
    output.out(table([['NAME', 'TTL', 'TYPE', 'DATA', 'FROM'], ...rows]));
  }
  return records.length === 0 && (name !== undefined || type !== undefined) ? EXIT.FAILED : EXIT.OK;
}

export async function setRecords(
  options: ChangeOptions & { readonly data: readonly string[]; readonly ttl: string; readonly keeps: boolean },
  output: Output,
): Promise<number> {
  const { ttl: text, data: records, keeps } = options;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : parseDurationMs(text);
  if (ms === undefined || ms % 1000 !== 0) {
    return fail('records set', `invalid TTL "${text}"; use seconds or a unit, such as 60 or 5m`, EXIT.USAGE, output);
  }
  const query = keeps ? { add: 'true' } : {};
  return await change('records set', 'PUT', options, query, { ttl: ms / 1000, records }, output);
}

export async function deleteRecords(
  options: ChangeOptions & { readonly data: readonly string[] },
  output: Output,
): Promise<number> {
  return await change('records delete', 'DELETE', options, options.data.map((each) => ['record', each]), undefined, output); // prettier-ignore
}

async function change(
  command: string,
  method: 'PUT' | 'DELETE',
  options: ChangeOptions,
  query: Readonly<Record<string, string>> | readonly (readonly string[])[],
  body: unknown,
  output: Output,
): Promise<number> {
  const { zone, name, type, serial, dryRun, json } = options;
  const found = reach(options);
  if (!found.ok) return fail(command, found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const parameters = new URLSearchParams(query as Record<string, string>);
  if (dryRun) parameters.set('dry_run', 'true');
  const path = `/api/v1/records/${[zone, name, type].map(encodeURIComponent).join('/')}`;
  const headers = serial === undefined ? {} : { 'if-match': `"${serial}"` };
  const asked = parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
  const reply = await callApi(found.api, method, asked, body, undefined, headers);
  if (!reply.ok) return refused(command, reply, json, output);
  if (json) {
    output.out(JSON.stringify(reply.value, undefined, 2));
    return EXIT.OK;
  }
  const changed = reply.value as RecordsChanged;
  for (const each of changed.changes) {
    output.out(`${each.name} ${each.type}: ${setWords(each.before)} -> ${setWords(each.after)}`);
  }
  const serves = `${changed.zone} has serial ${changed.serial}`;
  const dry = dryRun ? 'Nothing was changed (--dry-run)' : undefined;
  output.out(`${dry ?? (changed.changes.length === 0 ? 'Nothing to change' : 'Served now')}: ${serves}`);
  return EXIT.OK;
}

function setWords(set: SetDocument | null): string {
  return set === null ? 'none' : `${set.records.join(', ')} (TTL ${set.ttl})`;
}

function refused(
  command: string,
  { message, status, problem }: ApiReply & { ok: false },
  json: boolean,
  output: Output,
): number {
  // prettier-ignore
  if (json && isRecord(problem)) output.out(JSON.stringify(problem, undefined, 2));
  return fail(command, message, status === 400 ? EXIT.USAGE : EXIT.FAILED, output);
}
