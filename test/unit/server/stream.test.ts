import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { COUNTER, createCounters } from '../../../server/counters.ts';
import { TRANSPORT } from '../../../server/exchange.ts';
import { serveStreams, type StreamLimits } from '../../../server/stream.ts';
import type { Link } from '../../../server/thread.ts';
import { createAnswerer, DO, LONG_OCTETS } from './answerer.ts';
import { framed, LOOPBACK, query, read, tcpClient, until } from './client.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A stream server in this thread. */
async function serve(limits: Partial<StreamLimits> = {}) {
  const counters = createCounters();
  const answer = createAnswerer({ generation: 1, payload: undefined }, counters, 3);
  const thrown: unknown[] = [];
  const link: Link = {
    counters,
    news: () => answer,
    current: () => answer,
    take: () => undefined,
    stopping: () => false,
    threw: (error) => void thrown.push(error),
    send: () => undefined,
  };
  const server = await serveStreams([LOOPBACK], { clients: 16, idleMs: 10_000, ...limits }, link);
  closers.push(() => server.close());
  const [endpoint] = server.endpoints;
  if (!endpoint) throw new Error('a server without an address');
  const client = async (localAddress?: string) => {
    const made = await tcpClient(endpoint, localAddress);
    closers.push(() => {
      made[Symbol.dispose]();
    });
    return made;
  };
  return { server, counters, thrown, client };
}

