/**
 * The output of `pharos import` for other systems' files: the samples beside this test, and random master files.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { diffRecords } from '../../../../cli/diff-records.ts';
import { importCommand, type ImportOptions } from '../../../../cli/import.ts';
import { hasErrors, type Diagnostic } from '../../../../config/diagnostics.ts';
import { loadWithZones } from '../../../../zones/load-generation.ts';
import type { ZoneModel } from '../../../../zones/read/model.ts';
import { answering, folderOf, mistakesOf, NO_GEOGRAPHY, type Files } from '../../../support/pharos.ts';
import { createDice, printedSeed } from '../../../support/random.ts';
import { captureOutput } from '../captured-output.ts';

const SAMPLES = fileURLToPath(new URL('samples/', import.meta.url));
const BASE: ImportOptions = {
  format: 'bind',
  path: '',
  zone: undefined,
  nameServers: [],
  output: undefined,
  json: false,
};

function run(format: string, path: string, more: Partial<ImportOptions> = {}) {
  const { output, out, error } = captureOutput();
  const code = importCommand({ ...BASE, format, path, ...more }, output);
  return { code, out: out(), error: error() };
}

const samples = new Map<string, ReturnType<typeof run>>();

/** `run` of a sample, once. */
function runSample(format: string, sample: string, more: Partial<ImportOptions>): ReturnType<typeof run> {
  const key = JSON.stringify([format, sample, more]);
  const known = samples.get(key) ?? run(format, join(SAMPLES, sample), more);
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
function differences(master: string, yaml: string) {
  const source = zonesOf({ 'zones/z.yaml': 'zone: example.com\ninclude: [db]\n', 'zones/db': master });
  return diffRecords(source, zonesOf({ 'zones/z.yaml': yaml }));
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
    const { code, out, error } = run('bind', join(folder.path, 'db'));
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
    const { code, out, error } = run('bind', join(folder.path, 'db'));
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
    const { code, error } = run('bind', join(folder.path, 'db'));
    expect(code).toBe(0);
    expect(error).toMatch(/3 dropped/);
    expect(error).toMatch(/dropped a: a duplicate A record/);
    expect(error).toMatch(/changed a: A records with different TTLs, 60 and 30: all get the first/);
    expect(error).toMatch(/dropped other\.example\.net\.: A out of the zone, at .*db:8/);
    expect(error).toMatch(/dropped DNSSEC signatures \(1 NSEC\)/);
  });

  test('a mistake in the file is shown with its place, and nothing is written', () => {
    using folder = folderOf({ db: 'example.com. 60 SOA ns. h. 1 2 3 4 5\nwww 60 A 192.0.2.300\n' });
    const { code, out, error } = run('bind', join(folder.path, 'db'));
    expect([code, out]).toEqual([1, '']);
    expect(error).toMatch(/db:2:10 error PH312/);
  });

  test('random names, TTLs and octets are unchanged', () => {
    const dice = createDice(printedSeed('import bind'));
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
    const master = `$ORIGIN example.com.\n$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns.example.net.\n${lines.join('\n')}\n`;
    using folder = folderOf({ db: master });
    const { code, out, error } = run('bind', join(folder.path, 'db'));
    expect(code, error).toBe(0);
    expect(differences(master, out)).toEqual([]);
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
      expect.stringMatching(/^dropped @: A alias of d111111abcdef8\.cloudfront\.net: a CNAME is not allowed here/),
      expect.stringMatching(/^dropped @: the SOA of Route 53/),
      'dropped txt: the TXT set "x" (weighted): only A, AAAA and CNAME are steered; "y" is kept',
    ]);
    for (const note of notes) {
      const [, kind = '', text = ''] = /^(\w+) (?:\S+: )?(.*)$/.exec(note) ?? [];
      expect(yaml).toContain(`# ${kind}: ${text}`);
    }
  });

  test('--nameserver replaces the name servers', () => {
    const other = imported('route53', 'route53.json', { nameServers: ['ns1.example.com', 'ns2.example.net.'] });
    expect(other).toMatch(/NS: \[ ns1, ns2\.example\.net\. \]/);
    expect(other).toMatch(/dropped: the name servers ns-1\.awsdns-01\.org\., ns-2/);
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
      'dropped www: SA BR SP Sao Paulo of the map world: not a key of geo',
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
    const both = run('gdnsd', whole.path);
    expect(both.code).toBe(1);
    expect(both.error).toMatch(/has 2 zones: example\.com, example\.net\n.*--zone.*-o zones/);
    const one = run('gdnsd', join(whole.path, 'config'), { zone: 'example.net' });
    expect(one).toMatchObject({ code: 0 });
    expect(one.out).toMatch(/x:\n {4}ttl: 30\n {4}vips:\n {6}"1": \{ A: 192\.0\.2\.1 \}/);
    const out = join(whole.path, 'out');
    expect(run('gdnsd', whole.path, { output: out })).toMatchObject({ code: 0, out: '' });
    expect(readFileSync(join(out, 'example.com.yaml'), 'utf8')).toMatch(/^zone: example\.com$/m);
    expect(readFileSync(join(out, 'example.net.yaml'), 'utf8')).toMatch(/^zone: example\.net$/m);
  });

  test('a mistake in the configuration is shown with its place', () => {
    using folder = folderOf({ config: 'plugins => {\n  static => { one 192.0.2.1 }\n}\n' });
    const { code, error } = run('gdnsd', folder.path);
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
      'dropped root-alias: ALIAS www.example.net.: give the addresses, with a check',
      'changed www: 203.0.113.11 has the status up: in Pharos it is checked; use pharos up',
      'dropped www: the rule for JP: in octoDNS an earlier rule for a larger place applies',
      'changed www: every VIP gets the AAAA without rules',
      'dropped www: settings of octoDNS: cloudflare',
      'changed the check https-2 has no host: it accepts any certificate (insecure)',
    ]);
  });

  test('a zone without name servers gets a placeholder and a note', () => {
    using folder = folderOf({ 'example.com.yaml': 'www: { type: A, value: 192.0.2.1 }\n' });
    const { code, out } = run('octodns', join(folder.path, 'example.com.yaml'));
    expect(code).toBe(0);
    expect(out).toMatch(/changed: the source has no name servers: ns1 is a placeholder/);
    expect(out).toMatch(/^nameservers: \[ ns1 \]$/m);
  });
});

