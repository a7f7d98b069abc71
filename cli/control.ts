/**
 * `pharos drain`, `up`, `down`, `auto`, `weight` and `reload`: change a running server through its API.
 */
import type { Diagnostic } from '../config/diagnostics.ts';
import { parseDurationMs, parseInteger } from '../config/units.ts';
import { isRecord } from '../config/unknown-values.ts';
import type { SimulatedOrder, Simulation } from '../server/forecast/simulate-failure.ts';
import { callApi, shownUrl, type Api, type ApiReply } from './api-client.ts';
import { aboutServer, reachAll, repliesJson, type ReachAllOptions, type ServerReply } from './find-server.ts';
import { EXIT, fail, plural, showDiagnostics, type Output } from './output.ts';
import { startProgress } from './progress.ts';
import { renderSimulation } from './render-simulation.ts';
import { isSimulation } from './simulate.ts';

/** How the servers are found, and whether the reply is printed as JSON. */
export type ControlOptions = ReachAllOptions & {
  readonly json: boolean;
  /** Change one node of a fleet alone. */
  readonly local?: boolean;
  /** Show which clients would move, and change nothing. */
  readonly dryRun?: boolean;
};

/**
 * `forText` as on the command line: `30m`. `wait`: a drain waits until it is safe to stop. `force`: drain even if a
 * service is left without an available VIP.
 */
export type StateOptions = ControlOptions & {
  readonly forText: string | undefined;
  readonly reason: string | undefined;
  readonly wait?: boolean;
  readonly force?: boolean;
};

/** Time is an argument, so that tests control it. */
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
  const { forText, reason, wait = false, force = false } = options;
  if (forText !== undefined && !isLasting(forText)) {
    const message = `invalid duration "${forText}" for --for; use a unit, such as 30m or 2h`;
    return fail(state, message, EXIT.USAGE, output);
  }
  if (options.dryRun === true) return showEffect(state, { target, state }, options, output);
  const body = {
    state,
    ...(forText === undefined ? {} : { for: forText }),
    ...(reason === undefined ? {} : { reason }),
    ...(state === 'drain' ? { force } : {}),
  };
  const asked = await askAll(state, 'PUT', pathOf('overrides', target, options), body, options, output);
  if (typeof asked === 'number') return asked;
  const { reply, apis, code } = asked;
  if (options.json && !wait) return printJson(reply, output, code);
  if (!options.json) for (const line of stateWords(state, asked, time.wallMs())) output.out(line);
  warnOf(reply, output);
  if (!wait || code !== EXIT.OK) return code;
  const confirmed = { atMs: time.wallMs() };
  const [look, safe] =
    reply['scope'] === 'fleet'
      ? [() => leftInFleet(target, apis, confirmed, output, time), 'Safe to stop now, on all nodes.']
      : [() => leftOnServers(target, apis, output, time), 'Safe to stop now.'];
  const waited = await waitUntilSafe(look, safe, output, options.json, time);
  if (options.json && waited === EXIT.OK) printJson(reply, output);
  return waited;
}

export async function giveBack(
  target: string,
  options: ControlOptions & Partial<Pick<StateOptions, 'reason'>>,
  output: Output,
): Promise<number> {
  if (options.dryRun === true) return showEffect('auto', { target, state: 'auto' }, options, output);
  const asked = await askAll(
    'auto',
    'DELETE',
    pathOf('overrides', target, options, options.reason),
    undefined,
    options,
    output,
  );
  if (typeof asked === 'number') return asked;
  const { reply, code } = asked;
  if (options.json) return printJson(reply, output, code);
  for (const vip of listOf(reply, 'vips')) output.out(`${vip}: override cleared; health checks decide again`);
  warnOf(reply, output);
  return code;
}

