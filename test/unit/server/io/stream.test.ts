/**
 * Streams: later answers, idle connections, limits. What applies to both TCP and TLS is in stream-contract.test.ts.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { TRANSPORT, type AnswerLong, type StreamClient } from '../../../../server/contract.ts';
import { COUNTER } from '../../../../server/counters.ts';
import { clientKey } from '../../../../server/io/stream-clients.ts';
import { peerOf } from '../../../../server/io/udp-dgram.ts';
import { drip } from '../../health/support.ts';
import { DO, LONG_OCTETS } from '../answer/answerer.ts';
import { framed, query, tcpClient, until } from '../client.ts';
import { serveStream, type StreamOptions } from './stream-server.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A stream server in this thread, closed after the test. */
async function serve(options: StreamOptions = {}) {
  const served = await serveStream(options);
  closers.push(() => served[Symbol.asyncDispose]());
  return served;
}

/** Takes messages that begin with `L`; the test defines its work. */
function longAnswers(work: (client: StreamClient, id: number) => Promise<void>): AnswerLong {
  return (client, rx, at) => (rx[at + 12] === LONG ? work(client, Buffer.from(rx).readUInt16BE(at)) : undefined);
}
const LONG = 'L'.charCodeAt(0);

describe('later answers (RFC 7766 6.2.1.1)', () => {
  test('let the other queries of their connection pass', async () => {
    const go = Promise.withResolvers<undefined>();
    const long = longAnswers(async ({ send, peer, transport }, id) => {
      expect([transport, peer.octets]).toEqual([TRANSPORT.TCP, 4]);
      await go.promise;
      await send(query(id));
      await send(query(id + 100));
    });
    const { client, counters } = await serve({ long });
    const { socket, receive } = await client();
    socket.write(Buffer.concat([framed(query(1)), framed(query(2, LONG)), framed(query(3)), framed(query(4))]));
    for (const id of [1, 3, 4]) expect((await receive())?.readUInt16BE()).toBe(id);
    go.resolve(undefined);
    for (const id of [2, 102]) expect((await receive())?.readUInt16BE()).toBe(id);
    expect(counters[COUNTER.QUERIES_TCP4]).toBe(4);
  });

  test('wait for a client that reads slowly, and share it with its other queries', async () => {
    const total = 1000;
    const message = Buffer.concat([query(9), Buffer.alloc(LONG_OCTETS)]);
    let sent = 0;
    const long = longAnswers(async ({ send }) => {
      for (; sent < total; sent++) await send(message);
    });
    const { client } = await serve({ long });
    const { socket, receive } = await client();
    socket.pause();
    socket.write(framed(query(1, LONG)));
    let before = -1;
    await until(() => {
      const still = sent === before && sent > 0;
      before = sent;
      return still;
    });
    expect(sent).toBeLessThan(total / 2);
    socket.write(framed(query(2)));
    socket.resume();
    const ids = [];
    for (let left = total + 1; left > 0; left--) ids.push((await receive())?.readUInt16BE());
    expect(ids.filter((id) => id === 9)).toHaveLength(total);
    // Not the last: it was answered as soon as the client had read what was on its way.
    expect(ids.indexOf(2)).toBeGreaterThanOrEqual(0);
    expect(ids.indexOf(2)).toBeLessThan(total);
  });

  test('cost other clients nothing, however fast its own reads', async () => {
    let isDone = false;
    let sent = 0;
    const long = longAnswers(async ({ send }) => {
      while (!isDone && (await send(query(9)))) sent++;
    });
    const { client } = await serve({ long });
    const greedy = await client();
    greedy.socket.write(framed(query(1, LONG)));
    await greedy.receive();
    const other = await client();
    const before = sent;
    for (let id = 0; id < 50; id++) {
      other.socket.write(framed(query(id)));
      expect((await other.receive())?.readUInt16BE()).toBe(id);
    }
    isDone = true;
    // Each query is some turns of the loop. Without a turn for others, the kernel's buffers take 100,000 at once.
    expect(sent - before).toBeLessThan(10_000);
  });

  test('end when their client is gone', async () => {
    const ended = Promise.withResolvers<boolean>();
    const message = Buffer.concat([query(9), Buffer.alloc(LONG_OCTETS)]);
    let sent = 0;
    const long = longAnswers(async ({ send }) => {
      while (await send(message)) sent++;
      ended.resolve(await send(message));
    });
    const { client, counters, thrown } = await serve({ long });
    const { socket } = await client();
    socket.pause();
    socket.write(framed(query(1, LONG)));
    let before = -1;
    await until(() => {
      const still = sent === before && sent > 0;
      before = sent;
      return still;
    });
    socket.resetAndDestroy();
    expect(await ended.promise).toBe(false);
    await until(() => counters[COUNTER.TCP_OPEN] === 0);
    expect(thrown).toEqual([]);
  });

  test('close the connection when they fail, later or at once', async () => {
    const { client, thrown } = await serve({ long: longAnswers(() => Promise.reject(new Error('broken'))) });
    const { socket, ended } = await client();
    socket.write(framed(query(1, LONG)));
    await ended;
    const atOnce: AnswerLong = () => {
      throw new Error('broken');
    };
    expect(thrown).toHaveLength(1);
    const second = await serve({ long: atOnce });
    const other = await second.client();
    other.socket.write(framed(query(1)));
    await until(() => second.thrown.length === 1);
  });

  test('are still sent to a client that closes for writing', async () => {
    const go = Promise.withResolvers<undefined>();
    const long = longAnswers(async ({ send }, id) => {
      await go.promise;
      await send(query(id));
    });
    const { client } = await serve({ long });
    const { socket, receive } = await client();
    socket.end(Buffer.concat([framed(query(1, LONG)), framed(query(2))]));
    expect((await receive())?.readUInt16BE()).toBe(2);
    go.resolve(undefined);
    expect((await receive())?.readUInt16BE()).toBe(1);
    expect(await receive()).toBeUndefined();
  });

  test('keep their connection from being idle, but not if the client stops reading', async () => {
    const go = Promise.withResolvers<undefined>();
    const message = Buffer.concat([query(9), Buffer.alloc(LONG_OCTETS)]);
    const long = longAnswers(async ({ send }, id) => {
      if (id === 1) await go.promise;
      else while (await send(message));
      await send(query(id));
    });
    const { client, counters, pass } = await serve({ long, idleMs: 100 });
    const [waiting, stalled] = [await client(), await client()];
    waiting.socket.write(framed(query(1, LONG)));
    stalled.socket.pause();
    stalled.socket.write(framed(query(2, LONG)));
    await until(() => counters[COUNTER.QUERIES_TCP4] === 2);
    while (counters[COUNTER.TCP_IDLE] === 0) await pass(100);
    await pass(1000);
    expect(counters[COUNTER.TCP_IDLE]).toBe(1);
    go.resolve(undefined);
    expect((await waiting.receive())?.readUInt16BE()).toBe(1);
  });

  test('are made for eight messages of a connection at a time; the rest waits', async () => {
    const waiting: (() => void)[] = [];
    const long = longAnswers(async ({ send }, id) => {
      await new Promise<void>((go) => void waiting.push(go));
      await send(query(id));
    });
    const { client } = await serve({ long });
    const { socket, receive } = await client();
    const ids = Array.from({ length: 20 }, (_, id) => id);
    socket.end(Buffer.concat(ids.map((id) => framed(query(id, LONG)))));
    await until(() => waiting.length === 8);
    const other = await client();
    other.socket.write(framed(query(7)));
    expect((await other.receive())?.readUInt16BE()).toBe(7);
    expect(waiting).toHaveLength(8);
    for (const id of ids) {
      await until(() => waiting.length > 0);
      waiting.shift()?.();
      expect((await receive())?.readUInt16BE()).toBe(id);
    }
    expect(await receive()).toBeUndefined();
  });
});

