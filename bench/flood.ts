/**
 * `node bench/flood.ts`: floods a server at and past its capacity and measures what it still answers, whether probes
 * and the status server keep working, and how soon it recovers. A generator on this machine cannot send three times
 * what a whole core answers, so the server gets a share of a core (a control group, cpu.cfs_quota_us or cpu.max).
 */
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeCertificate } from '../test/support/certificate.ts';
import { freePort } from '../test/support/free-port.ts';
import { ixfr, sign } from '../test/support/peer.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { memoryOctets, processTree, startServer, type Running } from '../test/support/server-process.ts';
import { change, encodeUpdate, keyNamed, UPDATE_SECRET } from '../test/support/update-client.ts';
import { countOf, fromPairs } from './histogram.ts';
import { INSTALLED, installedEnvironment } from './installed.ts';
import { runDnsperf, runPacedLoad } from './load.ts';
import { encodeQuery, repeatable, writePackets } from './packets.ts';

const ZONE = 'flood.example';
const TARGETS = 50;
const TOKEN = 'a-token-of-the-floods-51b2';
const LOAD_CORE = 0;
/** The server has the last core, or both: then the load takes part of one. */
const SERVER_CORES = ['1', '0,1'] as const;
/**
 * For one core a short period, so that the server never waits long for its next share. For two the kernel's default:
 * the kernel gives a core 5 ms of the share at a time (sched_cfs_bandwidth_slice_us), so that in a short period the
 * first core would take what both have.
 */
const PERIOD_MICROSECONDS = [10_000, 100_000] as const;
/** Where the load has one of the cores of the server, the server comes first: it has no more than its share. */
const LOAD_WEIGHT = 500;
const MULTIPLES = [0.5, 1, 2, 3];
const MEBIBYTE = 1024 * 1024;
/** How much the memory of the server may grow in the floods, and how much of it may be left a minute later. */
const MOST_MEBIBYTES = 192;
const MOST_LEFT_MEBIBYTES = 64;
/** How much more may be left after the last round than after the first. */
const MOST_RISE_MEBIBYTES = 16;
/** The server gives memory back in each minute in which it has grown, two seconds later. */
const SETTLE_MS = 65_000;
/** How long a request of the status server may take during a flood. */
const ON_TIME_MS = 1000;
/** Between two requests of a kind to the status server. */
const SAMPLE_MS = 400;

const HELP = `node bench/flood.ts [OPTION ...]
  --share S      share of each core that the server has, in percent; 10 by default
  --cores N      cores of the server: 1 or 2; 1 by default
  --user NAME    runs the server as this user, without rights; the present user by default
  --seconds S    length of each run; 3 by default
  --only NAME    one kind of flood
  --rounds N     all floods N times; from the first to the last, memory must not rise; 1 by default
`;

type Flooded = {
  readonly running: Running;
  readonly statusPort: number;
  readonly tlsPort: number;
  readonly folder: string;
};
/** From the server's metrics. */
type Health = { readonly probes: number; readonly up: number };
/** The slowest of each kind of request, in milliseconds. */
type Slowest = { ready: number; metrics: number; status: number; order: number };

type Kinds = Readonly<Record<string, (pick: (bound: number) => number) => Buffer>>;

/** By kind, 2,000 different queries or the same one. Each is answered where it is received. */
const KINDS: Kinds = {
  'one name': () => encodeQuery(`h1.${ZONE}`, 'A'),
  'random names': (pick) => encodeQuery(`${pick(1e9).toString(36)}.${ZONE}`, 'A'),
  'a steered name': () => encodeQuery(`s0.${ZONE}`, 'A'),
  ANY: () => withType(encodeQuery(`h1.${ZONE}`, 'A'), 255),
  'updates without TSIG': () => withOpcode(withType(encodeQuery(ZONE, 'SOA'), 6), 5),
  'updates with a wrong TSIG': (pick) => update(pick, 'stranger'),
};

/**
 * Datagrams that the control thread answers: a quarter of the updates whose signatures the server can check is sent.
 */
const DEFERRED: Kinds = {
  'signed updates': (pick) => update(pick, 'all'),
  'IXFR over UDP': () => ixfr(ZONE, 1),
};

/** Streams, by the kind of load; see `streamLoad`. */
const STREAMS = ['tcp', 'tls', 'http'] as const;

