/**
 * The output of `pharos import` for other systems' files: the samples beside this test, and random master files.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { diffRecords } from '../../../../cli/diff-records.ts';
import { countRecords } from '../../../../cli/import/draft.ts';
import { fromBind } from '../../../../cli/import/from-bind.ts';
import { writeZone } from '../../../../cli/import/write-zone.ts';
import type { ImportOptions } from '../../../../cli/import.ts';
import { createReport, hasErrors, type Diagnostic } from '../../../../config/diagnostics.ts';
import { loadWithZones } from '../../../../zones/load-generation.ts';
import type { ZoneModel } from '../../../../zones/read/model.ts';
import { answering, folderOf, mistakesOf, NO_GEOGRAPHY, type Files } from '../../../support/pharos.ts';
import { LONG_TESTS, createDice, printedSeed } from '../../../support/random.ts';
import { runImport, type Imported } from './run-import.ts';

const SAMPLES = fileURLToPath(new URL('samples/', import.meta.url));
const samples = new Map<string, Imported>();

/** `run` of a sample, once. */
function runSample(format: string, sample: string, more: Partial<ImportOptions>): Imported {
  const key = JSON.stringify([format, sample, more]);
  const known = samples.get(key) ?? runImport(format, join(SAMPLES, sample), more);
  samples.set(key, known);
  return known;
}

/** The zone YAML of a sample; it must be valid. */
function imported(format: string, sample: string, more: Partial<ImportOptions> = {}): string {
  const { code, out, error } = runSample(format, sample, more);
  expect(code, error).toBe(0);
  return out;
}

function notesOf(format: string, sample: string, more: Partial<ImportOptions> = {}): string[] {
  const { error } = runSample(format, sample, more);
  return error.split('\n').flatMap((line) => (/^ {2}(?:changed|dropped) /.test(line) ? line.trim() : []));
}

function zonesOf(files: Files): readonly ZoneModel[] {
  using folder = folderOf({ ...NO_GEOGRAPHY, ...files });
  const outcome = loadWithZones({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics, undefined, 2));
  return outcome.value.zones;
}

/** The records of the master file itself, compared with those of the resulting YAML. */
function differences(master: string, yaml: string, beside: Files = {}) {
  const source = zonesOf({ 'zones/z.yaml': 'zone: example.com\ninclude: [db]\n', 'zones/db': master });
  return diffRecords(source, zonesOf({ 'zones/z.yaml': yaml, ...beside }));
}

