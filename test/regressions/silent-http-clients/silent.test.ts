/**
 * 256 clients that connected to the status server and sent nothing kept all others out: sockets stayed half-closed
 * after their 408. Now a connection without a complete request makes room for the next one.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

let fake: FakeRuntime;
let server: StatusServer;
let sockets: Socket[];
beforeEach(async () => {
  fake = await createFakeRuntime();
  sockets = [];
  server = await startStatusServer(fake.runtime, {
    listen: { host: '127.0.0.1', port: 0 },
    token: 'a-token',
    log: createFakeLog().log,
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
  await fake.stop();
});

/** Clients that keep their end open whatever the server does. */
async function open(count: number, sent: string): Promise<void> {
  const all = Array.from({ length: count }, async () => {
    const socket = connect({ port: server.endpoint.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    if (sent !== '') socket.write(sent);
    return socket;
  });
  await Promise.all(all);
}

const url = (path: string): string => `http://127.0.0.1:${server.endpoint.port}${path}`;

test.each([
  ['nothing', ''],
  ['half a header', 'GET /metrics HTTP/1.1\r\nHost: x\r\n'],
  ['half a body', 'PUT /api/v1/push/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n'],
  [
    'a wrong token, whose reply waits',
    'POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nContent-Length: 0\r\n\r\n',
  ],
])('600 clients that send %s block no other client', async (_, sent) => {
  await open(600, sent);
  for (const path of ['/readyz', '/metrics', '/api/v1/status']) expect((await fetch(url(path))).status).toBe(200);
  const reload = await fetch(url('/api/v1/reload'), { method: 'POST', headers: { authorization: 'Bearer a-token' } });
  expect(reload.status).toBe(200);
  const { alarms } = (await (await fetch(url('/api/v1/status'))).json()) as { alarms: { code: string }[] };
  expect(alarms).toMatchObject([{ code: 'connections_full', subject: 'http', severity: 'warning' }]);
});

test('a client that keeps its end open after a refusal loses its socket', async () => {
  await open(1, 'garbage\r\n\r\n');
  const [socket] = sockets;
  socket?.resume();
  // A reset, or an error when something is written to what is gone.
  const gone = new Promise((resolve) => socket?.once('error', resolve).once('close', resolve));
  const timer = setInterval(() => socket?.write('x'), 50);
  await gone;
  clearInterval(timer);
});
