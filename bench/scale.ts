/**
 * `node bench/scale.ts`: measures how costs grow with size, and compares each figure with its limit. It creates its
 * data in a temporary folder. Memory is resident memory; CPU time is that of the whole server per query, under dnsperf.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { cpuTime, findProgram, memoryOctets, startServer, type Running } from '../test/support/server-process.ts';
import { reloadServer } from './control.ts';
import { INSTALLED, installedEnvironment } from './installed.ts';
import { runDnsperf } from './load.ts';
import { writePackets } from './packets.ts';
import { median } from './results.ts';
import {
  BULK_ZONE,
  bulkQueries,
  EMPTY_ZONE,
  MAPS_ZONE,
  mapsQueries,
  NETWORKS_ZONE,
  networksQueries,
  smallZoneQueries,
  writeBulkZone,
  writeConfiguration,
  writeEmptyZone,
  writeMapsZone,
  writeNetworksZone,
  writeSmallZones,
} from './scale-world.ts';

const TOKEN = 'scale';
const QUERIES = 20_000;
/** Seconds per round of dnsperf; servers take turns. */
const ROUNDS = 5;
const ROUND_SECONDS = 1;
const MANY_CLIENTS = 64;
/** Reloads after which an old generation must be released. */
const RELOADS = 3;

const HELP = `node bench/scale.ts [--only NAME]
  NAME: empty, records, lookup, maps, zones, networks or threads; all by default, which takes some two minutes
`;

type Server = { readonly running: Running; readonly statusPort: number; readonly startMs: number };

type World = {
  readonly zone: string;
  readonly write: (folder: string) => void;
  readonly queries: () => Buffer[];
  readonly workers?: number;
};

const empty: World = { zone: EMPTY_ZONE, write: writeEmptyZone, queries: () => [] };
const records = (count: number): World => ({
  zone: BULK_ZONE,
  write: (folder) => {
    writeBulkZone(folder, count);
  },
  queries: () => bulkQueries(count, QUERIES),
});
const maps = (count: number): World => ({
  zone: MAPS_ZONE,
  write: (folder) => {
    writeMapsZone(folder, count);
  },
  queries: () => mapsQueries(count, QUERIES),
});
const zones = (count: number): World => ({
  zone: 'z0.example',
  write: (folder) => {
    writeSmallZones(folder, count);
  },
  queries: () => smallZoneQueries(count, QUERIES),
});
const networks = (count: number): World => ({
  zone: NETWORKS_ZONE,
  write: (folder) => {
    writeNetworksZone(folder, count);
  },
  queries: () => networksQueries(QUERIES),
});

let missed = 0;
let emptyMegabytes = Number.NaN;

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  empty: () =>
    withServer(empty, (server) => {
      emptyMegabytes = megabytes(server);
      show('empty server, bundled database: resident', emptyMegabytes, 'MB', 150);
      return Promise.resolve();
    }),
  records: () =>
    withServer(records(1_000_000), async (server) => {
      show('1,000,000 records: start to first answer', server.startMs / 1000, 's');
      show('1,000,000 records: over the empty server', megabytes(server) - emptyMegabytes, 'MB', 200);
      const seconds = await reloads(server);
      show(`1,000,000 records: reload, best of ${RELOADS}`, Math.min(...seconds), 's', 3);
      show('1,000,000 records: over the empty server after reloads', megabytes(server) - emptyMegabytes, 'MB', 200);
    }),
  lookup: () => compare('a query in 1,000,000 names beside one in 10,000', records(10_000), records(1_000_000), 1.25),
  maps: () =>
    withServer(maps(1000), async (server) => {
      show('1,000 services with maps of their own: start to first answer', server.startMs / 1000, 's');
      show(
        '1,000 services with maps of their own: over the empty server',
        megabytes(server) - emptyMegabytes,
        'MB',
        300,
      );
      await reloads(server);
      show('the same after reloads', megabytes(server) - emptyMegabytes, 'MB', 300);
    }),
  zones: () =>
    withServer(zones(10_000), (server) => {
      show('10,000 zones of 10 records: start to first answer', server.startMs / 1000, 's');
      show('10,000 zones of 10 records: over the empty server', megabytes(server) - emptyMegabytes, 'MB');
      return Promise.resolve();
    }),
  networks: () =>
    compare('a steered query with 200,000 networks beside one with 20,000', networks(20_000), networks(200_000), 1.2),
  threads: async () => {
    // The threads have at most two cores here, so this shows the cost of shared writes, not the speed on many cores.
    for (const count of [2, 4, 8]) {
      const what = `a query with ${count} answering threads beside one`;
      await compare(what, maps(100), { ...maps(100), workers: count }, 1.1, MANY_CLIENTS);
    }
  },
};

