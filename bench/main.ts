/**
 * `npm run bench`: compares this server with its peers, taking turns, on this machine. Prints a table and writes
 * RESULTS.md.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundledDatabasePath } from '../geo/geography.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { cpuTime, findProgram, memoryOctets, processTree, type Running } from '../test/support/server-process.ts';
import { CASES, type Case } from './cases.ts';
import { checkAnswers, portOf } from './check-answers.ts';
import { writeGeoip2 } from './geoip2.ts';
import { patternName, runDnsperf, type Load } from './load.ts';
import { writePackets } from './packets.ts';
import { dns2 } from './peers/dns2.ts';
import { echo, ECHO } from './peers/echo.ts';
import { gdnsd } from './peers/gdnsd.ts';
import { knot } from './peers/knot.ts';
import { nsd } from './peers/nsd.ts';
import { canServe, type Files, type Peer } from './peers/peer.ts';
import { pharos } from './peers/pharos.ts';
import { powerdns } from './peers/powerdns.ts';
import { describeMachine, renderSummary, renderTable, writeResults, type CaseResult, type Round } from './report.ts';

const PEERS: readonly Peer[] = [pharos, gdnsd, knot, nsd, powerdns, dns2, echo];
/** With fewer packets in its file, dnsperf would spend its time reading it. */
const FILE_PACKETS = 20_000;
/** A round before the first counted one, while caches and compilers warm up. */
const WARM_UP_SECONDS = 1.5;

/** With --pin, dnsperf runs on the first core, and the servers on the last one. */
const FIRST_CORE = 0;
const LAST_CORE = availableParallelism() - 1;

const HELP = `npm run bench -- [OPTION ...]
  --cases ${unique(CASES.map(({ name }) => name))}
                      what to ask; all by default
  --patterns ${unique(CASES.map(({ pattern }) => patternName(pattern)))}
                      how to ask: sockets x outstanding queries; all by default
  --servers NAME,...  ${PEERS.map(({ name }) => name.toLowerCase().replace(' limit', '')).join(',')}; all that are installed by default
  --rounds N          rounds of each case, servers taking turns; 5 by default
  --seconds S         length of a round; 1 by default
  --pin               servers have the last core, dnsperf the first; else the kernel places all threads
  --no-results        leave bench/RESULTS.md as it is
`;

function unique(names: readonly string[]): string {
  return [...new Set(names)].join(',');
}

type Entrant = { readonly peer: Peer; readonly running: Running; readonly pids: readonly number[] };

process.exitCode = await main();

