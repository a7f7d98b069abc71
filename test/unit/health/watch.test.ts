import * as http from 'node:http';
import * as net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { probeHttp } from '../../../health/checks/probe-http.ts';
import { NO_OWNER, overSocket, type ProbeConnection } from '../../../health/connection.ts';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable } from '../../../health/health-table.ts';
import { REUSE_MS } from '../../../health/limits.ts';
import { connectPlain } from '../../../health/plain-connection.ts';
import { createWatch } from '../../../health/watch.ts';
import { PATIENCE_MS } from '../../support/patience.ts';
import { createManualClock, httpCheck, listen, never, tcpCheck, vip, type TestServer } from './support.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run();
});

async function serve(server: net.Server): Promise<TestServer> {
  const served = await listen(server);
  cleanUp.push(() => served.close());
  return served;
}

/** Of both kinds; where the C library cannot be called there is one. */
const KINDS: readonly (readonly [string, (port: number) => ProbeConnection])[] = [
  ['over a socket of Node.js', (port) => overSocket(net.connect(port, '127.0.0.1'))],
  ['without one', (port) => connectPlain('127.0.0.1', port) ?? overSocket(net.connect(port, '127.0.0.1'))],
];

function opened(connection: ProbeConnection): Promise<ProbeConnection> {
  return new Promise((resolve, reject) => {
    connection.owner = {
      opened: () => {
        resolve(connection);
      },
      received: () => undefined,
      ended: reject,
      failed: reject,
    };
  });
}

describe.each(KINDS)('connections %s that are held', (_, connect) => {
  const connected = (port: number): Promise<ProbeConnection> => opened(connect(port));

  test('are bounded: what is more is closed', async () => {
    const served = await serve(net.createServer());
    const watch = createWatch(createManualClock(), () => undefined, 3);
    for (let index = 0; index < 5; index += 1) watch.keep(`k${index}`, await connected(served.port));
    expect(watch.size()).toBe(3);
    await expect.poll(() => served.open()).toBe(3);
    watch.drop('k0');
    watch.keep('k9', await connected(served.port));
    expect(watch.size()).toBe(3);
    watch.stop();
    await served.quiet();
  });

  test('can be taken for a probe while they are young, alone and open', async () => {
    const served = await serve(net.createServer());
    const clock = createManualClock();
    const lost: string[] = [];
    const watch = createWatch(clock, (key) => lost.push(key), 10);
    const connection = await connected(served.port);
    watch.keep('k', connection);
    expect([watch.take('k'), watch.size()]).toEqual([connection, 0]);
    await clock.advance(REUSE_MS - 1);
    // Its age counts from when it was first kept.
    watch.keep('k', connection);
    expect(watch.take('k')).toBe(connection);
    watch.keep('k', connection);
    await clock.advance(1);
    expect([watch.take('k'), watch.size(), connection.isOpen()]).toEqual([undefined, 0, false]);
    for (const other of [await connected(served.port), await connected(served.port)]) watch.keep('two', other);
    expect([watch.take('two'), watch.size()]).toEqual([undefined, 0]);
    expect([watch.take('none'), lost]).toEqual([undefined, []]);
    await served.quiet();
  });

  test("a taken one is nobody's loss; given back it is watched again", async () => {
    const ends: net.Socket[] = [];
    const served = await serve(net.createServer((socket) => ends.push(socket)));
    const lost: string[] = [];
    const watch = createWatch(createManualClock(), (key) => lost.push(key), 10);
    const connection = await connected(served.port);
    watch.keep('k', connection);
    expect(watch.take('k')).toBe(connection);
    expect(connection.owner).toBe(NO_OWNER);
    watch.keep('k', connection);
    await expect.poll(() => ends.length).toBe(1);
    ends[0]?.end();
    await expect.poll(() => lost).toEqual(['k']);
    expect(watch.size()).toBe(0);
  });

  test('hanging up leaves no port behind: it is a reset', async () => {
    const errors: string[] = [];
    const server = net.createServer((socket) => socket.on('error', (error) => errors.push((error as NodeJS.ErrnoException).code ?? ''))); // prettier-ignore
    const served = await serve(server);
    (await connected(served.port)).hangUp();
    await expect.poll(() => errors).toEqual(['ECONNRESET']);
  });
});

describe('a probe over the connection of an earlier one', () => {
  async function twice(server: http.Server | net.Server, between: () => unknown = () => undefined) {
    const served = await serve(server);
    const where = { host: '127.0.0.1', port: served.port };
    const kept: ProbeConnection[] = [];
    const keep = (connection: ProbeConnection): void => {
      kept.push(connection);
    };
    const first = await probeHttp(where, httpCheck(), never, { keep });
    await between();
    const second = await probeHttp(where, httpCheck({ timeoutMs: 1000 }), never, { keep, reused: kept[0] });
    for (const connection of kept) connection.hangUp();
    await served.quiet();
    return { first: first.passed, second, accepted: served.accepted() };
  }

  test('needs no other', async () => {
    const result = await twice(http.createServer((_, response) => response.end('ok')));
    expect(result).toMatchObject({ first: true, second: { passed: true, reason: 'HTTP 200' }, accepted: 1 });
  });

  test('makes another where the server closes it at that moment', async () => {
    let requests = 0;
    const server = http.createServer((request, response) => {
      requests += 1;
      if (requests === 2) request.socket.destroy();
      else response.end('ok');
    });
    expect(await twice(server)).toMatchObject({ second: { passed: true }, accepted: 2 });
  });

  test('makes another where it was closed before', async () => {
    const server = http.createServer((_, response) => response.end('ok'));
    const result = await twice(server, () => {
      server.closeAllConnections();
    });
    expect(result).toMatchObject({ second: { passed: true }, accepted: 2 });
  });

  test('believes what is answered on it', async () => {
    let requests = 0;
    const server = http.createServer((_, response) => response.writeHead((requests += 1) === 2 ? 503 : 200).end());
    const { second, accepted } = await twice(server);
    expect([second.reason, accepted]).toEqual(['HTTP 503 (expected 200-399)', 1]);
  });
});

test.each([
  ['http, settled: one connection for several probes', httpCheck({ fall: 2 }), true],
  ['http that goes down with one failure: a new one each time', httpCheck({ fall: 1 }), false],
  ['tcp, which is about connecting: a new one each time', tcpCheck(), false],
] as const)('%s', async (_, spec, reuses) => {
  const server = http.createServer((__, response) => response.end('ok'));
  const served = await serve(server);
  const health = startHealth({ stateDir: undefined, log: () => undefined, warn: () => undefined });
  cleanUp.push(() => health.stop());
  const check = { ...spec, port: undefined, intervalMs: 50, fastMs: 50, timeoutMs: PATIENCE_MS } as typeof spec;
  const target = vip({ slot: 0, target: 'x/a', check, host: '127.0.0.1', port: served.port });
  health.configure([target], createHealthTable(1), 1);
  await expect.poll(() => health.stats().probes).toBeGreaterThanOrEqual(6);
  if (reuses) expect(served.accepted()).toBe(1);
  else expect(served.accepted()).toBeGreaterThanOrEqual(6);
});
