/**
 * One system call of a real server fails once: while it starts, reloads, updates, drains or stops. Afterwards the
 * promises of docs/guarantees.md hold: it answers, or it stopped with a clear message; what was confirmed is kept, also
 * over `kill -9`; what was refused changed nothing; and the next attempt succeeds.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, serve, start, type Served } from '../support/process.ts';
import { ask, change, keyNamed, sendUpdate, UPDATE_SECRET } from '../support/update-client.ts';
import { createFaultLibrary, type Fault, type FaultLibrary } from './faults-library.ts';

export const PHASES = ['start', 'reload', 'update', 'drain', 'stop'] as const;
export type Phase = (typeof PHASES)[number];

export type FaultTrial = { readonly phase: Phase; readonly fault: Fault };
/** `hit`: the call was made, so it failed. `outcome`: what the server did. `problem`: a promise that did not hold. */
export type FaultOutcome = FaultTrial & {
  readonly hit: boolean;
  readonly outcome: string;
  readonly problem: string | undefined;
};

const ZONE = 'example.com';
const TOKEN = 'a-token-of-the-faults-77aa';
const VIPS = ['192.0.2.10', '192.0.2.11'] as const;

/** A server under test, which may be started again. */
type Bench = {
  readonly library: FaultLibrary;
  readonly folder: string;
  readonly port: number;
  server: Served | undefined;
  /** The number that the files have, and that of the last reload that was confirmed. */
  written: number;
  served: number;
  /** The text of the last confirmed update, and of the last one sent. */
  confirmed: number;
  sent: number;
  isDrained: boolean;
  /** Whether an order was refused: then either state is right. */
  isUnsure: boolean;
};

/** Tries all trials, one after the other, on servers that live as long as they can. */
export async function runFaults(
  trials: readonly FaultTrial[],
  tell: (outcome: FaultOutcome) => void,
): Promise<readonly FaultOutcome[]> {
  using library = createFaultLibrary();
  const target = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
  await new Promise((listening) => target.once('listening', listening));
  const targetPort = (target.address() as AddressInfo).port;
  const [port, statusPort] = [await freePort(), await freePort()];
  using folder = folderOf({
    'small.mmdb': NO_GEOGRAPHY['small.mmdb'] ?? '',
    'pharos.yaml': settings(port, statusPort),
    'zones/example.com.yaml': zone(0, targetPort),
  });
  const bench: Bench = {
    ...{ library, folder: folder.path, port, server: undefined, written: 0, served: 0, confirmed: 0, sent: 0 },
    ...{ isDrained: false, isUnsure: false },
  };
  const outcomes: FaultOutcome[] = [];
  try {
    for (const trial of trials) {
      let outcome: FaultOutcome;
      try {
        const { hit, outcome: did } = await tryFault(bench, trial, targetPort);
        outcome = { ...trial, hit, outcome: did, problem: undefined };
      } catch (error) {
        outcome = { ...trial, hit: library.disarm() > 0, outcome: 'promise broken', problem: String(error) };
        await bench.server?.stop('SIGKILL');
        bench.server = undefined;
        // The next trial begins with what the files and the state folder have.
        bench.isUnsure = true;
        bench.confirmed = 0;
      }
      outcomes.push(outcome);
      tell(outcome);
    }
    return outcomes;
  } finally {
    await bench.server?.stop('SIGKILL');
    target.close();
  }
}

function settings(port: number, statusPort: number): string {
  return `listen: "127.0.0.1:${port}"
status: { listen: "127.0.0.1:${statusPort}", token: ${TOKEN} }
geo: { databases: [small.mmdb] }
health: { wait: 20s }
transfer: { keys: { all: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } } }
updates: [{ key: all, names: ["*.dyn"], types: [TXT] }]
`;
}

/** Both records have the number of the reload: a generation has both or neither. */
function zone(number: number, targetPort: number): string {
  return `zone: ${ZONE}
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  one: { A: 10.0.${number >> 8}.${number & 255} }
  two: { A: 10.0.${number >> 8}.${number & 255} }
  dyn: { TXT: base }
checks: { web: { type: http, path: /, interval: 1s, timeout: 10s, fast: 200ms, fall: 2, rise: 1 } }
services:
  www: { ttl: 5, check: web, vips: { a: { A: ${VIPS[0]}, probe: "127.0.0.1:${targetPort}" }, b: { A: ${VIPS[1]}, probe: "127.0.0.1:${targetPort}" } }, steer: [failover: [a, b]] }
`;
}

async function tryFault(
  bench: Bench,
  { phase, fault }: FaultTrial,
  targetPort: number,
): Promise<{ hit: boolean; outcome: string }> {
  if (phase === 'start') return tryStart(bench, fault);
  await ensureServer(bench);
  if (phase === 'stop') return tryStop(bench, fault);
  bench.library.arm(fault);
  const outcome = await act(bench, phase, targetPort);
  await answerOf(bench, `ns1.${ZONE}`, T.A);
  const hit = bench.library.disarm() > 0;
  await judge(bench);
  // The fault is over: the same succeeds now.
  const again = await act(bench, phase, targetPort);
  if (again !== 'done') throw new Error(`after the fault, ${phase} is refused too: ${again}`);
  await judge(bench);
  return { hit, outcome };
}

