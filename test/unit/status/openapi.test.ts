import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../../status/http.ts';
import { openApiDocument, type OpenApi } from '../../../status/openapi.ts';
import { createFakeLog, createFakeRuntime, mistake, type FakeRuntime } from './fake-runtime.ts';

const TOKEN = 's3cret';
const HEADERS = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };

type Json = { readonly [member: string]: unknown };
type Documented = {
  readonly security: readonly Json[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Json } } };
  readonly responses: Readonly<
    Record<string, { readonly content: Readonly<Record<string, { readonly schema: Json }>> }>
  >;
};

let fake: FakeRuntime;
let app: FastifyInstance;
let routes: ReadonlyMap<string, ReadonlySet<string>>;
/** The validator that Fastify brings. */
const validator = fastify({ ajv: { customOptions: { strict: false, removeAdditional: false, coerceTypes: false } } });
let check: (schema: Json, value: unknown) => string[];

beforeAll(async () => {
  validator.get('/', (request) => {
    check = (schema, value) => {
      const validate = request.compileValidationSchema(schema);
      return validate(value) ? [] : (validate.errors ?? []).map((error) => JSON.stringify(error));
    };
    return {};
  });
  await validator.inject('/');
});
afterAll(() => validator.close());
beforeEach(async () => {
  fake = await createFakeRuntime();
  ({ app, routes } = createApp(fake.runtime, { token: TOKEN, log: createFakeLog().log }));
});
afterEach(async () => {
  await app.close();
  await fake.stop();
});

async function document(): Promise<OpenApi> {
  return (await app.inject({ url: '/api/v1/openapi.json', remoteAddress: '127.0.0.1' })).json();
}

