/**
 * `node bench/failover.ts`: measures on the wire for how long clients are sent to a failed target: from the fault to
 * the first answer without it, and from its return to the first answer with it. Compares Pharos with gdnsd; both probe
 * the same targets. It also measures the time from Pharos's decision to the first answers of all its threads.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { addressesOf, createLab, firstAnswer, type Lab, type Target } from '../test/support/failover-lab.ts';
import { freePort } from '../test/support/free-port.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { findProgram, startServer, type Running } from '../test/support/server-process.ts';
import { measureDecisions } from './failover-decision.ts';
import { INSTALLED, installedEnvironment } from './installed.ts';
import { median } from './results.ts';

const HELP = `node bench/failover.ts [OPTION ...]
  --runs N     faults of each kind; 50 by default
  --lanes N    targets that fail independently, at different times; 5 by default
  --only KIND  crash, silent, 503 or decision
`;

/** Common settings of Pharos. */
const CHECK = { intervalMs: 5000, timeoutMs: 2000, fastMs: 200, rise: 2, fall: 3 };
/** Goals for these times. */
const CRASH_WORST_MS = 1000;
const CRASH_MEDIAN_MS = 2 * CHECK.fastMs + 100;
const OTHER_WORST_MS = CHECK.intervalMs + CHECK.timeoutMs + 2 * CHECK.fastMs + 100;
const DECISION_MS = 1;
/** Longer than either server needs. */
const GIVE_UP_MS = 60_000;
/** A target that always answers. */
const STANDBY = '127.78.0.1';

type Fault = {
  readonly name: string;
  readonly about: string;
  readonly begin: (target: Target) => Promise<void>;
  readonly end: (target: Target) => Promise<void>;
};

const FAULTS: readonly Fault[] = [
  {
    name: 'crash',
    about: 'the process is killed',
    begin: (target) => target.kill(),
    end: (target) => target.start(),
  },
  {
    name: 'silent',
    about: 'its link is cut',
    begin: async ({ link }) => { await Promise.resolve(link?.down()); }, // prettier-ignore
    end: async ({ link }) => { await Promise.resolve(link?.up()); }, // prettier-ignore
  },
  {
    name: '503',
    about: 'it answers with 503',
    begin: (target) => target.answer(503),
    end: (target) => target.answer(200),
  },
];

type Server = { readonly name: string; readonly running: Running };
/** Milliseconds by server, in the order of `servers`. */
type Times = { readonly out: number[][]; readonly back: number[][] };

process.exitCode = await main();

async function main(): Promise<number> {
  const { runs, lanes, only } = scriptOptions(HELP, {
    runs: { type: 'number', default: 50 },
    lanes: { type: 'number', default: 5 },
    only: { type: 'string' },
  });
  const verdicts: boolean[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'pharos-failover-'));
  const port = await freePort();
  const lab = await createLab(lanes, port);
  const standby = createServer({ keepAliveTimeout: 3_600_000 }, (_, response) => response.end()).listen(port, STANDBY);
  const servers: Server[] = [];
  try {
    if (only !== 'decision') {
      servers.push({ name: 'Pharos', running: await startPharos(join(folder, 'pharos'), lab, port) });
      if (findProgram('gdnsd') === undefined) console.log('gdnsd is not installed, and left out');
      else servers.push({ name: 'gdnsd', running: await startGdnsd(join(folder, 'gdnsd'), lab, port) });
      console.log(`Pharos: interval 5s, timeout 2s, fall 3, rise 2, fast 200ms
gdnsd: interval 2, timeout 1 and thresholds of 1, the fastest it takes
milliseconds           min    median     worst\n`);
    }
    for (const fault of FAULTS) {
      if (only !== undefined && only !== fault.name) continue;
      if (fault.name === 'silent' && lab.links === undefined) {
        console.log('silent: left out, network namespaces are not permitted here\n');
        continue;
      }
      console.log(`${fault.name}: ${fault.about}, ${runs} times`);
      const times = await measure(fault, lab, servers, runs);
      for (const [index, { name }] of servers.entries()) {
        print(`  ${name}, out`, times.out[index] ?? []);
        print(`  ${name}, back`, times.back[index] ?? []);
      }
      verdicts.push(judge(fault, times.out[0] ?? []));
      console.log();
    }
  } finally {
    for (const { running } of servers) await running.stop();
    await lab.stop();
    standby.close().closeAllConnections();
  }
  if (only === undefined || only === 'decision') {
    console.log(`decision: from a changed state to the first answer of the last thread, ${runs} times`);
    const times = await measureDecisions(join(folder, 'decision'), runs);
    print('  Pharos', times);
    verdicts.push(verdict(median(times) < DECISION_MS, `median under ${DECISION_MS} ms`));
  }
  rmSync(folder, { recursive: true, force: true });
  return verdicts.every(Boolean) ? 0 : 1;
}

function judge({ name }: Fault, times: readonly number[]): boolean {
  const worst = Math.max(...times);
  if (name !== 'crash') return verdict(worst < OTHER_WORST_MS, `worst under ${OTHER_WORST_MS} ms`);
  const all = [
    verdict(worst < CRASH_WORST_MS, `worst under ${CRASH_WORST_MS} ms`),
    verdict(median(times) < CRASH_MEDIAN_MS, `median under ${CRASH_MEDIAN_MS} ms`),
  ];
  return all.every(Boolean);
}

