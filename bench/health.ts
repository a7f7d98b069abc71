/**
 * `node bench/health.ts`: measures the cost of probing. `pharos serve` and then HAProxy probe the requested number of
 * HTTP targets, each on a separate loopback address. Reports CPU per probe, as a share of one core, memory, and whether
 * answers of Pharos take longer meanwhile. The targets are HAProxy too, and count the requests.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import {
  cpuTime,
  findProgram,
  memoryOctets,
  processTree,
  type Running,
  startServer,
} from '../test/support/server-process.ts';
import { createHistogram, fromPairs, merge, quantile } from './histogram.ts';
import { INSTALLED, installedEnvironment } from './installed.ts';
import { pinned, runPacedLoad } from './load.ts';
import { encodeQuery, writePackets } from './packets.ts';

const HELP = `node bench/health.ts [OPTION ...]
  --targets N    HTTP targets; 30000 by default
  --interval S   seconds between two probes of a target; 10 by default
  --seconds S    length of a measurement, after one interval to get warm; 20 by default
  --rate N       queries a second while answers are timed; 5000 by default, 0: answers are not timed
  --profile DIR  write a CPU profile of Pharos there
`;

/** Goals at 3,000 probes per second. */
const LIMIT = { core: 0.6, megabytes: 400, latencyRatio: 2 };
/** A process may have about 20,000 files open, and HAProxy needs two per connection. */
const TARGETS_OF_BACKEND = 8000;
/** Targets per checking HAProxy, for the same reason: it needs one file per target. */
const TARGETS_OF_CHECKER = 15_000;
const VIPS_OF_SERVICE = 100;
/** Everything else shares the other core, so that its work does not look like a delay of Pharos. */
const SERVER_CORE = 1;
const OTHER_CORE = 0;

type Options = {
  readonly targets: number;
  readonly interval: number;
  readonly seconds: number;
  readonly rate: number;
  readonly profile: string | undefined;
};

type Backend = { readonly port: number; readonly stats: string; stop(): Promise<void> };
type Cost = {
  readonly perSecond: number;
  readonly microseconds: number;
  readonly core: number;
  readonly megabytes: number;
};

process.exitCode = await main();

async function main(): Promise<number> {
  const options: Options = scriptOptions(HELP, {
    targets: { type: 'number', default: 30_000 },
    interval: { type: 'number', default: 10 },
    seconds: { type: 'number', default: 20 },
    rate: { type: 'number', default: 5000 },
    profile: { type: 'string' },
  });
  if (findProgram('haproxy') === undefined) {
    console.error('bench:health needs haproxy, which is what it probes: apt-get install haproxy');
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'pharos-health-bench-'));
  const backends: Backend[] = [];
  try {
    const count = Math.ceil(options.targets / TARGETS_OF_BACKEND);
    for (let index = 0; index < count; index++) backends.push(await startBackend(join(folder, `backend${index}`)));
    console.log(`${options.targets.toLocaleString('en')} HTTP targets every ${options.interval} s\n`);
    console.log('              probes/s   µs a probe   of a core     MB');
    const haproxy = await measureHaproxy(folder, backends, options);
    print('HAProxy', haproxy);
    const { cost, busy } = await measurePharos(join(folder, 'checked'), backends, options, true);
    print('Pharos', cost);
    const idle =
      options.rate === 0 ? undefined : (await measurePharos(join(folder, 'idle'), backends, options, false)).busy;
    return report(options, cost, haproxy, busy, idle) ? 0 : 1;
  } finally {
    for (const backend of backends) await backend.stop();
    rmSync(folder, { recursive: true });
  }
}

function print(name: string, { perSecond, microseconds, core, megabytes }: Cost): void {
  const share = `${(core * 100).toFixed(1)} %`;
  console.log(
    `${name.padEnd(12)}  ${perSecond.toFixed(0).padStart(8)}  ${microseconds.toFixed(1).padStart(11)}  ${share.padStart(10)}  ${megabytes.toFixed(0).padStart(5)}`,
  );
}

