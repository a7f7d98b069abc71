/**
 * `pharos serve --takeover` (docs/commands.md#--takeover): one process replaces another while clients ask at a steady
 * rate.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { whyNoLibc } from '../../config/libc.ts';
import { closeUnwanted, requestTakeover } from '../../server/threads/takeover.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, run, serve, start, type Served } from '../support/process.ts';
import { axfr, change, keyNamed, sendUpdate, UPDATE_SECRET } from '../support/update-client.ts';

const zone = (address: string): string => `
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  www: { A: ${address} }
services:
  app: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }
`;
const OLD = '192.0.2.80';
const NEW = '192.0.2.81';
const config = (ports: { readonly dns: number; readonly tls: number; readonly http: number }, workers = 2): string =>
  `listen: 127.0.0.1:${ports.dns}
tls: { listen: 127.0.0.1:${ports.tls}, cert: tls.pem, key: tls.key }
status: { listen: 127.0.0.1:${ports.http}, token: secret }
workers: ${workers}
`;

/** A running server on free ports, which its configuration then names, with another address for www. */
async function first() {
  const { cert, key } = makeCertificate();
  const folder = folderOf({
    'pharos.yaml': config({ dns: 0, tls: 0, http: 0 }),
    'zones/example.com.yaml': zone(OLD),
    'tls.pem': cert,
    'tls.key': key,
  });
  const server = await serve([], { cwd: folder.path });
  const tls = Number(/"tls":\["[^"]*:(\d+)"/.exec(server.stdout())?.[1]);
  const ports = { dns: server.port, tls, http: Number(new URL(server.api).port) };
  const write = (workers?: number): void => {
    writeFileSync(join(folder.path, 'pharos.yaml'), config(ports, workers));
    writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone(NEW));
  };
  return {
    path: folder.path,
    server,
    ports,
    write,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** Queries of each way that wait for an answer. */
const MOST_PENDING = 50;
type Asked = { readonly how: string; readonly outcome: string };

/** Asks in all ways at a steady rate, each query from a new port, until it is stopped. */
function clients(ports: { readonly dns: number; readonly tls: number; readonly http: number }, asksHttp = true) {
  const all: Promise<Asked>[] = [];
  const query = encodeQuery('www.example.com', T.A);
  const framed = Buffer.concat([Buffer.of(0, query.length), query]);
  const addressIn = (message: Buffer): string =>
    Buffer.from(decodeMessage(message).answer[0]?.data ?? '', 'hex').join('.');
  const udp = async (): Promise<string> => {
    const socket = createSocket('udp4');
    try {
      socket.send(query, ports.dns, '127.0.0.1');
      const [message] = (await once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) })) as [Buffer];
      return addressIn(message);
    } finally {
      socket.close();
    }
  };
  const stream = async (socket: Socket): Promise<string> => {
    try {
      socket.write(framed);
      let received = Buffer.alloc(0);
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        received = Buffer.concat([received, chunk]);
        if (received.length > 2 && received.length >= 2 + received.readUInt16BE())
          return addressIn(received.subarray(2));
      }
      return 'closed without an answer';
    } finally {
      socket.destroy();
    }
  };
  const ways: Readonly<Record<string, readonly [everyMs: number, ask: () => Promise<string>]>> = {
    udp: [2, udp],
    tcp: [7, () => stream(connectTcp(ports.dns, '127.0.0.1'))],
    tls: [
      40,
      () =>
        stream(connectTls({ port: ports.tls, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['dot'] })),
    ],
    http: [
      25,
      async () => {
        // Not fetch, which keeps connections: a server that stops may close one as it is used again (RFC 9112 9.5).
        const request = get({ port: ports.http, host: '127.0.0.1', path: '/healthz', agent: false });
        const [reply] = (await once(request, 'response', { signal: AbortSignal.timeout(PATIENCE_MS) })) as [
          IncomingMessage,
        ];
        reply.resume();
        return String(reply.statusCode);
      },
    ],
  };
  const pending: Record<string, number> = {};
  const used = Object.entries(ways).filter(([how]) => asksHttp || how !== 'http');
  const timers = used.map(([how, [everyMs, ask]]) =>
    setInterval(() => {
      // A server that waits for a core must not lose queries because they do not fit into its buffers.
      if (pending[how] === MOST_PENDING) return;
      pending[how] = (pending[how] ?? 0) + 1;
      const done = (outcome: string): Asked => {
        pending[how] = (pending[how] ?? 0) - 1;
        return { how, outcome };
      };
      all.push(ask().then(done, (error: unknown) => done(String(error))));
    }, everyMs),
  );
  return {
    /** Outcomes by way, with their counts. */
    stop: async (): Promise<Record<string, Record<string, number>>> => {
      for (const timer of timers) clearInterval(timer);
      const counts: Record<string, Record<string, number>> = {};
      for (const { how, outcome } of await Promise.all(all)) {
        const way = (counts[how] ??= {});
        way[outcome] = (way[outcome] ?? 0) + 1;
      }
      return counts;
    },
  };
}