/** `text` is a number from 0 to 65535, or `auto`. */
export async function setWeight(target: string, text: string, options: StateOptions, output: Output): Promise<number> {
  const weight = text === 'auto' ? undefined : parseInteger(text);
  if (text !== 'auto' && (weight === undefined || weight < 0 || weight > 65_535)) {
    const message = `invalid weight "${text}"; use 0 (standby) to 65535, or auto for the weight in the file`;
    return fail('weight', message, EXIT.USAGE, output);
  }
  if (options.dryRun === true) return showEffect('weight', { target, weight: weight ?? null }, options, output);
  const { reason } = options;
  const path = pathOf('weights', target, options, weight === undefined ? reason : undefined);
  const body = { weight, ...(reason === undefined ? {} : { reason }) };
  const asked =
    weight === undefined
      ? await askAll('weight', 'DELETE', path, undefined, options, output)
      : await askAll('weight', 'PUT', path, body, options, output);
  if (typeof asked === 'number') return asked;
  const { reply, code } = asked;
  if (options.json) return printJson(reply, output, code);
  for (const vip of listOf(reply, 'vips')) {
    output.out(
      weight === undefined ? `${vip} has the weight of the zone file again` : `${vip} has weight ${String(weight)}`,
    );
  }
  if (weight === 0 && listOf(reply, 'vips').length > 0)
    output.out('0 is standby: DNS answers name it only while every other VIP is unavailable.');
  warnOf(reply, output);
  return code;
}

