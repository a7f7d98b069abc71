/**
 * `import gdnsd` rejected zones that gdnsd loads: a text of over 255 octets (gdnsd splits it), a first record without
 * an owner (the origin), more than 100 included files, the file ROOT_ZONE. A record without a TTL got the last stated
 * one instead of gdnsd's default, and no TTL had gdnsd's limits. And a note said `all have ` with nothing after it.
 */
import { expect, test } from 'vitest';
import { fromGdnsd } from '../../../cli/import/from-gdnsd.ts';
import { createReport } from '../../../config/diagnostics.ts';
import { formatName, nameKey, parseName } from '../../../wire/name.ts';
import { formatRdata } from '../../../wire/rdata.ts';
import { TYPE } from '../../../wire/types.ts';
import { folderOf, type Files } from '../../support/pharos.ts';

const CONFIG = 'options => { listen => 127.0.0.1 }\n';
const HEAD = '@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ 300 NS ns1\nns1 300 A 192.0.2.53\n';

function read(files: Files, zone = 'corp.example') {
  using folder = folderOf({ config: CONFIG, ...files });
  const report = createReport();
  const [draft] = fromGdnsd(folder.path, undefined, report);
  expect(report.diagnostics).toEqual([]);
  const origin = parseName(`${zone}.`);
  const at = (name: string) => {
    const rrsets = draft?.owners.get(nameKey(parseName(name, origin)))?.rrsets;
    return rrsets && new Map(rrsets.map((rrset) => [rrset.type, rrset]));
  };
  return { draft, at };
}

test.each([
  ['in quotes', `"${'a'.repeat(410)}"`],
  ['without', 'a'.repeat(410)],
  ['with escapes', `"${'\\097'.repeat(410)}"`],
])('a long text is split at 255 octets: %s', (_title, text) => {
  const { at } = read({ 'zones/corp.example': `${HEAD}t 300 TXT ${text}\n` });
  const rdata = at('t')?.get(TYPE.TXT)?.rdata[0] ?? new Uint8Array();
  expect(formatRdata(TYPE.TXT, rdata)).toBe(`"${'a'.repeat(255)}" "${'a'.repeat(155)}"`);
});

test('a first line without an owner belongs to the origin', () => {
  const { at } = read({ 'zones/corp.example': HEAD.replaceAll('@', '') });
  expect([...(at('@')?.keys() ?? [])]).toEqual([TYPE.SOA, TYPE.NS]);
});

test('a record without a TTL has the default, not the last one', () => {
  const { at } = read({ 'zones/corp.example': `${HEAD}www A 192.0.2.1\n` });
  expect(at('www')?.get(TYPE.A)?.ttlSeconds).toBe(86_400);
});

test('quoted text may span lines', () => {
  const { at } = read({ 'zones/corp.example': `${HEAD}t 300 TXT "two\nlines"\nu 300 A 192.0.2.1\n` });
  expect(formatRdata(TYPE.TXT, at('t')?.get(TYPE.TXT)?.rdata[0] ?? new Uint8Array())).toBe('"two\\010lines"');
  expect(at('u')?.has(TYPE.A)).toBe(true);
});

// The answers of gdnsd 3.8.1 for this configuration.
test('TTLs are within min_ttl, max_ttl and max_ncache_ttl', () => {
  const soa = (ttl: number): string => `@ ${ttl} SOA ns1 host 1 7200 3600 1209600 3600\n`;
  const rest =
    '@ 30 NS ns1\nns1 100000 A 192.0.2.53\nlow 1 A 192.0.2.1\nmid 300 A 192.0.2.1\ndyn 86400/10 DYNA static!one\n';
  const config =
    'options => { min_ttl => 60, max_ttl => 7200, max_ncache_ttl => 900 }\nplugins => { static => { one => 192.0.2.1 } }\n';
  const { draft, at } = read({ config, 'zones/corp.example': soa(86_400) + rest });
  const ttls = ['@', 'ns1', 'low', 'mid'].map((name) => [...(at(name)?.values() ?? [])].map((each) => each.ttlSeconds));
  expect(ttls).toEqual([[900, 60], [7200], [60], [300]]);
  expect(formatRdata(TYPE.SOA, at('@')?.get(TYPE.SOA)?.rdata[0] ?? new Uint8Array())).toMatch(/ 3600 1209600 900$/);
  expect([...(draft?.services.values() ?? [])].map(({ ttl }) => ttl)).toEqual([7200]);
  expect(
    read({ config, 'zones/corp.example': soa(300) + rest })
      .at('@')
      ?.get(TYPE.SOA)?.ttlSeconds,
  ).toBe(300);
});

test('any number of files is included', () => {
  const numbers = Array.from({ length: 120 }, (_, index) => index);
  const { draft } = read({
    'zones/corp.example': HEAD + numbers.map((index) => `$INCLUDE ../inc/f${index}\n`).join(''),
    ...Object.fromEntries(numbers.map((index) => [`inc/f${index}`, `h${index} 300 A 192.0.2.1\n`])),
  });
  expect(draft?.owners.size).toBe(122);
});

test('ROOT_ZONE is the root', () => {
  const { draft } = read({ 'zones/ROOT_ZONE': HEAD }, 'root');
  expect(draft && formatName(draft.apex)).toBe('.');
});

test('datacenters without checks agree', () => {
  const plugins = `plugins => { metafo => { resources => { r => { datacenters => [a, b], dcmap => {
    a => { plugin => multifo, service_types => up, x => 192.0.2.1 }, b => { plugin => multifo, service_types => up, x => 192.0.2.2 }
  } } } } }\n`;
  const { draft } = read({ config: CONFIG + plugins, 'zones/corp.example': `${HEAD}www 60 DYNA metafo!r\n` });
  expect(draft?.services.size).toBe(1);
  expect(draft?.notes).toEqual([]);
});
