/**
 * A length that no message can have closed the connection at once. If the client had sent more than had been read by
 * then, TCP sent a reset, which discarded the responses to earlier queries that were on their way.
 */
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { COUNTER } from '../../../server/counters.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { DO, LONG_OCTETS } from '../../unit/server/answer/answerer.ts';
import { framed, query, until } from '../../unit/server/client.ts';
import { serveStream } from '../../unit/server/io/stream-server.ts';

const BAD_LENGTH = Buffer.of(0, 5);
/** More than is read at once. */
const MORE = Buffer.alloc(300_000, 0x78);

test.each(['TCP', 'TLS'])('over %s earlier queries are answered, whatever follows', async (transport) => {
  await using served = await serveStream({ tls: makeCertificate() });
  for (let turn = 0; turn < 10; turn++) {
    const { socket, receive } = transport === 'TLS' ? await served.tlsClient() : await served.client();
    // A client that has not read them yet when the connection is closed.
    socket.pause();
    socket.write(Buffer.concat([framed(query(1, DO.ANSWER_LONG)), framed(query(2)), BAD_LENGTH, MORE]));
    await until(() => served.counters[COUNTER.TCP_BAD_LENGTH] === turn + 1);
    socket.resume();
    expect((await receive())?.length).toBe(LONG_OCTETS);
    expect((await receive())?.readUInt16BE()).toBe(2);
    expect(await receive()).toBeUndefined();
    socket.end();
  }
  await until(() => served.counters[COUNTER.TCP_OPEN] === 0);
});

test('a client that continues to send is closed at the time limit, counted once, and gets no further response', async () => {
  await using served = await serveStream({ idleMs: 200 });
  const socket = connect({ ...served.endpoint, allowHalfOpen: true });
  socket.on('error', () => undefined);
  let received = 0;
  socket.on('data', (octets: Buffer) => (received += octets.length));
  let isClosed = false;
  socket.on('close', () => (isClosed = true));
  socket.write(Buffer.concat([framed(query(1)), BAD_LENGTH]));
  await until(() => served.counters[COUNTER.TCP_BAD_LENGTH] === 1);
  while (!isClosed) {
    socket.write(framed(query(2)));
    await served.pass(20);
  }
  expect(received).toBeGreaterThan(0);
  const { counters } = served;
  expect([counters[COUNTER.QUERIES_TCP4], counters[COUNTER.TCP_BAD_LENGTH], counters[COUNTER.TCP_IDLE]]).toEqual([
    1, 1, 0,
  ]);
});