process.exitCode = await main();

async function main(): Promise<number> {
  const values = scriptOptions(HELP, { only: { type: 'string' } });
  const wanted = values.only === undefined ? Object.keys(CASES) : ['empty', values.only];
  if (wanted.some((name) => !(name in CASES))) {
    console.error(`unknown name "${values.only}" for --only\n\n${HELP}`);
    return 2;
  }
  for (const name of new Set(wanted)) await CASES[name]?.();
  return missed === 0 ? 0 : 1;
}

function show(what: string, value: number, unit: string, limit?: number): void {
  const isMissed = limit !== undefined && !(value <= limit);
  if (isMissed) missed++;
  const digits = value < 10 ? 2 : 0;
  const verdict = limit === undefined ? '' : `limit ${limit} ${unit}  ${isMissed ? 'MISSED' : 'ok'}`;
  console.log(`${what.padEnd(66)} ${value.toFixed(digits).padStart(8)} ${unit.padEnd(3)} ${verdict}`);
}

function megabytes({ running }: Server): number {
  return memoryOctets([running.pid]) / 1e6;
}

/** Seconds of each. */
async function reloads({ statusPort }: Server): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = 0; i < RELOADS; i++) {
    const startMs = performance.now();
    await reloadServer(statusPort, TOKEN);
    seconds.push((performance.now() - startMs) / 1000);
    // Threads release the old generation between two batches.
    await delay(300);
  }
  return seconds;
}

async function withServer(world: World, use: (server: Server, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-scale-'));
  try {
    const [port, statusPort] = [await freePort(), await freePort()];
    const file = writeConfiguration(folder, { port, statusPort, token: TOKEN, workers: world.workers ?? 1 });
    world.write(folder);
    const begin = async (): Promise<Running> =>
      await startServer(process.execPath, [INSTALLED, 'serve', file], port, world.zone, installedEnvironment());
    if (world === empty) await (await begin()).stop();
    const startMs = performance.now();
    const running = await begin();
    try {
      const server = { running, statusPort, startMs: performance.now() - startMs };
      // The server shrinks its heap two seconds after the start.
      await delay(3000);
      await use(server, folder);
    } finally {
      await running.stop();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * CPU time of the server per query, in two worlds, taking turns; the ratio of the medians is compared with the limit.
 */
async function compare(what: string, small: World, large: World, limit: number, clients = 1): Promise<void> {
  const dnsperf = findProgram('dnsperf');
  if (dnsperf === undefined) {
    console.log(`${what}: needs dnsperf`);
    return;
  }
  await withServer(small, async (first, firstFolder) => {
    await withServer(large, async (second, secondFolder) => {
      writePackets(join(firstFolder, 'packets'), small.queries());
      writePackets(join(secondFolder, 'packets'), large.queries());
      const costs: [number[], number[]] = [[], []];
      for (let round = 0; round <= ROUNDS; round++) {
        const one = await cost(dnsperf, first, firstFolder, clients);
        const other = await cost(dnsperf, second, secondFolder, clients);
        if (round === 0) continue; // caches and compilers warm up
        costs[0].push(one);
        costs[1].push(other);
      }
      const [one, other] = [median(costs[0]), median(costs[1])];
      show(`${what}: ${one.toFixed(2)} and ${other.toFixed(2)} µs`, other / one, 'x', limit);
    });
  });
}

/** Microseconds of CPU time per query. */
async function cost(dnsperf: string, { running }: Server, folder: string, clients: number): Promise<number> {
  const before = cpuTime([running.pid]);
  const completed = await ask(dnsperf, running.port, join(folder, 'packets'), clients);
  const after = cpuTime([running.pid]);
  return ((after.user + after.system - before.user - before.system) / completed) * 1e6;
}

/** The kernel distributes clients over threads, so many are needed for each thread to get its share. */
async function ask(dnsperf: string, port: number, file: string, clients: number): Promise<number> {
  const pattern = { sockets: clients, outstanding: clients === 1 ? 200 : 1000 };
  return (await runDnsperf(dnsperf, port, file, ROUND_SECONDS, { transport: 'udp', pattern })).completed;
}
