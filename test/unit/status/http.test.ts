import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import type { ExplainRequest } from '../../../steering/trace.ts';
import { createFakeLog, createFakeRuntime, mistake, type FakeRuntime } from './fake-runtime.ts';

const TOKEN = 's3cret';
const listen = { host: '127.0.0.1', port: 0 };
const withToken = { authorization: `Bearer ${TOKEN}` };
const json = { ...withToken, 'content-type': 'application/json' };

let fake: FakeRuntime;
let server: StatusServer;
let errors: object[];

beforeEach(async () => {
  fake = await createFakeRuntime();
  const kept = createFakeLog();
  errors = kept.errors;
  server = await startStatusServer(fake.runtime, { listen, token: TOKEN, log: kept.log });
});
afterEach(async () => {
  await server.close();
  await fake.stop();
});

type Reply = { status: number; type: string; headers: Headers; text: string; body: Record<string, unknown> };

async function ask(path: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(`http://127.0.0.1:${server.endpoint.port}${path}`, init);
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  const body = (type.includes('json') ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status: response.status, type, headers: response.headers, text, body };
}

const put = (path: string, body: unknown, headers: Record<string, string> = json): Promise<Reply> =>
  ask(path, { method: 'PUT', headers, body: typeof body === 'string' ? body : JSON.stringify(body) });

describe('reading', () => {
  it('is alive', async () => {
    expect(await ask('/healthz')).toMatchObject({ status: 200, body: { alive: true } });
  });

  it('is ready, or says what is missing', async () => {
    expect(await ask('/readyz')).toMatchObject({ status: 200, body: { ready: true } });
    fake.knobs.notReady = ['sockets closed', 'first round of probes'];
    const { status, body } = await ask('/readyz');
    expect({ status, missing: body.missing }).toEqual({ status: 503, missing: fake.knobs.notReady });
  });

  it('shows everything under /api/v1/status', async () => {
    const { status, body } = await ask('/api/v1/status');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      build: { product: 'Pharos', version: '1.2.3', node: process.version },
      started_at: '2026-11-20T20:00:00.000Z',
      ready: true,
      io: 'batch',
      listen: ['127.0.0.1:5300'],
      generation: 4,
      loaded_at: '2026-11-20T21:00:00.000Z',
      last_reload: { ok: true, at: '2026-11-20T21:00:00.000Z' },
      zones: [{ name: 'example.com', serial: 2026112001, records: 12, services: 2 }],
      services: [
        {
          name: 'www.example.com',
          steer: ['nearest', 'weighted'],
          ttl: { min: 5, max: 60 },
          vips: 3,
          vips_available: 2,
          served: 150,
        },
        { name: 'api.example.com', vips: 1, vips_available: 1, served: 3 },
      ],
      geo: [{ type: 'DBIP-Country-Lite', built: '2026-11-01', age_days: 19 }],
    });
  });

  it('lists the VIPs as an array, with their probe results', async () => {
    const { body } = await ask('/api/v1/health');
    expect(body).toMatchObject([
      {
        target: 'www.example.com/seoul-a',
        probed: 'up',
        effective: 'up',
        available: true,
        region: 'seoul',
        check: { name: 'web', kind: 'tcp' },
        address: '203.0.113.10:80',
        last_result: { passed: true, reason: 'connected', duration_ms: 12.5 },
        probes: { made: 1, failed: 0 },
        override: null,
        served: 100,
      },
      {
        target: 'www.example.com/seoul-b',
        probed: 'down',
        available: false,
        last_result: { reason: 'connect refused' },
        probes: { made: 1, failed: 1 },
      },
      {
        target: 'www.example.com/virginia-a',
        probed: 'unknown',
        available: true,
        check: null,
        last_result: null,
        probes: null,
      },
      { target: 'api.example.com/only', region: null, address: 'push' },
    ]);
  });

  it.each<[title: string, path: string, targets: string[]]>([
    ['one service', '/api/v1/health/api.example.com', ['api.example.com/only']],
    ['without regard to case and final dot', '/api/v1/health/API.Example.com.', ['api.example.com/only']],
  ])('lists the VIPs of %s', async (_title, path, targets) => {
    const { body } = await ask(path);
    expect((body as unknown as { target: string }[]).map(({ target }) => target)).toEqual(targets);
  });

  it('is plain text at /, with attribution', async () => {
    fake.knobs.alarms = [
      {
        code: 'suspect',
        severity: 'critical',
        subject: null,
        message: 'half of the VIPs failed at once',
        since: '2026-11-20T21:00:00Z',
      },
    ];
    const { status, type, text } = await ask('/');
    expect({ status, type }).toEqual({ status: 200, type: 'text/plain; charset=utf-8' });
    expect(text).toContain('Pharos 1.2.3: ready');
    expect(text).toContain('www.example.com  2/3 available  (seoul-b down)');
    expect(text).toContain('suspect: half of the VIPs failed at once');
    expect(text).toContain('IP Geolocation by DB-IP, https://db-ip.com');
  });

  it('passes every parameter of explain on, and shows the trace', async () => {
    let asked: ExplainRequest | undefined;
    const { explain } = fake.knobs;
    fake.knobs.explain = (request) => explain((asked = request));
    const { status, body } = await ask(
      '/api/v1/explain?name=www.example.com&type=aaaa&client=2001:db8::1&down=@seoul&down=www.example.com/virginia-a',
    );
    expect(asked).toEqual({
      name: 'www.example.com',
      type: 'AAAA',
      client: '2001:db8::1',
      down: ['@seoul', 'www.example.com/virginia-a'],
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ all_down: null, answer: { vips: ['seoul-a'] }, scope: { bits: 24 } });
  });

  it('asks for type A, and accepts one down as a list', async () => {
    let asked: ExplainRequest | undefined;
    const { explain } = fake.knobs;
    fake.knobs.explain = (request) => explain((asked = request));
    await ask('/api/v1/explain?name=a.example&country=KR&down=@seoul');
    expect(asked).toEqual({ name: 'a.example', type: 'A', country: 'KR', down: ['@seoul'] });
  });

  it('is never cached', async () => {
    for (const path of ['/', '/healthz', '/api/v1/status', '/metrics', '/nothing', '/api/v1/explain']) {
      expect((await ask(path)).headers.get('cache-control'), path).toBe('no-store');
    }
  });
});

