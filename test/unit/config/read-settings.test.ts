import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { readSettings } from '../../../config/read-settings.ts';
import { expectMistake, lines, placesOf, type Mistake } from './mistakes.ts';

let folder = '';
const folders: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-settings-'));
  folders.push(folder);
  mkdirSync(join(folder, 'zones'));
  writeFileSync(join(folder, 'zones/example.com.yaml'), '');
});
afterAll(() => {
  for (const each of folders) rmSync(each, { recursive: true });
});

function read(yaml: string | undefined, env: Record<string, string> = {}, cores = 4) {
  if (yaml !== undefined) writeFileSync(join(folder, 'pharos.yaml'), yaml);
  const report = createReport();
  const file = yaml === undefined ? undefined : 'pharos.yaml';
  const isCountry = (code: string): boolean => ['KR', 'IE'].includes(code);
  const settings = readSettings({ file, baseDir: folder, env, cores, report, isCountry });
  return { settings, diagnostics: report.diagnostics };
}

const LOOPBACK = [
  { bytes: Uint8Array.of(127, 0, 0, 0), bits: 8 },
  { bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), bits: 128 },
];

test('an entry of listen may name the proxies that stand before it', () => {
  const { settings, diagnostics } = read(
    'listen: ["127.0.0.1:53", { address: "${HERE}", proxy: [10.0.0.0/8, "${POOL}"] }]\ntls: { cert: no.pem, key: no.pem }',
    { HERE: '[::1]:53', POOL: '2001:db8::/32' },
  );
  const proxy = [{ bytes: Uint8Array.of(10, 0, 0, 0), bits: 8 }, expect.objectContaining({ bits: 32 })];
  expect(settings?.listen).toMatchObject([
    { host: '127.0.0.1', port: 53 },
    { host: '::1', port: 53, proxy },
  ]);
  expect(settings?.listen[0]).not.toHaveProperty('proxy');
  expect(diagnostics.map(({ code }) => code)).not.toContain('PH010');
});

test.each([
  ['no file', undefined],
  ['an empty file', ''],
  ['empty maps', 'geo:\nlimits:\n# rrl: 5\ndns: {}\nhealth:\nlog:\nchecks:\nregions:\nstatus:\n'],
])('every key has a default: %s', (_title, yaml) => {
  const { settings, diagnostics } = read(yaml);
  expect(diagnostics).toEqual([]);
  expect(settings).toEqual({
    file: yaml === undefined ? undefined : join(folder, 'pharos.yaml'),
    listen: [{ host: '127.0.0.1', port: 5300 }],
    workers: 3,
    zoneFiles: [join(folder, 'zones/example.com.yaml')],
    zoneFolders: [join(folder, 'zones')],
    files: 'own-folder',
    stateDir: join(folder, 'state'),
    secretVariables: new Set(['PHAROS_TOKEN']),
    shownPaths: [],
    user: undefined,
    reload: { maxShrink: 0.5 },
    geo: { databases: [], refresh: undefined, networks: [] },
    regions: new Map(),
    checks: new Map(),
    health: { waitMs: 3000, suspect: 0.7, notify: undefined },
    status: {
      listen: { host: '127.0.0.1', port: 8053 },
      token: undefined,
      openReading: true,
      tokensFile: undefined,
      credentials: [],
      tls: undefined,
    },
    limits: { rrl: 0, slip: 2, tcpClients: 1024 },
    dns: { nsid: undefined, version: undefined, cookieSecrets: [], explainFrom: LOOPBACK },
    transfer: { keys: [], allow: [], notify: [], catalog: undefined },
    resolvers: [],
    log: { level: 'info', queries: 0, audit: { file: join(folder, 'state/audit.log'), isRotated: true } },
    shutdown: { graceMs: undefined },
    schedules: [],
  });
});

