/**
 * Requests that node:http itself refuses got a reply without a body: HTTP/1.1 without Host, and an unknown `Expect`.
 * Headers that are too large were "not an HTTP request". And HTTP/1.0, which needs no Host, could not read on this
 * machine.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

let fake: FakeRuntime;
let server: StatusServer;
beforeEach(async () => {
  fake = await createFakeRuntime();
  const listen = { host: '127.0.0.1', port: 0 };
  server = await startStatusServer(fake.runtime, { listen, token: undefined, log: createFakeLog().log });
});
afterEach(async () => {
  await server.close();
  await fake.stop();
});

async function send(lines: readonly string[]): Promise<string> {
  const socket = connect(server.endpoint.port, '127.0.0.1');
  let reply = '';
  socket.setEncoding('latin1').on('data', (text: string) => (reply += text));
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  await once(socket, 'close');
  return reply;
}

test.each([
  [400, 'no Host', ['GET /healthz HTTP/1.1', 'connection: close'], 'an HTTP/1.1 request needs a Host'],
  [
    417,
    'Expect',
    ['GET /healthz HTTP/1.1', 'host: x', 'expect: wonders', 'connection: close'],
    'cannot fulfil the Expect header: wonders',
  ],
  [
    431,
    'large',
    ['GET /healthz HTTP/1.1', 'host: x', `x: ${'a'.repeat(20_000)}`],
    "the request's headers are too large",
  ],
  [400, 'garbage', ['garbage'], 'this is not an HTTP request'],
])('%i as application/problem+json: %s', async (status, _, lines, detail) => {
  const reply = await send(lines);
  const [head = '', body = ''] = reply.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${String(status)} `));
  expect(head.toLowerCase()).toContain('\r\ncontent-type: application/problem+json\r\n');
  expect(JSON.parse(body)).toMatchObject({ status, detail });
});

test('HTTP/1.0 without Host reads on this machine', async () => {
  expect(await send(['GET /api/v1/overrides HTTP/1.0'])).toMatch(/^HTTP\/1.1 200 /);
});

test('a continue is given', async () => {
  const lines = ['GET /healthz HTTP/1.1', 'host: x', 'expect: 100-continue', 'connection: close'];
  expect(await send(lines)).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
});
