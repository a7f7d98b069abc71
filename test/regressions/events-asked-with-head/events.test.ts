/**
 * HEAD of the stream of events never got a reply, and held one of the 64 streams until the client gave up. And a
 * browser that had requested `?after=ID` and resumed with Last-Event-ID got everything after the first of both again.
 */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

let fake: FakeRuntime;
let server: StatusServer;
let url: string;
beforeEach(async () => {
  fake = await createFakeRuntime();
  const listen = { host: '127.0.0.1', port: 0 };
  server = await startStatusServer(fake.runtime, { listen, token: undefined, log: createFakeLog().log });
  url = `http://127.0.0.1:${server.endpoint.port}/api/v1/events`;
});
afterEach(async () => {
  await server.close();
  await fake.stop();
});

test('HEAD returns the headers of GET, and ends', async () => {
  const asked = request(url, { method: 'HEAD', headers: { accept: 'text/event-stream' }, timeout: 2000 });
  asked.on('timeout', () => asked.destroy(new Error('no reply')));
  asked.end();
  const [reply] = (await once(asked, 'response')) as [IncomingMessage];
  expect(reply.statusCode).toBe(200);
  expect(reply.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  reply.resume();
  await once(reply, 'end');
});

test('Last-Event-ID takes precedence over ?after', async () => {
  const { events } = fake.runtime;
  for (const message of ['one', 'two', 'three']) events.add({ kind: 'reload', message });
  const ids = events.after(undefined).map(({ id }) => id);
  const [first = '', second = ''] = ids.slice(-3);
  const reply = await fetch(`${url}?after=${first}`, { headers: { 'last-event-id': second } });
  const got = (await reply.json()) as { id: string }[];
  expect(got.map(({ id }) => id)).toEqual(ids.slice(-1));
});
