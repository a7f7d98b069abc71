/**
 * A web page in a browser on the server's machine could make the server compute: a form or `fetch` with `mode: no-cors`
 * needs no permission to be sent. Now a request with the Origin of another site is refused.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

let fake: FakeRuntime;
let app: ReturnType<typeof createApp>['app'];
beforeEach(async () => {
  fake = await createFakeRuntime();
  ({ app } = createApp(fake.runtime, { token: 'right', log: createFakeLog().log }));
});
afterEach(async () => {
  await app.close();
  await fake.stop();
});

test.each([
  ['POST', '/api/v1/simulate', { origin: 'https://evil.example' }, 403],
  ['POST', '/api/v1/simulate', { origin: 'null' }, 403],
  ['POST', '/api/v1/simulate', { origin: 'http://localhost:9' }, 403],
  ['POST', '/api/v1/simulate', { origin: 'http://localhost' }, 200],
  ['POST', '/api/v1/simulate', {}, 200],
  ['POST', '/api/v1/reload', { origin: 'https://evil.example', authorization: 'Bearer right' }, 403],
  ['GET', '/api/v1/status', { origin: 'https://evil.example' }, 403],
  ['GET', '/metrics', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
  ['GET', '/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
  ['GET', '/healthz', { origin: 'https://evil.example' }, 200],
] as const)('%s %s with %j: %i', async (method, url, headers, status) => {
  const payload = method === 'POST' && url.endsWith('simulate') ? { down: ['@seoul'] } : undefined;
  const reply = await app.inject({
    method,
    url,
    headers: { host: 'localhost', ...headers },
    ...(payload && { payload }),
  });
  expect(reply.statusCode).toBe(status);
});
