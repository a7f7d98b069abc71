/**
 * The packet loops with independent programs: dig, kdig and dnsperf (Debian: bind9-dnsutils, knot-dnsutils, dnsperf).
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { whyNoLibc } from '../../config/libc.ts';
import { COUNTER } from '../../server/counters.ts';
import type { Io } from '../../server/threads/supervisor.ts';
import type { Endpoint } from '../../wire/address.ts';
import { DO } from '../unit/server/answer/answerer.ts';
import { query, serve, udpClient } from '../unit/server/client.ts';

const run = promisify(execFile);
const ios: Io[] = whyNoLibc() === undefined ? ['batch', 'dgram'] : ['dgram'];
const mirror = new URL('./io-mirror.ts', import.meta.url);

let folder = '';
let queries = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pharos-io-'));
  queries = join(folder, 'queries');
  await writeFile(queries, 'www.example.com A\nexample.com MX\n_explain.www.example.com TXT\n');
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs dnsperf; resolves to its counts. */
async function dnsperf(endpoint: Endpoint, ...more: string[]) {
  const { stdout } = await run('dnsperf', [
    ...['-s', endpoint.host, '-p', String(endpoint.port), '-d', queries, '-T', '1', '-q', '200'],
    ...more,
  ]);
  const number = (label: string): number => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(stdout)?.[1]);
  return {
    completed: number('Queries completed'),
    lost: number('Queries lost'),
    perSecond: number('Queries per second'),
  };
}

describe.each(ios)('through %s', (io) => {
  test.each(['+notcp', '+tcp', '+tcp +keepopen'])('dig %s accepts the response', async (how) => {
    await using running = await serve({
      io,
      answererModule: mirror,
      listen: [
        { host: '::1', port: 0 },
        { host: '127.0.0.1', port: 0 },
      ],
    });
    for (const { host, port } of running.server.addresses()) {
      const { stdout } = await run('dig', [
        ...[`@${host}`, '-p', String(port), '+tries=1', '+time=60', '+qr', ...how.split(' ')],
        ...['www.example.com', 'AAAA', 'example.com', 'MX'],
      ]);
      expect(stdout.match(/status: NOERROR/g)).toHaveLength(4);
      expect(stdout).not.toMatch(/Warning|mismatch|timed out/);
    }
  });

  test('dnsperf loses nothing over UDP or TCP, while generations change', async () => {
    await using running = await serve({ io, answererModule: mirror, workers: 2, tcpClients: 64 });
    const over = (...how: string[]) => dnsperf(running.endpoint, '-c', '8', '-n', '3000', '-l', '300', ...how);
    const both = Promise.all([over('-m', 'udp'), over('-m', 'tcp')]);
    for (let generation = 2; generation < 8; generation++) {
      await running.server.publish({ generation, payload: undefined });
    }
    for (const { completed, lost } of await both) expect({ completed, lost }).toEqual({ completed: 9000, lost: 0 });
    const counters = running.server.counters();
    expect([counters[COUNTER.QUERIES_UDP4], counters[COUNTER.QUERIES_TCP4]]).toEqual([9000, 9000]);
  });
});

describe.skipIf(whyNoLibc() !== undefined)('in batches', () => {
  test.each([1, 2])('%d socket(s) per thread: a query allocates nothing', async (sockets) => {
    const listen = [
      { host: '127.0.0.1', port: 0 },
      { host: '0.0.0.0', port: 0 },
    ].slice(0, sockets);
    await using running = await serve({ io: 'batch', listen });
    const endpoint = { host: '127.0.0.1', port: running.server.addresses().at(-1)?.port ?? 0 };
    using client = await udpClient(endpoint);
    const allocated = async (): Promise<number> => (await client.ask(query(1, DO.TELL_ALLOCATED))).readDoubleBE(32);
    // The compiler allocates while code gets hot; allocations per query would never end. A number on the heap takes 16
    // octets. On a busy machine some 200 kB per round remain, however many queries it has: so each has 300,000.
    let each = Infinity;
    for (let round = 1; round <= 6 && each >= 1; round++) {
      const before = await allocated();
      const { completed, perSecond } = await dnsperf(endpoint, '-c', '1', '-n', '100000', '-l', '300');
      const octets = (await allocated()) - before;
      each = octets / completed;
      console.log(`${completed} queries, ${Math.round(perSecond)} a second, ${octets} octets allocated`);
    }
    expect(each).toBeLessThan(1);
  });
});