describe('bind', () => {
  test('every record of the file is in the zone, with its TTL', () => {
    const yaml = imported('bind', 'db.example.com', { zone: 'example.com' });
    expect(differences(readFileSync(join(SAMPLES, 'db.example.com'), 'utf8'), yaml)).toEqual([]);
  });

  test('it reads like a file written by hand', () => {
    const yaml = imported('bind', 'db.example.com', { zone: 'example.com' });
    for (const line of [
      'nameservers: [ ns1, ns2.example.net. ]',
      '    ttl: { A: 5m }',
      '    MX: [ 10 mail, 20 mail.example.net. ]',
      '    TXT: v=spf1 mx -all',
      '  ns1: { A: 192.0.2.53, AAAA: 2001:db8::53 }',
      '  "*.dev": { CNAME: www }',
      '  sub: { NS: [ ns.sub, ns1 ] }',
    ]) {
      expect(yaml.split('\n')).toContain(line);
    }
  });

  test.each<[title: string, head: string, zone: string | undefined]>([
    ['from $ORIGIN', '$ORIGIN example.com.\n@ SOA', 'example.com'],
    ["from the SOA's owner", 'example.com. SOA', 'example.com'],
    ['from neither: the file does not state it', '@ SOA', undefined],
  ])("the zone's name %s", (_title, head, zone) => {
    using folder = folderOf({ db: `$TTL 60\n${head} ns. h. 1 2 3 4 5\n NS ns.example.net.\nwww A 192.0.2.1\n` });
    const { code, out, error } = runImport('bind', join(folder.path, 'db'));
    expect(code).toBe(zone === undefined ? 1 : 0);
    if (zone === undefined) expect(error).toMatch(/PH502: the file does not state the name.*\n.*--zone/);
    else expect(out).toMatch(/^zone: example\.com$[^]*^ {2}www: \{ A: 192\.0\.2\.1 \}$/m);
  });

  test.each<[title: string, head: string]>([
    ['NS and SOA with different TTLs', '@ 86400 SOA ns h 1 2 3 4 5\n 172800 NS ns\n 172800 NS ns.example.net.'],
    ['a primary that no NS names', '@ SOA hidden.example.net. h 1 2 3 4 5\n NS ns'],
    [
      'a contact with a dot in it',
      '@ SOA ns first\\.last.Example.COM. 4294967295 2 3 4 5\n NS ns\n NS NS2.Example.com.',
    ],
  ])('the apex unchanged: %s', (_title, head) => {
    const master = `$ORIGIN example.com.\n$TTL 60\n${head}\n MX 10 @\n CAA 0 issue ";"\nns A 192.0.2.1\nns2 A 192.0.2.2\n`;
    using folder = folderOf({ db: master });
    const { code, out, error } = runImport('bind', join(folder.path, 'db'));
    expect(code, error).toBe(0);
    expect(differences(master, out)).toEqual([]);
  });

  test('notes: records out of the zone, signatures, duplicates, different TTLs in one RRset', () => {
    using folder = folderOf({
      db: [
        '$ORIGIN example.com.\n$TTL 60\n@ SOA ns1 h 1 2 3 4 5\n NS ns.example.net.',
        'a A 192.0.2.1\na A 192.0.2.1\na 30 A 192.0.2.2',
        'other.example.net. A 192.0.2.3\na NSEC b.example.com. A\n',
      ].join('\n'),
    });
    const { code, error } = runImport('bind', join(folder.path, 'db'));
    expect(code).toBe(0);
    expect(error).toMatch(/3 dropped/);
    expect(error).toMatch(/dropped a: a duplicate A record/);
    expect(error).toMatch(/changed a: A records with different TTLs, 60 and 30: all get the first/);
    expect(error).toMatch(/dropped other\.example\.net\.: A out of the zone, at .*db:8/);
    expect(error).toMatch(/dropped DNSSEC signatures \(1 NSEC\)/);
  });

  test('records of other programs are dropped with a note, and the rest is imported', () => {
    using folder = folderOf({
      db: [
        '$ORIGIN example.com.\n@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns.example.net.',
        `a 30 IN LUA A "return '192.0.2.1'"`,
        ' A 192.0.2.1',
        '@ ALIAS lb.example.net.',
        'k NXT www A NS SIG',
        '$INCLUDE more',
      ].join('\n'),
      more: 'b ANAME a\nc ALIAS lb.example.net.\nc A 192.0.2.3\n',
    });
    const { code, out, error } = runImport('bind', join(folder.path, 'db'));
    expect(code, error).toBe(0);
    expect(out).toMatch(/^ {2}a: \{ ttl: 30, A: 192\.0\.2\.1 \}$/m);
    const notes = error.split('\n').flatMap((line) => (line.startsWith('  ') ? line.trim() : []));
    expect(notes).toEqual([
      `dropped a: LUA A "return '192.0.2.1'": write a service, or use import powerdns`,
      'dropped k: NXT www A NS SIG: obsolete (RFC 3755); a signer makes NSEC records',
      'dropped c: ALIAS lb.example.net: the name has A records',
    ]);
    expect(out).toMatch(/^ {2}"@": \{ ttl: \{ ALIAS: 30 \}, ALIAS: lb\.example\.net\., SOA: .*\}$/m);
    expect(out).toMatch(/^ {2}b: \{ ttl: 30, ALIAS: a \}$/m);
  });

  test('notes with the same words are one line, and no more than 200 lines are shown', () => {
    const twice = ['a', 'b', 'c', 'd', 'e'].map((name) => `${name} A 192.0.2.1\n${name} A 192.0.2.1\n`).join('');
    const outside = Array.from({ length: 300 }, (_, at) => `h${at}.example.net. A 192.0.2.1\n`).join('');
    using folder = folderOf({
      db: `$ORIGIN example.com.\n$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.net.\n${twice}${outside}`,
    });
    const { code, error, out } = runImport('bind', join(folder.path, 'db'));
    expect(code).toBe(0);
    const lines = error.trimEnd().split('\n');
    expect(lines[0]).toMatch(/0 changed, 305 dropped$/);
    expect(lines).toContain('  dropped a, b, c and 2 more: a duplicate A record');
    expect(lines).toHaveLength(202);
    expect(lines.at(-1)).toBe('  and 101 more: --json lists all');
    expect(out.split('\n').filter((line) => line.includes('out of the zone'))).toHaveLength(200);
    expect(out).toContain('# and 100 more: pharos import --json lists all');
    const all = runImport('bind', join(folder.path, 'db'), { json: true });
    expect(JSON.parse(all.out)).toMatchObject({ zones: [{ notes: { length: 305 } }] });
  });

  test('a mistake in the file is shown with its place, and nothing is written', () => {
    using folder = folderOf({ db: 'example.com. 60 SOA ns. h. 1 2 3 4 5\nwww 60 A 192.0.2.300\n' });
    const { code, out, error } = runImport('bind', join(folder.path, 'db'));
    expect([code, out]).toEqual([1, '']);
    expect(error).toMatch(/db:2:10 error PH312/);
  });

  /** A zone of 400 records with random names, TTLs and data. */
  const randomZone = (title: string): string => {
    const dice = createDice(printedSeed(title));
    const escaped = (octets: number, special: boolean): string =>
      Array.from({ length: octets }, () =>
        special
          ? `\\${String(dice.below(256)).padStart(3, '0')}`
          : 'abcdefghijklmnopqrstuvwxyz0123456789-_'.charAt(dice.below(38)),
      ).join('');
    const lines = Array.from({ length: 400 }, (_, index) => {
      const owner = `${escaped(1 + dice.below(12), dice.chance(0.3))}.${dice.pick(['x', 'no', 'null', '1e3', '0x1f'])}${index}`;
      const ttl = dice.pick([60, 300, 3600, 7, 86_400, 90]);
      const strings = Array.from({ length: 1 + dice.below(3) }, () => `"${escaped(dice.below(80), true)}"`).join(' ');
      const data = dice.pick([
        `A 192.0.2.${dice.below(256)}`,
        `AAAA 2001:db8::${dice.below(65_536).toString(16)}`,
        `TXT ${strings}`,
        `TXT "${dice.pick(['true', 'null', '~', '- a', '# b', 'a: b', "'", '{x}', '${A} $${B}', '\\"', 'é', ' a ', '@', '0x10'])}"`,
        `MX ${dice.below(65_536)} ${escaped(5, true)}`,
        `CNAME ${escaped(4, false)}.example.com.`,
        `SRV 1 2 3 ${dice.pick(['@', 'a.b', 'c.example.net.', '.'])}`,
        `TYPE65500 \\# 3 ${dice
          .below(2 ** 24)
          .toString(16)
          .padStart(6, '0')}`,
      ]);
      return `${owner} ${ttl} ${data}`;
    });
    return `$ORIGIN example.com.\n$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns.example.net.\n${lines.join('\n')}\n`;
  };

  test('random names, TTLs and octets are unchanged', () => {
    const master = randomZone('import bind');
    using folder = folderOf({ db: master });
    const { code, out, error } = runImport('bind', join(folder.path, 'db'));
    expect(code, error).toBe(0);
    expect(differences(master, out)).toEqual([]);
  });

  test('random names, TTLs and octets are unchanged in a master file', () => {
    const master = randomZone('import bind into a master file');
    using folder = folderOf({ db: master });
    const draft = fromBind(join(folder.path, 'db'), undefined, createReport());
    const { yaml = '', records } = draft ? writeZone(draft, 'z.records') : {};
    expect(yaml).toMatch(/^include: \[ z\.records \]$/m);
    expect(yaml).not.toMatch(/^records:/m);
    expect(differences(master, yaml, { 'zones/z.records': String(records) })).toEqual([]);
  });

  describe.runIf(LONG_TESTS)('a zone with more than 10,000 records', () => {
    const large = (more = ''): string =>
      `$ORIGIN example.com.\n$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n$GENERATE 1-9998 h$ A 192.0.2.1\n${more}`;

    test('is written as a master file beside a small zone file', () => {
      const source = large('dup A 192.0.2.1\ndup A 192.0.2.1\nx 1h A 192.0.2.2\n');
      using folder = folderOf({ db: source, 'out/keep': '' });
      const output = join(folder.path, 'out', 'z.yaml');
      const { code, error } = runImport('bind', join(folder.path, 'db'), { output });
      expect(code, error).toBe(0);
      expect(error).toMatch(/10,003 records.*-> .*z\.yaml and .*z\.records/);
      const [yaml, records] = [output, output.replace('.yaml', '.records')].map((file) => readFileSync(file, 'utf8'));
      expect(yaml?.length).toBeLessThan(400);
      expect(records).toMatch(/^; dropped: a duplicate A record\ndup\tA\t192\.0\.2\.1$/m);
      expect(records).toMatch(/^x\t3600\tA\t192\.0\.2\.2$/m);
      expect(
        differences(source.replace('dup A 192.0.2.1\n', ''), yaml ?? '', { 'zones/z.records': records ?? '' }),
      ).toEqual([]);
    });

    test('is written as one YAML without --output', () => {
      using folder = folderOf({ db: large() });
      const { code, out } = runImport('bind', join(folder.path, 'db'));
      expect(code).toBe(0);
      expect(out).toMatch(/^ {2}h9998: \{ A: 192\.0\.2\.1 \}$/m);
    });

    test('a mistake has its place in the master file', () => {
      using folder = folderOf({ db: large('h1 CNAME h2\n') });
      const { code, error } = runImport('bind', join(folder.path, 'db'), { output: join(folder.path, 'z.yaml') });
      expect(code).toBe(1);
      expect(error).toMatch(/z\.records:\d+:1 error PH350/);
    });

    test('never overwrites its source', () => {
      using folder = folderOf({ 'z.records': large() });
      const path = join(folder.path, 'z.records');
      const { code, error } = runImport('bind', path, { output: join(folder.path, 'z.yaml') });
      expect(code).toBe(1);
      expect(error).toMatch(/z\.records would be overwritten by the records: choose another --output/);
      expect(readFileSync(path, 'utf8')).toBe(large());
    });
  });

  test('many notes and records of one name take time in proportion', () => {
    const count = 20_000;
    const lines = Array.from({ length: count }, (_, at) => `x ${at} A 10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
    using folder = folderOf({ db: `$ORIGIN example.com.\n@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\n${lines.join('\n')}\n` });
    const draft = fromBind(join(folder.path, 'db'), undefined, createReport());
    expect(draft?.notes).toHaveLength(count - 1);
    expect(draft && countRecords(draft)).toBe(count + 2);
  });
});

describe('route53', () => {
  const yaml = imported('route53', 'route53.json');

  test.each<[title: string, lines: string[]]>([
    [
      'weights are per set: two values share theirs, 0 is a standby',
      [
        '      seoul: { A: 203.0.113.10, weight: 180 }',
        '      canary-1: { A: 203.0.113.11, weight: 10 }',
        '      spare: { A: 203.0.113.13, weight: 0 }',
      ],
    ],
    ['failover', ['    steer: [ { failover: [ first, second ] } ]']],
    [
      'latency is nearest among the places of the AWS regions; A and AAAA of a set are one VIP',
      [
        '  ap-northeast-2: { at: "37.6,127.0" }',
        '      kr-1: { region: ap-northeast-2, A: 203.0.113.30, AAAA: 2001:db8:1::30 }',
        '    steer: [ nearest, all ]',
      ],
    ],
    ['geolocation', ['    steer: [ { geo: { asia: asia, US-CA: california, default: rest-of-the-world } } ]']],
    ['multivalue', ['    answers: 2']],
    ['geoproximity with its bias', ['    steer: [ { nearest: { bias: { office: 20 } } }, weighted ]']],
    ['weighted aliases', ['      green: { CNAME: green-1.elb.example.net., weight: 3 }']],
    ['an alias of the zone itself', ['  copy: { ttl: 1h, A: [ 192.0.2.25, 192.0.2.26 ] }']],
    ['octal escapes', ['  "*.dev": { ttl: 5m, CNAME: www }', '    TXT: [ v=spf1 -all, \'"caf\\195\\169" "two"\' ]']],
    ['health checks are named', ['      # health check 11111111-2222-3333-4444-555555555555']],
  ])('%s', (_title, lines) => {
    for (const line of lines) expect(yaml.split('\n')).toContain(line);
  });

  test('every difference is a note and a comment in the YAML', () => {
    const notes = notesOf('route53', 'route53.json');
    expect(notes).toHaveLength(12);
    expect(notes.filter((each) => each.startsWith('dropped'))).toEqual([
      expect.stringMatching(/^dropped @: the SOA of Route 53/),
    ]);
    expect(notes).toContain('changed @: the A alias of d111111abcdef8.cloudfront.net becomes an ALIAS, which the server resolves; it answers for A and AAAA'); // prettier-ignore
    for (const note of notes) {
      const [, kind = '', text = ''] = /^(\w+) (?:\S+: )?(.*)$/.exec(note) ?? [];
      expect(yaml).toContain(`# ${kind}: ${text}`);
    }
  });

  /** An A set of app.example.com. */
  const set = (id: string, address: string, more: Readonly<Record<string, unknown>>) => ({
    ...{ Name: 'app.example.com.', Type: 'A', SetIdentifier: id, TTL: 60, ResourceRecords: [{ Value: address }] },
    ...more,
  });
  const base = (Name: string, Type: string, Value: string) => ({ Name, Type, TTL: 900, ResourceRecords: [{ Value }] });
  const APEX = [
    base('example.com.', 'SOA', 'ns1.example.com. h.example.com. 1 7200 900 1209600 86400'),
    base('example.com.', 'NS', 'ns-1.awsdns-01.org.'),
  ];
  const http = (address: string, more: Readonly<Record<string, unknown>> = {}) => ({
    ...{
      IPAddress: address,
      Port: 80,
      Type: 'HTTP',
      ResourcePath: '/health',
      RequestInterval: 10,
      FailureThreshold: 2,
    },
    ...more,
  });
  const CHECKED = {
    ResourceRecordSets: [
      ...APEX,
      set('a', '192.0.2.1', { Failover: 'PRIMARY', HealthCheckId: '1' }),
      set('b', '192.0.2.2', { Failover: 'SECONDARY', HealthCheckId: '2' }),
    ],
  };

  test.each<[title: string, configs: readonly unknown[], check: readonly string[], notes: readonly RegExp[]]>([
    [
      'equal ones are the check of the service',
      [http('192.0.2.1'), http('192.0.2.2')],
      ['  http: { type: http, path: /health, interval: 10s, rise: 2, fall: 2, timeout: 6s }', '    check: http'],
      [],
    ],
    [
      'HTTPS, its Host, and a text to find',
      [1, 2].map((n) =>
        http(`192.0.2.${n}`, {
          ...{ Type: 'HTTPS_STR_MATCH', Port: 8443, FullyQualifiedDomainName: 'www.example.com', SearchString: '/ok' },
        }),
      ),
      ['type: https', 'host: www.example.com', 'port: 8443', 'body: /\\/ok/', 'insecure: true'],
      [],
    ],
    [
      'TCP',
      [1, 2].map((n) => ({ Type: 'TCP', IPAddress: `192.0.2.${n}`, Port: 25 })),
      ['  tcp: { type: tcp, port: 25, interval: 30s, rise: 3, fall: 3, timeout: 10s }'],
      [],
    ],
    [
      'another address than that of the set',
      [http('192.0.2.1'), http('192.0.2.9')],
      ['{ type: http,', '    check: http\n', 'b: { A: 192.0.2.2, probe: 192.0.2.9 }'],
      [],
    ],
    [
      'different ones are the checks of the VIPs',
      [http('192.0.2.1'), http('192.0.2.2', { Port: 81 })],
      ['a: { A: 192.0.2.1, check: http }', 'b: { A: 192.0.2.2, check: http-2 }'],
      [],
    ],
    [
      'one that is disabled: its VIP is not checked',
      [http('192.0.2.1'), http('192.0.2.2', { Disabled: true })],
      ['a: { A: 192.0.2.1, check: http }', 'b: { A: 192.0.2.2 }'],
      [/^changed app: the health check 2 \(b\) is disabled: its VIP is not checked, as in Route 53/],
    ],
    [
      'one that has no equivalent, and one that is missing',
      [{ Type: 'CLOUDWATCH_METRIC' }],
      [],
      [
        /^changed app: health checks are not in this file; give the service a check: 2 \(b\)/,
        /^changed app: the health check 1 \(a\) is of the type CLOUDWATCH_METRIC, which has no equivalent/,
      ],
    ],
  ])('health checks: %s', (_title, configs, check, notes) => {
    const checks = { HealthChecks: configs.map((config, at) => ({ Id: String(at + 1), HealthCheckConfig: config })) };
    using folder = folderOf({ 'aws/checks.json': JSON.stringify(checks), 'aws/records.json': JSON.stringify(CHECKED) });
    const result = runImport('route53', join(folder.path, 'aws'), { nameServers: ['ns1.example.net.'] });
    expect(result.code, result.error).toBe(0);
    if (check.length === 0) expect(result.out).not.toMatch(/^checks:|^ {4}check:|, check:/m);
    for (const part of check) expect(result.out).toContain(part);
    const noted = result.error.split('\n').filter((line) => line.startsWith('  changed'));
    expect(noted.map((line) => line.trim())).toEqual(notes.map((note) => expect.stringMatching(note) as unknown));
  });

  test.each<[title: string, target: string, check: string | undefined]>([
    ['a load balancer gets a tcp check', 'one-1.eu-west-1.elb.amazonaws.com.', 'tcp'],
    ['another target gets none', 'one.example.net.', undefined],
  ])('EvaluateTargetHealth is noted: %s', (_title, DNSName, check) => {
    const AliasTarget = { HostedZoneId: 'Z1', DNSName, EvaluateTargetHealth: true };
    const alias = { AliasTarget, TTL: undefined, ResourceRecords: undefined };
    const records = [
      set('p', '', { ...alias, Failover: 'PRIMARY' }),
      set('s', '', { ...alias, Failover: 'SECONDARY' }),
    ];
    using folder = folderOf({ 'r.json': JSON.stringify({ ResourceRecordSets: [...APEX, ...records] }) });
    const { error, out } = runImport('route53', join(folder.path, 'r.json'));
    expect(error).toMatch(/changed app: EvaluateTargetHealth of the alias \(p, s\): give the service a check/);
    if (check === undefined) expect(out).not.toMatch(/check: tcp/);
    else expect(out).toMatch(/tcp: \{ type: tcp, port: 443 \}[^]*check: tcp/);
  });

  test('TTLs of geolocation sets are those of keys', () => {
    const place = (CountryCode: string, TTL: number) => ({ GeoLocation: { CountryCode }, TTL });
    const records = [
      set('kr', '192.0.2.1', place('KR', 10)),
      set('jp', '192.0.2.1', place('JP', 300)),
      set('all', '192.0.2.2', place('*', 10)),
    ];
    using folder = folderOf({ 'r.json': JSON.stringify({ ResourceRecordSets: [...APEX, ...records] }) });
    const { error, out } = runImport('route53', join(folder.path, 'r.json'));
    expect(out).toMatch(/ttl: 10\n/);
    expect(out).toContain('geo: { KR: kr, JP: { to: kr, ttl: 300 }, default: all }');
    expect(error).not.toMatch(/different TTLs/);
  });

  test('an alias that evaluates its target has the health check of the target', () => {
    const other = {
      ...set('', '192.0.2.1', { HealthCheckId: '1' }),
      Name: 'one.example.com.',
      SetIdentifier: undefined,
    };
    const AliasTarget = { HostedZoneId: 'Z1', DNSName: 'one.example.com.', EvaluateTargetHealth: true };
    const alias = { AliasTarget, TTL: undefined, ResourceRecords: undefined };
    const records = [
      other,
      set('p', '', { ...alias, Failover: 'PRIMARY' }),
      set('s', '192.0.2.2', { Failover: 'SECONDARY' }),
    ];
    const document = {
      ResourceRecordSets: [...APEX, ...records],
      HealthChecks: [{ Id: '1', HealthCheckConfig: http('192.0.2.1') }],
    };
    using folder = folderOf({ 'r.json': JSON.stringify(document) });
    const { error, out } = runImport('route53', join(folder.path, 'r.json'));
    expect(out).not.toMatch(/^ {4}check:/m);
    expect(out).toMatch(/ p: \{ A: 192\.0\.2\.1, check: http \}\n *s: \{ A: 192\.0\.2\.2 \}/);
    expect(error).not.toMatch(/health check/);
  });

  test('--nameserver replaces the name servers', () => {
    const other = imported('route53', 'route53.json', { nameServers: ['ns1.example.com', 'ns2.example.net.'] });
    expect(other).toMatch(/NS: \[ ns1, ns2\.example\.net\. \]/);
    expect(other).toMatch(/dropped: the name servers ns-1\.awsdns-01\.org\., ns-2/);
    expect(other).not.toMatch(/replace them by yours/);
  });

  test('the answers are those of the policies', () => {
    const { ask, set } = answering({ 'zones/example.com.yaml': yaml });
    const dataOf = (name: string, type: number): string[] => ask(name, type).answer.map(({ data }) => data);
    expect(dataOf('app.example.com', 1)).toEqual(['cb007114']);
    set('app.example.com/first', { probed: 2 });
    expect(dataOf('app.example.com', 1)).toEqual(['c6336414']);
    expect(dataOf('many.example.com', 1)).toHaveLength(2);
    expect(dataOf('mail.example.com', 1)).toHaveLength(2);
  });
});