describe('changing', () => {
  it.each([
    ['raw', '/api/v1/overrides/www.example.com/seoul-a', ['www.example.com/seoul-a']],
    ['encoded', '/api/v1/overrides/www.example.com%2Fseoul-a', ['www.example.com/seoul-a']],
    [
      'a region of a service, raw',
      '/api/v1/overrides/www.example.com/@seoul',
      ['www.example.com/seoul-a', 'www.example.com/seoul-b'],
    ],
    [
      'a region of a service, encoded',
      '/api/v1/overrides/www.example.com%2F%40seoul',
      ['www.example.com/seoul-a', 'www.example.com/seoul-b'],
    ],
    ['a region, raw', '/api/v1/overrides/@virginia', ['www.example.com/virginia-a']],
    ['a region, encoded', '/api/v1/overrides/%40virginia', ['www.example.com/virginia-a']],
  ])('takes a target %s', async (_title, path, vips) => {
    expect(await put(path, { state: 'down' })).toMatchObject({
      status: 200,
      body: { vips, state: 'down', saved: true },
    });
    expect(fake.runtime.health.overrides().map(({ target }) => target)).toEqual(vips);
    expect(await ask(path, { method: 'DELETE', headers: withToken })).toMatchObject({ status: 200, body: { vips } });
    expect(fake.runtime.health.overrides()).toEqual([]);
  });

  it.each([
    'application/x-www-form-urlencoded',
    'text/plain;charset=UTF-8',
    'application/json; charset=utf-8',
    undefined,
  ])('reads JSON that is sent as %s, as curl -d and fetch send it', async (type) => {
    const body = Buffer.from(JSON.stringify({ state: 'down' }));
    const headers = type === undefined ? withToken : { ...withToken, 'content-type': type };
    const init = { method: 'PUT', headers, body };
    expect(
      (await fetch(`http://127.0.0.1:${server.endpoint.port}/api/v1/overrides/www.example.com/seoul-a`, init)).status,
    ).toBe(200);
  });

  it('drains: safe when the largest TTL of the service has passed', async () => {
    const { body } = await put('/api/v1/overrides/www.example.com/seoul-a', {
      state: 'drain',
      for: '30m',
      reason: 'kernel',
    });
    const since = Date.parse(String(body.since));
    expect(body).toMatchObject({ state: 'drain', reason: 'kernel', warnings: [] });
    expect(Date.parse(String(body.until)) - since).toBe(30 * 60_000);
    // The two are read one after the other.
    expect(Math.abs(Date.parse(String(body.safe_at)) - since - 60_000)).toBeLessThan(100);
    expect((await ask('/api/v1/overrides')).body).toMatchObject([
      { target: 'www.example.com/seoul-a', state: 'drain', reason: 'kernel', present: true, safe_at: body.safe_at },
    ]);
    expect((await ask('/api/v1/health/www.example.com')).body).toMatchObject([
      { probed: 'up', effective: 'drain', available: false, override: { state: 'drain', reason: 'kernel' } },
      {},
      {},
    ]);
  });

  it('is never safe to stop while DNS answers name drained VIPs (serve_all)', async () => {
    await put('/api/v1/overrides/@seoul', { state: 'drain' });
    const { body } = await put('/api/v1/overrides/@virginia', { state: 'drain' });
    expect(body.safe_at).toBeNull();
    expect(body.warnings).toEqual([expect.stringContaining('serve_all')]);
  });

  it('takes reports for push checks', async () => {
    expect(await put('/api/v1/push/api.example.com/only', { healthy: false })).toMatchObject({ status: 200 });
    expect((await ask('/api/v1/health/api.example.com')).body).toMatchObject([{ probed: 'down' }]);
  });

  it('reloads', async () => {
    const reply = await ask('/api/v1/reload', { method: 'POST', headers: withToken });
    expect(reply).toMatchObject({ status: 200, body: { generation: 5, warnings: [] } });
  });

  it('gives the reason of a rejected reload, and the generation that is still served', async () => {
    fake.knobs.reload = () => Promise.resolve({ ok: false, diagnostics: [mistake] });
    const reply = await ask('/api/v1/reload', { method: 'POST', headers: json });
    expect(reply).toMatchObject({
      status: 422,
      type: 'application/problem+json',
      body: { generation: 4, diagnostics: [mistake], detail: expect.stringContaining('weight must be') as unknown },
    });
  });
});