function update(pick: (bound: number) => number, key: string): Buffer {
  const name = `n${pick(500)}.dyn`;
  const updates = [change(ZONE, `${name} ANY TXT`), change(ZONE, `${name} IN TXT ${pick(1e9)}`)];
  return sign(encodeUpdate({ zone: ZONE, updates }), keyNamed(key)).message;
}

/** The type stands before class (2) and OPT record (11). */
function withType(query: Buffer, type: number): Buffer {
  query.writeUInt16BE(type, query.length - 15);
  return query;
}

function withOpcode(query: Buffer, opcode: number): Buffer {
  query[2] = opcode << 3;
  return query;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const values = scriptOptions(HELP, {
    share: { type: 'number', default: 10 },
    cores: { type: 'number', default: 1 },
    user: { type: 'string' },
    seconds: { type: 'number', default: 3 },
    only: { type: 'string' },
    rounds: { type: 'number', default: 1, positive: true },
  });
  const { share } = values;
  const cores = values.cores === 2 ? 2 : 1;
  const folder = mkdtempSync(join(tmpdir(), 'pharos-flood-'));
  const target = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0);
  await once(target, 'listening');
  const address = target.address();
  const groups = createGroups(share * cores, PERIOD_MICROSECONDS[cores - 1] ?? 100_000);
  const who = values.user ?? (process.getuid?.() === 0 ? 'root' : 'the present user');
  console.log(`the server runs as ${who} on ${cores === 1 ? 'one core' : 'two cores'} and has ${share} % of each; ${TARGETS} targets are probed every second\n`); // prettier-ignore
  try {
    const probed = typeof address === 'object' && address ? address.port : 0;
    const flooded = await start(folder, probed, cores, values.user);
    try {
      for (const pid of processTree(flooded.running.pid)) enter(groups.server, pid);
      return (await measureAll(flooded, values)) ? 0 : 1;
    } finally {
      await flooded.running.stop();
    }
  } finally {
    target.close();
    groups.dispose();
    rmSync(folder, { recursive: true });
  }
}

/** Control groups for the server and for the load, which other work on this machine does not slow down. */
type Groups = { readonly server: string; readonly dispose: () => void };

/** `share` in percent of a core. */
function createGroups(share: number, periodMicroseconds: number): Groups {
  const isFirstVersion = existsSync('/sys/fs/cgroup/cpu/cpu.cfs_quota_us');
  const root = isFirstVersion ? '/sys/fs/cgroup/cpu' : '/sys/fs/cgroup';
  const create = (name: string, weight: number): string => {
    const group = join(root, `pharos-flood-${name}-${process.pid}`);
    mkdirSync(group);
    // 10,000 is the most: 2^18 shares.
    if (isFirstVersion) writeFileSync(join(group, 'cpu.shares'), String(Math.ceil((weight * 2 ** 18) / 10_000)));
    else writeFileSync(join(group, 'cpu.weight'), String(weight));
    return group;
  };
  const [server, load] = [create('server', 10_000), create('load', LOAD_WEIGHT)];
  const quota = (periodMicroseconds * share) / 100;
  if (isFirstVersion) {
    writeFileSync(join(server, 'cpu.cfs_period_us'), String(periodMicroseconds));
    writeFileSync(join(server, 'cpu.cfs_quota_us'), String(quota));
  } else writeFileSync(join(server, 'cpu.max'), `${quota} ${periodMicroseconds}`);
  enter(load, process.pid);
  return {
    server,
    dispose: () => {
      enter(root, process.pid);
      for (const group of [server, load]) rmdirSync(group);
    },
  };
}

function enter(group: string, pid: number): void {
  writeFileSync(join(group, 'cgroup.procs'), String(pid));
}

