import * as http from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeHttp } from '../../../../health/checks/probe-http.ts';
import { loadOf } from '../../../../health/checks/reported-load.ts';
import { httpCheck, listen, never, type TestServer } from '../support.ts';

test.each([
  ['{"load":0.7}', 'load', 0.7],
  ['{"load":0}', 'load', 0],
  ['{"load":1200}', 'load', 1200],
  ['{"a":{"b":[{"c":3}]}}', 'a.b.0.c', 3],
  ['[4]', '0', 4],
  ['{"load":"0.7"}', 'load', 'no number at load'],
  ['{"load":null}', 'load', 'no number at load'],
  ['{"load":1e999}', 'load', 'no number at load'],
  ['{"load":-1}', 'load', 'a number below 0 at load'],
  ['{"other":1}', 'load', 'nothing at load'],
  ['{"load":1}', 'load.more', 'nothing at load.more'],
  ['7', 'load', 'nothing at load'],
  ['null', 'load', 'nothing at load'],
  ['{}', 'constructor.length', 'nothing at constructor.length'],
  ['{}', '__proto__', 'nothing at __proto__'],
  ['[1,2]', 'length', 2],
  ['ok', 'load', 'the body is not JSON'],
  ['', 'load', 'the body is not JSON'],
])('%s at %s: %s', (body, path, expected) => {
  expect(loadOf(Buffer.from(body), true, path)).toBe(expected);
});

test('a body that was not read to its end has no load', () => {
  expect(loadOf(Buffer.from('{"load":1}'), false, 'load')).toBe('the body is longer than 64 KiB');
});

describe('http', () => {
  let server: TestServer;
  const bodies: Readonly<Record<string, string>> = {
    '/load': '{"load":0.25}',
    '/none': 'ok',
    '/long': `{"pad":"${'x'.repeat(70_000)}","load":1}`,
  };
  beforeAll(async () => {
    server = await listen(http.createServer(({ url }, response) => response.end(bodies[url ?? ''])));
  });
  afterAll(() => server.close());

  test.each([
    ['/load', { loadPath: 'load' }, { passed: true, reason: 'HTTP 200, load 0.25', load: 0.25 }],
    ['/load', {}, { passed: true, reason: 'HTTP 200' }],
    ['/none', { loadPath: 'load' }, { passed: true, reason: 'HTTP 200, without load: the body is not JSON' }],
    ['/long', { loadPath: 'load' }, { passed: true, reason: 'HTTP 200, without load: the body is longer than 64 KiB' }], // prettier-ignore
    ['/load', { loadPath: 'load', status: [{ from: 500, to: 500 }] }, { passed: false, reason: 'HTTP 200 (expected 500)', answered: true }], // prettier-ignore
  ])('%s %o', async (path, change, expected) => {
    const result = await probeHttp({ host: '127.0.0.1', port: server.port }, httpCheck({ path, ...change }), never);
    const { elapsedMs, ...rest } = result;
    expect(elapsedMs).toBeGreaterThan(0);
    expect(rest).toEqual(expected);
  });
});