describe('gdnsd', () => {
  const yaml = imported('gdnsd', 'gdnsd');

  test('cities, and the areas AP and EU, are keys', () => {
    const config = `plugins => { geoip => {
  maps => { m => { datacenters => [a, b], map => {
    AS => { AP => [b, a], KR => { Seoul => [b, a] } }, EU => { default => [a, b], EU => [b, a] },
    NA => { US => { CA => { "Los Angeles" => [b, a], default => [a, b] } } }, OC => { A2 => [b, a] } } } }
  resources => { r => { map => m, dcmap => { a => 192.0.2.1, b => 192.0.2.2 } } } } }`;
    using folder = folderOf({
      config,
      'zones/example.com':
        '@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\nwww 60 DYNA geoip!r\n',
    });
    const { code, out, error } = runImport('gdnsd', folder.path);
    expect(code, error).toBe(0);
    for (const key of ['AP', 'KR/Seoul', 'EU', 'US-CA/Los Angeles'])
      expect(out).toMatch(new RegExp(` ${key}: \\[ b, a \\]`));
    for (const key of ['europe', 'US-CA']) expect(out).toMatch(new RegExp(` ${key}: \\[ a, b \\]`));
    expect(error).toMatch(/dropped www: OC A2 of the map m: not a country/);
    expect(error).toMatch(/0 changed, 1 dropped/);
  });

  test.each([
    [
      'ignore_health in all datacenters is partial: serve_all',
      'ignore_health => true,',
      'partial: serve_all',
      '0 changed',
    ],
    ['in some of them it is noted', '', undefined, 'changed www: ignore_health is not kept for some'],
  ])('%s', (_title, second, line, noted) => {
    const config = `service_types => { web => { plugin => tcp_connect, port => 80 } }
plugins => { metafo => { resources => { r => { datacenters => [ a, b ], dcmap => {
  a => { plugin => multifo, service_types => web, ignore_health => true, one => 192.0.2.1, two => 192.0.2.2 }
  b => { plugin => multifo, service_types => web, ${second} one => 192.0.2.3, two => 192.0.2.4 }
} } } } }`;
    using folder = folderOf({
      config,
      'zones/example.com':
        '@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\nwww 60 DYNA metafo!r\n',
    });
    const { code, out, error } = runImport('gdnsd', folder.path);
    expect(code, error).toBe(0);
    expect(/^ {4}(partial: .*)/m.exec(out)?.[1]).toBe(line);
    expect(error).toContain(noted);
  });

  test('an empty list of a map is no answer there', () => {
    const config = `plugins => { geoip => {
  maps => { m => { datacenters => [a, b], map => { NA => { US => [] }, AS => [b, a] } } }
  resources => { r => { map => m, dcmap => { a => 192.0.2.1, b => 192.0.2.2 } } } } }`;
    using folder = folderOf({
      config,
      'zones/example.com':
        '@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\nwww 60 DYNA geoip!r\n',
    });
    const { code, out, error } = runImport('gdnsd', folder.path);
    expect(code, error).toBe(0);
    expect(out).toMatch(/geo: \{ US: none, asia: \[ b, a \], default: \[ a, b \] \}/);
    expect(error).toMatch(/0 changed, 0 dropped/);
  });

  test('a datacenter that is a resource of metafo or geoip is a VIP that is a service', () => {
    const config = `service_types => { web => { plugin => tcp_connect, port => 80 } }
plugins => {
  metafo => { resources => { asia => { service_types => web, datacenters => [ x, y ], dcmap => { x => 192.0.2.1, y => 192.0.2.2 } } } }
  geoip => {
    maps => { m => { datacenters => [ a, b ], map => { AS => [ a, b ], default => [ b, a ] } } }
    resources => { r => { map => m, service_types => web, dcmap => { a => %metafo!asia, b => 192.0.2.3 } } }
  }
}`;
    using folder = folderOf({
      config,
      'zones/example.com':
        '@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\nwww 60/10 DYNA geoip!r\nftp 600 DYNA geoip!r\n',
    });
    const { code, out, error } = runImport('gdnsd', folder.path);
    expect(code, error).toBe(0);
    expect(out).toContain('a: { region: a, service: _metafo_asia }');
    // The check of the service is that of b: a VIP that is a service has none.
    expect(out).toContain('b: { region: b, A: 192.0.2.3 }');
    expect(/ {2}_metafo_asia:[^]*?steer: .*/.exec(out)?.[0]).toBe(`  _metafo_asia:
    ttl: { min: 300, max: 600 }
    check: web
    vips:
      x: { region: x, A: 192.0.2.1 }
      y: { region: y, A: 192.0.2.2 }
    steer: [ { failover: [ x, y ] } ]`);
    expect(error).toContain('_metafo_asia: metafo!asia, a datacenter of another resource, is a service with this name');
  });

  test('datacenters with different service_types: each VIP has its check', () => {
    const config = `
service_types => { web => { plugin => tcp_connect, port => 80 }, smtp => { plugin => tcp_connect, port => 25 } }
plugins => { metafo => { resources => { r => { datacenters => [ a, b, c ], dcmap => {
  a => { service_types => web, one => 192.0.2.1 }
  b => { service_types => [ web, smtp ], one => 192.0.2.2 }
  c => { service_types => up, one => 192.0.2.3 }
} } } } }`;
    using folder = folderOf({
      config,
      'zones/example.com':
        '@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\nwww 60/10 DYNA metafo!r\n',
    });
    const { code, out, error } = runImport('gdnsd', folder.path);
    expect(code, error).toBe(0);
    expect(out.slice(out.indexOf('services:'))).toBe(`services:
  www:
    ttl: { min: 10, max: 60 }
    vips:
      a: { region: a, A: 192.0.2.1, check: web }
      b: { region: b, A: 192.0.2.2, check: { all_of: [ web, smtp ] } }
      c: { region: c, A: 192.0.2.3 }
    steer: [ { failover: [ a, b, c ] } ]`);
    expect(error).toMatch(/0 changed, 0 dropped/);
  });

  test.each<[title: string, lines: string[]]>([
    ['the zone file beside the dynamic records', ['  mail: { A: 192.0.2.25 }', '  alias: { CNAME: www }']],
    [
      'service_types are checks',
      [
        '    status: [ 200, 204 ]',
        '    rise: 3',
        '    fall: 2',
        '    command: [ sh, -c, exec /bin/ping -c 1 "$PHAROS_ADDRESS" ]',
      ],
    ],
    [
      'simplefo; both families are one VIP; a TTL is max/min, and min half of max',
      [
        '    ttl: { min: 150, max: 300 }',
        '    ttl: { min: 10, max: 600 }',
        '      primary: { A: 192.0.2.1, AAAA: 2001:db8:1::1 }',
        '    steer: [ { failover: [ primary, secondary ] } ]',
      ],
    ],
    [
      'multifo: all of them, and its threshold is min_healthy',
      ['  pool: { min_healthy: 30% }', '    check: { all_of: [ web, ping ] }', '    steer: [ all ]'],
    ],
    ['weighted', ['      lb01: { A: 192.0.2.10, weight: 99 }', '      foo: { CNAME: lb01.example.org., weight: 3 }']],
    [
      'metafo; a name at the end of the order is when_all_down',
      ['    steer: [ { failover: [ dc-a, dc-b ] }, all ]', '    when_all_down: { CNAME: sorry.example.net. }'],
    ],
    [
      'geoip: a map, with all of its levels',
      [
        '          10.0.0.0/8: seoul',
        '          europe: [ dublin, virginia, seoul ]',
        '          DE: [ dublin, seoul ]',
        '          US-CA: [ seoul, virginia ]',
        '          BR-SP/Sao Paulo: virginia',
        '          default: [ seoul, virginia, dublin ]',
        '        fence: true',
      ],
    ],
    ['geoip: coordinates', ['  virginia: { at: "38.95,-77.45" }', '    steer: [ nearest ]']],
  ])('%s', (_title, lines) => {
    for (const line of lines) expect(yaml.split('\n')).toContain(line);
  });

  test('what has no equivalent is noted', () => {
    expect(notesOf('gdnsd', 'gdnsd')).toEqual([
      'changed backup: dc-last is a name among addresses: it becomes when_all_down',
      'dropped who: reflect!dns: Pharos has no equivalent of the plugin reflect',
      'dropped gone: weighted!nothing is not defined',
    ]);
  });

  test('several zones: one is chosen, or all go into a folder', () => {
    const zone = '$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.org.\n$INCLUDE more\n';
    using folder = folderOf({
      config: 'plugins => { static => { one => 192.0.2.1 } }',
      'zones/example.com': zone,
      'zones/example.net': zone,
      'zones/.more': 'x 30 DYNA static!one\n',
      'zones/more.d/x': '',
    });
    const text = readFileSync(join(folder.path, 'zones/example.com'), 'utf8').replace('more', '.more');
    using whole = folderOf({
      config: 'plugins => { static => { one => 192.0.2.1 } }',
      'zones/example.com': text,
      'zones/example.net': text,
      'zones/.more': 'x 30 DYNA static!one\n',
      'out/keep': '',
    });
    const both = runImport('gdnsd', whole.path);
    expect(both.code).toBe(1);
    expect(both.error).toMatch(/has 2 zones: example\.com, example\.net\n.*--zone.*-o zones/);
    const one = runImport('gdnsd', join(whole.path, 'config'), { zone: 'example.net' });
    expect(one).toMatchObject({ code: 0 });
    expect(one.out).toMatch(/x:\n {4}ttl: 30\n {4}vips:\n {6}"1": \{ A: 192\.0\.2\.1 \}/);
    const out = join(whole.path, 'out');
    expect(runImport('gdnsd', whole.path, { output: out })).toMatchObject({ code: 0, out: '' });
    expect(readFileSync(join(out, 'example.com.yaml'), 'utf8')).toMatch(/^zone: example\.com$/m);
    expect(readFileSync(join(out, 'example.net.yaml'), 'utf8')).toMatch(/^zone: example\.net$/m);
  });

  test('a zone with a mistake is left out, and the others are written', () => {
    const zone = '@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns.example.org.\n';
    using folder = folderOf({
      config: 'options => {}',
      'zones/a.example': zone,
      'zones/b.example': `${zone}x 60 A 192.0.2.300\n`,
      'zones/c.example': `${zone}x 60 CNAME y\nx 60 A 192.0.2.3\n`,
      'out/keep': '',
    });
    const out = join(folder.path, 'out');
    const { code, error } = runImport('gdnsd', folder.path, { output: out });
    expect(code).toBe(1);
    expect(readdirSync(out).sort()).toEqual(['a.example.yaml', 'c.example.yaml', 'keep']);
    expect(error).toMatch(/zones\/b\.example:3:8 error PH312/);
    expect(error).toMatch(/out\/c\.example\.yaml:\d+:\d+ error PH350/);
  });

  test('a mistake in the configuration is shown with its place', () => {
    using folder = folderOf({ config: 'plugins => {\n  static => { one 192.0.2.1 }\n}\n' });
    const { code, error } = runImport('gdnsd', folder.path);
    expect(code).toBe(1);
    expect(error).toMatch(/config:2:1 error PH501: "=>" must follow one/);
  });
});

