/**
 * `PUT /api/v1/overrides/www.example.com/seoul-a?for=30m` set an override without an end: the query string was ignored
 * on paths without parameters.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

let fake: FakeRuntime;
let app: ReturnType<typeof createApp>['app'];
beforeEach(async () => {
  fake = await createFakeRuntime();
  ({ app } = createApp(fake.runtime, { token: 'secret', log: createFakeLog().log }));
});
afterEach(async () => {
  await app.close();
  await fake.stop();
});

test.each([
  ['PUT', '/api/v1/overrides/www.example.com/seoul-a', { state: 'drain' }],
  ['DELETE', '/api/v1/overrides/www.example.com/seoul-a', undefined],
  ['PUT', '/api/v1/weights/www.example.com/seoul-a', { weight: 3 }],
  ['GET', '/api/v1/status', undefined],
  ['GET', '/api/v1/health/www.example.com', undefined],
  ['POST', '/api/v1/reload', undefined],
] as const)('%s %s', async (method, path, body) => {
  const ask = async (url: string) =>
    app.inject({ method, url, headers: { authorization: 'Bearer secret' }, ...(body ? { payload: body } : {}) });
  const refused = await ask(`${path}?for=30m`);
  expect(refused.headers['content-type']).toBe('application/problem+json');
  expect(refused.json()).toMatchObject({
    status: 400,
    detail: 'unknown parameter "for" in the query',
    parameter: 'for',
  });
  expect(fake.runtime.health.overrides()).toEqual([]);
  expect((await ask(path)).statusCode).toBe(200);
});

test('unauthorized clients get that error first, and paths for orchestrators and browsers accept anything', async () => {
  const url = '/api/v1/overrides/www.example.com/seoul-a?for=30m';
  expect((await app.inject({ method: 'PUT', url, payload: { state: 'drain' } })).statusCode).toBe(401);
  expect((await app.inject('/healthz?x=1')).statusCode).toBe(200);
  expect((await app.inject('/metrics?x=1')).statusCode).toBe(200);
});
