import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { whyNoLibc } from '../../../../config/libc.ts';
import { COUNTER } from '../../../../server/counters.ts';
import { PROXY, proxyOctets } from '../../../../server/io/proxy-header.ts';
import type { Io } from '../../../../server/threads/supervisor.ts';
import { parseAddress, parsePrefix, type Endpoint, type Prefix } from '../../../../wire/address.ts';
import { query, read, serve, udpClient } from '../client.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A header: command and version, family and transport, and what follows. */
function header(command: number, family: number, rest: Uint8Array): Buffer {
  const head = Buffer.from([command, family, rest.length >> 8, rest.length & 0xff]);
  return Buffer.concat([SIGNATURE, head, rest]);
}

function proxied(client: string, more: Uint8Array = Buffer.alloc(0)): Buffer {
  const source = parseAddress(client) ?? Buffer.alloc(4);
  const addresses = Buffer.concat([source, Buffer.alloc(source.length, 1), Buffer.from([1, 2, 0, 53]), more]);
  return header(0x21, source.length === 4 ? 0x12 : 0x22, addresses);
}

function networks(...texts: readonly string[]): Prefix[] {
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

const from = (...texts: readonly string[]): Endpoint => ({ host: '127.0.0.1', port: 0, proxy: networks(...texts) });

const ios: Io[] = whyNoLibc() === undefined ? ['batch', 'dgram'] : ['dgram'];

describe.each(ios)('datagrams of a proxy through %s', (io) => {
  test('the answerer gets the client that the header names', async () => {
    await using running = await serve({ io, listen: [from('127.0.0.0/8')] });
    using client = await udpClient(running.endpoint);
    const ask = async (head: Buffer, body: string): Promise<unknown> => {
      const { peer, ...rest } = read(await client.ask(Buffer.concat([head, query(7, undefined, body)])));
      return { peer: peer.join('.'), body: rest.body };
    };
    expect(await ask(proxied('203.0.113.9'), 'v4')).toEqual({ peer: '203.0.113.9', body: 'v4' });
    expect(await ask(proxied('203.0.113.9', Buffer.alloc(300)), 'tlv')).toEqual({ peer: '203.0.113.9', body: 'tlv' });
    expect(await ask(proxied('2001:db8::7'), 'v6')).toEqual({
      peer: '32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.7',
      body: 'v6',
    });
    expect(await ask(proxied('::ffff:192.0.2.1'), 'mapped')).toEqual({ peer: '192.0.2.1', body: 'mapped' });
    expect(await ask(header(0x20, 0, Buffer.alloc(0)), 'local')).toEqual({ peer: '127.0.0.1', body: 'local' });
    expect(await ask(header(0x21, 0, Buffer.alloc(0)), 'unknown')).toEqual({ peer: '127.0.0.1', body: 'unknown' });
    const counters = running.server.counters();
    expect([counters[COUNTER.QUERIES_UDP4], counters[COUNTER.QUERIES_UDP6]]).toEqual([5, 1]);
    expect(counters[COUNTER.PROXY_REFUSED]).toBe(0);
  });

  test('a datagram of a proxy without a whole header, or with a wrong one, is dropped', async () => {
    await using running = await serve({ io, listen: [from('127.0.0.1/32')] });
    using client = await udpClient(running.endpoint);
    const good = proxied('203.0.113.9');
    const wrong = [
      query(1),
      Buffer.concat([SIGNATURE, query(1)]),
      Buffer.concat([header(0x11, 0x12, Buffer.alloc(12)), query(1)]),
      Buffer.concat([header(0x21, 0x12, Buffer.alloc(11)), query(1)]),
      Buffer.concat([header(0x21, 0x22, Buffer.alloc(12)), query(1)]),
      good,
      Buffer.concat([good, query(1).subarray(0, 11)]),
    ];
    for (const each of wrong) client.send(each);
    const last = read(await client.ask(Buffer.concat([good, query(9)])));
    expect(last.id).toBe(9);
    expect(running.server.counters()[COUNTER.PROXY_REFUSED]).toBe(wrong.length);
  });

  test('others are answered as usual, and their headers are refused', async () => {
    await using running = await serve({ io, listen: [from('10.0.0.0/8', '2001:db8::/32', '127.0.0.2/31')] });
    using client = await udpClient(running.endpoint);
    client.send(Buffer.concat([proxied('203.0.113.9'), query(1)]));
    expect(read(await client.ask(query(2)))).toMatchObject({ id: 2, peer: [127, 0, 0, 1] });
    expect(running.server.counters()[COUNTER.PROXY_REFUSED]).toBe(1);
  });
});

/** Sends chunks one after the other over one connection; resolves to all that came until the server closed it. */
async function stream(endpoint: Endpoint, chunks: readonly Uint8Array[], closes = true): Promise<Buffer> {
  const socket = connect({ host: endpoint.host, port: endpoint.port, noDelay: true });
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void got.push(chunk));
  const closed = new Promise<void>((done) => {
    socket.on('error', () => undefined);
    socket.on('close', () => {
      done();
    });
  });
  for (const chunk of chunks) await new Promise((written) => socket.write(chunk, written));
  if (closes) socket.end();
  await closed;
  return Buffer.concat(got);
}