function report(
  { targets, interval }: Options,
  cost: Cost,
  haproxy: Cost,
  busy: number,
  idle: number | undefined,
): boolean {
  const wanted = targets / interval;
  const verdict = (good: boolean): string => (good ? 'met' : 'MISSED');
  const lines: [boolean, string][] = [
    [cost.perSecond >= 0.98 * wanted, `${cost.perSecond.toFixed(0)} of ${wanted.toFixed(0)} probes a second are made`],
    [cost.core <= LIMIT.core, `${(cost.core * 100).toFixed(1)} % of a core, at most ${LIMIT.core * 100} %`],
    [cost.megabytes <= LIMIT.megabytes, `${cost.megabytes.toFixed(0)} MB, at most ${LIMIT.megabytes} MB`],
  ];
  if (idle !== undefined) {
    const words = `p99.9 of answers ${busy} µs, ${idle} µs without checks: at most ${LIMIT.latencyRatio} times`;
    lines.push([busy <= LIMIT.latencyRatio * idle, words]);
  }
  console.log();
  for (const [good, words] of lines) console.log(`${verdict(good).padEnd(7)} ${words}`);
  console.log(`        ${(cost.microseconds / haproxy.microseconds).toFixed(2)} times the CPU of HAProxy a probe`);
  return lines.every(([good]) => good);
}

