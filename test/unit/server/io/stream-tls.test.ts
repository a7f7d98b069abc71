/**
 * What TLS adds to a stream: handshakes, sessions, certificates. What also applies to TCP is in
 * stream-contract.test.ts.
 */
import { once } from 'node:events';
import type { SecureVersion } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { COUNTER } from '../../../../server/counters.ts';
import { makeCertificate } from '../../../support/certificate.ts';
import { drip } from '../../health/support.ts';
import { DO, LONG_OCTETS } from '../answer/answerer.ts';
import { framed, query, until, type tcpClient } from '../client.ts';
import { serveStream, type StreamOptions } from './stream-server.ts';

const tls = makeCertificate();

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serve(options: StreamOptions = {}) {
  const served = await serveStream({ tls, ...options });
  closers.push(() => served[Symbol.asyncDispose]());
  const { counters } = served;
  return { ...served, count: (name: keyof typeof COUNTER) => counters[COUNTER[name]] ?? 0 };
}

type Client = Awaited<ReturnType<typeof tcpClient>>;

/** The ID of the response to a query with it. */
async function ask({ socket, receive }: Pick<Client, 'socket' | 'receive'>, id: number): Promise<number | undefined> {
  socket.write(framed(query(id)));
  return (await receive())?.readUInt16BE();
}

const version = (only: SecureVersion) => ({ minVersion: only, maxVersion: only });
const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];

describe.each(VERSIONS)('over %s', (only) => {
  test('a session is resumed, and counted', async () => {
    const { tlsClient, count } = await serve();
    const first = await tlsClient(version(only));
    const issued = only === 'TLSv1.3' ? once(first.socket, 'session') : undefined;
    await ask(first, 1);
    const session = issued ? ((await issued) as [Buffer])[0] : first.socket.getSession();
    const second = await tlsClient({ ...version(only), ...(session ? { session } : {}) });
    expect(await ask(second, 2)).toBe(2);
    expect(second.socket.isSessionReused()).toBe(true);
    expect([count('TLS_HANDSHAKES'), count('TLS_RESUMED')]).toEqual([2, 1]);
  });
});

describe('the handshake', () => {
  test.each([
    [['dot'], 'dot'],
    [['h2', 'dot'], 'dot'],
    [undefined, false],
  ])('of a client that offers %j selects %s', async (offered, settled) => {
    const { tlsClient } = await serve();
    const client = await tlsClient({ ALPNProtocols: offered });
    expect(await ask(client, 1)).toBe(1);
    expect(client.socket.alpnProtocol).toBe(settled);
  });

  test('does not depend on the name: any, or none, gets the certificate', async () => {
    const { tlsClient } = await serve();
    for (const servername of ['', 'ns1.example.com', 'elsewhere.example.net']) {
      const { socket } = await tlsClient({ servername });
      expect(socket.getPeerCertificate().subject).toEqual({ CN: 'ns1.example.com' });
    }
  });

  test.each([
    ['that offers only other protocols', { ALPNProtocols: ['h2'] }, /alert no application protocol|ALPN/i],
    ['that stops at TLS 1.1', { ...version('TLSv1.1'), ciphers: 'DEFAULT@SECLEVEL=0' }, /protocol|ECONNRESET/],
  ])('of a client %s fails, and is counted', async (_title, options, reason) => {
    const { tlsClient, count } = await serve();
    await expect(tlsClient(options)).rejects.toThrow(reason);
    await until(() => count('TLS_FAILED') === 1 && count('TCP_OPEN') === 0);
    expect(await ask(await tlsClient(), 1)).toBe(1);
  });

  const clientHello = Buffer.from('160301', 'hex');
  test.each([
    ['DNS without TLS', framed(query(1))],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['zeros', Buffer.alloc(100)],
    ['a record longer than TLS has', Buffer.concat([clientHello, Buffer.of(0xff, 0xff), Buffer.alloc(65_535)])],
    ['a ClientHello longer than its record', Buffer.concat([clientHello, Buffer.of(0, 4, 1, 0xff, 0xff, 0xff)])],
    ['application data first', Buffer.concat([Buffer.from('1703030020', 'hex'), Buffer.alloc(32)])],
  ])('that is %s is not a handshake: closed, counted, and no other client is affected', async (_title, octets) => {
    const { rawClient, tlsClient, count, thrown, pass } = await serve({ handshakeMs: 300 });
    const other = await tlsClient();
    const { socket, ended } = await rawClient();
    socket.write(octets);
    await until(() => count('TCP_OPEN') === 2);
    await pass(1100);
    await ended;
    await until(() => count('TCP_OPEN') === 1);
    expect(count('TLS_FAILED') + count('TLS_TIMEOUTS')).toBe(1);
    expect(count('QUERIES_TLS4')).toBe(0);
    expect(thrown).toEqual([]);
    expect(await ask(other, 1)).toBe(1);
  });

  test('has a deadline, and octets that complete nothing do not extend it', async () => {
    const { rawClient, tlsClient, count, pass } = await serve({ handshakeMs: 200, idleMs: 60_000 });
    const other = await tlsClient();
    const silent = await rawClient();
    const dripping = await rawClient();
    await until(() => count('TCP_OPEN') === 3);
    drip(dripping.socket, Buffer.concat([clientHello, Buffer.of(0x20, 0)]), Buffer.of(1));
    await pass(190);
    expect(count('TLS_TIMEOUTS')).toBe(0);
    // The sweeper runs once per second.
    await pass(1000);
    await Promise.all([silent.ended, dripping.ended]);
    expect([count('TLS_TIMEOUTS'), count('TLS_FAILED'), count('TCP_IDLE')]).toEqual([2, 0, 0]);
    expect(await ask(other, 1)).toBe(1);
  });

  test('ended by the client is a failed one', async () => {
    const { rawClient, count, pass } = await serve({ handshakeMs: 100 });
    const [closing, resetting] = [await rawClient(), await rawClient()];
    closing.socket.end();
    resetting.socket.write(clientHello);
    resetting.socket.resetAndDestroy();
    await until(() => count('TCP_OPEN') === 0);
    expect(count('TLS_FAILED')).toBe(2);
    // It is not counted again when its time is over.
    const silent = await rawClient();
    await until(() => count('TCP_OPEN') === 1);
    await pass(1100);
    await silent.ended;
    expect([count('TLS_FAILED'), count('TLS_TIMEOUTS')]).toEqual([2, 1]);
  });
});

