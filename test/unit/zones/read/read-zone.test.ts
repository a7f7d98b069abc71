import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatName } from '../../../../wire/name.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { TYPE } from '../../../../wire/types.ts';
import { findAtApex } from '../../../../zones/read/read-records.ts';
import { expectMistake, placesOf, type Mistake } from '../../config/mistakes.ts';
import { HEAD, readZoneText, recordsOf } from '../read-helper.ts';

const EXAMPLE = `zone: example.com
ttl: 300                               # for records that name none
nameservers: [ns1, ns2]                # names without a final dot are relative to the zone
soa: { contact: hostmaster, serial: auto, refresh: 2h, retry: 30m, expire: 14d, negative_ttl: 60 }

records:
  ns1: { A: 192.0.2.53 }
  ns2: { A: 198.51.100.53, AAAA: "2001:db8::53" }
  "@":
    MX: [10 mail, 20 mail.example.net.]
    TXT: ["v=spf1 -all"]
  mail: { ttl: 1h, A: [192.0.2.25, 192.0.2.26] }
  "*.dev": { CNAME: www }
  sub: { NS: [ns.sub] }                # a delegation
  ns.sub: { A: 192.0.2.60 }            # its glue
include: [bulk.db]                     # RFC 1035 master files, for records by the million

checks:
  web: { type: https, path: /health, host: www.example.com, status: 200-299, interval: 5s, timeout: 2s, rise: 2, fall: 3 }

services:
  www:
    ttl: 20                            # or {min: 5, max: 60}: see 4
    check: web
    vips:
      seoul-a:    { region: seoul,    A: 203.0.113.10, AAAA: "2001:db8:1::10", weight: 4 }
      seoul-b:    { region: seoul,    A: 203.0.113.11 }
      virginia-a: { region: virginia, A: 198.51.100.10, probe: "10.1.0.10:8443" }
      dublin-a:   { region: dublin,   A: 192.0.2.10 }
    steer:
      - geo: { KR: seoul, JP: [seoul, virginia], asia: seoul, europe: dublin, default: [virginia, dublin, seoul] }
      - weighted
    when_all_down: serve_all           # or none, or a static answer: { A: 192.0.2.99 }, { CNAME: sorry.example.net. }
`;

test('the example of the reference is read completely', () => {
  const { zone, diagnostics, folder } = readZoneText(EXAMPLE, { 'bulk.db': 'bulk 60 IN A 192.0.2.200\n' });
  expect(placesOf(diagnostics)).toEqual([]);
  expect(recordsOf(zone)).toEqual([
    'ns1.example.com 300 A 192.0.2.53',
    'ns2.example.com 300 A 198.51.100.53',
    'ns2.example.com 300 AAAA 2001:db8::53',
    'example.com 300 MX 10 mail.example.com.',
    'example.com 300 MX 20 mail.example.net.',
    'example.com 300 TXT "v=spf1 -all"',
    'mail.example.com 3600 A 192.0.2.25',
    'mail.example.com 3600 A 192.0.2.26',
    '*.dev.example.com 300 CNAME www.example.com.',
    'sub.example.com 300 NS ns.sub.example.com.',
    'ns.sub.example.com 300 A 192.0.2.60',
    'bulk.example.com 60 A 192.0.2.200',
    'example.com 300 NS ns1.example.com.',
    'example.com 300 NS ns2.example.com.',
    'example.com 300 SOA ns1.example.com. hostmaster.example.com. 0 7200 1800 1209600 60',
  ]);
  expect(zone?.autoSerial).toBe(true);
  expect(zone?.files).toEqual([join(folder, 'zone.yaml'), join(folder, 'bulk.db')]);
  expect(zone?.services).toMatchObject([
    {
      name: 'www.example.com',
      ttl: { minSeconds: 20, maxSeconds: 20 },
      answers: 1,
      vips: [
        { name: 'seoul-a', region: 'seoul', weight: 4, check: { name: 'web', intervalMs: 5000 }, probe: undefined },
        { name: 'seoul-b', aaaa: undefined, weight: 1 },
        { name: 'virginia-a', probe: { host: '10.1.0.10', port: 8443 } },
        { name: 'dublin-a' },
      ],
      steps: [
        {
          kind: 'geo',
          fence: false,
          map: [
            { key: { kind: 'country', country: 'KR' }, regions: ['seoul'] },
            { key: { kind: 'country', country: 'JP' }, regions: ['seoul', 'virginia'] },
            { key: { kind: 'continent', continent: 'asia' }, regions: ['seoul'] },
            { key: { kind: 'continent', continent: 'europe' }, regions: ['dublin'] },
            { key: { kind: 'default' }, regions: ['virginia', 'dublin', 'seoul'] },
          ],
        },
        { kind: 'weighted' },
      ],
      whenAllDown: { kind: 'serve_all' },
    },
  ]);
});