async function main(): Promise<number> {
  const values = scriptOptions(HELP, {
    cases: { type: 'string' },
    patterns: { type: 'string' },
    pin: { type: 'boolean', default: false },
    servers: { type: 'string' },
    rounds: { type: 'number', default: 5 },
    seconds: { type: 'number', default: 1, positive: true },
    'no-results': { type: 'boolean', default: false },
  });
  const { rounds, seconds } = values;
  const cases = CASES.filter(
    ({ name, pattern }) =>
      (values.cases?.split(',').includes(name) ?? true) &&
      (values.patterns?.split(',').includes(patternName(pattern)) ?? true),
  );
  const peers = PEERS.filter(
    ({ name }) => values.servers?.split(',').some((wanted) => name.toLowerCase().startsWith(wanted)) ?? true,
  );
  if (cases.length === 0 || peers.length === 0 || rounds < 1) {
    console.error(`bench: nothing to do\n\n${HELP}`);
    return 2;
  }
  const [dnsperf, openssl] = [findProgram('dnsperf'), findProgram('openssl')];
  if (dnsperf === undefined || openssl === undefined) {
    console.error('bench: needs dnsperf and openssl; on Debian: apt-get install dnsperf openssl');
    return 1;
  }
  const installed = peers.filter((peer) => peer.version() !== undefined);
  for (const { name } of peers.filter((peer) => !installed.includes(peer)))
    console.log(`${name} is not installed: left out`);

  // The load of the last minute, before this run adds to it.
  const [loadBefore = 0] = loadavg();
  if (loadBefore > 0.5) console.log(`This machine is busy (load ${loadBefore.toFixed(1)}): figures will be rough.`);
  const folder = mkdtempSync(join(tmpdir(), 'pharos-bench-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143));
  // Connections stay open as long as the probing server wants.
  const health = createServer((socket) => {
    socket.on('error', () => undefined).resume();
  });
  try {
    // Health checks of all servers connect here, at any address of 127.0.0.0/8.
    health.listen(0, '0.0.0.0');
    await once(health, 'listening');
    const address = health.address();
    const files: Files = {
      geoip2: join(folder, 'geoip2.mmdb'),
      healthPort: typeof address === 'object' && address ? address.port : 0,
      tls: writeCertificate(openssl, folder),
    };
    writeGeoip2(bundledDatabasePath(), files.geoip2);
    const results: CaseResult[] = [];
    for (const served of new Set(cases.map((each) => each.served))) {
      const alike = cases.filter((each) => each.served === served);
      const plan = { dnsperf, folder, rounds, seconds, pinned: values.pin };
      for await (const result of runCases(alike, installed, files, plan)) {
        results.push(result);
        console.log(`\n${renderTable(result)}`);
      }
    }
    const measured = installed.filter(({ name }) => results.some((result) => result.rounds.has(name)));
    const versions = measured.map((peer) => peer.version() ?? peer.name);
    const about = describeMachine(dnsperf, versions, { rounds, seconds, loadBefore, pinned: values.pin });
    console.log(`\n${renderSummary(results)}\n\n${about.join('\n')}`);
    if (!values['no-results']) {
      const path = writeResults(results, about);
      console.log(`\nwritten to ${path}`);
    }
    return 0;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    health.close();
  }
}

/** Makes a self-signed certificate in `folder`. Throws if openssl fails. */
function writeCertificate(openssl: string, folder: string): Files['tls'] {
  const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  const names = ['-subj', '/CN=bench.example', '-keyout', tls.key, '-out', tls.cert];
  execFileSync(openssl, ['req', '-x509', ...kind, ...names], { stdio: 'ignore' });
  return tls;
}

type Plan = {
  readonly dnsperf: string;
  readonly folder: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly pinned: boolean;
};

/** Runs cases that need the same zones. Their servers are started before and stopped after them. */
async function* runCases(
  cases: readonly Case[],
  peers: readonly Peer[],
  files: Files,
  plan: Plan,
): AsyncGenerator<CaseResult> {
  const served = cases[0]?.served ?? [];
  const entrants: Entrant[] = [];
  // A child inherits the cores of this process.
  if (plan.pinned) runOn(String(LAST_CORE));
  try {
    for (const peer of peers) {
      if (!cases.some((each) => takesPart(peer, each))) continue;
      const zones = served.filter((zone) => canServe(peer, zone));
      const own = mkdtempSync(join(plan.folder, `${peer.name.replace(' ', '-')}-`));
      try {
        const running = await peer.start(own, zones, files);
        entrants.push({ peer, running, pids: processTree(running.pid) });
      } catch (error) {
        // A server that does not start here must not prevent the measurement of the others.
        console.error(`${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    if (plan.pinned) runOn(`${FIRST_CORE}-${LAST_CORE}`);
    for (const each of cases) yield await runCase(each, entrants, plan);
  } finally {
    await Promise.all(entrants.map(({ running }) => running.stop()));
  }
}

/** Limits this process to these cores, as taskset(1) reads them. */
function runOn(cores: string): void {
  execFileSync('taskset', ['-a', '-c', '-p', cores, String(process.pid)], { stdio: 'ignore' });
}

function takesPart(peer: Peer, { zones, transport, without }: Case): boolean {
  return (
    !without?.includes(peer.name) && peer.transports.includes(transport) && zones.every((zone) => canServe(peer, zone))
  );
}

/** Checks every server's answers, then measures them in turns. Throws if an answer is wrong. */
async function runCase(each: Case, all: readonly Entrant[], plan: Plan): Promise<CaseResult> {
  const entrants = all.filter(({ peer }) => takesPart(peer, each));
  const questions = each.questions();
  const file = join(plan.folder, `${each.name}.packets`);
  const packets = questions.map(({ packet }) => packet);
  const times = Math.ceil(FILE_PACKETS / packets.length);
  writePackets(file, Array.from({ length: times }, () => packets).flat());
  for (const { peer, running } of entrants) {
    if (peer.name !== ECHO) await checkAnswers(peer.name, running, each, questions);
  }
  const { transport, pattern } = each;
  const core = plan.pinned ? FIRST_CORE : undefined;
  const perform = (running: Running, seconds: number): Promise<Load> =>
    runDnsperf(plan.dnsperf, portOf(running, transport), file, seconds, { transport, pattern, core });
  const rounds = new Map<string, Round[]>(entrants.map(({ peer }) => [peer.name, []]));
  for (const { running } of entrants) await perform(running, WARM_UP_SECONDS);
  for (let round = 0; round < plan.rounds; round++) {
    for (const { peer, running, pids } of entrants) {
      const before = cpuTime(pids);
      const load = await perform(running, plan.seconds);
      const after = cpuTime(pids);
      rounds.get(peer.name)?.push({
        queriesPerSecond: load.queriesPerSecond,
        userMicroseconds: ((after.user - before.user) / load.completed) * 1e6,
        systemMicroseconds: ((after.system - before.system) / load.completed) * 1e6,
        busy: (after.user + after.system - before.user - before.system) / (load.completed / load.queriesPerSecond),
        lost: load.lost,
        memoryOctets: memoryOctets(pids),
      });
    }
  }
  writeFileSync(file, ''); // Packets are large and no longer needed.
  const startMs = new Map(entrants.map(({ peer, running }) => [peer.name, running.startMs]));
  return { name: each.name, pattern, about: each.about, targets: each.targets, rounds, startMs };
}