describe('every error is problem+json (RFC 9457)', () => {
  const drain = JSON.stringify({ state: 'drain' });
  const target = '/api/v1/overrides/www.example.com/seoul-a';
  it.each<[title: string, path: string, init: RequestInit, status: number, found: Record<string, unknown>]>([
    ['no such path', '/api/v1/statsu', {}, 404, { hint: 'did you mean "/api/v1/status"?' }],
    ['no such service', '/api/v1/health/wwww.example.com', {}, 404, { hint: 'did you mean "www.example.com"?' }],
    [
      'no such method',
      '/api/v1/status',
      { method: 'POST', headers: withToken },
      405,
      { hint: 'allowed methods: GET, HEAD, OPTIONS' },
    ],
    ['no such method, without token', '/metrics', { method: 'DELETE' }, 405, {}],
    ['a method of WebDAV', '/metrics', { method: 'PROPFIND' }, 405, { hint: 'allowed methods: GET, HEAD, OPTIONS' }],
    ['no such method for a name, with a query', '/api/v1/health/x?a=1', { method: 'DELETE' }, 405, {}],
    ['no such method for an escaped path', '/api/v1/%73tatus', { method: 'POST', headers: json, body: '{' }, 405, {}],
    ['no such path, with a broken escape, by another method', '/api/v1/%zz', { method: 'DELETE' }, 400, {}],
    ['no such path, for a change without token', '/api/v1/relaod', { method: 'POST' }, 404, {}],
    ['a missing parameter', '/api/v1/explain', {}, 400, { parameter: 'name' }],
    ['an unknown parameter', '/api/v1/explain?name=a&clinet=1', {}, 400, { parameter: 'clinet' }],
    ['a parameter twice', '/api/v1/explain?name=a&name=b', {}, 400, { parameter: 'name' }],
    ['a broken escape', '/api/v1/health/%zz', {}, 400, {}],
    ['a change without token', target, { method: 'PUT', body: drain }, 401, {}],
    ['a change with a wrong token', target, { method: 'DELETE', headers: { authorization: 'Bearer x' } }, 401, {}],
    ['a body that is not JSON', target, { method: 'PUT', headers: json, body: '{' }, 400, { parameter: 'body' }],
    ['no body', target, { method: 'PUT', headers: json }, 400, { detail: 'the body must be an object' }],
    [
      'a body of another type',
      target,
      { method: 'PUT', headers: { ...withToken, 'content-type': 'application/xml' }, body: drain },
      415,
      { hint: 'send "content-type: application/json"' },
    ],
    ['a missing member', target, { method: 'PUT', headers: json, body: '{}' }, 400, { parameter: 'state' }],
    [
      'an unknown member',
      target,
      { method: 'PUT', headers: json, body: '{"state":"up","fro":"1m"}' },
      400,
      { parameter: 'fro' },
    ],
    [
      'an unknown state',
      target,
      { method: 'PUT', headers: json, body: '{"state":"off"}' },
      400,
      { parameter: 'state' },
    ],
    [
      'an invalid duration',
      target,
      { method: 'PUT', headers: json, body: '{"state":"up","for":"30"}' },
      400,
      { parameter: 'for' },
    ],
    [
      'a duration of zero',
      target,
      { method: 'PUT', headers: json, body: '{"state":"up","for":"0s"}' },
      400,
      { parameter: 'for' },
    ],
    [
      'a duration beyond the calendar',
      target,
      { method: 'PUT', headers: json, body: '{"state":"up","for":"999999w"}' },
      400,
      { parameter: 'for' },
    ],
    [
      'no text where a boolean belongs',
      '/api/v1/push/api.example.com/only',
      { method: 'PUT', headers: json, body: '{"healthy":"true"}' },
      400,
      { parameter: 'healthy' },
    ],
    ['a body too large', target, { method: 'PUT', headers: json, body: `{"reason":"${'x'.repeat(70_000)}"}` }, 413, {}],
    [
      'no such VIP',
      '/api/v1/overrides/www.example.com/seoul-c',
      { method: 'PUT', headers: json, body: drain },
      404,
      { hint: 'did you mean "seoul-a"?' },
    ],
    [
      'no such region',
      '/api/v1/overrides/@soul',
      { method: 'PUT', headers: json, body: drain },
      404,
      { hint: 'did you mean "seoul"?' },
    ],
    [
      'a service in place of a target',
      '/api/v1/overrides/www.example.com',
      { method: 'PUT', headers: json, body: drain },
      404,
      { hint: 'take www.example.com/seoul-a or www.example.com/@region' },
    ],
    [
      'an override of nothing taken back',
      '/api/v1/overrides/x.example/y',
      { method: 'DELETE', headers: withToken },
      404,
      {},
    ],
    [
      'a report on another check',
      '/api/v1/push/www.example.com/seoul-a',
      { method: 'PUT', headers: json, body: '{"healthy":true}' },
      409,
      {},
    ],
    [
      'a report on a region',
      '/api/v1/push/@seoul',
      { method: 'PUT', headers: json, body: '{"healthy":true}' },
      400,
      { parameter: 'target' },
    ],
  ])('%s', async (_title, path, init, status, found) => {
    const reply = await ask(path, init);
    expect(reply).toMatchObject({ status, type: 'application/problem+json' });
    expect(reply.body).toMatchObject({ type: 'about:blank', status, ...found });
    expect(reply.body.title).toEqual(expect.any(String));
    expect(reply.body.detail).toEqual(expect.any(String));
    if (status === 401) expect(reply.headers.get('www-authenticate')).toContain('Bearer');
    if (status === 405) expect(reply.headers.get('allow')).toContain('GET');
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it.each([
    ['/', 'GET, HEAD, OPTIONS'],
    ['/api/v1/overrides/@seoul', 'PUT, DELETE, OPTIONS'],
  ])('OPTIONS %s lists the methods, and permits no web page to use them', async (path, allow) => {
    const reply = await ask(path, { method: 'OPTIONS' });
    expect({ status: reply.status, allow: reply.headers.get('allow'), text: reply.text }).toEqual({
      status: 204,
      allow,
      text: '',
    });
    expect(reply.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('a type without a body is accepted', async () => {
    const headers = { ...withToken, 'content-type': 'application/x-www-form-urlencoded' };
    expect(await ask('/api/v1/reload', { method: 'POST', headers, body: '' })).toMatchObject({ status: 200 });
  });

  it('names the parameter that explain could not use', async () => {
    fake.knobs.explain = () => ({ ok: false, parameter: 'client', message: '"x" is not an address' });
    const reply = await ask('/api/v1/explain?name=a&client=x');
    expect(reply).toMatchObject({ status: 400, body: { parameter: 'client', detail: '"x" is not an address' } });
  });

  it('a fault of the server is 500, logged, and shows no details to clients', async () => {
    fake.knobs.explain = () => {
      throw new Error('secret inside');
    };
    const reply = await ask('/api/v1/explain?name=a&client=192.0.2.1');
    expect(reply).toMatchObject({ status: 500, type: 'application/problem+json' });
    expect(reply.text).not.toContain('secret inside');
    expect(errors).toEqual([
      expect.objectContaining({ err: expect.objectContaining({ message: 'secret inside' }) as unknown }),
    ]);
  });

  it('what is not HTTP gets a 400 and the end of the connection', async () => {
    const socket = connect(server.endpoint.port, '127.0.0.1');
    socket.end('not http at all\r\n\r\n');
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"status":400/);
  });

  it('headers without an end get a 431', async () => {
    const socket = connect(server.endpoint.port, '127.0.0.1');
    socket.write(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`);
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 431 [^]*"status":431/);
  });

  it('without a configured token no change is possible, and the reply says what to set', async () => {
    const open = await startStatusServer(fake.runtime, { listen, token: undefined, log: createFakeLog().log });
    const response = await fetch(`http://127.0.0.1:${open.endpoint.port}/api/v1/reload`, {
      method: 'POST',
      headers: withToken,
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ hint: expect.stringContaining('status.token') as unknown });
    await open.close();
  });
});

describe('access of requests (authorize.test.ts has the rules)', () => {
  /** The status of a GET, with headers that fetch does not let through. */
  const statusOf = async (host: string, port: number, headers: Record<string, string>): Promise<number | undefined> => {
    const sent = request({ host, port, path: '/api/v1/status', headers, agent: false }).end();
    const response = await new Promise<{ statusCode?: number | undefined; resume(): unknown }>((resolve, reject) => {
      sent.once('response', resolve);
      sent.once('error', reject);
    });
    response.resume();
    return response.statusCode;
  };

  it.each<[title: string, headers: Record<string, string>, status: number]>([
    ['a program on this machine reads', {}, 200],
    ['what a proxy passes on needs the token', { 'x-forwarded-for': '192.0.2.7' }, 401],
    ['and what a proxy passes on in the form of RFC 7239', { forwarded: 'for=192.0.2.7' }, 401],
    ['with the token it is accepted', { 'x-forwarded-for': '192.0.2.7', ...withToken }, 200],
    ['a name rebound to 127.0.0.1 is refused', { host: 'evil.example' }, 401],
  ])('%s', async (_title, headers, status) => {
    expect(await statusOf('127.0.0.1', server.endpoint.port, headers)).toBe(status);
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
  it.skipIf(outside === undefined)('an address of this machine that is not loopback needs the token', async () => {
    const host = outside ?? '';
    const wide = await startStatusServer(fake.runtime, {
      listen: { host: '0.0.0.0', port: 0 },
      token: TOKEN,
      log: createFakeLog().log,
    });
    expect(await statusOf(host, wide.endpoint.port, {})).toBe(401);
    expect(await statusOf(host, wide.endpoint.port, withToken)).toBe(200);
    await wide.close();
  });
});

describe('listening', () => {
  it('on a port in use says so, with a hint', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const start = startStatusServer(fake.runtime, {
      listen: { host: '127.0.0.1', port },
      token: undefined,
      log: createFakeLog().log,
    });
    await expect(start).rejects.toMatchObject({
      name: 'ListenError',
      message: expect.stringContaining(`127.0.0.1:${port} (TCP) is in use`) as unknown,
      hint: expect.stringContaining('listen on another address') as unknown,
    });
    other.close();
  });

  it('fails with a message on an address that this machine does not have', async () => {
    const start = startStatusServer(fake.runtime, {
      listen: { host: '192.0.2.1', port: 0 },
      token: undefined,
      log: createFakeLog().log,
    });
    await expect(start).rejects.toThrow('no interface of this machine has 192.0.2.1');
  });

  it('ends while a connection is idle', async () => {
    const socket = connect(server.endpoint.port, '127.0.0.1');
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await server.close();
    await closed;
  });
});