describe('a stream', () => {
  test('answers a message in its frame, and says it is TCP', async () => {
    const { client, counters } = await serve();
    const { socket, receive } = await client();
    socket.write(framed(query(0xabcd, DO.ECHO, 'Hello')));
    const response = await receive();
    expect(response && read(response)).toEqual({
      id: 0xabcd,
      isResponse: true,
      generation: 1,
      thread: 3,
      transport: TRANSPORT.TCP,
      peer: [127, 0, 0, 1],
      body: 'Hello',
    });
    expect([counters[COUNTER.QUERIES_TCP4], counters[COUNTER.TCP_OPEN]]).toEqual([1, 1]);
  });

  test('takes an octet at a time', async () => {
    const { client } = await serve();
    const { socket, receive } = await client();
    for (const octet of framed(query(1, DO.ECHO, 'slow'))) {
      socket.write(Buffer.of(octet));
      await new Promise(setImmediate);
    }
    const response = await receive();
    expect(response && read(response).body).toBe('slow');
  });

  test('answers a thousand pipelined messages in order, silence and exceptions left out', async () => {
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

  test.each([0, 1, 11])('with a length of %d is closed, after what came before is answered', async (length) => {
    const { client, counters } = await serve();
    const { receive, socket } = await client();
    socket.write(Buffer.concat([framed(query(1)), Buffer.of(0, length), Buffer.alloc(length)]));
    expect((await receive())?.readUInt16BE()).toBe(1);
    expect(await receive()).toBeUndefined();
    expect(counters[COUNTER.TCP_BAD_LENGTH]).toBe(1);
  });

  test('that the client closes for writing gets its responses, then is closed', async () => {
    const { client, counters } = await serve();
    const { socket, receive } = await client();
    socket.end(Buffer.concat([1, 2, 3].map((id) => framed(query(id, DO.ANSWER_LONG)))));
    for (const id of [1, 2, 3]) expect((await receive())?.readUInt16BE()).toBe(id);
    expect(await receive()).toBeUndefined();
    await until(() => counters[COUNTER.TCP_OPEN] === 0);
  });

  test('of a client that does not read is not read either, and goes on when it reads', async () => {
    const { client, counters } = await serve();
    const { socket, receive } = await client();
    socket.pause();
    const total = 2000;
    const sent = Promise.withResolvers<undefined>();
    // 120 MB of responses: far more than the sockets between take.
    for (let id = 0; id < total; id++) {
      socket.write(framed(query(id, DO.ANSWER_LONG)), () => {
        if (id === total - 1) sent.resolve(undefined);
      });
    }
    await sent.promise;
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

  test('that is reset with responses on their way harms nobody', async () => {
    const { client, counters } = await serve();
    for (let turn = 0; turn < 5; turn++) {
      const { socket } = await client();
      socket.pause();
      for (let id = 0; id < 50; id++) socket.write(framed(query(id, DO.ANSWER_LONG)));
      const wanted = (counters[COUNTER.QUERIES_TCP4] ?? 0) + 1;
      await until(() => (counters[COUNTER.QUERIES_TCP4] ?? 0) >= wanted);
      socket.resetAndDestroy();
      await once(socket, 'close');
    }
    await until(() => counters[COUNTER.TCP_OPEN] === 0);
    const { socket, receive } = await client();
    socket.write(framed(query(7)));
    expect((await receive())?.readUInt16BE()).toBe(7);
  });
});

describe('idle streams', () => {
  test('are closed, and octets that make no message are no activity', async () => {
    const { client, counters } = await serve({ idleMs: 100 });
    const idle = await client();
    const dripping = await client();
    const drip = setInterval(() => dripping.socket.write(Buffer.of(0xff)), 10);
    closers.push(() => {
      clearInterval(drip);
    });
    await Promise.all([idle.ended, dripping.ended]);
    expect(counters[COUNTER.TCP_IDLE]).toBe(2);
  });

  test('are kept while they ask', async () => {
    const { client, counters } = await serve({ idleMs: 200 });
    const { socket, receive } = await client();
    const until = performance.now() + 500;
    for (let id = 0; performance.now() < until; id++) {
      socket.write(framed(query(id & 0xffff)));
      expect((await receive())?.readUInt16BE()).toBe(id & 0xffff);
      await new Promise((passed) => setTimeout(passed, 20));
    }
    expect(counters[COUNTER.TCP_IDLE]).toBe(0);
  });

  test.skipIf(process.platform !== 'linux')('are closed sooner when there are many', async () => {
    const { client, counters } = await serve({ idleMs: 2000, clients: 4 });
    const began = performance.now();
    const oldest = await client('127.0.0.1');
    await client('127.0.0.2');
    await client('127.0.0.3');
    await oldest.ended;
    expect(performance.now() - began).toBeLessThan(1500);
    expect(counters[COUNTER.TCP_IDLE]).toBeGreaterThan(0);
  });
});

// Addresses of the loopback network other than 127.0.0.1 are there without being configured on Linux alone.
describe.skipIf(process.platform !== 'linux')('when all connections are taken', () => {
  test('the one idle longest makes room', async () => {
    const { client, counters } = await serve({ clients: 3 });
    const first = await client('127.0.0.1');
    const second = await client('127.0.0.2');
    await client('127.0.0.3');
    // First asks, so second is the one that is idle longest.
    first.socket.write(framed(query(1)));
    await first.receive();
    const fourth = await client('127.0.0.4');
    fourth.socket.write(framed(query(4)));
    expect((await fourth.receive())?.readUInt16BE()).toBe(4);
    await second.ended;
    first.socket.write(framed(query(5)));
    expect((await first.receive())?.readUInt16BE()).toBe(5);
    expect([counters[COUNTER.TCP_EVICTED], counters[COUNTER.TCP_OPEN]]).toEqual([1, 3]);
  });

  test('one client that opens many closes its own alone', async () => {
    const { client, counters } = await serve({ clients: 8 });
    const other = await client('127.0.0.2');
    const greedy = [];
    for (let index = 0; index < 20; index++) greedy.push(await client('127.0.0.1'));
    await until(() => counters[COUNTER.TCP_EVICTED] === 16);
    other.socket.write(framed(query(1)));
    expect((await other.receive())?.readUInt16BE()).toBe(1);
    expect(counters[COUNTER.TCP_OPEN]).toBe(5);
  });
});

describe('close', () => {
  test('answers what has been sent, then closes, and takes nobody new', async () => {
    const { server, client } = await serve();
    const idle = await client();
    const asking = await client();
    const [endpoint] = server.endpoints;
    asking.socket.write(framed(query(1, DO.ANSWER_LONG)));
    const closed = server.close();
    expect((await asking.receive())?.length).toBe(LONG_OCTETS);
    await Promise.all([idle.ended, asking.ended]);
    asking.socket.end();
    idle.socket.end();
    await closed;
    await expect(endpoint && tcpClient(endpoint)).rejects.toThrow('ECONNREFUSED');
  });

  test('does not wait for clients that neither read nor close', async () => {
    const { server, client } = await serve();
    const { socket } = await client();
    socket.pause();
    for (let id = 0; id < 200; id++) socket.write(framed(query(id, DO.ANSWER_LONG)));
    await server.close();
  });
});
