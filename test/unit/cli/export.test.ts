/**
 * `pharos export`: what other servers load, and `pharos import bind` reads back.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exportZone, masterFile } from '../../../cli/export.ts';
import { importCommand } from '../../../cli/import.ts';
import { loadWithZones } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY, type Files } from '../../support/pharos.ts';
import { has } from '../../support/process.ts';
import { SAMPLES } from '../wire/rdata-samples.ts';
import { captureOutput } from './captured-output.ts';
import { withBundledGeography } from './import/run-import.ts';

/** The export of the only zone of these files. */
function exported(files: Files): ReturnType<typeof masterFile> {
  using folder = folderOf({ ...NO_GEOGRAPHY, ...files });
  const loaded = loadWithZones({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  const [zone] = loaded.ok ? loaded.value.zones : [];
  if (!loaded.ok || !zone) throw new Error(JSON.stringify(loaded.diagnostics, undefined, 2));
  return masterFile(zone, loaded.value.generation);
}

/** The records, in order. */
function recordsOf({ text }: { readonly text: string }): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(';'))
    .toSorted();
}

const HEAD = 'zone: Example.com\nttl: 5m\nnameservers: [ns1]\nsoa: { serial: 7 }\n';
const steered = (services: string): Files => ({
  'zones/example.com.yaml': `${HEAD}records: { ns1: { A: 192.0.2.53 } }\nregions: { seoul: { at: KR }, dublin: { at: IE } }\nservices:\n${services}`,
});

/**
 * Every type with each of its forms, except those that need a name for themselves, are of signed zones, or obsolete.
 */
const EVERY_TYPE = Object.entries(SAMPLES).flatMap(([type, texts]) =>
  [
    'MD',
    'MF',
    'SOA',
    'CNAME',
    'DNAME',
    'NSEC',
    'NSEC3',
    'NSEC3PARAM',
    'RRSIG',
    'SIG',
    'NXT',
    'DNSKEY',
    'DS',
    'NS',
  ].includes(type)
    ? []
    : texts.map((text, index) => `${type.toLowerCase()}-${index} ${type} ${text}`),
);
const ODD_NAMES = [
  'esc\\.dot',
  '\\000\\255',
  '\\"quoted\\"',
  '\\@',
  'a\\;b',
  '\\$ORIGIN',
  'UPPER',
  '\\(',
  'sp\\032ace',
  '*',
];
const ALL: Files = {
  'zones/example.com.yaml': `${HEAD}records: { ns1: { A: 192.0.2.53, AAAA: "2001:db8::53" } }\ninclude: [all.db]\n`,
  'zones/all.db': [
    ...EVERY_TYPE,
    ...ODD_NAMES.map((name) => `${name} TXT "in ${name}"`),
    'alias CNAME UPPER',
    'tree 60 DNAME other.example.net.',
    'sub NS ns.sub',
    'sub DS 12345 13 2 e2d3c916f6deeac73294e8268fb5885044a833fc5459588f4a9184cfc41a5766',
    'ns.sub A 192.0.2.60',
    '@ 1d MX 10 mail',
    'mail A 192.0.2.25',
    '',
  ].join('\n'),
};

const STEERED = steered(`
  www:
    ttl: { min: 5, max: 60 }
    vips:
      seoul-a: { region: seoul, A: 203.0.113.10, AAAA: "2001:db8:1::10", weight: 4 }
      seoul-b: { region: seoul, A: 203.0.113.11, probe: "10.1.0.10:8443" }
      dublin-a: { region: dublin, A: 192.0.2.10 }
    steer: [{ geo: { KR: seoul, default: [dublin, seoul] } }, weighted]
  fenced:
    vips: { one: { region: seoul, A: 192.0.2.1 } }
    steer: [{ geo: { KR: seoul, default: dublin, fence: true } }]
  sorry:
    vips: { one: { region: seoul, A: 192.0.2.1 } }
    steer: [{ geo: { KR: seoul, default: dublin, fence: true } }]
    when_all_down: { A: 192.0.2.99 }
  cdn:
    vips: { light: { CNAME: cdn.example.net., weight: 1 }, heavy: { CNAME: "Cdn.example.org.", weight: 3 } }
    steer: [weighted]
  "*.dev":
    vips: { one: { A: 192.0.2.7 }, two: { A: 192.0.2.7 }, spare: { A: 192.0.2.8 } }
    steer: [all]
`);

