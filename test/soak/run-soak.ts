/**
 * Runs the installed server under load for minutes or hours, with everything that happens to a server: targets that
 * fail and recover, reloads, updates, orders, new signatures. Then it says whether an answer was lost or wrong, and
 * whether memory, descriptors or threads are other than at the beginning.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeKey } from '../../dnssec/key-files.ts';
import { parseName } from '../../wire/name.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, serve } from '../support/process.ts';
import { createDice, type Dice } from '../support/random.ts';
import { memoryOctets, processTree } from '../support/server-process.ts';
import { change, keyNamed, sendUpdate } from '../support/update-client.ts';
import { settingsText, SIGNED_ZONE, SOAK, TOKEN, zoneText, type SoakReport, type SoakTruth } from './soak-world.ts';

export type SoakOptions = {
  readonly minutes: number;
  /** Queries per second. */
  readonly rate: number;
  readonly reloadSeconds: number;
  readonly seed: number;
  readonly tell: (line: string) => void;
};

export type SoakVerdict = {
  /** In words; empty if all is well. */
  readonly problems: readonly string[];
  readonly report: SoakReport;
  readonly did: Readonly<Record<'reloads' | 'updates' | 'orders' | 'flaps', number>>;
  readonly megabytes: readonly { readonly atSeconds: number; readonly mb: number }[];
  readonly growth: number;
};

/** Memory is compared with that after the warm-up: ten minutes, or 40 % of a short run. */
const WARM_UP_MS = 600_000;
const WARM_UP_SHARE = 0.4;
const MAX_GROWTH = 0.05;
/** A short run ends before the heaps of all threads have their usual size. */
const MAX_SHORT_GROWTH = 0.6;
const SAMPLE_MS = 5000;
/** Connections to targets that failed may close a moment after the end. */
const SPARE_DESCRIPTORS = 6;

type Soak = {
  readonly options: SoakOptions;
  readonly dice: Dice;
  readonly folder: string;
  readonly port: number;
  readonly api: string;
  readonly targets: readonly Target[];
  readonly deadPort: number;
  readonly load: ChildProcess;
  truth: SoakTruth;
  readonly did: Record<'reloads' | 'updates' | 'orders' | 'flaps', number>;
  readonly problems: string[];
  isOver: boolean;
};

type Target = { readonly server: Server; readonly port: number; isHealthy: boolean };

export async function runSoak(options: SoakOptions): Promise<SoakVerdict> {
  const targets = await Promise.all(SOAK.addresses.map(startTarget));
  // A port that refuses connections.
  const deadPort = await freePort();
  const ports = targets.map(({ port }) => port);
  const [port, statusPort] = [await freePort(), await freePort()];
  using folder = folderOf({
    'pharos.yaml': settingsText(port, statusPort),
    'zones/example.com.yaml': zoneText(0, ports, deadPort),
    'zones/example.org.yaml': SIGNED_ZONE,
  });
  mkdirSync(join(folder.path, 'state'), { recursive: true });
  makeKey(join(folder.path, 'state', 'keys'), parseName(`${SOAK.signedZone}.`), Math.floor(Date.now() / 1000));
  await using server = await serve([], { cwd: folder.path });
  const pid = server.child.pid ?? 0;
  const script = fileURLToPath(new URL('soak-load.ts', import.meta.url));
  const load = fork(script, [port, options.rate, options.seed].map(String), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }); // prettier-ignore
  const soak: Soak = {
    ...{ options, dice: createDice(options.seed), folder: folder.path, port, api: server.api, targets, deadPort, load },
    truth: { forbidden: [SOAK.deadAddress], generation: [0, 0], text: [0, 0] },
    ...{ did: { reloads: 0, updates: 0, orders: 0, flaps: 0 }, problems: [], isOver: false },
  };
  try {
    await writeCounter(soak, 0);
    const atStart = descriptorsOf(pid);
    const megabytes = await underLoad(soak, pid);
    const report = await drain(soak);
    judgeReport(soak, report);
    const growth = judgeMemory(soak, megabytes);
    await judgeDescriptors(soak, pid, atStart);
    await judgeThreads(soak);
    const { code } = await server.stop();
    if (code !== 0) soak.problems.push(`the server ended with ${String(code)}: ${server.stderr().slice(-500)}`);
    return { problems: soak.problems, report, did: soak.did, megabytes, growth };
  } finally {
    load.disconnect();
    for (const { server: each } of targets) each.close();
  }
}