describe('the command', () => {
  test.each<[title: string, format: string, path: string, more: Partial<ImportOptions>, code: number, error: RegExp]>([
    ['an unknown format', 'tinydns', 'x', {}, 2, /unknown format "tinydns"; use bind, route53, gdnsd or octodns/],
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
    const result = run(format, path, more);
    expect(result).toMatchObject({ code, out: '' });
    expect(result.error).toMatch(error);
  });

  test('--json has the YAML, the counts and the notes', () => {
    const { code, out, error } = run('octodns', join(SAMPLES, 'example.com.yaml'), { json: true });
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
    const { code, out, error } = run('octodns', join(SAMPLES, 'example.com.yaml'), { output });
    expect([code, out]).toEqual([1, '']);
    expect(error).toMatch(/^pharos import: cannot write .*nowhere\/a\.yaml \(ENOENT\)/);
  });

  test('a result with mistakes is written with its diagnostics, and the command fails', () => {
    using folder = folderOf({
      db: 'example.com. 60 SOA ns. h. 1 2 3 4 5\n 60 NS ns.example.net.\nx 60 A 192.0.2.1\nx 60 CNAME y\n',
    });
    const { code, out, error } = run('bind', join(folder.path, 'db'));
    expect(code).toBe(1);
    expect(out).toMatch(/x: \{ A: 192\.0\.2\.1, CNAME: y \}/);
    expect(error).toMatch(/example\.com\.yaml:\d+:\d+ error PH350/);
  });
});