test.each([
  ['192.0.2.1', '192.0.2.1', true],
  ['192.0.2.1', '192.0.2.2', false],
  ['192.0.2.1', '::ffff:192.0.2.1', true],
  ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', true],
  ['2001:db8:0:1::1', '2001:db8:0:2::1', false],
  ['fe80::1%lo', 'fe80::2%eth0', true],
])('connections from %s and %s are one client: %s', (one, other, same) => {
  const key = (text: string): string => {
    const peer = peerOf(text);
    if (!peer) throw new Error(text);
    return clientKey(peer);
  };
  expect(key(one) === key(other)).toBe(same);
});

describe('idle streams', () => {
  test('that stopped in the middle of a message are closed, and its first half gets no response', async () => {
    const { client, counters, pass } = await serve({ idleMs: 100 });
    const { socket, receive } = await client();
    socket.write(framed(query(1, DO.ECHO, 'half')).subarray(0, 14));
    await until(() => counters[COUNTER.TCP_OPEN] === 1);
    await pass(90);
    expect(counters[COUNTER.TCP_IDLE]).toBe(0);
    await pass(20);
    expect(await receive()).toBeUndefined();
    expect([counters[COUNTER.TCP_IDLE], counters[COUNTER.QUERIES_TCP4]]).toEqual([1, 0]);
  });

  test('that never read their responses are closed', async () => {
    const { client, counters, pass } = await serve({ idleMs: 200 });
    const { socket } = await client();
    socket.pause();
    for (let id = 0; id < 500; id++) socket.write(framed(query(id, DO.ANSWER_LONG)));
    await until(() => (counters[COUNTER.QUERIES_TCP4] ?? 0) > 0);
    while (counters[COUNTER.TCP_IDLE] === 0) await pass(100);
    await until(() => counters[COUNTER.TCP_IDLE] === 1 && counters[COUNTER.TCP_OPEN] === 0);
  });

  test.skipIf(process.platform !== 'linux')('are told how long they may be idle, in units of 100 ms', async () => {
    const { client, counters } = await serve({ idleMs: 10_000, clients: 4 });
    expect(counters[COUNTER.STREAM_IDLE]).toBe(100);
    await client('127.0.0.1');
    await client('127.0.0.2');
    const third = await client('127.0.0.3');
    await until(() => counters[COUNTER.STREAM_IDLE] === 20);
    third.socket.destroy();
    await until(() => counters[COUNTER.STREAM_IDLE] === 100);
  });

  test('are closed, and octets that make no message are not activity', async () => {
    const { client, counters, pass } = await serve({ idleMs: 100 });
    const idle = await client();
    const dripping = await client();
    await until(() => counters[COUNTER.TCP_OPEN] === 2);
    drip(dripping.socket, '', Buffer.of(0xff));
    await pass(90);
    expect(counters[COUNTER.TCP_IDLE]).toBe(0);
    await pass(20);
    await Promise.all([idle.ended, dripping.ended]);
    expect(counters[COUNTER.TCP_IDLE]).toBe(2);
  });

  test('are kept while they ask', async () => {
    const { client, counters, pass } = await serve({ idleMs: 200 });
    const { socket, receive } = await client();
    for (let id = 0; id < 10; id++) {
      socket.write(framed(query(id)));
      expect((await receive())?.readUInt16BE()).toBe(id);
      await pass(190);
    }
    expect(counters[COUNTER.TCP_IDLE]).toBe(0);
  });

  test.skipIf(process.platform !== 'linux')('are closed sooner if there are many', async () => {
    const { client, counters, pass } = await serve({ idleMs: 2000, clients: 4 });
    const oldest = await client('127.0.0.1');
    await client('127.0.0.2');
    await until(() => counters[COUNTER.TCP_OPEN] === 2);
    await pass(1900);
    expect(counters[COUNTER.TCP_IDLE]).toBe(0);
    await client('127.0.0.3');
    await until(() => counters[COUNTER.TCP_OPEN] === 3);
    await pass(200);
    await oldest.ended;
    expect(counters[COUNTER.TCP_IDLE]).toBe(2);
  });
});