async function startTarget(): Promise<Target> {
  const target = { isHealthy: true };
  const server = createServer((_request, response) => {
    response.statusCode = target.isHealthy ? 200 : 503;
    response.end('x');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const made: Target = Object.assign(target, { server, port: (server.address() as AddressInfo).port });
  return made;
}

/** Everything at once until the time is over. Returns samples of the server's memory. */
async function underLoad(soak: Soak, pid: number): Promise<{ atSeconds: number; mb: number }[]> {
  const { options } = soak;
  const beganMs = performance.now();
  const totalMs = options.minutes * 60_000;
  const megabytes: { atSeconds: number; mb: number }[] = [];
  await tellTruth(soak, soak.truth);
  const every = async (ms: number, work: () => Promise<void>): Promise<void> => {
    for (;;) {
      for (const until = performance.now() + ms; performance.now() < until;) {
        if (soak.isOver) return;
        await delay(Math.min(200, ms));
      }
      await work().catch((error: unknown) => {
        soak.problems.push(String(error));
      });
    }
  };
  const sample = async (): Promise<void> => {
    megabytes.push({ atSeconds: Math.round((performance.now() - beganMs) / 1000), mb: Math.round(memoryOctets(processTree(pid)) / 1e5) / 10 }); // prettier-ignore
    if (megabytes.length % 12 === 1) options.tell(await progress(soak, megabytes.at(-1)?.mb ?? 0));
    if (performance.now() - beganMs > totalMs) soak.isOver = true;
  };
  await Promise.all([
    every(Math.min(SAMPLE_MS, totalMs / 20), sample),
    every(options.reloadSeconds * 1000, () => reload(soak)),
    every(options.reloadSeconds * 250, () => update(soak)),
    every(options.reloadSeconds * 200, () => order(soak)),
    every(700, () => flap(soak)),
  ]);
  return megabytes;
}

async function progress(soak: Soak, mb: number): Promise<string> {
  const { sent, answered, lost, leftOut, wrongs } = await ask(soak);
  const { reloads, updates, orders, flaps } = soak.did;
  return `${sent} sent, ${answered} answered, ${lost} lost, ${wrongs} wrong, ${leftOut} not sent; ${reloads} reloads, ${updates} updates, ${orders} orders, ${flaps} flaps; ${mb} MB`;
}

/**
 * A target fails or recovers. The first one never fails, and is never drained: without a candidate, all VIPs would be
 * in answers (`serve_all`), also those that must not be.
 */
async function flap({ dice, targets, did }: Soak): Promise<void> {
  const target = dice.pick(targets.slice(1));
  target.isHealthy = !target.isHealthy;
  did.flaps++;
  await Promise.resolve();
}

async function reload(soak: Soak): Promise<void> {
  const next = soak.truth.generation[1] + 1;
  const { targets, deadPort, folder } = soak;
  writeFileSync(join(folder, 'zones/example.com.yaml'), zoneText(next, targets.map(({ port }) => port), deadPort)); // prettier-ignore
  await tellTruth(soak, { generation: [soak.truth.generation[0], next] });
  const response = await call(soak, 'POST', '/api/v1/reload');
  if (response.status !== 200) throw new Error(`reload: ${response.status} ${await response.text()}`);
  await tellTruth(soak, { generation: [next, next] });
  soak.did.reloads++;
}

/** The counter is one more. */
async function update(soak: Soak): Promise<void> {
  const next = soak.truth.text[1] + 1;
  await tellTruth(soak, { text: [soak.truth.text[0], next] });
  await writeCounter(soak, next);
  await tellTruth(soak, { text: [next, next] });
  soak.did.updates++;
}

async function writeCounter({ port }: Soak, value: number): Promise<void> {
  const updates = ['counter.dyn ANY TXT', `counter.dyn IN TXT "${value}"`].map((line) => change(SOAK.zone, line));
  const rcode = await sendUpdate(port, { zone: SOAK.zone, updates }, keyNamed('all'));
  if (rcode !== 0) throw new Error(`update: RCODE ${String(rcode)}`);
}

/** Drains a VIP in both services, and later gives it back; or changes a weight. */
async function order(soak: Soak): Promise<void> {
  const at = 1 + soak.dice.below(SOAK.addresses.length - 1);
  const address = SOAK.addresses[at] ?? '';
  const names = [`www.${SOAK.zone}/v${at}`, `geo.${SOAK.zone}/v${at}`].map(encodeURIComponent);
  const isDrained = soak.truth.forbidden.includes(address);
  const others = soak.truth.forbidden.filter((each) => each !== address);
  if (isDrained) await tellTruth(soak, { forbidden: others });
  for (const name of names) {
    const body = isDrained ? {} : { body: JSON.stringify({ state: 'drain', reason: 'soak' }) };
    const response = await call(soak, isDrained ? 'DELETE' : 'PUT', `/api/v1/overrides/${name}`, body);
    if (!response.ok) throw new Error(`order: ${response.status} ${await response.text()}`);
    await response.text();
  }
  if (!isDrained) await tellTruth(soak, { forbidden: [...others, address] });
  const weight = await call(soak, 'PUT', `/api/v1/weights/${names[0] ?? ''}`, { body: JSON.stringify({ weight: 1 + soak.dice.below(9) }) }); // prettier-ignore
  if (!weight.ok) throw new Error(`weight: ${weight.status} ${await weight.text()}`);
  soak.did.orders += 3;
}

function call({ api }: Soak, method: string, path: string, more: { readonly body?: string } = {}): Promise<Response> {
  const headers = {
    authorization: `Bearer ${TOKEN}`,
    ...(more.body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  return fetch(`${api}${path}`, { method, headers, ...more });
}

/** Says what is right from now on; resolves when the load has heard it. */
async function tellTruth(soak: Soak, what: Partial<SoakTruth>): Promise<void> {
  soak.truth = { ...soak.truth, ...what };
  await request(soak, { truth: soak.truth });
}

async function ask(soak: Soak, more: { readonly end?: boolean } = {}): Promise<SoakReport> {
  return request(soak, more);
}

let requests = 0;

/** Several are under way at once, so the reply must be that to this one. */
function request({ load }: Soak, what: { readonly truth?: SoakTruth; readonly end?: boolean }): Promise<SoakReport> {
  const id = ++requests;
  return new Promise((resolve) => {
    const take = (reply: { readonly id: number; readonly report: SoakReport }): void => {
      if (reply.id !== id) return;
      load.off('message', take);
      resolve(reply.report);
    };
    load.on('message', take);
    load.send({ id, ...what });
  });
}

/** Sends no more, and waits for the answers that are on the way. */
async function drain(soak: Soak): Promise<SoakReport> {
  await ask(soak, { end: true });
  await eventually(
    () => ask(soak),
    ({ waiting }) => waiting === 0,
    60_000,
  );
  return ask(soak);
}

function judgeReport({ problems }: Soak, { lost, sent, wrongs, wrong }: SoakReport): void {
  if (sent === 0) problems.push('nothing was asked');
  if (lost > 0) problems.push(`${lost} of ${sent} queries have no answer`);
  if (wrongs > 0) problems.push(`${wrongs} wrong answers, such as ${wrong.slice(0, 5).join('; ')}`);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** How much the memory at the end is above that after the warm-up. */
function judgeMemory(
  { problems, options }: Soak,
  samples: readonly { readonly atSeconds: number; readonly mb: number }[],
): number {
  const totalMs = options.minutes * 60_000;
  const isShort = totalMs * WARM_UP_SHARE < WARM_UP_MS;
  const warmSeconds = Math.min(WARM_UP_MS, totalMs * WARM_UP_SHARE) / 1000;
  const warm = samples.filter(({ atSeconds }) => atSeconds >= warmSeconds).map(({ mb }) => mb);
  const part = Math.max(1, Math.floor(warm.length / 4));
  const growth = median(warm.slice(-part)) / median(warm.slice(0, part)) - 1;
  const limit = isShort ? MAX_SHORT_GROWTH : MAX_GROWTH;
  if (!(growth <= limit)) problems.push(`memory grew by ${(growth * 100).toFixed(1)} %`);
  return growth;
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function judgeDescriptors({ problems, targets }: Soak, pid: number, atStart: number): Promise<void> {
  for (const target of targets) target.isHealthy = true;
  const isBack = (now: number): boolean => now <= atStart + SPARE_DESCRIPTORS;
  await eventually(() => Promise.resolve(descriptorsOf(pid)), isBack, 60_000).catch(() => {
    problems.push(`${descriptorsOf(pid)} descriptors are open, ${atStart} at the start`);
  });
}

async function judgeThreads(soak: Soak): Promise<void> {
  const text = await (await call(soak, 'GET', '/metrics')).text();
  for (const name of ['pharos_thread_restarts_total', 'pharos_answer_errors_total']) {
    const value = Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
    if (value > 0) soak.problems.push(`${name} is ${value}`);
  }
}
