import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';
import { checks } from '../../../config/read-checks.ts';
import { tcpCheck } from '../health/support.ts';
import { expectMistake, placesOf, type Mistake } from './mistakes.ts';

const SHARED = new Map([['shared', tcpCheck({ name: 'shared', port: 6 })]]);

function read(yaml: string) {
  const report = createReport();
  const node = parseYaml('x.yaml', yaml, {}, report);
  return { checks: node && checks(SHARED)(node, 'checks', report), diagnostics: report.diagnostics };
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
      loadPath: undefined,
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
  ['web: { type: exec, command: [x], interval: 500ms, timeout: 400ms }', { intervalMs: 500, fastMs: 500 }],
  ['web: { type: http, method: HEAD, port: 8080, watch: false }', { method: 'HEAD', port: 8080, watch: false }],
  ['web: { type: tcp, port: 443 }', { ...TIMING, kind: 'tcp', port: 443, send: undefined, expect: undefined, watch: true }], // prettier-ignore
  ['web: { type: tcp, send: "PING\\r\\n", expect: "+PONG" }', { port: 0, send: 'PING\r\n', expect: { kind: 'text', text: '+PONG' } }], // prettier-ignore
  ['web: { type: dns, name: www.example.com }', { ...TIMING, kind: 'dns', port: 53, query: 'www.example.com', rtype: 'A' }], // prettier-ignore
  ['web: { type: dns, name: example.com., rtype: soa, port: 5353 }', { query: 'example.com', rtype: 'SOA', port: 5353 }], // prettier-ignore
  ['web: { type: push }', { ...TIMING, kind: 'push', expiresMs: 30_000 }],
  ['web: { type: push, interval: 1m, expires: 5m }', { intervalMs: 60_000, expiresMs: 300_000 }],
  ['web: { type: http, load_path: metrics.cpu.0 }', { loadPath: 'metrics.cpu.0' }],
  ['web: { type: tls }', { ...TIMING, kind: 'tls', port: undefined, host: undefined, insecure: false, minDaysLeft: undefined, watch: true }], // prettier-ignore
  ['web: { type: tls, port: 853, host: dns.example.com, insecure: true, min_days_left: 14, watch: false }', { port: 853, host: 'dns.example.com', insecure: true, minDaysLeft: 14, watch: false }], // prettier-ignore
  ['web: { type: grpc }', { ...TIMING, kind: 'grpc', port: undefined, service: '', tls: false, host: undefined, insecure: false }], // prettier-ignore
  ['web: { type: grpc, service: shop.Cart, tls: true, host: grpc.example.com, insecure: true, port: 9000 }', { service: 'shop.Cart', tls: true, host: 'grpc.example.com', insecure: true, port: 9000 }], // prettier-ignore
  ['web: { type: exec, command: [sh, -c, "exit 0"] }', { ...TIMING, kind: 'exec', command: ['sh', '-c', 'exit 0'], port: undefined }], // prettier-ignore
  ['web: { type: exec, command: "  ping  -c 1 192.0.2.1 ", port: 80 }', { command: ['ping', '-c', '1', '192.0.2.1'], port: 80 }], // prettier-ignore
  ['web: { type: http, flap: {} }', { flap: { changes: 6, withinMs: 600_000, holdMs: 300_000 } }],
  [
    'web: { type: push, flap: { changes: 3, within: 1m, hold: 30s } }',
    { flap: { changes: 3, withinMs: 60_000, holdMs: 30_000 } },
  ],
  ['web: { type: exec, command: /usr/bin/true }', { command: ['/usr/bin/true'] }],
  ['web: { type: exec, command: [./check, ./conf, ""] }', { command: [resolve('check'), './conf', ''] }],
])('a check is read with its defaults: %s', (yaml, expected) => {
  const found = read(yaml);
  expect(placesOf(found.diagnostics)).toEqual([]);
  expect(found.checks?.get('web')).toMatchObject(expected);
});