// Only on Linux can addresses of the loopback network other than 127.0.0.1 be used without configuration.
describe.skipIf(process.platform !== 'linux')('when all connections are in use', () => {
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

  test('a connection with work in progress is closed last, although it asked before the others', async () => {
    const go = Promise.withResolvers<undefined>();
    const long = longAnswers(async ({ send }, id) => {
      await go.promise;
      await send(query(id));
    });
    const { client } = await serve({ clients: 2, long });
    const working = await client('127.0.0.1');
    working.socket.write(Buffer.concat([framed(query(1, LONG)), framed(query(2))]));
    await working.receive();
    const idle = await client('127.0.0.2');
    await client('127.0.0.3');
    await idle.ended;
    go.resolve(undefined);
    expect((await working.receive())?.readUInt16BE()).toBe(1);
  });

  test('a client that opens many closes only its own', async () => {
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
  test('answers what was received, then closes, and accepts no new client', async () => {
    const { client, endpoint, close } = await serve();
    const idle = await client();
    const asking = await client();
    asking.socket.write(framed(query(1, DO.ANSWER_LONG)));
    const closed = close();
    expect((await asking.receive())?.length).toBe(LONG_OCTETS);
    await Promise.all([idle.ended, asking.ended]);
    asking.socket.end();
    idle.socket.end();
    expect(await closed).toBeLessThan(1100);
    await expect(tcpClient(endpoint)).rejects.toThrow('ECONNREFUSED');
  });

  test('does not wait for clients that neither read nor close', async () => {
    const { client, close, counters } = await serve();
    const { socket } = await client();
    socket.pause();
    for (let id = 0; id < 200; id++) socket.write(framed(query(id, DO.ANSWER_LONG)));
    await until(() => (counters[COUNTER.QUERIES_TCP4] ?? 0) > 0);
    expect(await close()).toBeLessThan(2200);
  });
});