async function start(folder: string, probed: number, cores: 1 | 2, user: string | undefined): Promise<Flooded> {
  const [port, statusPort, tlsPort] = [await freePort(), await freePort(), await freePort()];
  mkdirSync(join(folder, 'zones'));
  mkdirSync(join(folder, 'state'));
  const services = Array.from({ length: TARGETS / 2 }, (_, index) => `  s${index}: { check: web, vips: { a: { A: 127.1.${index}.1 }, b: { A: 127.1.${index}.2 } } }`); // prettier-ignore
  const records = Array.from({ length: 1000 }, (_, index) => `h${index}: { A: 192.0.2.1 }`);
  writeFileSync(
    join(folder, 'zones/flood.yaml'),
    [
      ...[`zone: ${ZONE}`, 'nameservers: [ns1.example.net.]', `records: { ${records.join(', ')} }`],
      `checks: { web: { type: tcp, port: ${probed}, interval: 1s, fast: 200ms, timeout: 900ms, fall: 4 } }`,
      ...['services:', ...services, ''],
    ].join('\n'),
  );
  const { cert, key } = makeCertificate({ name: `ns1.${ZONE}` });
  writeFileSync(join(folder, 'tls.pem'), cert + key);
  const file = join(folder, 'pharos.yaml');
  const settings = [
    `listen: 127.0.0.1:${port}`,
    'state_dir: ./state',
    `tls: { listen: ["127.0.0.1:${tlsPort}"], cert: tls.pem, key: tls.pem }`,
    `status: { listen: 127.0.0.1:${statusPort}, token: ${TOKEN} }`,
    'log: { level: error }',
    `transfer: { allow: [{ from: 127.0.0.0/8 }], keys: { all: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } } }`,
    'updates: [{ key: all, names: ["*.dyn"], types: [TXT] }]',
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  const changed = user === undefined ? [] : giveTo(user, folder);
  const args = ['-c', SERVER_CORES[cores - 1] ?? '1', ...changed, process.execPath, INSTALLED, 'serve', file];
  const running = await startServer('taskset', args, port, ZONE, installedEnvironment());
  return { running, statusPort, tlsPort, folder };
}

/** Gives the folder to a user; returns the command that runs a program as this user, without any right of root. */
function giveTo(user: string, folder: string): string[] {
  const idOf = (flag: string): string => execFileSync('id', [flag, user], { encoding: 'utf8' }).trim();
  const [uid, gid] = [idOf('-u'), idOf('-g')];
  for (const path of ['', 'zones', 'zones/flood.yaml', 'state', 'tls.pem', 'pharos.yaml'])
    chownSync(join(folder, path), Number(uid), Number(gid));
  chmodSync(folder, 0o700);
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--bounding-set=-all', '--no-new-privs'];
}

/** Prints a table. Returns whether every limit is kept. */
async function measureAll(
  flooded: Flooded,
  { seconds, only, rounds }: { readonly seconds: number; readonly only: string | undefined; readonly rounds: number },
): Promise<boolean> {
  await delay(3000);
  const bad: string[] = [];
  const wanted = (kind: string): boolean => only === undefined || only === kind;
  const pids = processTree(flooded.running.pid);
  // What the first floods make it load and compile is not growth.
  await capacityOf(flooded, packetsOf(flooded, 'one name', KINDS), 1);
  const before = memoryOctets(pids);
  const grown = (): number => (memoryOctets(pids) - before) / MEBIBYTE;
  const tellMemory = (): void => {
    console.log(`  memory: ${grown().toFixed(1)} MiB more than before all`);
  };
  const lefts: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    if (rounds > 1) console.log(`round ${round}`);
    for (const kind of Object.keys(KINDS).filter(wanted)) {
      await measureKind(flooded, kind, seconds, bad);
      tellMemory();
    }
    const beside = [...Object.keys(DEFERRED), ...STREAMS].filter(wanted);
    if (beside.length > 0) {
      const rate = (await capacityOf(flooded, packetsOf(flooded, 'updates with a wrong TSIG', KINDS), seconds)) / 4;
      for (const kind of beside) {
        await measureBeside(flooded, kind, rate, seconds, bad);
        tellMemory();
      }
    }
    const most = grown();
    if (most > MOST_MEBIBYTES) bad.push(`the memory grew by ${most.toFixed(0)} MiB`);
    await delay(SETTLE_MS);
    const left = grown();
    lefts.push(left);
    console.log(`memory a minute later: ${left.toFixed(1)} MiB more`);
    if (left > MOST_LEFT_MEBIBYTES) bad.push(`a minute later, ${left.toFixed(0)} MiB of memory were left`);
  }
  const rise = (lefts.at(-1) ?? 0) - (lefts[0] ?? 0);
  if (rise > MOST_RISE_MEBIBYTES)
    bad.push(`the memory rose by ${rise.toFixed(0)} MiB from the first round to the last`);
  console.log(bad.length === 0 ? 'ok' : `OVER\n${bad.join('\n')}`);
  return bad.length === 0;
}