describe('a compound check', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name, index) => `${name}: { type: tcp, port: ${index + 1} }`);
  const named = (...names: readonly string[]) => names.map((name) => expect.objectContaining({ name }) as unknown);

  test.each<[string, object]>([
    ['{ type: all_of, of: [a, b] }', { kind: 'all_of', needed: 2, members: named('a', 'b') }],
    ['{ type: all_of, checks: [a, b] }', { kind: 'all_of', needed: 2, members: named('a', 'b') }],
    ['{ type: all_of, all_of: [a, b] }', { kind: 'all_of', needed: 2, members: named('a', 'b') }],
    ['{ all_of: [a, b] }', { ...TIMING, kind: 'all_of', needed: 2, members: named('a', 'b') }],
    ['{ all_of: a }', { kind: 'all_of', needed: 1, members: named('a') }],
    ['{ any_of: [c, a], rise: 5, fall: 1, interval: 3s, fast: 500ms }', { kind: 'any_of', needed: 1, members: named('c', 'a'), rise: 5, fall: 1, intervalMs: 3000, fastMs: 500 }], // prettier-ignore
    ['{ type: any_of, of: [a, b] }', { kind: 'any_of', needed: 1 }],
    ['{ at_least: 2, of: [a, b, c] }', { kind: 'at_least', needed: 2, members: named('a', 'b', 'c') }],
    ['{ type: at_least, n: 2, checks: [a, b, c] }', { kind: 'at_least', needed: 2, members: named('a', 'b', 'c') }],
    ['{ type: at_least, at_least: 3, of: [a, b, c] }', { kind: 'at_least', needed: 3 }],
    ['{ all_of: [a, { type: tcp, port: 9 }] }', { members: named('a', 'tcp') }],
    ['{ all_of: [a, { any_of: [b, c] }] }', { members: named('a', 'any_of') }],
    ['{ all_of: [a, shared] }', { members: named('a', 'shared') }],
    ['{ all_of: [a, { type: tcp, port: 9, timeout: 7s }] }', { timeoutMs: 7000 }],
    ['{ all_of: [a, { type: tcp, port: 9, timeout: 7s }], timeout: 1s }', { timeoutMs: 1000 }],
    ['{ all_of: [a, later] }\nlater: { any_of: [b, c] }', { members: [expect.anything(), expect.objectContaining({ name: 'later', kind: 'any_of', members: named('b', 'c') })] }], // prettier-ignore
  ])('%s', (made, expected) => {
    const found = read(`made: ${made}\n${a}\n${b}\n${c}\n`);
    expect(placesOf(found.diagnostics)).toEqual([]);
    expect(found.checks?.get('made')).toMatchObject({ ...expected, name: 'made' });
    // As in the file, whatever was read first.
    expect([...(found.checks?.keys() ?? [])].filter((name) => name !== 'later')).toEqual(['made', 'a', 'b', 'c']);
  });

  test('a check of this map shadows the shared one of the same name', () => {
    const found = read('made: { all_of: [shared] }\nshared: { type: tcp, port: 7 }');
    expect(found.checks?.get('made')).toMatchObject({ members: [{ port: 7 }] });
  });

  const many = Array.from({ length: 33 }, (_, index) => `{ type: tcp, port: ${index + 1} }`).join(', ');
  const chain = Array.from({ length: 12 }, (_, index) => `c${index}: { all_of: [c${index + 1}] }`).join('\n');
  test.each<Mistake>([
    ['x: { all_of: [web] }\nweek: { type: http }', '1:15 PH207', 'unknown check "web"'],
    ['x: { all_of: [x] }', '1:15 PH050', 'check x refers to itself: x -> x'],
    ['x: { any_of: [y] }\ny: { all_of: [z] }\nz: { all_of: [y] }', '3:15 PH050', 'y -> z -> y'],
    [`${chain}\nc12: { type: http }`, '8:16 PH050', 'more than 8 levels deep'],
    ['x: { all_of: [p] }\np: { type: push }', '1:15 PH051', 'p is a push check'],
    ['x: { all_of: [{ type: push }] }', '1:15 PH051', 'is reported, not probed'],
    ['x: { all_of: [] }', '1:14 PH026', 'at least 1 entry'],
    ['x: { type: all_of }', '1:6 PH012', 'needs the key of'],
    ['x: { type: at_least, of: [{ type: http }] }', '1:6 PH012', 'needs the key n'],
    ['x: { all_of: [y], of: [y] }\ny: { type: http }', '1:14 PH052', 'has both of and all_of'],
    ['x: { all_of: [y, y] }\ny: { type: http }', '1:18 PH052', 'names y twice'],
    ['x: { at_least: 2, of: [y] }\ny: { type: http }', '1:16 PH052', 'at_least must be 1 to 1, got 2'],
    ['x: { at_least: 0, of: [y] }\ny: { type: http }', '1:16 PH052', 'at_least must be 1 to 1, got 0'],
    [`x: { all_of: [${many}] }`, '1:14 PH052', '33 probes, and a check may make at most 32'],
    ['x: { all_of: [y], any_of: [y] }\ny: { type: http }', '1:19 PH010', 'any_of is not a key'],
    ['x: { all_of: [y] }\ny: { type: http, path: x }', '2:24 PH041', 'begins with /'],
    ['x: { all_of: [y] }\ny: { type: htp }', '2:12 PH040', 'did you mean "http"?'],
    ['x: { all_of: [y], timeout: 20s }\ny: { type: http }', '1:28 PH044', 'timeout (20s) is longer'],
  ])('%s', (yaml, at, part) => {
    expectMistake(read(yaml).diagnostics, at, part);
  });
});

