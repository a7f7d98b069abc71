/** Which requests the audit log and the events get. */
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sha256Of } from '../../../config/read-tokens.ts';
import type { AuditedRequest } from '../../../status/audit.ts';
import { createApp } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from './fake-runtime.ts';

const TOKEN = 'c29a17e4b6d80f35';
const credentials = (['operate', 'read'] as const).map((role) => ({
  name: role === 'operate' ? 'alice' : 'grafana',
  roles: [role],
  sha256: sha256Of(`${role}-${TOKEN}`),
  certificate: undefined,
}));
let fake: FakeRuntime;
let app: FastifyInstance;
let audited: AuditedRequest[];
beforeEach(async () => {
  fake = await createFakeRuntime();
  audited = [];
  const audit = (request: AuditedRequest): void => void audited.push(request);
  ({ app } = createApp(fake.runtime, { token: undefined, credentials, log: createFakeLog().log, audit }));
});
afterEach(async () => {
  await app.close();
  await fake.stop();
});

const ask = (method: 'GET' | 'PUT' | 'POST', url: string, role?: string, payload?: object) =>
  app.inject({
    method,
    url,
    headers: role === undefined ? {} : { authorization: `Bearer ${role}-${TOKEN}` },
    remoteAddress: '192.0.2.7',
    ...(payload === undefined ? {} : { payload }),
  });

it('records a change with its author, and the name reaches the override and the event', async () => {
  const body = { state: 'drain', reason: 'kernel' };
  expect((await ask('PUT', '/api/v1/overrides/www.example.com/seoul-a', 'operate', body)).statusCode).toBe(200);
  expect(audited).toEqual([
    {
      ...{ who: 'alice', peer: '192.0.2.7', method: 'PUT', url: '/api/v1/overrides/www.example.com/seoul-a' },
      ...{ body, status: 200, outcome: 'done', detail: null },
    },
  ]);
  expect((await ask('GET', '/api/v1/overrides', 'read')).json()).toMatchObject([{ by: 'operator', who: 'alice' }]);
  expect(fake.runtime.events.after(undefined).at(-1)).toMatchObject({ kind: 'override', who: 'alice' });
});

it('records refusals: a missing role, a mistake, and no token', async () => {
  await ask('POST', '/api/v1/reload', 'read');
  await ask('PUT', '/api/v1/overrides/nobody', 'operate', { state: 'up' });
  await ask('POST', '/api/v1/reload');
  expect(audited).toMatchObject([
    { who: 'grafana', status: 403, outcome: 'refused', detail: expect.stringContaining('operate') as string },
    { who: 'alice', status: 404, outcome: 'refused', detail: expect.stringContaining('nobody') as string },
    { who: null, status: 401, outcome: 'refused' },
  ]);
});

it('records at most ten refusals a minute of clients without a token', async () => {
  for (let count = 0; count < 15; count++) await ask('POST', '/api/v1/reload');
  expect(audited).toHaveLength(10);
  for (let count = 0; count < 15; count++) await ask('POST', '/api/v1/reload', 'read');
  expect(audited).toHaveLength(25);
});

it('records no reads, and no reports that were taken', async () => {
  await ask('GET', '/api/v1/status', 'read');
  await ask('POST', '/api/v1/simulate', 'read', { down: ['@seoul'] });
  expect((await ask('PUT', '/api/v1/push/api.example.com/only', 'operate', { healthy: true })).statusCode).toBe(200);
  expect(audited).toEqual([]);
});