/** Writes the packets of a kind, and returns the path. */
function packetsOf({ folder }: Flooded, kind: string, kinds: Kinds): string {
  const pick = repeatable(1);
  const make = kinds[kind];
  if (make === undefined) throw new Error(`no such flood: ${kind}`);
  const path = join(folder, `packets-${kind.replaceAll(' ', '-')}`);
  writePackets(path, Array.from({ length: 2000 }, () => make(pick))); // prettier-ignore
  return path;
}

/** A flood at each multiple of the capacity for queries of this kind. */
async function measureKind(flooded: Flooded, kind: string, seconds: number, bad: string[]): Promise<void> {
  const packets = packetsOf(flooded, kind, KINDS);
  // The first one is for the compiler.
  await capacityOf(flooded, packets, 1);
  // With the same requests to the status server as the floods have.
  const sampling = sampleControl(flooded);
  const capacity = await capacityOf(flooded, packets, seconds);
  await sampling.stop();
  console.log(`${kind}: capacity ${thousands(capacity)} answers/s`);
  for (const multiple of MULTIPLES) {
    const { result, text } = await watched(flooded, `${kind} at ${multiple} x`, bad, () =>
      load(flooded, capacity * multiple, packets, seconds),
    );
    const { answers, sent } = result;
    console.log(`  ${multiple} x: ${thousands(answers)} answers/s to ${thousands(sent)} queries/s, ${text}`);
    if (multiple >= 1 && answers < capacity * 0.8) bad.push(`${kind} at ${multiple} x: ${Math.round((answers / capacity) * 100)} % of the capacity`); // prettier-ignore
  }
}

/** A flood that is not answered by the threads of UDP: queries over UDP beside it are answered nevertheless. */
async function measureBeside(flooded: Flooded, kind: string, rate: number, seconds: number, bad: string[]) {
  const queries = packetsOf(flooded, 'one name', KINDS);
  const { result, text } = await watched(flooded, kind, bad, async () => {
    const flood = streamLoad(flooded, kind, rate, seconds + 1);
    const share = (await answered(flooded, rate, queries, seconds)) / rate;
    return { share, flood: await flood };
  });
  console.log(`${kind}: ${result.flood}; beside it ${(result.share * 100).toFixed(1)} % of ${thousands(rate)} queries/s over UDP, ${text}`); // prettier-ignore
  if (result.share < 0.99) bad.push(`${kind}: ${Math.round(result.share * 100)} % of the queries over UDP`);
}