describe('a value is the text of a master file', () => {
  test.each<[string, string]>([
    ['x: { A: 192.0.2.1 }', 'A 192.0.2.1'],
    ['x: { AAAA: 2001:db8::1 }', 'AAAA 2001:db8::1'],
    ['x: { TXT: 123 }', 'TXT "123"'],
    ['x: { TXT: 1.10 }', 'TXT "1.10"'],
    ['x: { TXT: v=spf1 -all }', 'TXT "v=spf1 -all"'],
    [`x: { TXT: '"one" "two words"' }`, 'TXT "one" "two words"'],
    ['x: { TXT: "a; b" }', 'TXT "a; b"'],
    ['x: { CNAME: mail }', 'CNAME mail.example.com.'],
    ['x: { cname: mail }', 'CNAME mail.example.com.'],
    ['x: { SRV: 0 5 5060 sip }', 'SRV 0 5 5060 sip.example.com.'],
    ['x: { TYPE65400: \\# 4 deadbeef }', 'TYPE65400 \\# 4 DEADBEEF'],
    ['x: { TYPE1: 192.0.2.1 }', 'A 192.0.2.1'],
  ])('%s', (owner, record) => {
    const { zone, diagnostics } = readZoneText(`${HEAD}  ${owner}\n`);
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(recordsOf(zone)[2]).toBe(`x.example.com 300 ${record}`);
  });

  test('a list is several records, and each knows its line', () => {
    const { zone } = readZoneText(`${HEAD}  x:\n    TXT:\n      - one\n      - two\n`);
    expect(recordsOf(zone).slice(2, 4)).toEqual(['x.example.com 300 TXT "one"', 'x.example.com 300 TXT "two"']);
    expect([...(zone?.records.line.subarray(2, 4) ?? [])]).toEqual([10, 11]);
  });

  test('a long TXT is cut into strings of 255 octets', () => {
    const { zone } = readZoneText(`${HEAD}  x: { TXT: ${'a'.repeat(300)} }\n`);
    expect(recordsOf(zone)[2]).toBe(`x.example.com 300 TXT "${'a'.repeat(255)}" "${'a'.repeat(45)}"`);
  });
});

describe('names are relative to the zone, with escapes as in master files', () => {
  test.each([
    ['www', 'www.example.com'],
    ['www.example.com.', 'www.example.com'],
    ['"esc\\\\.dot"', 'esc\\.dot.example.com'],
    ["'\\000'", '\\000.example.com'],
    ['123', '123.example.com'],
    ['null', 'null.example.com'],
    ['1.10', '1.10.example.com'],
  ])('%s', (key, owner) => {
    const { zone, diagnostics } = readZoneText(`${HEAD}  ${key}: { A: 192.0.2.1 }\n`);
    expect(placesOf(diagnostics)).toEqual([]);
    expect(recordsOf(zone)[2]).toBe(`${owner} 300 A 192.0.2.1`);
  });
});

