/**
 * Updates and differences over UDP wait for the control thread. A flood of them, which no limit held back, filled the
 * memory: each waited in the queue of messages to that thread.
 */
import { describe, expect, test } from 'vitest';
import { whyNoLibc } from '../../../config/libc.ts';
import { COUNTER } from '../../../server/counters.ts';
import type { Io } from '../../../server/threads/supervisor.ts';
import { DO } from '../../unit/server/answer/answerer.ts';
import { query, read, serve, udpClient, until } from '../../unit/server/client.ts';

const ios: Io[] = whyNoLibc() === undefined ? ['batch', 'dgram'] : ['dgram'];
const WAITING = 256;
const FLOOD = 600;
/** So few fit into the socket's buffer. */
const AT_ONCE = 50;

describe.each(ios)('messages for a control thread that has no time, through %s', (io) => {
  test('are dropped and counted above a number, and taken again afterwards', async () => {
    const asked: ((reply: unknown) => void)[] = [];
    const reply = (): Promise<unknown> => new Promise((settle) => void asked.push(settle));
    await using running = await serve({ io, reply });
    using client = await udpClient(running.endpoint);
    for (let sent = 0; sent < FLOOD; sent += AT_ONCE) {
      for (let each = 0; each < AT_ONCE; each++) client.send(query(each, DO.DEFER));
      // Other queries are answered meanwhile.
      expect(read(await client.ask(query(sent))).id).toBe(sent);
    }
    await until(() => asked.length >= WAITING);
    expect(running.server.counters()[COUNTER.DEFERRED_DROPPED]).toBe(FLOOD - WAITING);
    expect(asked.length).toBe(WAITING);
    for (const settle of asked.splice(0)) settle(undefined);
    const response = client.receive();
    // The places are free once the thread has heard the replies.
    const again = setInterval(() => {
      client.send(query(7, DO.DEFER));
    }, 20);
    await until(() => asked.length > 0);
    clearInterval(again);
    asked[0]?.(query(9));
    expect((await response).readUInt16BE()).toBe(9);
  });
});