/** `GET /api/v1/health/*`, as in the routes and as in the document, without what browsers request by themselves. */
function ofRoutes(): string[] {
  return [...routes].flatMap(([url, methods]) =>
    [...methods].filter((method) => method !== 'HEAD' && method !== 'OPTIONS').map((method) => `${method} ${url}`),
  );
}
function ofDocument({ paths }: OpenApi): string[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{.*\}/, '*')}`),
  );
}

/** The schema without additional properties, so that an undocumented member is an error. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const all = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]));
  return 'properties' in all && !('additionalProperties' in all) ? { ...all, additionalProperties: false } : all;
}

describe('the document', () => {
  it('has every route of the server, and no other', async () => {
    expect(ofDocument(await document()).sort()).toEqual(ofRoutes().sort());
    expect(ofRoutes().length).toBeGreaterThan(15);
  });

  it('defines every schema that it refers to, and refers to every schema that it defines', async () => {
    const text = JSON.stringify(await document());
    const named = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    expect([...named].sort()).toEqual(Object.keys(openApiDocument('1').components.schemas).sort());
  });

  it('gives each operation a unique id and a summary', async () => {
    const operations = Object.values((await document()).paths).flatMap((methods) => Object.values(methods)) as {
      operationId: string;
      summary: string;
    }[];
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { summary } of operations) expect(summary).toMatch(/^[A-Z].*\.$/);
  });

  it('says which requests need the token', async () => {
    for (const [path, methods] of Object.entries((await document()).paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { security } = operation as unknown as Documented;
        const ask = (remoteAddress: string) =>
          app.inject({ method: method as 'get', url: path.replaceAll(/\{\w+\}/g, 'x'), remoteAddress });
        const refused = [(await ask('127.0.0.1')).statusCode, (await ask('192.0.2.1')).statusCode].map(
          (status) => status === 401,
        );
        const wanted = security.length === 0 ? [false, false] : security.length === 2 ? [false, true] : [true, true];
        expect([method, path, refused]).toEqual([method, path, wanted]);
      }
    }
  });

  it("says which requests of other sites' pages are refused", async () => {
    for (const [path, methods] of Object.entries((await document()).paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { responses, security } = operation as unknown as Documented & {
          readonly responses: Readonly<Record<string, { readonly description: string }>>;
        };
        const url = path.replaceAll(/\{\w+\}/g, 'x');
        const headers = { ...HEADERS, origin: 'https://elsewhere.example' };
        const { statusCode } = await app.inject({ method: method as 'get', url, headers });
        const isSaid = responses['403']?.description.includes('`Origin`') ?? false;
        expect([method, path, statusCode === 403]).toEqual([method, path, security.length > 0]);
        expect([method, path, isSaid]).toEqual([method, path, security.length > 0]);
      }
    }
  });
});

type Case = [method: 'GET' | 'PUT' | 'POST' | 'DELETE', url: string, status: number, body?: unknown];

const traffic = {
  service: 'www.example.com',
  types: ['A'],
  weighed: 'addresses',
  moved: 0.25,
  ipv6: true,
  stranded: { before: 0, after: 0 },
  settles: true,
  vips: [
    {
      vip: 'seoul-a',
      region: 'seoul',
      data: '203.0.113.10',
      before: 0.25,
      after: 0,
      load: { before: 0.7, at_once: 0, settled: 0 },
    },
    { vip: 'seoul-b', region: 'seoul', data: '203.0.113.11', before: 0, after: 0, load: null },
  ],
  moves: [{ from: 'seoul-a', to: 'virginia-a', share: 0.25 }],
  regions: [{ from: 'seoul', to: 'virginia', share: 0.25 }],
  countries: [{ country: 'KR', clients: 0.25, moved: 0.25, moves: [] }],
} as const;

describe('replies are as documented', () => {
  const target = 'www.example.com/seoul-a';
  it.each<Case>([
    ['GET', '/healthz', 200],
    ['GET', '/readyz', 200],
    ['GET', '/api/v1/status', 200],
    ['GET', '/api/v1/health', 200],
    ['GET', '/api/v1/health/www.example.com', 200],
    ['GET', '/api/v1/health/nobody', 404],
    ['GET', '/api/v1/explain?name=www.example.com', 200],
    ['GET', '/api/v1/explain', 400],
    ['POST', '/api/v1/simulate', 200, { down: ['@seoul'] }],
    ['POST', '/api/v1/simulate', 400, {}],
    ['GET', '/api/v1/overrides', 200],
    ['PUT', `/api/v1/overrides/${target}`, 200, { state: 'drain', for: '30m', reason: 'kernel' }],
    ['PUT', '/api/v1/overrides/nobody', 404, { state: 'up' }],
    ['DELETE', `/api/v1/overrides/${target}`, 200],
    ['GET', '/api/v1/weights', 200],
    ['PUT', `/api/v1/weights/${target}`, 200, { weight: 3 }],
    ['DELETE', `/api/v1/weights/${target}`, 200],
    ['PUT', '/api/v1/push/api.example.com/only', 200, { healthy: true }],
    ['PUT', `/api/v1/push/${target}`, 409, { healthy: true }],
    ['POST', '/api/v1/reload', 200],
    ['GET', '/api/v1/events', 200],
  ])('%s %s, %d', async (method, url, status, body) => {
    fake.knobs.lastReload = { ok: false, at: new Date(), diagnostics: [mistake, { ...mistake, hint: 'use 0' }] };
    fake.knobs.alarms = [
      {
        code: 'reload_refused',
        severity: 'warning',
        subject: null,
        message: 'refused',
        since: '2026-11-20T21:00:00.000Z',
      },
    ];
    fake.knobs.reload = () => Promise.resolve({ ok: true, generation: 5, warnings: [mistake] });
    fake.knobs.simulate = ({ down, order = null }) => ({
      ok: true,
      simulation: { down, order, targets: [target], services: [traffic], untouched: 1 },
    });
    // So that every list has an entry.
    const put = { method: 'PUT', headers: HEADERS } as const;
    await app.inject({ ...put, url: `/api/v1/overrides/${target}`, payload: { state: 'down', reason: 'test' } });
    await app.inject({ ...put, url: '/api/v1/weights/www.example.com/seoul-b', payload: { weight: 2 } });

    const sent = await app.inject({
      method,
      url,
      headers: body === undefined ? { authorization: HEADERS.authorization } : HEADERS,
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    expect(sent.statusCode).toBe(status);
    const value: unknown = sent.json();
    if (Array.isArray(value)) expect(value.length).toBeGreaterThan(0);

    const { paths, components } = await document();
    const { pathname } = new URL(url, 'http://localhost');
    const path = Object.keys(paths).find((known) =>
      new RegExp(`^${known.replaceAll(/\{\w+\}/g, '.+').replaceAll('.json', '\\.json')}$`).test(pathname),
    );
    const operation = paths[path ?? '']?.[method.toLowerCase() as 'get'] as unknown as Documented;
    const type = sent.headers['content-type']?.toString().split(';')[0] ?? '';
    const schema = operation.responses[String(status)]?.content[type]?.schema;
    if (!schema) throw new Error(`${method} ${String(path)} has no ${status} of ${type}`);
    expect(check(strict({ ...schema, components }) as Json, value)).toEqual([]);
  });

  it('an undocumented member would be noticed', async () => {
    const { components } = await document();
    const schema = { type: 'array', items: { $ref: '#/components/schemas/Vip' }, components };
    const vips: Json[] = (await app.inject({ url: '/api/v1/health', remoteAddress: '127.0.0.1' })).json();
    expect(check(strict(schema) as Json, vips)).toEqual([]);
    expect(check(strict(schema) as Json, [{ ...vips[0], surprise: 1 }])).toHaveLength(1);
    expect(check(strict(schema) as Json, [{ ...vips[0], served: 'many' }])).toHaveLength(1);
  });
});