/** Starts a server without faults, and looks whether it has what was confirmed before. */
async function ensureServer(bench: Bench): Promise<void> {
  if (bench.server) return;
  bench.library.disarm();
  bench.server = await serve([], { cwd: bench.folder, env: bench.library.env });
  bench.served = bench.written;
  await judge(bench);
}

/** It serves, or it ends with words for people. */
async function tryStart(bench: Bench, fault: Fault): Promise<{ hit: boolean; outcome: string }> {
  await bench.server?.stop('SIGKILL');
  bench.server = undefined;
  bench.library.arm(fault);
  const starting = start(['serve'], { cwd: bench.folder, env: bench.library.env });
  const serving = starting.until(/"listen":\["[^"]*:(\d+)"\],"status":"(http[^"]*)\/".*"msg":"serving"/, PATIENCE_MS);
  const ended = await Promise.race([
    serving.then(
      () => undefined,
      () => undefined,
    ),
    starting.finished,
  ]);
  const hit = bench.library.disarm() > 0;
  if (ended) {
    if (ended.code === 0) throw new Error('it ended with 0 without serving');
    // Node.js ends itself if it cannot create its own first threads: the service manager starts it again.
    const isAbort = fault.call === 'thread' && (typeof ended.code === 'string' || ended.code > 128);
    if (isAbort) {
      await ensureServer(bench);
      return { hit, outcome: `Node.js ended itself: ${ended.stderr.trim().split('\n')[0] ?? ''}` };
    }
    if (typeof ended.code === 'string') throw new Error(`${ended.code} ended it: ${ended.stderr.slice(-400)}`);
    if (/\n\s+at .*[:(]\d+/.test(ended.stderr)) throw new Error(`a stack trace: ${ended.stderr.slice(-600)}`);
    if (ended.stderr.trim() === '' && ended.stdout.trim() === '')
      throw new Error(`it ended with ${ended.code} without a word`);
    return {
      hit,
      outcome: `ended with ${ended.code}: ${(ended.stderr.trim() || ended.stdout.trim()).split('\n')[0] ?? ''}`,
    };
  }
  // Node.js waits forever for threads of its own that it could not create: before any of this project's code.
  const line = await serving.catch(async (error: unknown) => {
    await starting.stop('SIGKILL');
    if (fault.call === 'thread' && starting.stdout() === '' && starting.stderr() === '') return undefined;
    throw new Error(`it neither serves nor ends: ${String(error).slice(-600)}`);
  });
  if (!line) {
    await ensureServer(bench);
    return { hit, outcome: 'Node.js waits for its own threads' };
  }
  bench.server = { ...starting, port: Number(line[1]), api: line[2] ?? '' };
  bench.served = bench.written;
  await judge(bench);
  return { hit, outcome: 'serves' };
}

/** It ends, and a server that starts then has what was confirmed. */
async function tryStop(bench: Bench, fault: Fault): Promise<{ hit: boolean; outcome: string }> {
  bench.library.arm(fault);
  const limit = AbortSignal.timeout(PATIENCE_MS);
  const late = once(limit, 'abort').then(() => undefined);
  const ended = await Promise.race([bench.server?.stop(), late]);
  if (limit.aborted) throw new Error('it does not end');
  bench.server = undefined;
  const hit = bench.library.disarm() > 0;
  if (ended?.code !== 0) throw new Error(`it ended with ${String(ended?.code)}: ${ended?.stderr.slice(-400) ?? ''}`);
  await ensureServer(bench);
  return { hit, outcome: 'ended with 0' };
}

async function act(bench: Bench, phase: Exclude<Phase, 'start' | 'stop'>, targetPort: number): Promise<string> {
  switch (phase) {
    case 'reload':
      return reload(bench, targetPort);
    case 'update':
      return update(bench);
    case 'drain':
      return drain(bench);
  }
}

async function reload(bench: Bench, targetPort: number): Promise<string> {
  bench.written++;
  writeFileSync(join(bench.folder, 'zones/example.com.yaml'), zone(bench.written, targetPort));
  const reply = await call(bench, 'POST', '/api/v1/reload');
  if (!reply.ok) return reply.text;
  bench.served = bench.written;
  return 'done';
}

async function update(bench: Bench): Promise<string> {
  bench.sent++;
  const updates = ['counter.dyn ANY TXT', `counter.dyn IN TXT "${bench.sent}"`].map((line) => change(ZONE, line));
  // Without a response, the client repeats it, as nsupdate does.
  let rcode: number | undefined;
  for (let tries = 0; tries < 3 && rcode === undefined; tries++) {
    rcode = await sendUpdate(bench.port, { zone: ZONE, updates }, keyNamed('all'), 10_000);
  }
  if (rcode !== 0) return `RCODE ${String(rcode)}`;
  bench.confirmed = bench.sent;
  return 'done';
}

/** Drains the first VIP, or gives it back. */
async function drain(bench: Bench): Promise<string> {
  const target = `/api/v1/overrides/${encodeURIComponent(`www.${ZONE}/a`)}`;
  const reply = bench.isDrained
    ? await call(bench, 'DELETE', target)
    : await call(bench, 'PUT', target, JSON.stringify({ state: 'drain', reason: 'fault' }));
  bench.isUnsure = !reply.ok;
  if (!reply.ok) return reply.text;
  bench.isDrained = !bench.isDrained;
  return reply.text.includes('"saved":true') ? 'done' : 'applied, and said not to be saved';
}

class ServerError extends Error {}

/** A request; without a response it is repeated, since a connection may be what failed. */
async function call(
  { server }: Bench,
  method: string,
  path: string,
  body?: string,
): Promise<{ ok: boolean; text: string }> {
  const headers = {
    authorization: `Bearer ${TOKEN}`,
    connection: 'close',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  for (let tries = 1; ; tries++) {
    try {
      const response = await fetch(`${server?.api ?? ''}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      // 422 refuses with the reason; 503 says that an order could not be kept.
      if (response.status === 500) await expectUnread(server, `${method} ${path}`);
      return { ok: response.ok, text: `${response.status} ${text.slice(0, 2000)}` };
    } catch (error) {
      if (error instanceof ServerError) throw error;
      if (tries === 5) return { ok: false, text: String(error) };
    }
  }
}

/**
 * 500 is only for a request that is the first of its kind, whose code could not be read from the disk: it succeeds when
 * it is repeated. Throws if it has another cause. The log may arrive after the response.
 */
async function expectUnread(server: Served | undefined, request: string): Promise<void> {
  const lastLines = (): string => server?.stdout().slice(-4000) ?? '';
  const isTold = (text: string): boolean => text.includes('status server: a request failed');
  await eventually(() => Promise.resolve(lastLines()), isTold).catch((error: unknown) => {
    throw new ServerError(String(error));
  });
  if (!lastLines().includes('node:internal/modules')) throw new ServerError(`500 for ${request}: ${lastLines()}`);
}

/** The answers of this moment are those that were confirmed. */
async function judge(bench: Bench): Promise<void> {
  if (bench.server?.child.exitCode !== null)
    throw new Error(`the server ended: ${bench.server?.stderr().slice(-600) ?? ''}`);
  const [one, two] = [await addressOf(bench, `one.${ZONE}`), await addressOf(bench, `two.${ZONE}`)];
  const wanted = [bench.served, bench.written].map((number) => `0a00${number.toString(16).padStart(4, '0')}`);
  if (one !== two) throw new Error(`half a reload: ${one} and ${two}`);
  if (one === undefined || !wanted.includes(one))
    throw new Error(`${String(one)} is served, not ${wanted.join(' or ')}`);
  const text = await textOf(bench);
  // An update without a response of success may be in force, or not.
  const isKept = text >= bench.confirmed && text <= bench.sent;
  if (!isKept) throw new Error(`update ${text} is served; ${bench.confirmed} was confirmed, ${bench.sent} sent`);
  const vip = await addressOf(bench, `www.${ZONE}`);
  const hex = VIPS.map((address) => Buffer.from(address.split('.').map(Number)).toString('hex'));
  // No healthy target is taken down by a fault of this machine.
  if (!bench.isUnsure && vip !== hex[bench.isDrained ? 1 : 0]) {
    await eventually(
      () => addressOf(bench, `www.${ZONE}`),
      (found) => found === hex[bench.isDrained ? 1 : 0],
      1,
    ).catch(() => {
      throw new Error(`${String(vip)} is answered while ${bench.isDrained ? 'a is drained' : 'both are healthy'}`);
    });
  }
  if (bench.isUnsure) bench.isDrained = vip === hex[1];
  bench.isUnsure = false;
}

async function addressOf(bench: Bench, name: string): Promise<string | undefined> {
  return (await answerOf(bench, name, T.A)).find(({ type }) => type === T.A)?.data;
}

async function textOf(bench: Bench): Promise<number> {
  const data = (await answerOf(bench, `counter.dyn.${ZONE}`, T.TXT)).find(({ type }) => type === T.TXT)?.data;
  return data === undefined ? 0 : Number(Buffer.from(data, 'hex').subarray(1).toString());
}

/** A query is repeated once, as resolvers do: a fault of the network may lose one. */
async function answerOf({ port }: Bench, name: string, type: number) {
  const response =
    (await ask(port, encodeQuery(name, type), 'udp', undefined, 10_000)) ??
    (await ask(port, encodeQuery(name, type), 'udp'));
  if (!response) throw new Error(`no answer for ${name}`);
  return decodeMessage(response).answer;
}
