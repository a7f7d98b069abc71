/**
 * `pharos drain`, `up`, `down`, `auto`, `weight` and `reload`: changes of a running server, by its API.
 */
import type { Diagnostic } from '../config/diagnostics.ts';
import { parseDurationMs, parseInteger } from '../config/units.ts';
import { callApi, type Api, type ApiReply } from './api-client.ts';
import { EXIT, fail, plural, showDiagnostics, type Output } from './output.ts';
import { reach, type ReachOptions } from './find-server.ts';

/** How the server is found, and whether the reply is printed as JSON. */
export type ControlOptions = ReachOptions & { readonly json: boolean };

/** `forText` as on the command line: `30m`. `wait`: of a drain, until it is safe to stop. */
export type StateOptions = ControlOptions & {
  readonly forText: string | undefined;
  readonly reason: string | undefined;
  readonly wait?: boolean;
};

/** Time as an argument, so that tests own it. */
export type Waiting = { readonly wallMs: () => number; readonly sleep: (ms: number) => Promise<void> };
const realTime: Waiting = {
  wallMs: Date.now,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

export async function forceState(
  target: string,
  state: 'up' | 'down' | 'drain',
  options: StateOptions,
  output: Output,
  time: Waiting = realTime,
): Promise<number> {
  const { forText, reason, wait = false } = options;
  if (forText !== undefined && !isLasting(forText)) {
    return fail(state, `--for ${forText} is no duration: write it like 30m or 2h`, EXIT.USAGE, output);
  }
  const body = {
    state,
    ...(forText === undefined ? {} : { for: forText }),
    ...(reason === undefined ? {} : { reason }),
  };
  const asked = await ask(state, 'PUT', pathOf('overrides', target), body, options, output);
  if (typeof asked === 'number') return asked;
  const { reply, api } = asked;
  if (options.json && !wait) return printJson(reply, output);
  const lines = stateWords(state, reply, time.wallMs());
  if (!options.json) for (const line of lines) output.out(line);
  warnOf(reply, output);
  if (!wait) return EXIT.OK;
  const waited = await waitUntilSafe(target, api, output, options.json, time);
  if (options.json && waited === EXIT.OK) printJson(reply, output);
  return waited;
}

export async function giveBack(target: string, options: ControlOptions, output: Output): Promise<number> {
  const asked = await ask('auto', 'DELETE', pathOf('overrides', target), undefined, options, output);
  if (typeof asked === 'number') return asked;
  const { reply } = asked;
  if (options.json) return printJson(reply, output);
  for (const vip of listOf(reply, 'vips')) output.out(`${vip} is given back to the probes`);
  warnOf(reply, output);
  return EXIT.OK;
}

/** `text` is a number from 0 to 65535, or `auto`. */
export async function setWeight(target: string, text: string, options: StateOptions, output: Output): Promise<number> {
  const weight = text === 'auto' ? undefined : parseInteger(text);
  if (text !== 'auto' && (weight === undefined || weight < 0 || weight > 65_535)) {
    return fail('weight', `${text} is no weight: 0 (standby) to 65535, or auto for the file's`, EXIT.USAGE, output);
  }
  const { reason } = options;
  const path = pathOf('weights', target);
  const body = { weight, ...(reason === undefined ? {} : { reason }) };
  const asked =
    weight === undefined
      ? await ask('weight', 'DELETE', path, undefined, options, output)
      : await ask('weight', 'PUT', path, body, options, output);
  if (typeof asked === 'number') return asked;
  const { reply } = asked;
  if (options.json) return printJson(reply, output);
  for (const vip of listOf(reply, 'vips')) {
    output.out(weight === undefined ? `${vip} has its weight from the file again` : `${vip} weighs ${String(weight)}`);
  }
  if (weight === 0) output.out('0 is standby: it is answered with only where every other VIP is unavailable.');
  warnOf(reply, output);
  return EXIT.OK;
}

export async function reload(options: ControlOptions & { readonly force?: boolean }, output: Output): Promise<number> {
  const found = reach(options);
  if (!found.ok) return fail('reload', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const reply = await callApi(found.api, 'POST', `/api/v1/reload${options.force === true ? '?force=true' : ''}`, {});
  const value = reply.ok ? reply.value : reply.problem;
  const diagnostics = diagnosticsOf(value, reply.ok ? 'warnings' : 'diagnostics');
  if (options.json && isRecord(value)) {
    printJson(value, output);
    return reply.ok ? EXIT.OK : EXIT.FAILED;
  }
  showDiagnostics(diagnostics, output);
  if (!reply.ok) {
    // With its diagnostics shown, the first of them need not be said again.
    const generation = isRecord(value) ? value['generation'] : undefined;
    const short = `refused: nothing was changed, generation ${String(generation)} goes on`;
    return refused('reload', reply, found.api, reply.status === 422 ? short : reply.message, output);
  }
  const generation = isRecord(value) ? String(value['generation']) : '?';
  const warned = diagnostics.length === 0 ? '' : `, with ${plural(diagnostics.length, 'warning')}`;
  output.out(`generation ${generation} is served${warned}`);
  return EXIT.OK;
}

/** Looks again and again, since the moment moves when others change things; resolves to the exit code. */
async function waitUntilSafe(target: string, api: Api, output: Output, quiet: boolean, time: Waiting): Promise<number> {
  for (;;) {
    const listed = await callApi(api, 'GET', '/api/v1/health');
    if (!listed.ok) return fail('drain', listed.message, EXIT.FAILED, output);
    const times = drainedOf(listed.value, target);
    if (times.length === 0) return fail('drain', `somebody took the drain of ${target} back`, EXIT.FAILED, output);
    const last = Math.max(...times.map((safeAt) => (safeAt === null ? Infinity : Date.parse(safeAt))));
    if (last === Infinity) return fail('drain', `${target} goes on being answered with`, EXIT.FAILED, output);
    const leftMs = last - time.wallMs();
    if (leftMs <= 0) {
      if (!quiet) output.out('Safe to stop now.');
      return EXIT.OK;
    }
    await time.sleep(Math.min(leftMs, LOOK_AGAIN_MS));
  }
}

const LOOK_AGAIN_MS = 5000;

/** `safe_at` of each VIP that the target means and that is drained. */
function drainedOf(vips: unknown, target: string): readonly (string | null)[] {
  const slash = target.lastIndexOf('/');
  const service = target.slice(0, Math.max(slash, 0)).toLowerCase().replace(/\.$/, '');
  const last = target.slice(slash + 1);
  return (Array.isArray(vips) ? vips : []).filter(isRecord).flatMap((vip) => {
    if (slash >= 0 && vip['service'] !== service) return [];
    if (last.startsWith('@') ? vip['region'] !== last.slice(1) : vip['vip'] !== last) return [];
    const override = vip['override'];
    if (!isRecord(override) || override['state'] !== 'drain') return [];
    return [typeof override['safe_at'] === 'string' ? override['safe_at'] : null];
  });
}

function stateWords(state: string, reply: Readonly<Record<string, unknown>>, nowMs: number): readonly string[] {
  const until = reply['until'];
  const end = typeof until === 'string' ? ` until ${clockTime(until)}` : '';
  const what = state === 'drain' ? 'is drained: no new answer names it' : `is forced ${state}`;
  const lines = listOf(reply, 'vips').map((vip) => `${vip} ${what}${end}`);
  const safeAt = reply['safe_at'];
  if (typeof safeAt !== 'string') return lines;
  const seconds = Math.max(0, Math.ceil((Date.parse(safeAt) - nowMs) / 1000));
  return [...lines, `Safe to stop at ${clockTime(safeAt)}, in ${String(seconds)} s: then the last answer has expired.`];
}

/** `2026-11-20 21:00:00 UTC`: the same for everybody who is called in the night. */
function clockTime(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** What the server has to say besides; to stderr, as it is not the report. */
function warnOf(reply: Readonly<Record<string, unknown>>, output: Output): void {
  const kind = reply['safe_at'] === null ? 'Not safe to stop' : 'Warning';
  for (const warning of listOf(reply, 'warnings')) output.error(output.styleError('yellow', `${kind}: ${warning}`));
  if (reply['saved'] === false) {
    const message = "it could not be written to the server's state_dir: it holds until the server ends";
    output.error(output.styleError('yellow', `Warning: ${message}`));
  }
}

type Asked = { readonly reply: Readonly<Record<string, unknown>>; readonly api: Api };

/** The reply, or the exit code once the reason has been said. */
async function ask(
  command: string,
  method: string,
  path: string,
  body: unknown,
  options: ReachOptions,
  output: Output,
): Promise<Asked | number> {
  const found = reach(options);
  if (!found.ok) return fail(command, found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const reply: ApiReply = await callApi(found.api, method, path, body);
  if (!reply.ok) {
    return refused(command, reply, found.api, reply.message, output);
  }
  if (isRecord(reply.value)) return { reply: reply.value, api: found.api };
  return fail(command, `${found.api.url} did not answer as a Pharos of this version does`, EXIT.FAILED, output);
}

/** Says why, and what to do where the command line could do it. */
function refused(command: string, { status }: ApiReply & { ok: false }, api: Api, why: string, output: Output): number {
  const isTokenWanted = status === 401 && api.token === undefined;
  const message = isTokenWanted ? 'the server wants its token: give --token, or set PHAROS_TOKEN' : why;
  return fail(command, message, status === 400 ? EXIT.USAGE : EXIT.FAILED, output);
}

/** A TARGET may have any character; the slash within it stands as it is. */
function pathOf(kind: 'overrides' | 'weights', target: string): string {
  return `/api/v1/${kind}/${target.split('/').map(encodeURIComponent).join('/')}`;
}

function isLasting(text: string): boolean {
  return (parseDurationMs(text) ?? 0) > 0;
}

function printJson(value: unknown, output: Output): number {
  output.out(JSON.stringify(value, undefined, 2));
  return EXIT.OK;
}

function listOf(value: Readonly<Record<string, unknown>>, key: string): readonly string[] {
  const list = value[key];
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
}

function diagnosticsOf(value: unknown, key: string): readonly Diagnostic[] {
  const list = isRecord(value) ? value[key] : undefined;
  return Array.isArray(list) ? list.filter(isDiagnostic) : [];
}

function isDiagnostic(value: unknown): value is Diagnostic {
  return isRecord(value) && typeof value['message'] === 'string' && isRecord(value['place']);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