describe('steered names', () => {
  const { text, records, dropped } = exported(STEERED);

  test('have their default answer with the least TTL', () => {
    expect(recordsOf({ text })).toEqual(
      [
        'Example.com.\t300\tIN\tSOA\tns1.Example.com. hostmaster.Example.com. 7 7200 1800 1209600 60',
        'Example.com.\t300\tIN\tNS\tns1.Example.com.',
        'ns1.Example.com.\t300\tIN\tA\t192.0.2.53',
        'sorry.Example.com.\t300\tIN\tA\t192.0.2.99',
        'www.Example.com.\t5\tIN\tA\t192.0.2.10',
        'www.Example.com.\t5\tIN\tAAAA\t2001:db8:1::10',
        'cdn.Example.com.\t300\tIN\tCNAME\tCdn.example.org.',
        '*.dev.Example.com.\t300\tIN\tA\t192.0.2.7',
        '*.dev.Example.com.\t300\tIN\tA\t192.0.2.8',
      ].toSorted(),
    );
    expect({ records, dropped }).toEqual({
      records: 9,
      dropped: ['fenced.example.com: its default answer has no data'],
    });
  });

  test('have comments that say how they are steered', () => {
    const block = text.split('\n\n').find((part) => part.startsWith('; www.example.com is steered'));
    expect(block?.split('\n').slice(0, 7)).toEqual([
      '; www.example.com is steered',
      ';   ttl: 5 to 60 s, answers: 1, when_all_down: serve_all',
      ';   vip seoul-a: 203.0.113.10 2001:db8:1::10, region seoul, weight 4',
      ';   vip seoul-b: 203.0.113.11, region seoul, weight 1, probe 10.1.0.10:8443',
      ';   vip dublin-a: 192.0.2.10, region dublin, weight 1',
      ';   step geo: KR: seoul; default: dublin, seoul; fence: false',
      ';   step weighted',
    ]);
  });
});

test('a shared map is a comment of the zone, once, and services name it', () => {
  const vips =
    'vips: { a: { region: seoul, A: 203.0.113.1 }, b: { region: dublin, A: 192.0.2.1 } }, steer: [{ geo: $world }]';
  const files = steered(`  www: { ${vips} }\n  api: { ${vips} }\n`);
  const text = `${files['zones/example.com.yaml'] as string}maps: { world: { KR: seoul, default: dublin } }\n`;
  const lines = exported({ 'zones/example.com.yaml': text }).text.split('\n');
  expect(lines.filter((line) => line.includes('step'))).toEqual([';   step geo: $world', ';   step geo: $world']);
  expect(lines.filter((line) => line.includes('KR'))).toEqual([
    '; map world: KR: seoul; default: dublin; fence: false',
  ]);
});

const ZONES: readonly (readonly [string, Files])[] = [
  ['every type and odd names', ALL],
  ['steered names', STEERED],
];

test('obsolete types, which BIND refuses, are comments', () => {
  const { text, dropped } = exported({
    'zones/example.com.yaml': `${HEAD}records: { ns1: { A: 192.0.2.53 }, old: { MD: mail } }\n`,
  });
  expect(text).toContain('\n; old.Example.com. 300 IN MD mail.Example.com.\n');
  expect(dropped).toEqual(['old.Example.com. 300 IN MD mail.Example.com.: an obsolete type, which BIND refuses']);
});