describe('the SOA', () => {
  const soaOf = (yaml: string) => {
    const { zone, diagnostics } = readZoneText(yaml);
    const rdata = zone && findAtApex(zone.records, zone.apex, TYPE.SOA);
    return { soa: rdata && formatRdata(TYPE.SOA, rdata), auto: zone?.autoSerial, diagnostics };
  };
  const ns = 'zone: example.com\nnameservers: ns.example.net.\n';

  test.each([
    ['', 'hostmaster.example.com. 0 7200 1800 1209600 60', true],
    ['soa: { serial: 4294967295 }', 'hostmaster.example.com. 4294967295 7200 1800 1209600 60', false],
    ['soa: { contact: dns.example.net. }', 'dns.example.net. 0 7200 1800 1209600 60', true],
    ['soa: { contact: a.b@example.net }', 'a\\.b.example.net. 0 7200 1800 1209600 60', true],
    ['soa: { refresh: 1, retry: 2s, expire: 3m, negative_ttl: 1h }', 'hostmaster.example.com. 0 1 2 180 3600', true],
  ])('%s', (line, rest, auto) => {
    const found = soaOf(`${ns}${line}\n`);
    expect(placesOf(found.diagnostics)).toEqual([]);
    expect(found).toMatchObject({ soa: `ns.example.net. ${rest}`, auto });
  });

  test('of an included file is kept', () => {
    const bulk = '@ IN SOA ns.example.net. root 5 4 3 2 1\n@ IN NS ns.example.net.\n';
    const { zone, diagnostics } = readZoneText('zone: example.com\ninclude: bulk.db\n', { 'bulk.db': bulk });
    expect(placesOf(diagnostics)).toEqual([]);
    expect(zone?.autoSerial).toBe(false);
    expect(recordsOf(zone)).toEqual([
      'example.com 1 SOA ns.example.net. root.example.com. 5 4 3 2 1',
      'example.com 1 NS ns.example.net.',
    ]);
  });
});

test('a zone has its own regions and checks beside the shared ones', () => {
  const { zone, diagnostics } = readZoneText(
    `${HEAD}regions: { tokyo: { at: JP } }\nchecks: { web: { type: http } }\nservices:\n` +
      '  a: { check: web, vips: { x: { region: tokyo, A: 192.0.2.1 }, y: { region: seoul, A: 192.0.2.2 } } }\n' +
      '  b: { check: shared, vips: { x: { A: 192.0.2.1 } } }\n',
  );
  expect(placesOf(diagnostics)).toEqual([]);
  expect([...(zone?.regions.keys() ?? [])]).toEqual(['tokyo']);
  expect(zone?.services.map(({ name, vips }) => [name, vips[0]?.check?.name])).toEqual([
    ['a.example.com', 'web'],
    ['b.example.com', 'shared'],
  ]);
  expect(zone && formatName(zone.apex)).toBe('example.com');
});