/** Loads the server with a kind of flood, and says what it answered. */
async function streamLoad(flooded: Flooded, kind: string, rate: number, seconds: number): Promise<string> {
  const { running, statusPort, tlsPort } = flooded;
  if (kind === 'http') {
    const script = fileURLToPath(new URL('http-load.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script, 'flood', ...[statusPort, 200, seconds].map(String)]); // prettier-ignore
    return `200 connections, ${thousands(Number(stdout) / seconds)} replies/s`;
  }
  if (kind === 'tcp' || kind === 'tls') {
    const pattern = { sockets: 200, outstanding: 1000 };
    const port = kind === 'tls' ? tlsPort : running.port;
    const { queriesPerSecond } = await runDnsperf('dnsperf', port, packetsOf(flooded, 'one name', KINDS), seconds, {
      ...{ transport: kind, pattern, core: LOAD_CORE },
    });
    return `200 connections, ${thousands(queriesPerSecond)} answers/s`;
  }
  const got = await answered(flooded, rate, packetsOf(flooded, kind, DEFERRED), seconds);
  return `${thousands(rate)} a second, ${thousands(got)} answered`;
}

/** Floods while the control thread is sampled, and looks at health and recovery afterwards. */
async function watched<Result>(
  flooded: Flooded,
  what: string,
  bad: string[],
  flood: () => Promise<Result>,
): Promise<{ result: Result; text: string }> {
  const first = await healthOf(flooded);
  const startMs = performance.now();
  const sampling = sampleControl(flooded);
  const result = await flood();
  const slowest = await sampling.stop();
  const after = await healthOf(flooded);
  const seconds = (performance.now() - startMs) / 1000;
  const recovered = await answered(flooded, 500, packetsOf(flooded, 'one name', KINDS), 1);
  const probes = (after.probes - first.probes) / TARGETS / seconds;
  if (after.up < TARGETS) bad.push(`${what}: healthy targets were taken down`);
  if (recovered < 500) bad.push(`${what}: not recovered a second later`);
  if (probes < 0.8) bad.push(`${what}: ${probes.toFixed(2)} probes a second and target`);
  const late = Object.entries(slowest).filter(([, ms]) => ms > ON_TIME_MS);
  for (const [request, ms] of late) bad.push(`${what}: ${request} in ${Math.round(ms)} ms`);
  const times = Object.entries(slowest).map(([request, ms]) => `${request} ${Math.round(ms)}`);
  return {
    result,
    text: `slowest ${times.join(', ')} ms; ${probes.toFixed(2)} probes a second and target, ${after.up} of ${TARGETS} up, ${Math.round(recovered)} of 500 answered in the second after`, // prettier-ignore
  };
}

/** Asks for readiness, metrics and status, and gives orders, each on a new connection. */
function sampleControl({ statusPort }: Flooded): { readonly stop: () => Promise<Slowest> } {
  const slowest: Slowest = { ready: 0, metrics: 0, status: 0, order: 0 };
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const order = { method: 'PUT', headers, body: '{"state":"up","reason":"flood"}' };
  const requests: Readonly<Record<keyof Slowest, () => Promise<boolean>>> = {
    ready: () => ask(statusPort, '/readyz'),
    metrics: () => ask(statusPort, '/metrics'),
    status: () => ask(statusPort, '/api/v1/status'),
    order: () => ask(statusPort, `/api/v1/overrides/${encodeURIComponent(`s1.${ZONE}/a`)}`, order),
  };
  let isOver = false;
  const sample = async (kind: keyof Slowest): Promise<void> => {
    while (!isOver) {
      const startMs = performance.now();
      // In a flood of connections, one may be closed to make room: a client tries again.
      while (!(await requests[kind]())) await delay(10);
      slowest[kind] = Math.max(slowest[kind], performance.now() - startMs);
      await delay(SAMPLE_MS);
    }
  };
  const sampling = Promise.all((['ready', 'metrics', 'status', 'order'] as const).map(sample));
  return {
    stop: async () => {
      isOver = true;
      await sampling;
      return slowest;
    },
  };
}

type Asked = { readonly method?: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

/** Sends a request on a new connection, as orchestrators and the commands do. Returns whether it succeeded. */
async function ask(port: number, path: string, { method, headers, body }: Asked = {}): Promise<boolean> {
  return await new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      response.resume().once('close', () => {
        resolve(response.complete && response.statusCode === 200);
      });
    });
    sent.once('error', () => {
      resolve(false);
    });
    sent.end(body);
  });
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** What it answers while it gets more than it can answer. The generator has half a million identifiers. */
async function capacityOf(flooded: Flooded, packets: string, seconds: number): Promise<number> {
  return await answered(flooded, 450_000 / seconds, packets, seconds);
}

/** Answers per second while `rate` queries per second are sent, whatever is answered. */
async function answered(flooded: Flooded, rate: number, packets: string, seconds: number): Promise<number> {
  return (await load(flooded, rate, packets, seconds)).answers;
}

/** Per second. A generator that is too slow sends fewer queries than `rate`. */
async function load(
  { running }: Flooded,
  rate: number,
  packets: string,
  seconds: number,
): Promise<{ readonly answers: number; readonly sent: number }> {
  const { port } = running;
  const paced = { port, rate: Math.round(rate), seconds, packets, core: LOAD_CORE };
  const { slices, unsent } = await runPacedLoad(paced, { mayBeSlow: true });
  const answers = slices.reduce((sum, { latencies }) => sum + countOf(fromPairs(latencies)), 0);
  return { answers: answers / seconds, sent: paced.rate - unsent / seconds };
}

async function healthOf({ statusPort }: Flooded): Promise<Health> {
  const text = await (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text();
  const sum = (name: string): number => {
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
    return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  };
  return { probes: sum('pharos_probes_total'), up: sum('pharos_vip_available') };
}
