/**
 * A JSON body with a byte order mark had no load ("the body is not JSON"), and for a gzip body, which some servers send
 * unrequested, nothing said why neither its load nor its text was found.
 */
import * as http from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { probeHttp } from '../../../health/checks/probe-http.ts';
import { httpCheck, listen, never, type TestServer } from '../../unit/health/support.ts';

const JSON_TEXT = '{"load":0.7}';
const marked = `\uFEFF${JSON_TEXT}`;
const BODIES: Readonly<Record<string, readonly [octets: Buffer, coding?: string]>> = {
  '/utf-8': [Buffer.from(marked)],
  '/utf-16le': [Buffer.from(marked, 'utf16le')],
  '/utf-16be': [Buffer.from(marked, 'utf16le').swap16()],
  '/identity': [Buffer.from(JSON_TEXT), 'identity'],
  '/gzip': [gzipSync(JSON_TEXT), 'gzip'],
};

let server: TestServer;
beforeAll(async () => {
  server = await listen(
    http.createServer(({ url = '' }, response) => {
      const [octets, coding] = BODIES[url] ?? [Buffer.alloc(0)];
      response.writeHead(200, coding === undefined ? {} : { 'Content-Encoding': coding }).end(octets);
    }),
  );
});
afterAll(() => server.close());

const target = () => ({ host: '127.0.0.1', port: server.port });

test.each(['/utf-8', '/utf-16le', '/utf-16be', '/identity'])('the load of %s is read', async (path) => {
  const result = await probeHttp(target(), httpCheck({ path, loadPath: 'load' }), never);
  expect(result).toMatchObject({ passed: true, load: 0.7 });
});

test('a compressed body has no load, and the reason says why', async () => {
  const result = await probeHttp(target(), httpCheck({ path: '/gzip', loadPath: 'load' }), never);
  expect(result.load).toBeUndefined();
  expect([result.passed, result.reason]).toEqual([
    true,
    'HTTP 200, without load: the body is compressed (Content-Encoding: gzip)',
  ]);
});

test('a text that is not found in a compressed body: the reason says why', async () => {
  const check = httpCheck({ path: '/gzip', body: { kind: 'text', text: 'load' } });
  expect(await probeHttp(target(), check, never)).toMatchObject({
    passed: false,
    reason: 'no "load" in the body, which is compressed (Content-Encoding: gzip)',
  });
});
