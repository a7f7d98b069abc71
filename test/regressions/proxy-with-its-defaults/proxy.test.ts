/**
 * A reverse proxy on the same machine made all reading public: only X-Forwarded-For and Forwarded showed that a request
 * was not from this machine. Now every header of a proxy does, and the Host must be a loopback address with the
 * server's port.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

let fake: FakeRuntime;
let server: StatusServer;
const listen = { host: '127.0.0.1', port: 0 };
beforeEach(async () => {
  fake = await createFakeRuntime();
  server = await startStatusServer(fake.runtime, { listen, token: 'right', log: createFakeLog().log });
});
afterEach(async () => {
  await server.close();
  await fake.stop();
});

/** The status of a GET; `OWN` is the address of the server. */
async function get(at: StatusServer, version: string, headers: readonly string[]): Promise<number> {
  const socket = connect(at.endpoint.port, '127.0.0.1');
  let reply = '';
  socket.setEncoding('latin1').on('data', (text: string) => (reply += text));
  const own = `127.0.0.1:${at.endpoint.port}`;
  socket.write(`GET /api/v1/overrides HTTP/${version}\r\n${headers.join('\r\n').replace('OWN', own)}\r\n\r\n`);
  await once(socket, 'data');
  socket.destroy();
  return Number(/^HTTP\/1.1 (\d+)/.exec(reply)?.[1]);
}

test.each([
  ['a program on this machine', '1.1', ['Host: OWN'], 200],
  ['Apache', '1.1', ['Host: OWN', 'X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Host: status.example'], 401],
  ['nginx without proxy_set_header', '1.0', ['Host: OWN', 'Connection: close'], 401],
  ['nginx with X-Real-IP', '1.1', ['Host: OWN', 'X-Real-IP: 192.0.2.7'], 401],
  ['Varnish', '1.1', ['Host: OWN', 'Via: 1.1 cache', 'X-Varnish: 1'], 401],
  ['Cloudflare', '1.1', ['Host: OWN', 'CF-Connecting-IP: 192.0.2.7', 'CF-Ray: 1'], 401],
  ['Akamai', '1.1', ['Host: OWN', 'True-Client-IP: 192.0.2.7'], 401],
  ['HAProxy, which keeps the Host', '1.1', ['Host: status.example'], 401],
  ['a proxy on another port', '1.1', ['Host: 127.0.0.1:1'], 401],
])('%s', async (_, version, headers, status) => {
  expect(await get(server, version, headers)).toBe(status);
});

test('with open_reading: false a program on this machine needs the token too', async () => {
  const closed = await startStatusServer(fake.runtime, {
    listen,
    token: 'right',
    openReading: false,
    log: createFakeLog().log,
  });
  expect(await get(closed, '1.1', ['Host: OWN'])).toBe(401);
  expect(await get(closed, '1.1', ['Host: OWN', 'Authorization: Bearer right'])).toBe(200);
  await closed.close();
});
