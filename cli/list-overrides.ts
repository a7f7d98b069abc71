/**
 * `pharos overrides`: lists the overrides and run-time weights of running servers, with their source, reason and end.
 */
import { isRecord } from '../config/unknown-values.ts';
import type { OverrideDocument, WeightDocument } from '../status/override-json.ts';
import { callApi, shownUrl, type Api } from './api-client.ts';
import { aboutServer, reachAll, repliesJson, type ReachAllOptions, type ServerReply } from './find-server.ts';
import { EXIT, fail, table, type Output } from './output.ts';

type Listed = { readonly overrides: readonly OverrideDocument[]; readonly weights: readonly WeightDocument[] };

export async function runOverrides(
  options: ReachAllOptions & { readonly json: boolean },
  output: Output,
): Promise<number> {
  const found = reachAll(options);
  if (!found.ok) return fail('overrides', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const { apis } = found;
  const asked = await Promise.all(apis.map(listOf));
  for (const each of asked) {
    if (!each.ok) fail('overrides', aboutServer(each.message, each.api, apis.length), EXIT.FAILED, output);
  }
  const listed = asked.filter((each) => each.ok);
  const code = listed.length === apis.length ? EXIT.OK : EXIT.FAILED;
  if (listed.length === 0) return code;
  if (options.json) {
    output.out(JSON.stringify(apis.length > 1 ? { servers: repliesJson(asked) } : listed[0]?.value, undefined, 2));
    return code;
  }
  const rows = listed.flatMap(({ api, value }) =>
    rowsOf(value, output.style).map((row) => (apis.length > 1 ? [shownUrl(api), ...row] : row)),
  );
  const head = ['TARGET', 'STATE', 'BY', 'SINCE', 'UNTIL', 'SAFE TO STOP', 'REASON'];
  if (rows.length === 0) output.out('No override and no run-time weight is set.');
  else output.out(table([apis.length > 1 ? ['SERVER', ...head] : head, ...rows]));
  return code;
}

async function listOf(api: Api): Promise<ServerReply & ({ readonly ok: false } | { readonly value: Listed })> {
  const [overrides, weights] = await Promise.all([
    callApi(api, 'GET', '/api/v1/overrides'),
    callApi(api, 'GET', '/api/v1/weights'),
  ]);
  if (!overrides.ok) return { api, ok: false, message: overrides.message };
  if (!weights.ok) return { api, ok: false, message: weights.message };
  const value = { overrides: overrides.value, weights: weights.value };
  if (isListed(value)) return { api, ok: true, value };
  return { api, ok: false, message: `${shownUrl(api)} is not a Pharos server of this version` };
}

/** The oldest first. */
function rowsOf({ overrides, weights }: Listed, paint: Output['style']): readonly (readonly string[])[] {
  const states = overrides.map(({ state, until, safe_at: safeAt, ...one }) => ({
    ...one,
    what: paint(state === 'up' ? 'green' : state === 'down' ? 'red' : 'yellow', state),
    until: until === null ? '-' : moment(until),
    safe: safeAt === null ? '-' : moment(safeAt),
  }));
  const changed = weights.map(({ weight, file_weight: file, ...one }) => ({
    ...one,
    what: `weight ${String(weight)}${file === null ? '' : ` (file ${String(file)})`}`,
    until: '-',
    safe: '-',
  }));
  return [...states, ...changed]
    .toSorted((a, b) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0))
    .map(({ target, what, by, since, until, safe, reason, present }) => [
      present ? target : `${target} (not configured)`,
      what,
      by,
      moment(since),
      until,
      safe,
      reason ?? '-',
    ]);
}

/** For readers in every time zone. */
function moment(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

function isListed(value: Readonly<Record<keyof Listed, unknown>>): value is Listed {
  const isList = (part: unknown): boolean =>
    Array.isArray(part) && part.every((one) => isRecord(one) && typeof one['target'] === 'string');
  return isList(value.overrides) && isList(value.weights);
}
