/**
 * What every stream does, over TCP and over each version of TLS (RFC 7766, RFC 7858 3.3).
 */
import { once } from 'node:events';
import type { SecureVersion } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { TRANSPORT } from '../../../../server/contract.ts';
import { COUNTER } from '../../../../server/counters.ts';
import { makeCertificate } from '../../../support/certificate.ts';
import { DO, LONG_OCTETS } from '../answer/answerer.ts';
import { framed, query, read, until } from '../client.ts';
import { serveStream } from './stream-server.ts';

const tls = makeCertificate();
type Served = Awaited<ReturnType<typeof serveStream>>;

const overTls = (only: SecureVersion) => ({
  name: only,
  transport: TRANSPORT.TLS,
  queries: COUNTER.QUERIES_TLS4,
  connect: ({ tlsClient }: Served) => tlsClient({ minVersion: only, maxVersion: only }),
});
const TRANSPORTS = [
  {
    name: 'TCP',
    transport: TRANSPORT.TCP,
    queries: COUNTER.QUERIES_TCP4,
    connect: ({ client }: Served) => client(),
  },
  overTls('TLSv1.2'),
  overTls('TLSv1.3'),
];

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe.each(TRANSPORTS)('over $name', ({ transport, queries, connect }) => {
  /** A server, and clients of it; all are closed after the test. */
  async function serve() {
    const served = await serveStream({ tls });
    closers.push(() => served[Symbol.asyncDispose]());
    const { counters, thrown } = served;
    return { counters, thrown, client: () => connect(served) };
  }

  test('a message is answered in its frame, and the answerer knows its transport', async () => {
    const { client, counters } = await serve();
    const { socket, receive } = await client();
    socket.write(framed(query(0xabcd, DO.ECHO, 'Hello')));
    const response = await receive();
    expect(response && read(response)).toEqual({
      id: 0xabcd,
      isResponse: true,
      generation: 1,
      thread: 3,
      transport,
      peer: [127, 0, 0, 1],
      body: 'Hello',
    });
    expect([counters[queries], counters[COUNTER.TCP_OPEN]]).toEqual([1, 1]);
  });

  test('single octets are accepted', async () => {
    const { client } = await serve();
    const { socket, receive } = await client();
    for (const octet of framed(query(1, DO.ECHO, 'slow'))) {
      socket.write(Buffer.of(octet));
      await new Promise(setImmediate);
    }
    const response = await receive();
    expect(response && read(response).body).toBe('slow');
  });

  test('a thousand pipelined messages are answered in order, except those without a response', async () => {
    const { client, thrown } = await serve();
    const { socket, receive } = await client();
    const what = (id: number) => (id % 10 === 4 ? DO.STAY_SILENT : id % 10 === 7 ? DO.THROW : DO.ECHO);
    const ids = Array.from({ length: 1000 }, (_, id) => id);
    socket.write(Buffer.concat(ids.map((id) => framed(query(id, what(id))))));
    for (const id of ids.filter((each) => what(each) === DO.ECHO)) {
      expect((await receive())?.readUInt16BE()).toBe(id);
    }
    expect(thrown).toHaveLength(100);
  });

  test.each([0, 1, 11])('a length of %d ends it, after earlier messages are answered', async (length) => {
    const { client, counters } = await serve();
    const { receive, socket } = await client();
    const after = framed(query(2));
    socket.write(Buffer.concat([framed(query(1)), Buffer.of(0, length), Buffer.alloc(length), after]));
    expect((await receive())?.readUInt16BE()).toBe(1);
    expect(await receive()).toBeUndefined();
    expect([counters[COUNTER.TCP_BAD_LENGTH], counters[queries]]).toEqual([1, 1]);
    socket.end();
    await until(() => counters[COUNTER.TCP_OPEN] === 0);
  });

  test('a client that closes for writing gets every response, then the end', async () => {
    const { client, counters } = await serve();
    const { socket, receive } = await client();
    socket.end(Buffer.concat([1, 2, 3].map((id) => framed(query(id, DO.ANSWER_LONG)))));
    for (const id of [1, 2, 3]) expect((await receive())?.readUInt16BE()).toBe(id);
    expect(await receive()).toBeUndefined();
    await until(() => counters[COUNTER.TCP_OPEN] === 0);
    expect(counters[COUNTER.TLS_FAILED]).toBe(0);
  });

  test('a client that does not read is not read either, affects no other, and continues when it reads', async () => {
    const { client, counters } = await serve();
    const { socket, receive } = await client();
    socket.pause();
    // 60 MB of responses: far more than the sockets between can hold.
    const total = 1000;
    for (let id = 0; id < total; id++) socket.write(framed(query(id, DO.ANSWER_LONG)));
    let before = -1;
    await until(() => {
      const now = counters[COUNTER.OCTETS_OUT] ?? 0;
      const still = now === before && now > 0;
      before = now;
      return still;
    });
    expect(before).toBeLessThan((total * LONG_OCTETS) / 2);
    const other = await client();
    other.socket.write(framed(query(7)));
    expect((await other.receive())?.readUInt16BE()).toBe(7);
    socket.resume();
    for (let id = 0; id < total; id++) expect((await receive())?.readUInt16BE()).toBe(id);
  });

  test('a client that disconnects with responses on their way affects no other', async () => {
    const { client, counters } = await serve();
    for (let turn = 0; turn < 5; turn++) {
      const { socket } = await client();
      socket.pause();
      for (let id = 0; id < 50; id++) socket.write(framed(query(id, DO.ANSWER_LONG)));
      const wanted = (counters[queries] ?? 0) + 1;
      await until(() => (counters[queries] ?? 0) >= wanted);
      // Unread data makes it a reset.
      socket.destroy();
      await once(socket, 'close');
    }
    await until(() => counters[COUNTER.TCP_OPEN] === 0);
    const { socket, receive } = await client();
    socket.write(framed(query(7)));
    expect((await receive())?.readUInt16BE()).toBe(7);
  });
});
