/**
 * Twenty clients that sent thousands of requests each, without waiting for replies, kept /readyz and orders waiting for
 * more than ten seconds: Node.js reads 64 KiB of requests at once, and all of them were served in one turn of the event
 * loop. Two hundred clients that waited for their replies kept a new connection waiting for seconds. Now a connection
 * has one request served at a time, is closed where many wait, and each turn serves few requests.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { MAX_PIPELINED } from '../../../status/request-lines.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

const TOKEN = 'a-token';
const REQUEST = 'GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n';
const GREEDY = 20;

let fake: FakeRuntime;
let server: StatusServer;
let sockets: Socket[];
/** Requests to /readyz that were served. */
let served: number;
beforeEach(async () => {
  fake = await createFakeRuntime();
  [sockets, served] = [[], 0];
  const runtime = {
    ...fake.runtime,
    notReady: () => {
      served++;
      return fake.runtime.notReady();
    },
  };
  server = await startStatusServer(runtime, {
    listen: { host: '127.0.0.1', port: 0 },
    token: TOKEN,
    log: createFakeLog().log,
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
  await fake.stop();
});

async function open(): Promise<Socket> {
  const socket = connect(server.endpoint.port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

test('a client that sends thousands of requests at once is closed, after a few of them', async () => {
  const greedy = await Promise.all(Array.from({ length: GREEDY }, open));
  // `once` would reject at the reset that comes first.
  const closed = greedy.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  for (const socket of greedy) socket.resume().write(REQUEST.repeat(2500));
  await Promise.all(closed);
  expect(served).toBeLessThanOrEqual(GREEDY * MAX_PIPELINED);
  expect((await fetch(`http://127.0.0.1:${server.endpoint.port}/readyz`)).status).toBe(200);
});

test('as many requests as allowed are answered, in their order', async () => {
  const socket = await open();
  const paths = Array.from({ length: MAX_PIPELINED }, (_, at) => (at % 2 === 0 ? '/readyz' : `/no-${at}`));
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    text += String(chunk);
    if (text.includes(`/no-${MAX_PIPELINED - 1}"`)) break;
  }
  const seen = [...text.matchAll(/HTTP\/1\.1 (\d+)|no such path: (\/no-\d+)/g)].map(
    ([, status, path]) => path ?? status,
  );
  expect(seen).toEqual(paths.flatMap((path) => (path === '/readyz' ? ['200'] : ['404', path])));
});

test.each([
  ['with a query does not wait for others', '/readyz?verbose', ''],
  ['does not wait for requests with an Expect that is refused', '/readyz', 'Expect: wonders\r\n'],
])('a probe %s', async (_title, path, headers) => {
  const crowd = await Promise.all(Array.from({ length: GREEDY }, open));
  const probe = await open();
  let others = 0;
  for (const socket of crowd) {
    socket.once('data', () => others++);
    socket.write(`GET /nothing HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
  }
  // Sent last: in the line of the others, its reply would be the last one.
  probe.write(REQUEST.replace('/readyz', path));
  await once(probe, 'data');
  expect(others).toBeLessThan(GREEDY);
});

test('an order is served beside 200 clients that ask all the time', async () => {
  const crowd = await Promise.all(Array.from({ length: 200 }, open));
  let replies = 0;
  for (const socket of crowd) {
    // Each chunk is one small reply.
    socket.on('data', () => {
      replies++;
      socket.write(REQUEST);
    });
    socket.write(REQUEST);
  }
  while (served < 1000) await once(crowd[0] as Socket, 'data');
  const reload = (): Promise<Response> =>
    fetch(`http://127.0.0.1:${server.endpoint.port}/api/v1/reload`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } },
    });
  const before = served;
  for (let order = 0; order < 5; order++) expect((await reload()).status).toBe(200);
  // An order takes some ten turns, of which each serves one of them.
  expect(replies).toBeGreaterThan(0);
  expect(served - before).toBeLessThan(5 * 100);
});