describe('a mistake is reported at its position', () => {
  test.each<Mistake>([
    ['ttl: 5\n', '1:1 PH012', 'needs the key zone'],
    ['zone: ""\n', '1:7 PH100', 'got an empty text'],
    ['zone: a..b\n', '1:7 PH100', 'such as zone: example.com'],
    ['', '1:1 PH012', 'needs the key zone'],
    [`${HEAD}recrods: {}\n`, '8:1 PH010', 'did you mean "records"?'],
    ['zone: example.com\nnameservers: [192.0.2.1, ns.example.net.]\n', '2:15 PH102', 'a name server is a name'],
    ['zone: example.com\nnameservers: [a..b, ns.example.net.]\n', '2:15 PH102', 'empty label'],
    ['zone: example.com\nnameservers: ns.example.net.\nsoa: { contact: a..b }\n', '3:17 PH103', 'empty label'],
    ['zone: example.com\nnameservers: ns.example.net.\nsoa: { serial: -1 }\n', '3:16 PH104', 'auto, or 0 to'],
    ['zone: example.com\nnameservers: ns.example.net.\nttl: 2147483648\n', '3:6 PH111', '2147483647 seconds'],
    [`${HEAD}  www: { AAA: 192.0.2.1 }\n`, '8:10 PH105', 'did you mean "AAAA"?'],
    [`${HEAD}  www: { A: 192.0.2.300 }\n`, '8:13 PH106', '192.0.2.300'],
    [`${HEAD}  www: { MX: 10 a..b }\n`, '8:17 PH106', 'empty label'],
    [`${HEAD}  www: { MX: "10 a..b" }\n`, '8:18 PH106', 'empty label'],
    [`${HEAD}  a..b: { A: 192.0.2.1 }\n`, '8:3 PH107', 'empty label'],
    [`${HEAD}  WWW: { A: 192.0.2.1 }\n  www: { TXT: x }\n`, '9:3 PH108', 'same name as WWW on line 8'],
    [`${HEAD}  www: { A: 192.0.2.1, a: 192.0.2.2 }\n`, '8:24 PH109', 'write them as one list'],
    [`${HEAD}  www: { ANY: x }\n`, '8:10 PH105', 'not a record type'],
    [`${HEAD}  www: { TYPE255: x }\n`, '8:10 PH110', 'zones cannot contain'],
    [`${HEAD}  www: { ttl: 1.5, A: 192.0.2.1 }\n`, '8:15 PH111', 'or a duration'],
    [`${HEAD}  www.example.net.: { A: 192.0.2.1 }\n`, '8:3 PH112', 'not in the zone example.com'],
    [`${HEAD}  www.example.com: { A: 192.0.2.1 }\n`, '8:3 PH113', 'write www.example.com.'],
    [`${HEAD}  bücher: { A: 192.0.2.1 }\n`, '8:3 PH118', 'clients ask for xn--bcher-kva'],
    [`${HEAD}  t: { TXT: 'a\\b' }\n`, '8:15 PH089', 'is dropped'],
    [`${HEAD}  www: { MX: 10 mail.bücher.example. }\n`, '8:14 PH118', 'clients ask for mail.xn--bcher-kva.example.'],
    [`${HEAD}services: { bücher: { vips: { a: { A: 192.0.2.1 } } } }\n`, '8:13 PH118', 'xn--bcher-kva'],
    ['zone: bücher.example\nnameservers: [ns.example.net.]\n', '1:7 PH118', 'clients ask for xn--bcher-kva.example'],
    [`${HEAD}  www: {}\n`, '8:3 PH114', 'has no records'],
    [`${HEAD}  www: { A: [] }\n`, '8:10 PH114', 'A has no values'],
    [`${HEAD}  www: { A: { value: 192.0.2.1 } }\n`, '8:13 PH115', 'must be text'],
    [`${HEAD}  www: { A: }\n`, '8:10 PH011', 'A has no value'],
    [`${HEAD}  www: 192.0.2.1\n`, '8:8 PH013', 'must be a map'],
    [`${HEAD}regions: { seoul: { at: KR } }\n`, '8:12 PH116', 'is in pharos.yaml too'],
    [`${HEAD}checks: { shared: { type: http } }\n`, '8:11 PH116', 'the check shared'],
    [`${HEAD}include: [nowhere.db]\n`, '8:11 PH038', 'no file nowhere.db'],
    [`${HEAD}include: [.]\n`, '8:11 PH038', '. is not a file'],
    [`${HEAD}include: [/etc/passwd]\n`, '8:11 PH385', 'is outside'],
  ])('%j', (yaml, at, part) => {
    expectMistake(readZoneText(yaml).diagnostics, at, part);
  });
});

test('a zone without name servers has one mistake, and so has one with wrong ones', () => {
  const records = 'records: { www: { A: 192.0.2.1 } }\n';
  expectMistake(readZoneText(`zone: example.com\n${records}`).diagnostics, '1:7 PH358', 'no NS record at its apex');
  const wrong = readZoneText(`zone: example.com\nsoa: {}\nnameservers: [192.0.2.1]\n${records}`);
  expectMistake(wrong.diagnostics, '3:15 PH102', 'a name server is a name');
});

test('mistakes in several parts of a zone are all reported', () => {
  const yaml = 'zone: example.com\nttl: x\nnameservers: ns.example.net.\nrecords:\n  www: { A: x, MX: y }\nservices:\n  s: { vips: { v: { A: z } } }\n'; // prettier-ignore
  expect(placesOf(readZoneText(yaml).diagnostics)).toEqual(['2:6 PH111', '5:13 PH106', '5:20 PH106', '7:24 PH022']);
});