test('the example of the reference is read completely', () => {
  writeFileSync(join(folder, 'GeoLite2-City.mmdb'), '');
  writeFileSync(join(folder, 'GeoLite2-ASN.mmdb'), '');
  const { settings, diagnostics } = read(
    lines(
      'listen: ["0.0.0.0:53", "[::]:53"]',
      'workers: auto',
      'zones: ./zones',
      'state_dir: ./state',
      'geo:',
      '  databases: [./GeoLite2-City.mmdb, ./GeoLite2-ASN.mmdb]',
      '  refresh: "0 4 * * 3"',
      '  networks: { 10.0.0.0/8: KR, 198.51.100.0/24: "37.57,126.98" }',
      'regions:',
      '  seoul:    { at: "37.57,126.98" }',
      '  virginia: { at: "38.95,-77.45", min_healthy: 50% }',
      '  dublin:   { at: IE }',
      'checks: {}',
      'health: { wait: 3s, suspect: 70% }',
      'status: { listen: 127.0.0.1:8053, token: "${PHAROS_TOKEN}" }',
      'limits: { rrl: 0, tcp_clients: 1024 }',
      'dns: { nsid: ams1, version: none, explain_from: [127.0.0.0/8, "::1"] }',
      'log: { level: info, queries: 0 }',
      'schedules:',
      '  - { at: "0 22 * * *", set: { www.example.com/canary: { weight: 0 } } }',
    ),
    { PHAROS_TOKEN: 'secret' },
  );
  expect(placesOf(diagnostics)).toEqual([]);
  expect(settings).toMatchObject({
    listen: [
      { host: '0.0.0.0', port: 53 },
      { host: '::', port: 53 },
    ],
    geo: {
      databases: [{ path: join(folder, 'GeoLite2-City.mmdb') }, { path: join(folder, 'GeoLite2-ASN.mmdb') }],
      refresh: '0 4 * * 3',
      networks: [
        { prefix: { bytes: Uint8Array.of(10, 0, 0, 0), bits: 8 }, at: { kind: 'country', country: 'KR' } },
        { prefix: { bits: 24 }, at: { kind: 'point', latitude: 37.57, longitude: 126.98 } },
      ],
    },
    status: { token: 'secret' },
    dns: { nsid: 'ams1', version: undefined, cookieSecrets: [], explainFrom: LOOPBACK },
    schedules: [{ at: '0 22 * * *', timezone: undefined, set: [{ target: 'www.example.com/canary', weight: 0 }] }],
  });
  expect([...(settings?.regions.values() ?? [])]).toMatchObject([
    { name: 'seoul', at: { kind: 'point', latitude: 37.57, longitude: 126.98 }, minHealthy: 0 },
    { name: 'virginia', at: { kind: 'point' }, minHealthy: 0.5 },
    { name: 'dublin', at: { kind: 'country', country: 'IE' }, minHealthy: 0 },
  ]);
});