describe('octodns', () => {
  const yaml = imported('octodns', 'example.com.yaml');

  test.each<[title: string, lines: string[]]>([
    [
      'records',
      ['    MX: [ 10 mail, 20 mail.example.net. ]', '  "*.dev": { CNAME: www }', '    CAA: 0 issue "ca.example.net"'],
    ],
    ['a ${ in a text stays', ['    TXT: [ v=spf1 -all, \'k=rsa; p=MIGf "quoted" $${KEY}\' ]']],
    [
      'pools are regions, with weights',
      ['      apac-1: { region: apac, A: 203.0.113.10, AAAA: 2001:db8::10, weight: 3 }'],
    ],
    [
      'rules are keys, with their fallbacks; none leaves its chain',
      [
        '          10.0.0.0/8: na',
        '          ZA: [ apac, na ]',
        '          CA-QC: [ eu, na ]',
        '          default: na',
        '        fence: true',
      ],
    ],
    [
      'a value with the status up is not checked',
      ['      apac-2: { region: apac, A: 203.0.113.11, AAAA: 2001:db8::10, weight: 1, check: none }'],
    ],
    ['values are the last resort', ['    when_all_down: { A: 198.51.100.99, AAAA: 2001:db8::10 }']],
    ['health checks', ['  https: { type: https, path: /health, host: www.example.com, status: 200 }']],
    [
      'geo, the older way',
      ['      - { geo: { asia: [ as, default ], US-CA: [ na-us-ca, default ], default: default }, fence: true }'],
    ],
  ])('%s', (_title, lines) => {
    for (const line of lines) expect(yaml.split('\n')).toContain(line);
  });

  test('what has no equivalent is noted', () => {
    expect(notesOf('octodns', 'example.com.yaml')).toEqual([
      'dropped www: the rule for JP: in octoDNS an earlier rule for a larger place applies',
      'changed www: every VIP gets the AAAA without rules',
      'dropped www: settings of octoDNS: cloudflare',
      'changed the check https-2 has no host: it accepts any certificate (insecure)',
    ]);
  });

  test('an address that has the status up in one family alone is checked', () => {
    const dynamic = (value: string, status: string): object => ({
      pools: { one: { values: [{ value, status }] } },
      rules: [{ pool: 'one' }],
    });
    const www = [
      { type: 'A', value: '192.0.2.1', dynamic: dynamic('192.0.2.1', 'up') },
      { type: 'AAAA', value: '2001:db8::1', dynamic: dynamic('2001:db8::1', 'obey') },
    ];
    using folder = folderOf({ 'example.com.yaml': JSON.stringify({ www }) });
    const { code, out, error } = runImport('octodns', join(folder.path, 'example.com.yaml'));
    expect(code, error).toBe(0);
    expect(out).not.toMatch(/check: none/);
    expect(error).toMatch(/changed www: A and AAAA of one have different statuses: the VIP is checked/);
  });

  test.each<[title: string, value: string, record: string]>([
    ['quotes around it are not part of it', `'"v=spf1 -all"'`, 'v=spf1 -all'],
    ['pieces are joined', `'"v=DKIM1\\; k=rsa" "\\; p=abc"'`, 'v=DKIM1; k=rsa; p=abc'],
    ['quotes inside it are', `'a "b" c'`, 'a "b" c'],
  ])('TXT: %s', (_title, value, record) => {
    using folder = folderOf({ 'example.com.yaml': `t: { type: TXT, value: ${value} }\n` });
    const { code, out } = runImport('octodns', join(folder.path, 'example.com.yaml'));
    expect(code).toBe(0);
    expect(out.split('\n')).toContain(`  t: { TXT: ${record} }`);
  });

  test('!include reads other files: values, lists, maps, and several of them at once', () => {
    using folder = folderOf({
      'example.com.yaml': [
        '"": { type: TXT, value: !include in/spf.yaml }',
        'api: !include in/api.yaml',
        'list: { type: A, values: !include [in/one.yaml, in/two.yaml] }',
        'map: !include',
        '  - in/api.yaml',
        '  - in/ttl.yaml',
        'base: &base { ttl: 60, type: A }',
        'alike: { <<: *base, value: 192.0.2.7 }',
      ].join('\n'),
      'in/spf.yaml': 'v=spf1 -all\n',
      'in/api.yaml': 'type: A\nvalues: !include one.yaml\n',
      'in/one.yaml': '- 192.0.2.1\n',
      'in/two.yaml': '- 192.0.2.2\n',
      'in/ttl.yaml': 'ttl: 60\n',
    });
    const { code, out, error } = runImport('octodns', join(folder.path, 'example.com.yaml'));
    expect(code, error).toBe(0);
    for (const line of [
      '  "@": { TXT: v=spf1 -all }',
      '  api: { A: 192.0.2.1 }',
      '  list: { A: [ 192.0.2.1, 192.0.2.2 ] }',
      '  map: { ttl: 60, A: 192.0.2.1 }',
      '  alike: { ttl: 60, A: 192.0.2.7 }',
    ]) {
      expect(out.split('\n')).toContain(line);
    }
  });

  test.each<[title: string, text: string, error: RegExp]>([
    ['a file that is missing', 'a: !include none.yaml', /PH500: cannot read .*none\.yaml: there is no such file/],
    ['a circle', 'a: !include example.com.yaml', /yaml:1:4 error PH501: !include .* includes itself/],
    ['a list with a map', 'a: !include [b.yaml, c.yaml]', /yaml:1:4 error PH501: !include of several files/],
    ['an unknown tag', 'a: !env b', /yaml:1:4 error PH501: Unresolved tag: !env/],
  ])('!include: %s is an error', (_title, text, error) => {
    using folder = folderOf({ 'example.com.yaml': `${text}\n`, 'b.yaml': '- 1\n', 'c.yaml': 'x: 1\n' });
    const result = runImport('octodns', join(folder.path, 'example.com.yaml'));
    expect(result.code).toBe(1);
    expect(result.error).toMatch(error);
  });

  test('a folder: files of zones, and folders of split zones', () => {
    const record = (name: string, value: string): string => `'${name}': { type: A, value: ${value} }\n`;
    using folder = folderOf({
      'config/production.yaml': 'providers: {}\n',
      'config/a.example.yaml': record('www', '192.0.2.1'),
      'config/b.example./$b.example.yaml': record('', '192.0.2.2'),
      'config/b.example./www.yaml': record('www', '192.0.2.3'),
      'config/b.example.yaml': record('old', '192.0.2.4') + record('bad name..', '192.0.2.5'),
      'config/b.example./empty.yaml': '',
      'config/shared/www.yaml': 'not: read\n',
      'out/keep': '',
    });
    const out = join(folder.path, 'out');
    const { code, error } = runImport('octodns', join(folder.path, 'config'), { output: out });
    expect(code, error).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['a.example.yaml', 'b.example.yaml', 'keep']);
    const split = readFileSync(join(out, 'b.example.yaml'), 'utf8');
    for (const line of ['  "@": { A: 192.0.2.2 }', '  www: { A: 192.0.2.3 }', '  old: { A: 192.0.2.4 }']) {
      expect(split.split('\n')).toContain(line);
    }
    expect(split).toContain('# dropped: bad name.., which is not a domain name');
    const one = runImport('octodns', join(folder.path, 'config', 'b.example.'));
    expect(one.code).toBe(0);
    expect(one.out).toMatch(/^zone: b\.example$[^]*^ {2}www: \{ A: 192\.0\.2\.3 \}$/m);
    expect(one.out).not.toContain('old:');
    expect(runImport('octodns', join(folder.path, 'config'), { zone: 'a.example' }).out).toMatch(/^zone: a\.example$/m);
    const none = runImport('octodns', join(folder.path, 'config'), { zone: 'x.example' });
    expect([none.code, none.error]).toEqual([1, expect.stringMatching(/PH502: no file for x\.example in/)]);
  });

  test('a zone without name servers gets a placeholder and a note', () => {
    using folder = folderOf({ 'example.com.yaml': 'www: { type: A, value: 192.0.2.1 }\n' });
    const { code, out } = runImport('octodns', join(folder.path, 'example.com.yaml'));
    expect(code).toBe(0);
    expect(out).toMatch(/changed: the source has no name servers: ns1 is a placeholder/);
    expect(out).toMatch(/^nameservers: \[ ns1 \]$/m);
  });
});