/** Addresses from 127.1.0.1 on: all of 127.0.0.0/8 is this machine. */
function addressOf(index: number): string {
  return `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

function backendOf(backends: readonly Backend[], index: number): Backend {
  const backend = backends[index % backends.length];
  if (backend === undefined) throw new Error('there is no backend');
  return backend;
}

/** Starts an HAProxy that answers every request on its port with 200, at any loopback address. */
async function startBackend(folder: string): Promise<Backend> {
  mkdirSync(folder);
  const port = await freePort();
  const stats = join(folder, 'stats');
  const config = [
    ...['global', '  nbthread 1', `  maxconn ${TARGETS_OF_BACKEND + 1000}`, `  stats socket ${stats}`],
    ...['defaults', '  mode http', '  timeout client 60s', '  timeout server 10s', '  timeout connect 5s'],
    ...[
      'frontend web',
      `  bind *:${port} backlog 8192`,
      '  http-request return status 200 content-type text/plain string ok',
    ],
  ];
  const child = await startHaproxy(folder, config, port);
  return { port, stats, stop: () => end(child) };
}

async function startHaproxy(folder: string, config: readonly string[], port: number): Promise<ChildProcess> {
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, [...config, ''].join('\n'));
  const [program, args] = pinned(OTHER_CORE, [findProgram('haproxy') ?? 'haproxy', '-db', '-f', file]);
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2000)));
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 1000) throw new Error(`haproxy does not run:\n${said}`);
    if (await accepts(port)) return child;
    await delay(20);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => { settle(true); }); // prettier-ignore
    socket.once('error', () => { settle(false); }); // prettier-ignore
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Requests that all backends have received. */
async function requestsOf(backends: readonly Backend[]): Promise<number> {
  const counts = backends.map(async ({ stats }) => {
    const socket = connect(stats);
    socket.end('show info\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return Number(/^CumReq: (\d+)/m.exec(text)?.[1] ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

async function costOf(roots: readonly number[], backends: readonly Backend[], seconds: number): Promise<Cost> {
  const pids = roots.flatMap(processTree);
  const [cpuBefore, requestsBefore, fromMs] = [cpuTime(pids), await requestsOf(backends), performance.now()];
  await delay(seconds * 1000);
  const [cpuAfter, requestsAfter, toMs] = [cpuTime(pids), await requestsOf(backends), performance.now()];
  const cpu = cpuAfter.user + cpuAfter.system - cpuBefore.user - cpuBefore.system;
  const probes = requestsAfter - requestsBefore;
  const elapsed = (toMs - fromMs) / 1000;
  const megabytes = memoryOctets(pids) / 1e6;
  return { perSecond: probes / elapsed, microseconds: (cpu / probes) * 1e6, core: cpu / elapsed, megabytes };
}

async function measureHaproxy(folder: string, backends: readonly Backend[], options: Options): Promise<Cost> {
  const checkers: ChildProcess[] = [];
  try {
    for (let first = 0; first < options.targets; first += TARGETS_OF_CHECKER) {
      const own = join(folder, `checker${first}`);
      mkdirSync(own);
      checkers.push(await startChecker(own, backends, options, first));
    }
    await delay(options.interval * 1000);
    const pids = checkers.map(({ pid }) => pid ?? 0);
    return await costOf(pids, backends, options.seconds);
  } finally {
    for (const checker of checkers) await end(checker);
  }
}

/** Starts an HAProxy that checks its share of the targets, with settings like those of Pharos. */
async function startChecker(
  folder: string,
  backends: readonly Backend[],
  { targets, interval }: Options,
  first: number,
): Promise<ChildProcess> {
  const port = await freePort();
  const count = Math.min(TARGETS_OF_CHECKER, targets - first);
  const servers = Array.from({ length: count }, (_, index) => {
    const { port: there } = backendOf(backends, first + index);
    return `  server s${first + index} ${addressOf(first + index)}:${there} check`;
  });
  const request = 'meth GET uri /health ver HTTP/1.1 hdr Host www.example.com';
  const config = [
    ...['global', '  nbthread 1', '  maxconn 100', 'defaults', '  mode http'],
    ...['  timeout client 5s', '  timeout server 5s', '  timeout connect 2s', '  timeout check 2s'],
    `  default-server inter ${interval}s fastinter 1s rise 2 fall 3`,
    ...['frontend web', `  bind 127.0.0.1:${port}`, '  default_backend targets'],
    ...['backend targets', '  option httpchk', `  http-check send ${request}`],
    ...['  http-check expect status 200-399', ...servers],
  ];
  return await startHaproxy(folder, config, port);
}

async function measurePharos(
  folder: string,
  backends: readonly Backend[],
  options: Options,
  checked: boolean,
): Promise<{ readonly cost: Cost; readonly busy: number }> {
  const port = await freePort();
  writePharos(folder, backends, port, options, checked);
  const profile = checked && options.profile !== undefined ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] : [];
  const [program, args] = pinned(SERVER_CORE, [
    process.execPath,
    ...profile,
    INSTALLED,
    'serve',
    join(folder, 'pharos.yaml'),
  ]);
  const running = await startServer(program, args, port, 'example.com', installedEnvironment());
  try {
    if (!checked)
      return {
        cost: { perSecond: 0, microseconds: 0, core: 0, megabytes: 0 },
        busy: await slowest(folder, running, options),
      };
    await delay(options.interval * 1000);
    const cost = await costOf([running.pid], backends, options.seconds);
    return { cost, busy: options.rate === 0 ? 0 : await slowest(folder, running, options) };
  } finally {
    await running.stop();
  }
}

function writePharos(
  folder: string,
  backends: readonly Backend[],
  port: number,
  options: Options,
  checked: boolean,
): void {
  mkdirSync(folder);
  const head = [
    `listen: ["127.0.0.1:${port}"]`,
    'workers: 1',
    'zones: [zone.yaml]',
    'state_dir: ./state',
    'status: off',
    'log: { level: error }',
  ];
  writeFileSync(join(folder, 'pharos.yaml'), [...head, ''].join('\n'));
  const check = `{ type: http, path: /health, host: www.example.com, interval: ${options.interval}s, timeout: 2s }`;
  const lines = [
    'zone: example.com',
    'nameservers: [ns1]',
    'soa: { contact: hostmaster }',
    'records: { ns1: { A: 192.0.2.53 } }',
  ];
  if (checked) lines.push(`checks: { web: ${check} }`);
  lines.push('services:');
  for (let index = 0; index < options.targets; index++) {
    if (index % VIPS_OF_SERVICE === 0) {
      lines.push(
        `  s${index / VIPS_OF_SERVICE}:`,
        ...(checked ? ['    check: web'] : []),
        '    steer: [weighted]',
        '    vips:',
      );
    }
    lines.push(
      `      v${index}: { A: ${addressOf(index)}, probe: "${addressOf(index)}:${backendOf(backends, index).port}" }`,
    );
  }
  writeFileSync(join(folder, 'zone.yaml'), [...lines, ''].join('\n'));
}

/** The 99.9th percentile of answer times in µs, at a fixed rate. */
async function slowest(folder: string, { port }: Running, { targets, seconds, rate }: Options): Promise<number> {
  const packets = join(folder, 'packets');
  const services = Math.ceil(targets / VIPS_OF_SERVICE);
  writePackets(
    packets,
    Array.from({ length: services }, (_, index) => encodeQuery(`s${index}.example.com`, 'A')),
  );
  const { slices, sliceMs } = await runPacedLoad({ port, rate, seconds, packets, core: OTHER_CORE });
  const latencies = createHistogram();
  for (const slice of slices.slice(1000 / sliceMs)) merge(latencies, fromPairs(slice.latencies));
  return quantile(latencies, 0.999);
}