describe('a wrong check is reported at its position', () => {
  test.each<Mistake>([
    ['web: 5', '1:6 PH013', 'must be a map'],
    ['web: { path: / }', '1:8 PH012', 'needs the key type'],
    ['web: { type: htps }', '1:14 PH040', 'did you mean "https"?'],
    ['web: { type: http, path: health }', '1:26 PH041', 'begins with /'],
    ['web: { type: http, path: "/a b" }', '1:26 PH041', 'such as /health'],
    ['web: { type: http, status: 20 }', '1:28 PH042', '200-399'],
    ['web: { type: http, status: [200, 399-300] }', '1:34 PH042', 'or a range'],
    ['web: { type: http, body: "/(/" }', '1:26 PH043', 'not a valid RE2 regular expression'],
    ['web: { type: http, body: "/a/g" }', '1:26 PH043', 'unknown flags: g'],
    [
      'web: { type: http, flap: { changes: 6, within: 5s } }',
      '1:26 PH066',
      'flap never takes effect: 6 changes take 12s or more, but within is 5s',
    ],
    ['web: { type: http, fast: 20s }', '1:26 PH044', 'fast (20s) is longer than interval (10s)'],
    ['web: { type: http, timeout: 20s }', '1:29 PH044', 'timeout (20s) is longer'],
    ['web: { type: http, interval: 1s }', '1:30 PH044', 'timeout (2s) is longer than interval (1s)'],
    ['web: { type: http, headers: { "X Y": 1 } }', '1:31 PH045', 'not a valid header name'],
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
    ['web: { type: tls, min_days_left: 2w }', '1:34 PH014', 'whole days'],
    ['web: { type: exec }', '1:6 PH012', 'needs the key command'],
    ['web: { type: exec, command: "a | b" }', '1:29 PH053', 'has shell syntax'],
    ['web: { type: exec, command: [""] }', '1:29 PH053', 'names no program'],
    ['web: { type: exec, command: [] }', '1:29 PH053', 'names no program'],
    ['web: { type: http, load_path: a..b }', '1:31 PH054', 'such as load, metrics.cpu'],
    ['web: { type: http, path: "/a#b" }', '1:29 PH041', 'write %23'],
    ['web: { type: http, path: "/é|" }', '1:28 PH041', 'write /%C3%A9%7C'],
    ['web: { type: http, path: /100% }', '1:30 PH041', 'write /100%25'],
    ['web: { type: http, body: /(?=a)b/ }', '1:26 PH043', 'no look-ahead'],
    ['web: { type: http, timeout: 999ms }', '1:29 PH093', 'is too short for one lost packet'],
    ['web: { type: tls, min_days_left: 200 }', '1:34 PH094', 'valid for at most 200 days'],
    ['web: { type: http, method: HEAD, body: ok }', '1:40 PH092', 'a response to HEAD has no body'],
    ['web: { type: tcp, port: 1, send: PING\\r\\n }', '1:34 PH090', 'in double quotes'],
    ['web: { type: tcp, load_path: a }', '1:19 PH010', 'load_path is not a key of check'],
  ])('%s', (yaml, at, part) => {
    expectMistake(read(yaml).diagnostics, at, part);
  });
});
