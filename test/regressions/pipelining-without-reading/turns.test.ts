/**
 * All queries that a client had sent at once were answered at once. Some hundred clients that send a thousand queries
 * each, and read nothing, kept a new client waiting for seconds. Now each connection has a short turn, and new
 * connections are accepted in between.
 */
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { createTurns } from '../../../server/io/turns.ts';
import { get16 } from '../../../wire/octets.ts';
import { framed, query, read } from '../../unit/server/client.ts';
import { serveStream } from '../../unit/server/io/stream-server.ts';

const GREEDY = 40;
const QUERIES = 1200;
const MODEST = 9999;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

test('a client that asks once is answered before those that ask a thousand times', async () => {
  let before = 0;
  let isAsked = false;
  const served = await serveStream({
    clients: 200,
    long: (_client, bytes, at) => {
      isAsked ||= get16(bytes, at) === MODEST;
      if (!isAsked) before++;
      return undefined;
    },
  });
  closers.push(() => served[Symbol.asyncDispose]());
  const flood = Buffer.concat(Array.from({ length: QUERIES }, (_, id) => framed(query(id))));
  const greedy = await Promise.all(Array.from({ length: GREEDY }, () => served.client()));
  const modest = await served.client();
  for (const { socket } of greedy) {
    socket.pause();
    socket.write(flood);
  }
  modest.socket.write(framed(query(MODEST)));
  expect((await modest.receive())?.readUInt16BE()).toBe(MODEST);
  // A round is one turn per connection, and some more rounds may pass before the query has arrived.
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan((GREEDY * QUERIES) / 4);
});

test('every query is answered once, in order, however many come at once', async () => {
  const served = await serveStream();
  closers.push(() => served[Symbol.asyncDispose]());
  const client = await served.client();
  client.socket.write(Buffer.concat(Array.from({ length: QUERIES }, (_, id) => framed(query(id)))));
  client.socket.end();
  for (let id = 0; id < QUERIES; id++) {
    const response = await client.receive();
    if (!response) throw new Error(`no response ${id}`);
    expect(read(response)).toMatchObject({ id });
  }
  // All queries before the end are answered before it.
  expect(await client.receive()).toBeUndefined();
  expect(served.thrown).toEqual([]);
});

test('a client that disconnects while it waits for its turn affects no other', async () => {
  const served = await serveStream();
  closers.push(() => served[Symbol.asyncDispose]());
  const client = await served.client();
  client.socket.write(Buffer.concat(Array.from({ length: QUERIES }, (_, id) => framed(query(id)))));
  await once(client.socket, 'data');
  client.socket.resetAndDestroy();
  const other = await served.client();
  other.socket.write(framed(query(3)));
  expect((await other.receive())?.readUInt16BE()).toBe(3);
  expect(served.thrown).toEqual([]);
});

test('turns rotate, and a round ends with its time', async () => {
  let nowMs = 0;
  const seen: string[] = [];
  const left = new Map([
    ['a', 3],
    ['b', 1],
    ['c', 2],
  ]);
  const finished = new Promise<void>((done) => {
    const turns = createTurns<string>(
      (one) => {
        seen.push(one);
        nowMs++;
        const more = (left.get(one) ?? 0) - 1;
        left.set(one, more);
        if (more > 0) turns.wait(one);
        else if ([...left.values()].every((each) => each === 0)) done();
      },
      () => nowMs,
    );
    for (const one of left.keys()) turns.wait(one);
  });
  await finished;
  expect(seen).toEqual(['a', 'b', 'c', 'a', 'c', 'a']);
});
