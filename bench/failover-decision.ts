/**
 * Measures the time from Pharos's decision that a VIP is down to the first answers of its threads without it. The
 * server runs in this process, so that both times come from one clock. The client is a separate thread with many
 * sockets, which the kernel distributes over the answering threads.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { runServer } from '../cli/serve/run-server.ts';
import { freePort } from '../test/support/free-port.ts';
import { encodeQuery } from './packets.ts';
import { readResponse } from './read-response.ts';

const NAME = 'www.example.com';
const FAILING = '192.0.2.1';
const SOCKETS = 16;
/** Each socket of the client has one question in flight at any time. */
type Answer = { readonly socket: number; readonly sentMs: number; readonly seenMs: number };

if (!isMainThread && isClient(workerData)) askOverAndOver(workerData.port);

/** Milliseconds from each of these decisions to the last socket's first answer without the VIP. */
export async function measureDecisions(folder: string, runs: number): Promise<number[]> {
  mkdirSync(folder, { recursive: true });
  let status = 200;
  const backend = createServer((_, response) => response.writeHead(status).end()).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const port = await freePort();
  const standby = createServer((_, response) => response.end()).listen(0, '127.0.0.2');
  await once(standby, 'listening');
  writeConfiguration(folder, port, portOf(backend), portOf(standby));

  let decided: ((ms: number) => void) | undefined;
  // pino writes at once, in the same turn of the event loop in which the table was written.
  const log = pino({ level: 'info' }, { write: (line: string) => { if (line.includes('"to":"down"')) decided?.(nowMs()); } }); // prettier-ignore
  const input = { file: join(folder, 'pharos.yaml'), cwd: folder, env: process.env, cores: 3 };
  const server = await runServer(input, () => Promise.resolve(log));
  const client = new Worker(new URL(import.meta.url), { workerData: { decisionClient: true, port } });
  const times: number[] = [];
  try {
    while (times.length < runs) {
      status = 200;
      await new Promise<void>((resolve) => {
        const look = (answers: { with: Answer[] }): void => {
          if (new Set(answers.with.map(({ socket }) => socket)).size < SOCKETS) return;
          client.off('message', look);
          resolve();
        };
        client.on('message', look);
      });
      await delay(Math.random() * 50);
      const decision = new Promise<number>((resolve) => (decided = resolve));
      status = 503;
      const decidedMs = await decision;
      times.push(await lastFirstAnswer(client, decidedMs));
    }
  } finally {
    await client.terminate();
    await server.stop();
    for (const each of [backend, standby]) each.close().closeAllConnections();
  }
  return times;
}

/**
 * The time of the last of the sockets' first answers without the VIP. Throws on an answer with the VIP to a question
 * asked after the decision.
 */
async function lastFirstAnswer(client: Worker, decidedMs: number): Promise<number> {
  const first = new Map<number, number>();
  while (first.size < SOCKETS) {
    const [answers] = (await once(client, 'message')) as [{ readonly with: Answer[]; readonly without: Answer[] }];
    for (const { socket, sentMs, seenMs } of answers.without) {
      // The client waits for the next question, not the server.
      if (seenMs >= decidedMs && !first.has(socket)) first.set(socket, seenMs - Math.max(decidedMs, sentMs));
    }
    const stale = answers.with.find(({ sentMs }) => sentMs > decidedMs);
    if (stale !== undefined)
      throw new Error(`asked ${(stale.sentMs - decidedMs).toFixed(3)} ms after the decision, the VIP was answered`);
  }
  return Math.max(...first.values());
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function isClient(data: unknown): data is { readonly port: number } {
  return typeof data === 'object' && data !== null && 'decisionClient' in data;
}

function askOverAndOver(port: number): void {
  const query = encodeQuery(NAME, 'A');
  let seen: { with: Answer[]; without: Answer[] } = { with: [], without: [] };
  Array.from({ length: SOCKETS }, (_, socket) => {
    const udp: Socket = createSocket('udp4');
    let sentMs = 0;
    const send = (): void => {
      sentMs = nowMs();
      udp.send(query);
    };
    udp.on('message', (message) => {
      const answer = { socket, sentMs, seenMs: nowMs() };
      (readResponse(message).addresses.includes(FAILING) ? seen.with : seen.without).push(answer);
      setTimeout(send, 1);
    });
    udp.connect(port, '127.0.0.1', send);
  });
  setInterval(() => {
    parentPort?.postMessage(seen);
    seen = { with: [], without: [] };
  }, 20);
}

function writeConfiguration(folder: string, port: number, probed: number, standby: number): void {
  const head = [
    `listen: ["127.0.0.1:${port}"]`,
    'workers: 2',
    'zones: [zone.yaml]',
    'state_dir: ./state',
    'status: off',
  ];
  writeFileSync(join(folder, 'pharos.yaml'), [...head, ''].join('\n'));
  const check = `{ type: http, port: ${probed}, interval: 1s, timeout: 500ms, fast: 100ms, rise: 2, fall: 3 }`;
  const zone = [
    ...[
      'zone: example.com',
      'nameservers: [ns1]',
      'soa: { contact: hostmaster }',
      'records: { ns1: { A: 192.0.2.53 } }',
    ],
    `checks: { web: ${check} }`,
    ...['services:', '  www:', '    steer: [{ failover: [a, b] }]'],
    '    check: web',
    `    vips: { a: { A: ${FAILING}, probe: "127.0.0.1:${probed}" }, b: { A: 192.0.2.2, probe: "127.0.0.2:${standby}" } }`,
  ];
  writeFileSync(join(folder, 'zone.yaml'), [...zone, ''].join('\n'));
}