describe('pharos import bind reads it back to the same records', () => {
  test.each(ZONES)('%s', (_title, files) => {
    const first = exported(files);
    using folder = folderOf({ 'zone.db': first.text });
    const { output, out, error } = captureOutput();
    const options = { format: 'bind', path: join(folder.path, 'zone.db'), zone: 'Example.com', nameServers: [] };
    const code = importCommand({ ...options, output: undefined, json: false }, output, withBundledGeography());
    expect({ code, error: error() }).toEqual({
      code: 0,
      error: expect.stringMatching(/; 0 changed, 0 dropped/) as string,
    });
    expect(recordsOf(exported({ 'zones/example.com.yaml': out() }))).toEqual(recordsOf(first));
  });
});

describe('other servers load it', () => {
  const CHECKERS = [
    ['named-checkzone', ['-i', 'none', 'example.com']],
    ['nsd-checkzone', ['example.com']],
    ['kzonecheck', ['-o', 'example.com']],
  ] as const;
  for (const [checker, args] of CHECKERS) {
    test.skipIf(!has(checker)).each(ZONES)(`${checker}: %s`, (_title, files) => {
      using folder = folderOf({ 'zone.db': exported(files).text });
      const { status, stdout, stderr } = spawnSync(checker, [...args, join(folder.path, 'zone.db')], {
        encoding: 'utf8',
      });
      expect(status, `${stdout}${stderr}`).toBe(0);
    });
  }
});

describe('the command', () => {
  const run = (zone: string, output?: string, format = 'bind'): { code: number; out: string; error: string } => {
    using folder = folderOf({
      ...NO_GEOGRAPHY,
      ...STEERED,
      'pharos.yaml': 'zones: ./zones\ngeo: { databases: [small.mmdb] }\n',
    });
    const captured = captureOutput();
    const options = { zone, format, config: join(folder.path, 'pharos.yaml') };
    const code = exportZone(
      { ...options, output: output === undefined ? undefined : join(folder.path, output) },
      captured.output,
    );
    const written = output === undefined || code !== 0 ? '' : readFileSync(join(folder.path, output), 'utf8');
    return { code, out: captured.out() + written, error: captured.error() };
  };

  test('writes the zone to stdout or a file, and a summary to stderr', () => {
    const { code, out, error } = run('EXAMPLE.com');
    expect(code).toBe(0);
    expect(out).toMatch(/^; Example\.com\. exported by Pharos /);
    expect(error).toMatch(
      /^Example\.com: 9 records, 5 services by default answers\n {2}dropped fenced\.example\.com: /m,
    );
    expect(run('example.com.', 'out.db').out).toBe(`${out}\n`);
  });

  test.each([
    ['example.org', 1, /unknown zone example\.org; did you mean "Example\.com"\?/],
    ['a..b', 2, /a\.\.b is not a domain name/],
  ])('%s is refused', (zone, code, message) => {
    expect(run(zone)).toEqual({ code, out: '', error: expect.stringMatching(message) as string });
  });

  test('octodns', () => {
    const { code, out, error } = run('example.com', undefined, 'octodns');
    expect(code).toBe(0);
    expect(out).toMatch(/^---\n# Example\.com\. exported by Pharos /);
    expect(error).toMatch(/^Example\.com: .* 5 services as pools and rules\n {2}dropped @: the SOA/);
    expect(run('example.com', undefined, 'tinydns')).toMatchObject({
      code: 2,
      error: expect.stringMatching(/unknown format "tinydns"; use bind or octodns/) as string,
    });
  });

  test('a file that cannot be written', () => {
    expect(run('example.com', 'absent/out.db')).toMatchObject({
      code: 1,
      error: expect.stringMatching(/cannot write .*ENOENT/) as string,
    });
  });
});

test('the ALIAS of a service has its default answer', () => {
  const files = {
    'zones/example.com.yaml': `${HEAD}records: { ns1: { A: 192.0.2.53 }, "@": { ALIAS: www } }\nservices: { www: { ttl: 20, vips: { a: { A: 203.0.113.1, TXT: "a" } } } }\n`,
  };
  const ofApex = recordsOf(exported(files)).filter((line) => /^example\.com\.\t20\t/i.test(line));
  expect(ofApex.map((line) => line.split('\t').slice(3))).toEqual([['A', '203.0.113.1'], ['TXT', '"a"']]); // prettier-ignore
});