test.each<[string, object]>([
  ['status: off', { status: undefined }],
  ['status: false', { status: undefined }],
  ['workers: 7', { workers: 7 }],
  ['resolvers: [192.0.2.1, "[2001:db8::1]:5353"]', { resolvers: [{ host: '192.0.2.1', port: 53 }, { host: '2001:db8::1', port: 5353 }] }], // prettier-ignore
  ['listen: 127.0.0.1:0', { listen: [{ host: '127.0.0.1', port: 0 }] }],
  ['dns: { version: "1.10", explain_from: 192.0.2.0/24 }', { dns: { version: '1.10', explainFrom: [{ bits: 24 }] } }],
  ['log: { level: debug, queries: 0% }', { log: { level: 'debug', queries: 0 } }],
  ['shutdown: { grace: 5s }', { shutdown: { graceMs: 5000 } }],
  ['shutdown: { grace: 0s }', { shutdown: { graceMs: 0 } }],
  ['log: { queries: 0.1 }', { log: { level: 'info', queries: 0.1 } }],
  ['schedules: []', { schedules: [] }],
  [
    'schedules: { at: "0 6 * * 1-5", timezone: Asia/Seoul, set: { "@seoul": { state: drain, weight: auto } } }',
    {
      schedules: [
        { at: '0 6 * * 1-5', timezone: 'Asia/Seoul', set: [{ target: '@seoul', state: 'drain', weight: 'auto' }] },
      ],
    },
  ],
  [
    'health: { notify: "http://127.0.0.1:9/hook" }',
    { health: { notify: { url: 'http://127.0.0.1:9/hook', headers: {}, token: undefined } } },
  ],
  [
    'health: { notify: { url: "https://hooks.example.net/x", headers: { X-Key: "1" }, token: t } }',
    { health: { notify: { url: 'https://hooks.example.net/x', headers: { 'X-Key': '1' }, token: 't' } } },
  ],
  ['limits: { rrl: 0, slip: 0, tcp_clients: 5 }', { limits: { rrl: 0, slip: 0, tcpClients: 5 } }],
  ['limits: { rrl: 500 }', { limits: { rrl: 500, slip: 2 } }],
  [
    'dns: { cookie_secrets: [00112233445566778899001122334455, "AABBCCDDEEFF00112233445566778899"] }',
    {
      dns: {
        cookieSecrets: ['00112233445566778899001122334455', 'aabbccddeeff00112233445566778899'].map((hex) =>
          Uint8Array.from(Buffer.from(hex, 'hex')),
        ),
      },
    },
  ],
])('%s', (yaml, expected) => {
  const { settings, diagnostics } = read(yaml);
  expect(placesOf(diagnostics)).toEqual([]);
  expect(settings).toMatchObject(expected);
});

test.each([
  [1, 1],
  [2, 1],
  [16, 15],
])('auto workers on %i cores are %i', (cores, workers) => {
  expect(read(undefined, {}, cores).settings?.workers).toBe(workers);
});

test('a zones folder gives its *.yaml and *.yml, sorted, without hidden files and folders', () => {
  for (const name of ['b.yml', 'a.yaml', '.hidden.yaml', 'a.yaml~', 'notes.txt']) {
    writeFileSync(join(folder, 'zones', name), '');
  }
  mkdirSync(join(folder, 'zones/folder.yaml'));
  const names = ['a.yaml', 'b.yml', 'example.com.yaml'].map((name) => join(folder, 'zones', name));
  expect(read('').settings?.zoneFiles).toEqual(names);
  expect(read('zones: [zones/b.yml, zones/a.yaml, ./zones/a.yaml]').settings?.zoneFiles).toEqual(names.slice(0, 2));
});

test('a zones folder without zones is a mistake', () => {
  rmSync(join(folder, 'zones/example.com.yaml'));
  expectMistake(read('zones: ./zones').diagnostics, '1:8 PH030', 'has no zone file');
});