// Only on Linux can addresses of the loopback network other than 127.0.0.1 be used without configuration.
describe.skipIf(process.platform !== 'linux')('when all connections are in use', () => {
  test('handshakes take places like others, and the one idle longest makes room', async () => {
    const { rawClient, client, tlsClient, count } = await serve({ clients: 3 });
    const shaking = await rawClient('127.0.0.1');
    const plain = await client('127.0.0.2');
    const secure = await tlsClient({ localAddress: '127.0.0.3' });
    expect(await ask(plain, 1)).toBe(1);
    const fourth = await tlsClient({ localAddress: '127.0.0.4' });
    await shaking.ended;
    expect([await ask(fourth, 4), await ask(plain, 2), await ask(secure, 3)]).toEqual([4, 2, 3]);
    expect([count('TCP_EVICTED'), count('TCP_OPEN'), count('TLS_FAILED')]).toEqual([1, 3, 0]);
  });

  test('a client that opens many closes only its own', async () => {
    const { rawClient, tlsClient, count } = await serve({ clients: 8 });
    const other = await tlsClient({ localAddress: '127.0.0.2' });
    for (let index = 0; index < 20; index++) await rawClient('127.0.0.1');
    await until(() => count('TCP_EVICTED') === 16);
    expect(await ask(other, 1)).toBe(1);
    expect(count('TCP_OPEN')).toBe(5);
  });
});

describe('a new certificate', () => {
  const next = makeCertificate({ name: 'ns2.example.com' });
  const publication = (pair?: { cert: string; key: string }) => ({
    generation: 2,
    payload: undefined,
    ...(pair ? { tls: pair } : {}),
  });

  test('is for new connections; open ones continue', async () => {
    const { tlsClient, security } = await serve();
    const before = await tlsClient();
    const session = before.socket.getSession();
    security.take(publication(next));
    const after = await tlsClient(session ? { session } : {});
    expect(after.socket.getPeerCertificate().subject).toEqual({ CN: 'ns2.example.com' });
    expect([await ask(before, 1), await ask(after, 2)]).toEqual([1, 2]);
  });

  test.each([
    ['that is not one', { cert: 'x', key: 'y' }],
    ['with the key of another', { cert: next.cert, key: tls.key }],
  ])('%s is rejected, and the previous one stays', async (_title, pair) => {
    const { tlsClient, security } = await serve();
    expect(() => {
      security.take(publication(pair));
    }).toThrow();
    const client = await tlsClient();
    expect(client.socket.getPeerCertificate().subject).toEqual({ CN: 'ns1.example.com' });
  });

  test('does not come with a generation that has none, nor with the same one: sessions continue', async () => {
    const { tlsClient, security, count } = await serve();
    const first = await tlsClient(version('TLSv1.2'));
    const session = first.socket.getSession();
    security.take(publication());
    security.take(publication({ ...tls }));
    await ask(await tlsClient({ ...version('TLSv1.2'), ...(session ? { session } : {}) }), 1);
    expect(count('TLS_RESUMED')).toBe(1);
  });
});

test('sessions are resumed for half a day: then there are new ticket keys, and a full handshake', async () => {
  let now = 0;
  const { tlsClient, count } = await serve({ nowMs: () => now });
  const first = await tlsClient(version('TLSv1.2'));
  const session = first.socket.getSession();
  for (const [hours, resumed] of [
    [11, 1],
    [13, 1],
  ] as const) {
    now = hours * 3_600_000;
    const again = await tlsClient({ ...version('TLSv1.2'), ...(session ? { session } : {}) });
    expect(await ask(again, 1)).toBe(1);
    expect(count('TLS_RESUMED')).toBe(resumed);
  }
});

test('close answers what was received, also during a handshake', async () => {
  const { close, tlsClient, rawClient } = await serve();
  const shaking = await rawClient();
  const asking = await tlsClient();
  asking.socket.write(framed(query(1, DO.ANSWER_LONG)));
  const closed = close();
  expect((await asking.receive())?.length).toBe(LONG_OCTETS);
  await Promise.all([asking.ended, shaking.ended]);
  asking.socket.end();
  await closed;
});