const pause = (ms: number): Promise<void> => new Promise((passed) => setTimeout(passed, ms));
const overrides = async ({ api }: Pick<Served, 'api'>): Promise<unknown> =>
  (await fetch(`${api}/api/v1/overrides`)).json();

const KEY = keyNamed('k');

test.skipIf(whyNoLibc() !== undefined)('no answered update is lost in a takeover, and serials rise', async () => {
  const dns = await freePort();
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: 127.0.0.1:${dns}
status: { listen: 127.0.0.1:0 }
geo: { databases: [small.mmdb] }
transfer: { keys: { k: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } }, allow: [{ from: 127.0.0.1 }] }
updates: [{ key: k }]
`,
    'zones/example.com.yaml': zone(OLD),
  });
  const old = await serve([], { cwd: folder.path });
  const answered: string[] = [];
  let isOver = false;
  const sending = (async () => {
    for (let number = 0; !isOver; number++) {
      const name = `n${number}`;
      const updates = [change('example.com', `${name} IN A 192.0.2.1`)];
      // A client sends an update without an answer again.
      let rcode: number | undefined;
      for (let tries = 0; rcode === undefined && tries < 10; tries++) rcode = await sendUpdate(dns, { zone: 'example.com', updates }, KEY, 2000); // prettier-ignore
      if (rcode === 0) answered.push(`${name}.example.com.`);
    }
  })();
  await eventually(() => Promise.resolve(answered.length), (count) => count > 5); // prettier-ignore
  const before = (await axfr(dns, 'example.com'))?.serial ?? 0;
  await using next = start(['serve', '--takeover'], { cwd: folder.path });
  await next.until(/the previous server has stopped/);
  expect((await old.finished).code).toBe(0);
  const count = answered.length;
  await eventually(() => Promise.resolve(answered.length), (length) => length > count + 5); // prettier-ignore
  isOver = true;
  await sending;
  const after = await axfr(dns, 'example.com');
  expect(answered.filter((name) => !after?.records.some((each) => each.startsWith(`${name} `)))).toEqual([]);
  expect(after?.serial).toBeGreaterThanOrEqual(before + 1);
  await next.stop();
  await using last = await serve([], { cwd: folder.path });
  expect(await axfr(last.port, 'example.com')).toEqual(after);
});

describe.skipIf(whyNoLibc() !== undefined)('pharos serve --takeover', () => {
  test.each([1, 3])('loses no query, with %d workers after 2', async (workers) => {
    await using old = await first();
    expect((await run(['drain', 'app.example.com/b', '--api', old.server.api, '--token', 'secret'])).code).toBe(0);
    old.write(workers);
    const asking = clients(old.ports);
    await pause(200);
    await using next = start(['serve', '--takeover'], { cwd: old.path });
    await next.until(/"msg":"serving"/);
    expect(await old.server.finished).toMatchObject({ code: 0, stderr: '' });
    await next.until(/"msg":"the previous server has stopped"/);
    await pause(200);
    const counts = await asking.stop();
    for (const way of ['udp', 'tcp', 'tls']) {
      const outcomes = counts[way] ?? {};
      expect([way, Object.keys(outcomes).sort()]).toEqual([way, [OLD, NEW]]);
    }
    expect(Object.keys(counts['http'] ?? {})).toEqual(['200']);
    // The second server knows the orders given to the first one.
    expect(await overrides(old.server)).toMatchObject([{ target: 'app.example.com/b', state: 'drain' }]);
    // And it is replaced in turn.
    await using third = start(['serve', '--takeover'], { cwd: old.path });
    await third.until(/"msg":"the previous server has stopped"/);
    expect((await next.finished).code).toBe(0);
    expect((await third.stop()).code).toBe(0);
    expect(existsSync(join(old.path, 'state/takeover.sock'))).toBe(false);
  });

  test('a second start without it fails, and says how', async () => {
    await using old = await first();
    old.write();
    const second = await run(['serve'], { cwd: old.path });
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/is in use[\s\S]*pharos serve --takeover/);
  });

  test('with a mistake in the configuration the first server continues', async () => {
    await using old = await first();
    writeFileSync(join(old.path, 'zones/example.com.yaml'), zone('192.0.2.999'));
    expect((await run(['serve', '--takeover'], { cwd: old.path })).code).toBe(1);
    expect(old.server.stdout()).not.toContain('takes over');
    expect(await overrides(old.server)).toEqual([]);
  });

  test('without a running server, it is an ordinary start', async () => {
    using folder = folderOf({
      'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: off\n',
      'zones/example.com.yaml': zone(OLD),
    });
    await using server = start(['serve', '--takeover'], { cwd: folder.path });
    await server.until(/"msg":"serving"/);
    expect((await server.stop()).code).toBe(0);
  });

  test('if it dies halfway, the first server continues, with probes, HTTP and reloads', async () => {
    await using old = await first();
    old.write();
    // Over HTTP, a client that connects while no process reads is refused when the sockets of the dead process are
    // closed.
    const asking = clients(old.ports, false);
    const takeover = await requestTakeover(join(old.path, 'state'));
    if (!takeover) throw new Error('nobody could be taken over');
    await takeover.release(60_000);
    await pause(100);
    takeover.abandon();
    // This process has the sockets too, and would keep the port of the status server.
    const { udp, stream, status } = takeover.sockets;
    closeUnwanted([...udp, ...stream, ...status], []);
    await old.server.until(/this server keeps serving/);
    const drained = await run(['drain', 'app.example.com/b', '--api', old.server.api, '--token', 'secret']);
    expect(drained.code).toBe(0);
    old.server.child.kill('SIGHUP');
    await old.server.until(/"msg":"(?:reloaded|nothing has changed)/);
    await pause(100);
    const counts = await asking.stop();
    for (const way of ['udp', 'tcp', 'tls']) expect(Object.keys(counts[way] ?? {}).sort()).toEqual([OLD, NEW]);
    // It can still be replaced.
    await using next = start(['serve', '--takeover'], { cwd: old.path });
    await next.until(/"msg":"the previous server has stopped"/);
    expect((await old.server.finished).code).toBe(0);
  });

  test('if it hangs halfway, the first server continues too, and the new one ends when it resumes', async () => {
    await using old = await first();
    const takeover = await requestTakeover(join(old.path, 'state'));
    if (!takeover) throw new Error('nobody could be taken over');
    await takeover.release(100);
    await old.server.until(/took too long; this server keeps serving/);
    // This process still has all sockets, including that of the status server.
    const drained = await run(['drain', 'app.example.com/b', '--api', old.server.api, '--token', 'secret']);
    expect(drained).toMatchObject({ code: 0, stderr: '' });
    old.server.child.kill('SIGHUP');
    await old.server.until(/"msg":"(?:reloaded|nothing has changed)/);
    await expect(takeover.serving()).rejects.toThrow('so the running server has resumed');
    const { udp, stream, status } = takeover.sockets;
    closeUnwanted([...udp, ...stream, ...status], []);
    expect((await old.server.stop()).code).toBe(0);
  });
});
