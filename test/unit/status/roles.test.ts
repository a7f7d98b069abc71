/**
 * Each path and method of the OpenAPI document with a token of each role. The table below is complete: a new path must
 * be entered here, with the role that it needs.
 */
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Of } from '../../../config/read-tokens.ts';
import type { Credential } from '../../../config/settings.ts';
import { createApp } from '../../../status/http.ts';
import { openApiDocument } from '../../../status/openapi.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from './fake-runtime.ts';

const NEEDS: Readonly<Record<string, 'nothing' | 'read' | 'operate' | 'update'>> = {
  'GET /': 'read',
  'GET /healthz': 'nothing',
  'GET /readyz': 'nothing',
  'GET /metrics': 'read',
  'GET /api/v1/status': 'read',
  'GET /api/v1/health': 'read',
  'GET /api/v1/health/{service}': 'read',
  'GET /api/v1/explain': 'read',
  'POST /api/v1/simulate': 'read',
  'GET /api/v1/map': 'read',
  'GET /api/v1/history': 'read',
  'GET /api/v1/fleet': 'read',
  'DELETE /api/v1/fleet/nodes/{node}': 'operate',
  'GET /api/v1/overrides': 'read',
  'PUT /api/v1/overrides/{target}': 'operate',
  'DELETE /api/v1/overrides/{target}': 'operate',
  'GET /api/v1/weights': 'read',
  'PUT /api/v1/weights/{target}': 'operate',
  'DELETE /api/v1/weights/{target}': 'operate',
  'PUT /api/v1/push/{target}': 'operate',
  'POST /api/v1/reload': 'operate',
  'GET /api/v1/records': 'read',
  'PUT /api/v1/records/{zone}/{name}/{type}': 'update',
  'DELETE /api/v1/records/{zone}/{name}/{type}': 'update',
  'GET /api/v1/events': 'read',
  'GET /beacon.js': 'nothing',
  'POST /api/v1/beacon': 'nothing',
  'GET /api/v1/openapi.json': 'read',
};

const operations = Object.entries(openApiDocument('1').paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
);
const token = (role: string): string => `${role}-c29a17e4b6d80f35`;
const credentials: readonly Credential[] = (['read', 'operate', 'update'] as const).map((role) => ({
  name: `with-${role}`,
  roles: [role],
  sha256: sha256Of(token(role)),
  certificate: undefined,
}));

let fake: FakeRuntime;
let app: FastifyInstance;
let changeAccess: ReturnType<typeof createApp>['changeAccess'];
beforeEach(async () => {
  fake = await createFakeRuntime();
  ({ app, changeAccess } = createApp(fake.runtime, { token: undefined, credentials, log: createFakeLog().log }));
});
afterEach(async () => {
  await app.close();
  await fake.stop();
});

async function statusOf(operation: string, authorization?: string): Promise<number> {
  const [method = '', path = ''] = operation.split(' ');
  const headers = authorization === undefined ? {} : { authorization: `Bearer ${authorization}` };
  const url = path.replaceAll(/\{\w+\}/g, 'x');
  const { statusCode } = await app.inject({ method: method as 'GET', url, headers, remoteAddress: '192.0.2.7' });
  return statusCode;
}

describe('roles', () => {
  it('are stated for every path', () => {
    expect(Object.keys(NEEDS).sort()).toEqual([...operations].sort());
  });

  it.each(operations)('%s', async (operation) => {
    const needs = NEEDS[operation];
    for (const role of ['read', 'operate', 'update']) {
      const allowed = needs === 'nothing' || needs === 'read' || needs === role;
      expect([role, (await statusOf(operation, token(role))) !== 403]).toEqual([role, allowed]);
    }
    expect((await statusOf(operation)) === 401).toBe(needs !== 'nothing');
  });

  it('are in the document', () => {
    const { paths } = openApiDocument('1');
    for (const [operation, needs] of Object.entries(NEEDS)) {
      const [method = '', path = ''] = operation.split(' ');
      const { security } = (paths[path] as Record<string, unknown>)[method.toLowerCase()] as { security: unknown };
      const wanted = { nothing: [], read: [{}, { token: [] }] }[needs as string] ?? [{ token: [needs] }];
      expect([operation, security]).toEqual([operation, wanted]);
    }
  });

  it('are named in the refusal', async () => {
    const reply = await app.inject({
      method: 'POST',
      url: '/api/v1/reload',
      headers: { authorization: `Bearer ${token('read')}` },
    });
    expect(reply.json()).toMatchObject({
      status: 403,
      detail: 'with-read has the role read, and this needs the role operate',
    });
  });

  it('end when the token is removed', async () => {
    expect(await statusOf('GET /api/v1/status', token('read'))).toBe(200);
    changeAccess({ token: undefined, credentials: credentials.slice(1) });
    expect(await statusOf('GET /api/v1/status', token('read'))).toBe(401);
    expect(await statusOf('GET /api/v1/status', token('operate'))).toBe(200);
  });
});
