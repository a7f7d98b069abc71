/**
 * `node bench/fleet.ts`: measures on the wire how long a fleet sends clients to a crashed target: from the crash until
 * all three nodes have answered without it. Every message between two nodes takes 80 ms: 40 ms to NATS and 40 ms from
 * there, over a wire in user space.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { addressesOf, createLab, firstAnswer, type Lab, type Target } from '../test/support/failover-lab.ts';
import { freePort } from '../test/support/free-port.ts';
import { startNats } from '../test/support/nats.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { startServer, type Running } from '../test/support/server-process.ts';
import { openWire } from '../test/support/wire.ts';
import { INSTALLED, installedEnvironment } from './installed.ts';
import { median } from './results.ts';

const HELP = `node bench/fleet.ts [OPTION ...]
  --runs N     crashes; 50 by default
  --lanes N    targets that crash independently, at different times; 5 by default
`;

const REGIONS = ['seoul', 'dublin', 'virginia'];
/** From a node to NATS, and back. */
const ONE_WAY_MS = 40;
const CHECK = { intervalMs: 5000, timeoutMs: 2000, fastMs: 200, rise: 2, fall: 3 };
/** Goals for the last node. */
const MEDIAN_MS = 600;
const WORST_MS = 1200;
/** Longer than a fleet needs. */
const GIVE_UP_MS = 60_000;
/** A target that always answers. */
const STANDBY = '127.78.0.1';

process.exitCode = await main();

async function main(): Promise<number> {
  const values = scriptOptions(HELP, {
    runs: { type: 'number', default: 50 },
    lanes: { type: 'number', default: 5 },
  });
  const folder = mkdtempSync(join(tmpdir(), 'pharos-fleet-'));
  const port = await freePort();
  const lab = await createLab(values.lanes, port);
  const standby = createServer({ keepAliveTimeout: 3_600_000 }, (_, response) => response.end()).listen(port, STANDBY);
  await using nats = await startNats({ folder });
  await using wire = await openWire(nats.port, { delayMs: ONE_WAY_MS });
  const nodes: Running[] = [];
  try {
    for (const region of REGIONS) nodes.push(await startNode(join(folder, region), region, lab, port, wire.port));
    const times = await measure(lab, nodes, values.runs);
    console.log(`${String(nodes.length)} nodes in ${String(nodes.length)} regions, quorum majority, interval 5s, fall 3, fast 200ms, ${String(2 * ONE_WAY_MS)} ms between nodes
${String(times.last.length)} crashes; milliseconds from the crash to the first answer without the target

                     min    median     worst`);
    print('first node', times.first);
    print('last node', times.last);
    const worst = Math.max(...times.last);
    return [
      verdict(median(times.last) < MEDIAN_MS, `last node: median under ${String(MEDIAN_MS)} ms`),
      verdict(worst < WORST_MS, `last node: worst under ${String(WORST_MS)} ms`),
    ].every(Boolean)
      ? 0
      : 1;
  } finally {
    for (const node of nodes) await node.stop();
    await lab.stop();
    standby.close().closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  }
}

function verdict(good: boolean, words: string): boolean {
  console.log(`${good ? 'met' : 'MISSED'}: ${words}`);
  return good;
}

function print(name: string, times: readonly number[]): void {
  const columns = [Math.min(...times), median(times), Math.max(...times)];
  console.log(`${name.padEnd(14)}${columns.map((ms) => ms.toFixed(0).padStart(10)).join('')}`);
}

/** Lanes run independently, so that crashes happen at different moments of the intervals. */
async function measure(
  lab: Lab,
  nodes: readonly Running[],
  runs: number,
): Promise<{ readonly first: readonly number[]; readonly last: readonly number[] }> {
  const first: number[] = [];
  const last: number[] = [];
  let left = runs;
  const lane = async (target: Target, index: number): Promise<void> => {
    const name = `s${String(index)}.example.com`;
    const isOut = (addresses: readonly string[]): boolean =>
      addresses.length > 0 && !addresses.includes(target.address);
    while (left > 0) {
      left -= 1;
      await delay(Math.random() * CHECK.intervalMs);
      // Queries and the clock start before the crash, so that no answer is missed.
      const fromMs = performance.now();
      const answers = nodes.map(({ port }) => firstAnswer(port, name, isOut, GIVE_UP_MS));
      await target.kill();
      const times = (await Promise.all(answers)).map((ms) => ms - fromMs);
      first.push(Math.min(...times));
      last.push(Math.max(...times));
      await target.start();
      await untilBack(target, name, nodes);
      // Waits until the state has settled, so that the next crash happens in an ordinary interval.
      await delay(CHECK.intervalMs);
    }
  };
  for (const [index, target] of lab.targets.entries()) await untilBack(target, `s${String(index)}.example.com`, nodes);
  await Promise.all(lab.targets.map(lane));
  return { first, last };
}

async function untilBack(target: Target, name: string, nodes: readonly Running[]): Promise<void> {
  for (const { port } of nodes) {
    while (!(await addressesOf(port, name)).includes(target.address)) await delay(100);
  }
}

async function startNode(
  folder: string,
  region: string,
  { targets }: Lab,
  probed: number,
  natsPort: number,
): Promise<Running> {
  mkdirSync(folder);
  const port = await freePort();
  const settings = [
    `listen: ["127.0.0.1:${String(port)}"]`,
    ...['workers: 1', 'zones: [zone.yaml]', 'state_dir: ./state', 'status: off', 'log: { level: error }'],
    `regions: { ${REGIONS.map((name, at) => `${name}: { at: "${String(at)},${String(at)}" }`).join(', ')} }`,
    `fleet: { name: bench, servers: ["nats://127.0.0.1:${String(natsPort)}"], node: ${region}, region: ${region} }`,
  ];
  writeFileSync(join(folder, 'pharos.yaml'), [...settings, ''].join('\n'));
  const { intervalMs, timeoutMs, fastMs, rise, fall } = CHECK;
  const times = `interval: ${String(intervalMs)}ms, timeout: ${String(timeoutMs)}ms, fast: ${String(fastMs)}ms, rise: ${String(rise)}, fall: ${String(fall)}`;
  const zone = [
    ...['zone: example.com', 'nameservers: [ns1]', 'records: { ns1: { A: 192.0.2.53 } }'],
    `checks: { web: { type: http, port: ${String(probed)}, ${times} } }`,
    'services:',
    ...targets.flatMap(({ address }, index) => [
      `  s${String(index)}:`,
      '    steer: [{ failover: [a, b] }]',
      '    check: web',
      `    vips: { a: { A: ${address} }, b: { A: ${STANDBY} } }`,
    ]),
  ];
  writeFileSync(join(folder, 'zone.yaml'), [...zone, ''].join('\n'));
  return await startServer(
    process.execPath,
    [INSTALLED, 'serve', join(folder, 'pharos.yaml')],
    port,
    'example.com',
    installedEnvironment(),
  );
}