describe('a mistake is reported at its position', () => {
  test.each<Mistake>([
    ['- 1', '1:1 PH013', 'must be a map'],
    ['listn: x', '1:1 PH010', 'did you mean "listen"?'],
    ['listen: localhost:53', '1:9 PH021', 'an address with a port'],
    ['listen: []', '1:9 PH026', 'at least 1 entry'],
    ['listen: ["127.0.0.1:53", 127.0.0.1:53]', '1:26 PH035', 'duplicate address'],
    ['listen: ["127.0.0.1:53", { address: 127.0.0.1:53 }]', '1:26 PH035', 'duplicate address'],
    ['log: { dnstap: { sample: 1 } }', '1:16 PH012', 'needs the key socket'],
    ['log: { dnstap: { socket: a.sock, sample: 2 } }', '1:42 PH016', 'a share'],
    ['listen: { proxy: 10.0.0.0/8 }', '1:9 PH012', 'needs the key address'],
    ['listen: [{ address: 127.0.0.1:53, proxy: [10.0.0.1/8] }]', '1:43 PH023', 'bits after its prefix'],
    ['listen: [{ address: 127.0.0.1:53, prox: [] }]', '1:35 PH010', 'not a key'],
    ['workers: 0', '1:10 PH014', 'auto, or 1 to'],
    ['zones: ./nowhere', '1:8 PH030', 'no file or folder ./nowhere'],
    ['geo: { databases: x.mmdb }', '1:19 PH038', 'there is no file x.mmdb'],
    ['geo: { refresh: "every day" }', '1:17 PH034', 'a cron line'],
    ['geo: { networks: { 10.0.0.1/8: KR } }', '1:20 PH023', 'a network'],
    ['geo: { networks: { 10.0.0.0/8: KR, "10.0.0.0/8 ": KR } }', '1:36 PH023', 'a network'],
    ['geo: { networks: { 192.0.2.1: KR, 192.0.2.1/32: KR } }', '1:35 PH036', 'duplicate network'],
    ['geo: { networks: { 10.0.0.0/8: XX } }', '1:32 PH033', 'unknown country "XX"'],
    ['regions: { "a b": { at: KR } }', '1:12 PH037', 'no spaces'],
    ['regions: { "@a": { at: KR } }', '1:12 PH037', 'a region cannot be named'],
    ['regions: { a: { at: 37.57 } }', '1:21 PH032', 'in quotes'],
    ['regions: { a: { min_healthy: 50 } }', '1:30 PH016', '50%'],
    ['regions: { a: { check: wev } }\nchecks: { web: { type: tcp } }', '1:24 PH207', 'did you mean "web"?'],
    ['health: { wait: 3 }', '1:17 PH015', '3s or 3ms'],
    ['status: on', '1:9 PH013', 'status: off'],
    ['status: { listen: 0.0.0.0:8053 }', '1:9 PH039', 'has no token'],
    ['status: { listen: 0.0.0.0:8053, token: secret }', '1:40 PH074', 'easy to guess'],
    ['status: { open_reading: false }', '1:25 PH075', 'needs a token'],
    ['status: { token: "a b" }', '1:18 PH025', 'printable ASCII'],
    ['limits: { tcp_clients: 0 }', '1:24 PH014', '1 to'],
    ['log: { level: verbose }', '1:15 PH019', 'trace, debug'],
    ['shutdown: { grace: 5 }', '1:20 PH015', ''],
    ['shutdown: { grace: 1h }', '1:20 PH015', ''],
    ['tls: 853', '1:6 PH013', 'must be a map'],
    ['tls: { cert: tls.pem }', '1:6 PH012', 'key: tls.key'],
    ['schedules: [{ at: "0 25 * * *", set: { a/b: { weight: 1 } } }]', '1:19 PH034', 'a cron line'],
    ['schedules: [{ at: "* * * * *", timezone: Asia/Soul, set: { a/b: { weight: 1 } } }]', '1:42 PH070', 'Asia/Seoul'],
    ['schedules: [{ at: "* * * * *" }]', '1:13 PH012', 'set'],
    ['schedules: [{ at: "* * * * *", set: { } }]', '1:37 PH072', 'the schedule changes nothing'],
    ['schedules: [{ at: "* * * * *", set: { a/b: { } } }]', '1:39 PH072', 'a weight or a state'],
    ['schedules: [{ at: "* * * * *", set: { a/b: { weight: 65536 } } }]', '1:54 PH014', 'or auto'],
    ['schedules: [{ at: "* * * * *", set: { a/b: { state: drian } } }]', '1:53 PH019', 'did you mean "drain"?'],
    ['schedules: [{ at: "* * * * *", set: { a/b: { wait: 1 } } }]', '1:46 PH010', 'wait is not a key'],
    ['health: { notify: ftp://example.net }', '1:19 PH073', 'an http or https URL'],
    ['health: { notify: { url: "http://me:pw@example.net/" } }', '1:26 PH073', 'headers'],
    ['health: { notify: { } }', '1:19 PH012', 'url'],
    ['health: { notify: { url: "http://a/", retry: 3 } }', '1:39 PH010', 'retry is not a key'],
    ['dns: { cookie_secrets: [0011223344] }', '1:25 PH025', '32 hexadecimal digits, got 10 characters'],
    ['dns: { cookie_secrets: [00112233445566778899aabbccddeefg] }', '1:25 PH025', 'openssl rand -hex 16'],
    ['dns: { cookie_secrets: { a: b } }', '1:24 PH013', 'must be'],
    [`dns: { cookie_secrets: [${`${'0'.repeat(32)}, `.repeat(5)}] }`, '1:24 PH026', 'at most 4'],
    ['beacon: { }', '1:9 PH012', 'urls'],
    ['beacon: { urls: { a: ping } }', '1:22 PH086', 'an http or https URL'],
    ['beacon: { urls: { a: "http://me:pw@example.net/" } }', '1:22 PH086', 'small file'],
    ['beacon: { urls: { soul: "https://a/" } }\nregions: { seoul: {} }', '1:19 PH088', 'did you mean "seoul"?'],
    ['beacon: { urls: { }, origins: "https://example.net/" }', '1:31 PH087', 'without a path'],
    ['beacon: { urls: { }, min_sources: 33 }', '1:35 PH014', '1 to 32'],
    ['beacon: { urls: { }, window: 24 }', '1:30 PH015', '24s'],
    ['beacon: { urls: { }, apply: 100ms }', '1:29 PH015', '1s'],
    ['beacon: { urls: { }, proxies: [10.0.0.1/8] }', '1:32 PH023', 'without bits'],
    ['beacon: { urls: { }, tries: 0 }', '1:29 PH014', '1 to 20'],
    ['limits: { rrl: -1 }', '1:16 PH014', '0 to 1000000'],
    ['limits: { rrl: 5, slip: 11 }', '1:25 PH014', '0 to 10'],
  ])('%s', (yaml, at, part) => {
    expectMistake(read(yaml).diagnostics, at, part);
  });
});

