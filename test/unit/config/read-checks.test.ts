import { describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { checks } from '../../../config/read-checks.ts';
import { parseYaml } from '../../../config/yaml.ts';
import { expectMistake, placesOf, type Mistake } from './mistakes.ts';

function read(yaml: string) {
  const report = createReport();
  const node = parseYaml('x.yaml', yaml, {}, report);
  return { checks: node && checks(node, 'checks', report), diagnostics: report.diagnostics };
}

const TIMING = { name: 'web', intervalMs: 10_000, timeoutMs: 2000, fastMs: 1000, rise: 2, fall: 3 };

test.each<[string, object]>([
  [
    'web: { type: http }',
    {
      ...TIMING,
      kind: 'http',
      port: undefined,
      method: 'GET',
      path: '/',
      host: undefined,
      headers: {},
      status: [{ from: 200, to: 399 }],
      body: undefined,
      insecure: false,
      watch: true,
    },
  ],
  [
    'web: { type: https, path: /health, host: www.example.com, status: 200-299, interval: 5s, timeout: 2s, rise: 2, fall: 3 }',
    { kind: 'https', path: '/health', host: 'www.example.com', status: [{ from: 200, to: 299 }], intervalMs: 5000 },
  ],
  ['web: { type: http, status: [200, 204, 300-302] }', { status: [{ from: 200, to: 200 }, { from: 204, to: 204 }, { from: 300, to: 302 }] }], // prettier-ignore
  ['web: { type: http, body: ok }', { body: { kind: 'text', text: 'ok' } }],
  ['web: { type: http, body: "/^ok|fine$/im" }', { body: { kind: 'regex', source: '^ok|fine$', flags: 'im' } }],
  ['web: { type: http, headers: { X-Probe: 1.10, Accept: "" } }', { headers: { 'X-Probe': '1.10', Accept: '' } }],
  ['web: { type: http, interval: 500ms, timeout: 400ms }', { intervalMs: 500, fastMs: 500 }],
  ['web: { type: http, method: HEAD, port: 8080, watch: false }', { method: 'HEAD', port: 8080, watch: false }],
  ['web: { type: tcp, port: 443 }', { ...TIMING, kind: 'tcp', port: 443, send: undefined, expect: undefined, watch: true }], // prettier-ignore
  ['web: { type: tcp, send: "PING\\r\\n", expect: "+PONG" }', { port: 0, send: 'PING\r\n', expect: { kind: 'text', text: '+PONG' } }], // prettier-ignore
  ['web: { type: dns, name: www.example.com }', { ...TIMING, kind: 'dns', port: 53, query: 'www.example.com', rtype: 'A' }], // prettier-ignore
  ['web: { type: dns, name: example.com., rtype: soa, port: 5353 }', { query: 'example.com', rtype: 'SOA', port: 5353 }], // prettier-ignore
  ['web: { type: push }', { ...TIMING, kind: 'push', expiresMs: 30_000 }],
  ['web: { type: push, interval: 1m, expires: 5m }', { intervalMs: 60_000, expiresMs: 300_000 }],
])('a check is read with its defaults: %s', (yaml, expected) => {
  const found = read(yaml);
  expect(placesOf(found.diagnostics)).toEqual([]);
  expect(found.checks?.get('web')).toMatchObject(expected);
});

describe('a wrong check is reported where it is wrong', () => {
  test.each<Mistake>([
    ['web: 5', '1:6 PH013', 'must be a map'],
    ['web: { path: / }', '1:8 PH012', 'needs the key type'],
    ['web: { type: htps }', '1:14 PH040', 'did you mean "https"?'],
    ['web: { type: http, path: health }', '1:26 PH041', 'begins with /'],
    ['web: { type: http, path: "/a b" }', '1:26 PH041', 'such as /health'],
    ['web: { type: http, status: 20 }', '1:28 PH042', '200-399'],
    ['web: { type: http, status: [200, 399-300] }', '1:34 PH042', 'or a range'],
    ['web: { type: http, body: "/(/" }', '1:26 PH043', 'not a regular expression'],
    ['web: { type: http, body: "/a/g" }', '1:26 PH043', 'flags that mean nothing here: g'],
    ['web: { type: http, fast: 20s }', '1:26 PH044', 'fast (20s) is longer than interval (10s)'],
    ['web: { type: http, timeout: 20s }', '1:29 PH044', 'timeout (20s) is longer'],
    ['web: { type: http, interval: 1s }', '1:30 PH044', 'timeout (2s) is longer than interval (1s)'],
    ['web: { type: http, headers: { "X Y": 1 } }', '1:31 PH045', "not a header's name"],
    ['web: { type: http, headers: { X: "a\\nb" } }', '1:34 PH045', 'no line breaks'],
    ['web: { type: http, host: "https://x" }', '1:26 PH047', 'the name alone'],
    ['web: { type: http, method: get }', '1:28 PH048', 'did you mean "GET"?'],
    ['web: { type: dns }', '1:6 PH012', 'needs the key name'],
    ['web: { type: dns, name: a..b }', '1:25 PH049', 'a domain name'],
    ['web: { type: dns, name: a, rtype: AXFR }', '1:35 PH049', 'a record type'],
    ['web: { type: http, interval: 5 }', '1:30 PH015', 'add a unit'],
    ['web: { type: http, rise: 0 }', '1:26 PH014', '1 to 100'],
    ['web: { type: tcp, port: 70000 }', '1:25 PH014', '1 to 65535'],
    ['web: { type: tcp, path: / }', '1:19 PH010', 'path is not a key of check'],
    ['web: { type: http, load_path: load }', '1:20 PH090', 'load_path is not available'],
    ...['tls', 'grpc', 'exec', 'all_of', 'any_of', 'at_least'].map((type): Mistake => [
      `web: { type: ${type} }`,
      '1:14 PH090',
      `a check of type ${type} is not available`,
    ]),
  ])('%s', (yaml, at, part) => {
    expectMistake(read(yaml).diagnostics, at, part);
  });
});
