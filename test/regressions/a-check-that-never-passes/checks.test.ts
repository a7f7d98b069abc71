/**
 * `body` with HEAD, or with only 204 in `status`, can never be found, and `load_path` never read. `check` said "ok",
 * the VIPs stayed down, and `serve_all` hid it.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

function mistakes(check: string): string[] {
  const zone = `zone: example.com\nnameservers: [ns.example.net.]\nchecks:\n  web: ${check}\n`;
  return mistakesOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone }).map((line) =>
    line.replace(/^.*:4 (\S+ \S+): .*/, '$1'),
  );
}

test.each([
  '{ type: http, method: HEAD, body: ok }',
  '{ type: https, method: HEAD, body: /ok/ }',
  '{ type: http, method: HEAD, load_path: load }',
  '{ type: http, status: 204, body: ok }',
  '{ type: http, status: [204, 205, 304], body: ok }',
  '{ type: http, status: [100-199, 204], load_path: load }',
  '{ type: http, status: 100-100 }',
  '{ type: http, headers: { Content-Length: 5 } }',
  '{ type: http, headers: { transfer-encoding: chunked } }',
  `{ type: http, body: ${'x'.repeat(65_537)} }`,
  `{ type: tcp, port: 1, expect: ${'x'.repeat(65_537)} }`,
])('%.70s', (check) => {
  expect(mistakes(check)).toEqual(['error PH092']);
});

test.each([
  '{ type: http, method: HEAD }',
  '{ type: http, method: HEAD, body: /^$/ }',
  '{ type: http, status: 204 }',
  '{ type: http, status: [200, 204], body: ok }',
  '{ type: http, status: 101 }',
  '{ type: http, headers: { Content-Length: 0 } }',
  `{ type: http, body: ${'x'.repeat(65_536)} }`,
])('%.70s is allowed', (check) => {
  expect(mistakes(check)).toEqual([]);
});

test.each(['http', 'https', 'tcp', 'tls', 'grpc'])('%s: a timeout under 1 s is too short for a lost SYN', (type) => {
  const port = 'port: 1, interval: 5s';
  expect(mistakes(`{ type: ${type}, ${port}, timeout: 999ms }`)).toEqual(['warning PH093']);
  expect(mistakes(`{ type: ${type}, ${port}, timeout: 1s }`)).toEqual([]);
});