test('a wrong token is not shown', () => {
  const { diagnostics } = read('status: { token: "${T}" }', { T: 'hunter 2' });
  expect(JSON.stringify(diagnostics)).not.toContain('hunter');
});

test('a wrong cookie secret is not shown', () => {
  const { diagnostics } = read('dns: { cookie_secrets: "${C}" }', { C: 'deadbeef' });
  expect(JSON.stringify(diagnostics)).not.toContain('dead');
});

test('mistakes in several places are all reported', () => {
  const { diagnostics } = read('workers: x\nhealth: { wait: 1, suspct: 1 }\ntls: 1\nlog: { level: loud }\n');
  expect(placesOf(diagnostics)).toEqual(['1:10 PH014', '2:17 PH015', '2:20 PH010', '3:6 PH013', '4:15 PH019']);
});

test('a user that the server would become must exist', () => {
  const check = (user: string, becomesUser: boolean) => {
    writeFileSync(join(folder, 'pharos.yaml'), `workers: 2\nuser: ${user}\n`);
    const report = createReport();
    readSettings({ file: 'pharos.yaml', baseDir: folder, env: {}, cores: 1, report, becomesUser });
    return report.diagnostics;
  };
  expectMistake(
    check('no-such-user-here', true),
    '2:7 PH067',
    'unknown user "no-such-user-here" in "user:" | create it',
  );
  expect([check('no-such-user-here', false), check('root', true), check('"0"', true)]).toEqual([[], [], []]);
});

test('a beacon', () => {
  const { settings, diagnostics } = read(
    lines(
      'regions: { seoul: { at: KR }, dublin: { at: IE } }',
      'beacon:',
      '  urls: { seoul: "https://seoul.example.com/ping", dublin: "http://192.0.2.1:8080/" }',
      '  proxies: [127.0.0.0/8]',
      '  origins: https://www.example.com',
    ),
  );
  expect(diagnostics).toEqual([]);
  expect(settings?.beacon).toEqual({
    urls: new Map([
      ['seoul', 'https://seoul.example.com/ping'],
      ['dublin', 'http://192.0.2.1:8080/'],
    ]),
    tries: 5,
    windowMs: 86_400_000,
    minSources: 3,
    applyMs: 300_000,
    proxies: LOOPBACK.slice(0, 1),
    origins: ['https://www.example.com'],
  });
});