function framed(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);
}

describe('connections of a proxy', () => {
  test('the header may come in any pieces, alone or with the first query', async () => {
    await using running = await serve({ listen: [from('127.0.0.0/8')] });
    const all = Buffer.concat([proxied('203.0.113.9', Buffer.alloc(40)), framed(query(3, undefined, 'hello'))]);
    const cuts = [
      [],
      [1],
      [12],
      [16],
      [28, 70],
      [68],
      [69, 71],
      Array.from({ length: all.length - 1 }, (_, at) => at + 1),
    ];
    for (const cut of cuts) {
      const edges = [0, ...cut, all.length];
      const chunks = edges.slice(1).map((edge, index) => all.subarray(edges[index], edge));
      const response = read((await stream(running.endpoint, chunks)).subarray(2));
      expect(response).toMatchObject({ id: 3, peer: [203, 0, 113, 9], body: 'hello' });
    }
    expect(running.server.counters()[COUNTER.PROXY_REFUSED]).toBe(0);
  });

  test('a query in place of the header closes the connection without an answer', async () => {
    await using running = await serve({ listen: [from('127.0.0.0/8')] });
    expect(await stream(running.endpoint, [framed(query(3))], false)).toHaveLength(0);
    expect(running.server.counters()[COUNTER.PROXY_REFUSED]).toBe(1);
  });

  test('others are answered as usual, and their headers are refused', async () => {
    await using running = await serve({ listen: [from('10.0.0.0/8')] });
    const response = read((await stream(running.endpoint, [framed(query(4))])).subarray(2));
    expect(response).toMatchObject({ id: 4, peer: [127, 0, 0, 1] });
    expect(await stream(running.endpoint, [proxied('203.0.113.9'), framed(query(5))], false)).toHaveLength(0);
    expect(running.server.counters()[COUNTER.PROXY_REFUSED]).toBe(1);
  });

  test('a stop does not wait for a proxy that sends nothing', async () => {
    const running = await serve({ listen: [from('127.0.0.0/8')] });
    const silent = stream(running.endpoint, [], false);
    await stream(running.endpoint, [proxied('203.0.113.9'), framed(query(6))]);
    await running.server.stop();
    expect(await silent).toHaveLength(0);
    // The time limit for the header would count it.
    expect(running.server.counters()[COUNTER.PROXY_REFUSED]).toBe(0);
  });
});

test('a header is cut nowhere', () => {
  const whole = proxied('2001:db8::1', Buffer.alloc(9));
  for (let length = 1; length < whole.length; length++) expect(proxyOctets(whole, 0, length)).toBe(PROXY.PARTIAL);
  expect(proxyOctets(Buffer.concat([whole, whole]), 0, whole.length * 2)).toBe(whole.length);
  expect(proxyOctets(whole, 1, whole.length - 1)).toBe(PROXY.INVALID);
  expect(proxyOctets(header(0x21, 0x11, Buffer.alloc(5000)), 0, 6000)).toBe(PROXY.INVALID);
});