function verdict(good: boolean, words: string): boolean {
  console.log(`  ${good ? 'met' : 'MISSED'}: ${words}`);
  return good;
}

function print(name: string, times: readonly number[]): void {
  const columns = [Math.min(...times), median(times), Math.max(...times)];
  console.log(`${name.padEnd(16)}${columns.map((ms) => ms.toFixed(ms < 10 ? 2 : 0).padStart(10)).join('')}`);
}

/** Lanes run independently, so that faults happen at different moments of the intervals. */
async function measure(fault: Fault, lab: Lab, servers: readonly Server[], runs: number): Promise<Times> {
  const times: Times = { out: servers.map(() => []), back: servers.map(() => []) };
  let left = runs;
  const lane = async (target: Target, index: number): Promise<void> => {
    const name = `s${index}.example.com`;
    const isOut = (addresses: readonly string[]): boolean =>
      addresses.length > 0 && !addresses.includes(target.address);
    const isBack = (addresses: readonly string[]): boolean => addresses.includes(target.address);
    const seen = async (change: () => Promise<void>, wanted: typeof isBack, into: number[][]): Promise<void> => {
      // Queries and the clock start before the change, so that no answer is missed while the change itself takes time.
      const fromMs = performance.now();
      const answers = servers.map(({ running }) => firstAnswer(running.port, name, wanted, GIVE_UP_MS));
      await change();
      for (const [at, answer] of answers.entries()) into[at]?.push((await answer) - fromMs);
    };
    while (left > 0) {
      left -= 1;
      await delay(Math.random() * CHECK.intervalMs);
      await seen(() => fault.begin(target), isOut, times.out);
      await delay(500 + Math.random() * CHECK.intervalMs);
      await seen(() => fault.end(target), isBack, times.back);
      // Waits until the state has settled, so that the next fault happens in an ordinary interval.
      await delay(CHECK.intervalMs);
    }
  };
  for (const [index, target] of lab.targets.entries()) {
    for (const { running } of servers) {
      while (!(await addressesOf(running.port, `s${index}.example.com`)).includes(target.address)) await delay(100);
    }
  }
  await Promise.all(lab.targets.map(lane));
  return times;
}

async function startPharos(folder: string, { targets }: Lab, probed: number): Promise<Running> {
  mkdirSync(folder);
  const port = await freePort();
  const head = [
    `listen: ["127.0.0.1:${port}"]`,
    'zones: [zone.yaml]',
    'state_dir: ./state',
    'status: off',
    'log: { level: error }',
  ];
  writeFileSync(join(folder, 'pharos.yaml'), [...head, ''].join('\n'));
  const { intervalMs, timeoutMs, fastMs, rise, fall } = CHECK;
  const times = `interval: ${intervalMs}ms, timeout: ${timeoutMs}ms, fast: ${fastMs}ms, rise: ${rise}, fall: ${fall}`;
  const lines = [
    ...[
      'zone: example.com',
      'nameservers: [ns1]',
      'soa: { contact: hostmaster }',
      'records: { ns1: { A: 192.0.2.53 } }',
    ],
    `checks: { web: { type: http, port: ${probed}, ${times} } }`,
    'services:',
    ...targets.flatMap(({ address }, index) => [
      `  s${index}:`,
      '    steer: [{ failover: [a, b] }]',
      '    check: web',
      `    vips: { a: { A: ${address} }, b: { A: ${STANDBY} } }`,
    ]),
  ];
  writeFileSync(join(folder, 'zone.yaml'), [...lines, ''].join('\n'));
  return await startServer(
    process.execPath,
    [INSTALLED, 'serve', join(folder, 'pharos.yaml')],
    port,
    'example.com',
    installedEnvironment(),
  );
}

async function startGdnsd(folder: string, { targets }: Lab, probed: number): Promise<Running> {
  const port = await freePort();
  for (const name of ['zones', 'run', 'state']) mkdirSync(join(folder, name), { recursive: true });
  const check = `plugin => http_status, port => ${probed}, interval => 2, timeout => 1, up_thresh => 1, ok_thresh => 1, down_thresh => 1`;
  const resources = targets.map(
    ({ address }, index) => `    s${index} => { service_types => web, primary => ${address}, secondary => ${STANDBY} }`,
  );
  const config = [
    `options => { listen => 127.0.0.1:${port}, run_dir => ${join(folder, 'run')}, state_dir => ${join(folder, 'state')} }`,
    `service_types => { web => { ${check} } }`,
    ...['plugins => {', '  simplefo => {', ...resources, '  }', '}'],
  ];
  writeFileSync(join(folder, 'config'), [...config, ''].join('\n'));
  const zone = [
    '$TTL 60',
    ...['@ SOA ns1 hostmaster 1 7200 1800 259200 60', '@ NS ns1', 'ns1 A 192.0.2.53'],
    ...targets.map((_, index) => `s${index} 60/60 DYNA simplefo!s${index}`),
  ];
  writeFileSync(join(folder, 'zones', 'example.com'), [...zone, ''].join('\n'));
  return await startServer(findProgram('gdnsd') ?? 'gdnsd', ['-c', folder, 'start'], port, 'example.com');
}