describe('the command', () => {
  test.each<[title: string, format: string, path: string, more: Partial<ImportOptions>, code: number, error: RegExp]>([
    ['an unknown format', 'tinydns', 'x', {}, 2, /unknown format "tinydns"; use bind, route53, .* or cloudflare/],
    ['a zone that is not a name', 'bind', 'x', { zone: 'a..b' }, 2, /a\.\.b is not a domain name/],
    ['no such file: bind', 'bind', '/nowhere', {}, 1, /PH300: cannot read \/nowhere: there is no such file/],
    ['no such file: route53', 'route53', '/nowhere', {}, 1, /PH500: cannot read \/nowhere: there is no such file/],
    ['not JSON', 'route53', join(SAMPLES, 'db.example.com'), {}, 1, /PH501: .* is not JSON/],
    [
      'a zone that is not there',
      'gdnsd',
      join(SAMPLES, 'gdnsd'),
      { zone: 'x.test' },
      1,
      /PH502: no file for the zone x\.test[^]*it has example\.com/,
    ],
  ])('%s', (_title, format, path, more, code, error) => {
    const result = runImport(format, path, more);
    expect(result).toMatchObject({ code, out: '' });
    expect(result.error).toMatch(error);
  });

  test('--json has the YAML, the counts and the notes', () => {
    const { code, out, error } = runImport('octodns', join(SAMPLES, 'example.com.yaml'), { json: true });
    expect([code, error]).toEqual([0, '']);
    const report = JSON.parse(out) as { ok: boolean; zones: Record<string, unknown>[]; diagnostics: Diagnostic[] };
    expect(hasErrors(report.diagnostics)).toBe(false);
    expect(report).toMatchObject({
      ok: true,
      zones: [{ zone: 'example.com', file: null, records: 16, services: 3, vips: 10 }],
    });
    expect(report.zones[0]?.['notes']).toContainEqual({
      kind: 'dropped',
      owner: 'www',
      message: 'settings of octoDNS: cloudflare',
    });
    const readBack = mistakesOf({ ...NO_GEOGRAPHY, 'zones/z.yaml': String(report.zones[0]?.['yaml']) });
    expect(readBack.filter((line) => line.includes(' error '))).toEqual([]);
    expect(readBack).toHaveLength(report.diagnostics.length);
  });

  test('a file that cannot be written is reported', () => {
    const output = join(SAMPLES, 'nowhere', 'a.yaml');
    const { code, out, error } = runImport('octodns', join(SAMPLES, 'example.com.yaml'), { output });
    expect([code, out]).toEqual([1, '']);
    expect(error).toMatch(/^pharos import: cannot write .*nowhere\/a\.yaml \(ENOENT\)/);
  });

  test('a result with mistakes is written with its diagnostics, and the command fails', () => {
    using folder = folderOf({
      db: 'example.com. 60 SOA ns. h. 1 2 3 4 5\n 60 NS ns.example.net.\nx 60 A 192.0.2.1\nx 60 CNAME y\n',
    });
    const { code, out, error } = runImport('bind', join(folder.path, 'db'));
    expect(code).toBe(1);
    expect(out).toMatch(/x: \{ A: 192\.0\.2\.1, CNAME: y \}/);
    expect(error).toMatch(/example\.com\.yaml:\d+:\d+ error PH350/);
  });
});