/** Shows the effect of an order without giving it: each server has its own health, so each says what it would do. */
async function showEffect(
  command: string,
  order: SimulatedOrder,
  options: ControlOptions,
  output: Output,
): Promise<number> {
  const found = reachAll(options);
  if (!found.ok) return fail(command, found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const { apis } = found;
  using _progress = startProgress([`Waiting for ${plural(apis.length, 'server')}`], output);
  const asked = await Promise.all(
    apis.map(async (api) => ({ api, reply: await callApi(api, 'POST', '/api/v1/simulate', { order }) })),
  );
  let code: number = EXIT.OK;
  const replies = asked.map(({ api, reply }): ServerReply => {
    if (reply.ok && isSimulation(reply.value)) return { api, ok: true, value: reply.value };
    const message = reply.ok
      ? `${shownUrl(api)} did not return a simulation; is it a Pharos server of this version?`
      : refusalWords(reply, api);
    code = fail(command, aboutServer(message, api, apis.length), EXIT.FAILED, output);
    return { api, ok: false, message };
  });
  const [first] = replies;
  if (options.json) {
    if (apis.length > 1) return printJson({ servers: repliesJson(replies) }, output, code);
    return first?.ok === true ? printJson(first.value, output, code) : code;
  }
  for (const reply of replies) {
    if (!reply.ok) continue;
    if (apis.length > 1) output.out(`${shownUrl(reply.api)}:`);
    output.out(renderSimulation(reply.value as Simulation, false, output.style));
  }
  if (code === EXIT.OK) output.out(`\n${output.style('yellow', '--dry-run: nothing was changed.')}`);
  return code;
}

/** Each of several servers reads its own files, so one may reject a reload that another accepts. */
export async function reload(options: ControlOptions & { readonly force?: boolean }, output: Output): Promise<number> {
  const found = reachAll(options);
  if (!found.ok) return fail('reload', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const { apis } = found;
  const path = `/api/v1/reload${options.force === true ? '?force=true' : ''}`;
  using _progress = startProgress([`Waiting for ${plural(apis.length, 'server')}`], output);
  const asked = await Promise.all(apis.map(async (api) => ({ api, reply: await callApi(api, 'POST', path, {}) })));
  const [first] = asked;
  const code = asked.every(({ reply }) => reply.ok) ? EXIT.OK : EXIT.FAILED;
  if (options.json && apis.length > 1) {
    const replies = asked.map(({ api, reply }) =>
      reply.ok
        ? { api, ...reply }
        : { api, ok: false as const, message: refusalWords(reply, api), problem: reply.problem },
    );
    return printJson({ servers: repliesJson(replies) }, output, code);
  }
  const only = first?.reply.ok === true ? first.reply.value : first?.reply.problem;
  // Without a document, the server was not reached.
  if (options.json && isRecord(only)) return printJson(only, output, code);
  const codes = asked.map(({ api, reply }) => showReload(reply, api, apis.length, output));
  return apis.length === 1 ? (codes[0] ?? code) : code;
}

/** Prints the reply of one server, and returns the exit code. */
function showReload(reply: ApiReply, api: Api, servers: number, output: Output): number {
  const value = reply.ok ? reply.value : reply.problem;
  const diagnostics = diagnosticsOf(value, reply.ok ? 'warnings' : 'diagnostics');
  const generation = isRecord(value) ? String(value['generation']) : '?';
  showDiagnostics(diagnostics, output);
  if (!reply.ok) {
    // The diagnostics are shown above: the message does not repeat the first one.
    const short = `Reload rejected; still serving generation ${generation}`;
    const why = reply.status === 422 ? short : refusalWords(reply, api);
    return fail('reload', aboutServer(why, api, servers), reply.status === 400 ? EXIT.USAGE : EXIT.FAILED, output);
  }
  const warned = diagnostics.length === 0 ? '' : `, with ${plural(diagnostics.length, 'warning')}`;
  output.out(aboutServer(`generation ${generation} is served${warned}`, api, servers));
  return EXIT.OK;
}

/** The time until it is safe to stop, in milliseconds; or the exit code, after the reason of a failure was printed. */
type LeftUntilSafe = { readonly leftMs: number } | { readonly code: number };

/** Checks repeatedly, because other changes may move the time. Resolves to the exit code. */
async function waitUntilSafe(
  look: () => Promise<LeftUntilSafe>,
  safe: string,
  output: Output,
  quiet: boolean,
  time: Waiting,
): Promise<number> {
  for (;;) {
    const found = await look();
    if ('code' in found) return found.code;
    if (found.leftMs <= 0) {
      if (!quiet) output.out(safe);
      return EXIT.OK;
    }
    await time.sleep(Math.min(found.leftMs, LOOK_AGAIN_MS));
  }
}

function failedDrain(why: string, output: Output): LeftUntilSafe {
  return { code: fail('drain', why, EXIT.FAILED, output) };
}

/** Drains of single servers: the latest of their times. */
async function leftOnServers(
  target: string,
  apis: readonly Api[],
  output: Output,
  time: Waiting,
): Promise<LeftUntilSafe> {
  const times: (string | null)[] = [];
  for (const api of apis) {
    const listed = await callApi(api, 'GET', '/api/v1/health');
    if (!listed.ok) return failedDrain(listed.message, output);
    const found = drainedOf(listed.value, target);
    if (found.length === 0) return failedDrain(`the drain of ${target} was cleared`, output);
    times.push(...found);
  }
  const last = Math.max(...times.map((safeAt) => (safeAt === null ? Infinity : Date.parse(safeAt))));
  return last === Infinity ? failedDrain(`DNS answers still name ${target}`, output) : { leftMs: last - time.wallMs() };
}

/** How long to wait for nodes that have not confirmed a drain. */
const CONFIRM_MS = 15_000;

/**
 * A drain in a fleet: every node must confirm it within CONFIRM_MS. `confirmed`: the last time at which all nodes had.
 */
async function leftInFleet(
  target: string,
  [api]: readonly Api[],
  confirmed: { atMs: number },
  output: Output,
  time: Waiting,
): Promise<LeftUntilSafe> {
  const listed = api && (await callApi(api, 'GET', '/api/v1/fleet'));
  if (listed?.ok !== true) return failedDrain(listed?.message ?? 'no server', output);
  const drain = drainInFleet(listed.value, target);
  if (drain === undefined) return failedDrain(`the drain of ${target} was cleared`, output);
  const { safeAt, waitingFor } = drain;
  if (safeAt !== undefined) {
    confirmed.atMs = time.wallMs();
    return { leftMs: Date.parse(safeAt) - time.wallMs() };
  }
  if (time.wallMs() - confirmed.atMs < CONFIRM_MS) return { leftMs: CONFIRM_AGAIN_MS };
  const why =
    waitingFor.length === 0
      ? `DNS answers still name ${target}`
      : `${waitingFor.join(', ')} ${waitingFor.length === 1 ? 'has' : 'have'} not confirmed the drain, and may still answer with ${target}`;
  return failedDrain(why, output);
}

const CONFIRM_AGAIN_MS = 1000;

function drainInFleet(
  document: unknown,
  target: string,
): { readonly safeAt: string | undefined; readonly waitingFor: readonly string[] } | undefined {
  const drains = isRecord(document) && Array.isArray(document['drains']) ? document['drains'] : [];
  const wanted = target.toLowerCase();
  const found = drains.filter(isRecord).find((drain) => String(drain['target']).toLowerCase() === wanted);
  if (found === undefined) return undefined;
  const safeAt = found['safe_at'];
  return { safeAt: typeof safeAt === 'string' ? safeAt : undefined, waitingFor: listOf(found, 'waiting_for') };
}

const LOOK_AGAIN_MS = 5000;

/** `safe_at` of each drained VIP of the target. */
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

function stateWords(state: 'up' | 'down' | 'drain', { reply, apis, servers }: Asked, nowMs: number): readonly string[] {
  const until = reply['until'];
  const end = typeof until === 'string' ? ` until ${dayTime(until)}` : '';
  const named = new Set(listOf(reply, 'still_named'));
  const lines = listOf(reply, 'vips').flatMap((vip) => {
    if (state !== 'drain') return [`${vip} is forced ${state}${end}`];
    // Answers still contain the VIP. A warning has the reason.
    return named.has(vip) ? [] : [`Draining ${vip}: removed from DNS answers${end}`];
  });
  if (state === 'drain' && lines.length > 0) {
    lines.push(reply['scope'] === 'fleet' ? fleetWords(reply) : whereWords(apis, servers));
  }
  const safeAt = reply['safe_at'];
  if (typeof safeAt !== 'string') return lines;
  const seconds = Math.max(0, Math.ceil((Date.parse(safeAt) - nowMs) / 1000));
  const moment = seconds < DAY_SECONDS ? `${safeAt.slice(11, 19)} UTC` : dayTime(safeAt);
  return [...lines, `Safe to stop at ${moment} (in ${String(seconds)} s), when cached answers expire.`];
}

const DAY_SECONDS = 86_400;

/** Where a drain of the fleet holds. The warnings of the reply have the consequences. */
function fleetWords(reply: Readonly<Record<string, unknown>>): string {
  const [waitingFor, kept] = [listOf(reply, 'waiting_for'), listOf(reply, 'kept')];
  if (waitingFor.length > 0) return `Not yet on all nodes of the fleet: not confirmed by ${waitingFor.join(', ')}.`;
  if (kept.length > 0) return `On all nodes of the fleet, but not ${kept.join(', ')} on this node.`;
  return 'On all nodes of the fleet.';
}

/** Each server has its own overrides. */
function whereWords(apis: readonly Api[], servers: number): string {
  if (servers === 1) return 'On this server only: other servers of the same zones still answer with it.';
  const which = apis.map(({ url }) => url).join(', ');
  if (apis.length < servers) return `On ${apis.length} of ${servers} servers only: ${which}`;
  return `On these ${servers} servers only: ${which}`;
}

/** `2026-11-20 21:00:00 UTC`, for readers in every time zone. */
function dayTime(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** Prints the warnings of a reply to stderr, since they are not part of the report. */
function warnOf(reply: Readonly<Record<string, unknown>>, output: Output): void {
  const kind = reply['safe_at'] === null && reply['state'] !== 'up' ? 'Not safe to stop' : 'Warning';
  for (const warning of listOf(reply, 'warnings')) output.error(output.styleError('yellow', `${kind}: ${warning}`));
  const falsified = listOf(reply, 'no_longer_safe');
  if (falsified.length > 0) {
    const message = `No longer safe to stop: ${falsified.join(', ')}. DNS answers name ${falsified.length === 1 ? 'it' : 'them'} again.`;
    output.error(output.styleError('yellow', message));
  }
  if (reply['saved'] === false) {
    const message = "the change could not be saved in the server's state_dir: it is lost when the server stops";
    output.error(output.styleError('yellow', `Warning: ${message}`));
  }
}

/**
 * `reply` combines the replies of all servers. `apis` are the servers that made the change, of `servers` in total.
 * `code` is the exit code if nothing else fails.
 */
type Asked = {
  readonly reply: Readonly<Record<string, unknown>>;
  readonly apis: readonly Api[];
  readonly servers: number;
  readonly code: number;
};

/** Sends the request to every server. If none made the change, prints the reasons and returns the exit code. */
async function askAll(
  command: string,
  method: string,
  path: string,
  body: unknown,
  options: ControlOptions,
  output: Output,
): Promise<Asked | number> {
  const found = reachAll(options);
  if (!found.ok) return fail(command, found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const { apis } = found;
  const asked = await Promise.all(apis.map(async (api) => ({ api, reply: await callApi(api, method, path, body) })));
  const done: { readonly api: Api; readonly value: Readonly<Record<string, unknown>> }[] = [];
  const failed: { readonly api: Api; readonly message: string }[] = [];
  let code: number = EXIT.OK;
  for (const { api, reply } of asked) {
    if (reply.ok && isRecord(reply.value)) {
      done.push({ api, value: reply.value });
      continue;
    }
    const why = reply.ok
      ? `${shownUrl(api)} did not return the expected document; is it a Pharos server of this version?`
      : refusalWords(reply, api);
    const message = aboutServer(why, api, apis.length);
    failed.push({ api, message });
    const alone = fail(command, message, !reply.ok && reply.status === 400 ? EXIT.USAGE : EXIT.FAILED, output);
    code = apis.length === 1 ? alone : EXIT.FAILED;
  }
  const [first] = done;
  if (first === undefined) return code;
  const { length: servers } = apis;
  const reply = servers === 1 ? first.value : together(done, failed);
  return { reply, apis: done.map(({ api }) => api), servers, code };
}

/** Combines the replies of several servers. Safe to stop is the latest of their times, and unknown if one failed. */
function together(
  done: readonly { readonly api: Api; readonly value: Readonly<Record<string, unknown>> }[],
  failed: readonly { readonly api: Api; readonly message: string }[],
): Readonly<Record<string, unknown>> {
  const values = done.map(({ value }) => value);
  const all = (key: string): readonly string[] => [...new Set(values.flatMap((value) => listOf(value, key)))];
  const times = values.map((value) => value['safe_at']);
  const isSafe = failed.length === 0 && times.every((time) => typeof time === 'string');
  const missing = failed.map(({ api }) => `not changed on ${shownUrl(api)}`);
  return {
    ...values[0],
    vips: all('vips'),
    kept: all('kept'),
    warnings: all('warnings'),
    ...('safe_at' in (values[0] ?? {})
      ? {
          safe_at: isSafe ? (times.toSorted().at(-1) ?? null) : null,
          still_named: all('still_named'),
          no_longer_safe: all('no_longer_safe'),
          warnings: [...all('warnings'), ...missing],
        }
      : {}),
    saved: values.every((value) => value['saved'] !== false),
    servers: repliesJson([
      ...done.map((each) => ({ ...each, ok: true as const })),
      ...failed.map((each) => ({ ...each, ok: false as const })),
    ]),
  };
}

/** The reason of a refusal, with a hint for the command line. */
function refusalWords({ status, message, problem }: ApiReply & { ok: false }, api: Api): string {
  if (status === 401 && api.token === undefined)
    return 'the server requires a token: give --token, or set PHAROS_TOKEN';
  const isLast = status === 409 && isRecord(problem) && problem['parameter'] === 'force';
  return isLast ? `${String(problem['detail'])}; use --force to drain it anyway` : message;
}

/** Encodes a TARGET for a path. The slash within it is kept. `reason`: of a DELETE, which has no body. */
function pathOf(
  kind: 'overrides' | 'weights',
  target: string,
  { local = false }: ControlOptions,
  reason?: string,
): string {
  const query = [...(local ? ['scope=node'] : []), ...(reason === undefined ? [] : [`reason=${encodeURIComponent(reason)}`])]; // prettier-ignore
  const path = `/api/v1/${kind}/${target.split('/').map(encodeURIComponent).join('/')}`;
  return query.length === 0 ? path : `${path}?${query.join('&')}`;
}

function isLasting(text: string): boolean {
  return (parseDurationMs(text) ?? 0) > 0;
}

function printJson(value: unknown, output: Output, code: number = EXIT.OK): number {
  output.out(JSON.stringify(value, undefined, 2));
  return code;
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
