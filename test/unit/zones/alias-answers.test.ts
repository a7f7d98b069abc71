/**
 * ALIAS in detail: services of the same and of another zone, mistakes, signed zones, transfers, updates.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeKey, readKeys } from '../../../dnssec/key-files.ts';
import { PROBED } from '../../../health/health-table.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { listRecords, zoneRecords } from '../../../server/transfer/answer-update.ts';
import { createDefaultAnswers } from '../../../server/transfer/default-answer.ts';
import { zoneMessages, zoneOfApex } from '../../../server/transfer/zone-messages.ts';
import { formatName, parseName } from '../../../wire/name.ts';
import { viewImage } from '../../../zones/image/image.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { decodeMessage, encodeQuery, subnetOption, T } from '../../support/message.ts';
import { answering, answeringFrom, folderOf, load, mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { validate } from '../../support/validator.ts';

const COM = `
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  "@": { ALIAS: www, MX: [10 mail] }
  mail: { ttl: 1h, A: [192.0.2.25, 192.0.2.26], AAAA: "2001:db8::25" }
  other: { ttl: 30, ANAME: mail }
  mx: { MX: [10 other] }
services:
  first: { vips: { z: { A: 192.0.2.99 } } }
  www:
    ttl: { min: 5, max: 300 }
    svcb: { alpn: [h2] }
    vips: { kr: { region: kr, A: 203.0.113.1, AAAA: "2001:db8::1" }, us: { region: us, A: 203.0.113.2 } }
    steer: [{ geo: { KR: kr, default: us } }]
    when_all_down: { A: 192.0.2.77 }
regions: { kr: { at: KR }, us: { at: US } }
`;
const ORG = `
zone: example.org
nameservers: [ns1.example.com.]
records:
  "@": { ALIAS: www.example.com., TXT: text }
  "*.w": { ALIAS: example.com. }
  copy: { ALIAS: other.example.com. }
services:
  own: { vips: { a: { A: 198.51.100.1, AAAA: "2001:db8:1::1" } } }
`;
const FILES = { ...NO_GEOGRAPHY, 'zones/example.com.yaml': COM, 'zones/example.org.yaml': ORG };
const A_OF = ([a, b, c, d]: readonly number[]): string => Buffer.from([a ?? 0, b ?? 0, c ?? 0, d ?? 0]).toString('hex');

describe('an alias to a service', () => {
  const seoul = { edns: { options: [subnetOption(Uint8Array.of(192, 0, 2, 9), 32)] } };

  test.each(['example.com', 'example.org', 'any.w.example.org'])('%s is steered along, with TTL and scope', (name) => {
    const server = answering(FILES);
    const both = (options: object): unknown[] =>
      [name, 'www.example.com'].map((each) => {
        const { rcode, answer, edns } = server.ask(each, T.A, options);
        return [rcode, answer.map(({ ttl, data }) => [ttl, data]), edns?.scope];
      });
    const [along, own] = both(seoul);
    expect(along).toEqual(own);
    expect(along).toMatchObject([0, [[300, A_OF([203, 0, 113, 1])]], 24]);
    server.set('www.example.com/kr', { probed: PROBED.DOWN, holdSeconds: 7 });
    const [alongDown, ownDown] = both(seoul);
    expect(alongDown).toEqual(ownDown);
    expect(alongDown).toMatchObject([0, [[7, A_OF([203, 0, 113, 2])]], 24]);
    server.set('www.example.com/us', { probed: PROBED.DOWN });
    expect(both(seoul)[0]).toMatchObject([0, [[5, A_OF([192, 0, 2, 77])]], 24]);
    // A type without data, and other records of the owner.
    expect(server.ask(name, T.TXT).answer).toHaveLength(name === 'example.org' ? 1 : 0);
    expect(server.ask(name, T.HTTPS).rcode).toBe(0);
  });

  test('HTTPS of svcb is made too', () => {
    const server = answering(FILES);
    const [https] = server.ask('example.org', T.HTTPS).answer;
    expect(https?.data).toBe(server.ask('www.example.com', T.HTTPS).answer[0]?.data);
    expect(https?.data).toContain(A_OF([203, 0, 113, 1]));
  });

  test('explain shows the way and the decision', () => {
    const explained = explainFrom(load(FILES), { name: 'x.w.example.org', type: 'A', client: '192.0.2.9' });
    if (!explained.ok) throw new Error(explained.message);
    const { alias, service, answer, zone } = explained.trace;
    expect({ alias, service, zone, vips: answer.vips }).toEqual({ alias: ['example.com', 'www.example.com'], service: 'www.example.com', zone: 'example.org', vips: ['kr'] }); // prettier-ignore
  });
});

test('an alias to records has the lesser TTL, is additional data, and cannot be changed by updates', () => {
  const server = answering(FILES);
  const ttls = (name: string, type: number): unknown =>
    server.ask(name, type).answer.map(({ ttl, data }) => [ttl, data]);
  expect(ttls('other.example.com', T.A)).toEqual([[30, A_OF([192, 0, 2, 25])], [30, A_OF([192, 0, 2, 26])]]); // prettier-ignore
  expect(ttls('copy.example.org', T.AAAA)).toEqual([[30, '20010db8000000000000000000000025']]);
  expect(server.ask('mx.example.com', T.MX).additional.filter(({ name }) => name === 'other.example.com.')).toHaveLength(3); // prettier-ignore
  const { generation } = server;
  const image = viewImage(generation.image, generation.atlas);
  const records = zoneRecords(image, parseName('example.org.'));
  expect(['copy', '@', 'own', 'nope'].map((label) => records?.isSteered(parseName(label === '@' ? 'example.org.' : `${label}.example.org.`)))).toEqual([true, true, true, false]); // prettier-ignore
  const listed = [...listRecords(image, parseName('example.org.'))].map(({ name, type }) => `${formatName(name)} ${type}`); // prettier-ignore
  expect(listed.sort()).toEqual([`example.org ${T.TXT}`, `example.org ${T.NS}`, `example.org ${T.SOA}`]); // prettier-ignore
});

test('a transfer has the default answer of the service', () => {
  const { image, atlas, catalog } = load(FILES);
  const view = viewImage(image, atlas);
  const served = zoneOfApex(view, parseName('example.org.'));
  if (!served) throw new Error('there is no zone');
  const defaults = createDefaultAnswers(
    view,
    Int32Array.from(catalog.vips, ({ weight }) => weight),
  );
  const head = new Uint8Array(encodeQuery('example.org', T.SOA).subarray(0, 12 + 13 + 4));
  head[2] = 0x80;
  const records = [...zoneMessages(view, served, defaults, { head, limit: 60_000, seal: (_, length) => length })].flatMap((octets) => decodeMessage(Buffer.from(octets)).answer); // prettier-ignore
  const addresses = records.filter(({ type }) => type === T.A).map(({ name, data, ttl }) => [name, ttl, data]);
  const steered = ['example.org.', '*.w.example.org.'].map((name) => [name, 5, A_OF([203, 0, 113, 2])]);
  expect(addresses).toEqual(expect.arrayContaining([...steered, ['copy.example.org.', 30, A_OF([192, 0, 2, 25])]]));
  expect(addresses).toHaveLength(5);
});

test.each(['true', '{ denial: compact }'])(
  'signed zones sign the answers with the name of the alias: dnssec: %s',
  (dnssec) => {
    const signed = (text: string): string =>
      text.replace('nameservers', `dnssec: ${dnssec}\nsoa: { expire: 4d }\nnameservers`);
    const files = { ...NO_GEOGRAPHY, 'zones/example.com.yaml': COM, 'zones/example.org.yaml': signed(ORG) };
    using folder = folderOf(files);
    const nowSeconds = Math.floor(Date.now() / 1000);
    const keysFolder = join(folder.path, 'state', 'keys');
    makeKey(keysFolder, parseName('example.org.'), nowSeconds);
    const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    const server = answeringFrom(outcome.value);
    const { keys } = readKeys(keysFolder, parseName('example.org.'));
    const kindOf = (name: string, type: number, from: string): string => {
      const message = server.ask(name, type, { overTcp: true, from, edns: { dnssecOk: true } });
      return validate(message, { name, type, apex: 'example.org.', keys, nowSeconds });
    };
    const asked = (from: string): string[] =>
    ['example.org.', 'copy.example.org.', 'own.example.org.'].flatMap((name) => [T.A, T.AAAA, T.HTTPS, T.MX].map((type) => kindOf(name, type, from))); // prettier-ignore
    const kinds = ['answer', 'answer', 'answer', 'nodata', 'answer', 'answer', 'nodata', 'nodata', 'answer', 'answer', 'nodata', 'nodata']; // prettier-ignore
    expect(asked('192.0.2.1')).toEqual(kinds);
    // The VIP of other clients has no AAAA: it is denied, although the name may have one.
    expect(asked('198.51.100.1')).toEqual(kinds.with(1, 'nodata'));
    expect(kindOf('x.w.example.org.', T.A, '192.0.2.1')).toBe('answer');
  },
);

const mistakes = (records: string, more = ''): string[] =>
  mistakesOf({ ...NO_GEOGRAPHY, 'zones/ex.yaml': `zone: ex\nnameservers: [ns.example.net.]\nrecords:\n${records}\n${more}` }).map((line) => line.replace('zones/ex.yaml:', '')); // prettier-ignore

describe('mistakes', () => {
  const chain = (links: number): string =>
    [...Array.from({ length: links }, (_, at) => `  n${at}: { ALIAS: n${at + 1} }`), `  n${links}: { A: 192.0.2.1 }`].join('\n'); // prettier-ignore

  test.each([
    [
      'addresses beside it',
      '  a: { ALIAS: b, A: 192.0.2.1 }\n  b: { A: 192.0.2.2 }',
      '4 error PH451: a.ex has an ALIAS, which answers for A and AAAA, and A records too',
    ],
    [
      'a CNAME beside it',
      '  a: { ALIAS: b, CNAME: b }\n  b: { A: 192.0.2.2 }',
      '4 error PH451: a.ex has an ALIAS, which answers for A and AAAA, and CNAME records too',
    ],
    [
      'a circle',
      '  a: { ALIAS: b }\n  b: { ALIAS: a }',
      '4 error PH452: the ALIAS of a.ex leads back to itself: b.ex -> a.ex',
    ],
    ['itself', '  a: { ALIAS: a }', '4 error PH452: the ALIAS of a.ex leads back to itself: a.ex'],
    [
      'a name without records',
      '  a: { ALIAS: b }',
      '4 warning PH453: the ALIAS of a.ex leads to b.ex, which does not exist',
    ],
    [
      'a name without addresses',
      '  a: { ALIAS: b }\n  b: { TXT: x }',
      '4 warning PH453: the ALIAS of a.ex leads to b.ex, which has no A or AAAA records',
    ],
    ['an address', '  a: { ALIAS: 192.0.2.1 }', '4 error PH450: ALIAS takes a name, got the address 192.0.2.1'],
    ['two names', '  a: { ALIAS: [b, c] }', '4 error PH450: ALIAS takes one name'],
    ['nothing', '  a: { ALIAS: }', '4 error PH011: ALIAS has no value; it must be a text'],
    [
      'both words',
      '  a: { ALIAS: b, ANAME: b }\n  b: { A: 192.0.2.1 }',
      '4 error PH109: ANAME is the same type as ALIAS on line 4',
    ],
    [
      'a TTL for no alias',
      '  a: { ttl: { ALIAS: 60 }, A: 192.0.2.1 }',
      '4 error PH117: a TTL for ALIAS, but no ALIAS record',
    ],
    [
      'below a delegation',
      '  sub: { NS: ns.example.net. }\n  a.sub: { ALIAS: b }\n  b: { A: 192.0.2.1 }',
      '5 error PH356: ALIAS a.sub.ex is at or below sub.ex, which has NS or DNAME records: Pharos never answers with it',
    ],
    [
      'too many names',
      chain(9),
      '4 error PH452: the ALIAS of n0.ex leads over too many names: n1.ex -> n2.ex -> n3.ex -> n4.ex -> n5.ex -> n6.ex -> n7.ex -> n8.ex -> n9.ex',
    ],
  ])('%s', (_, records, expected) => {
    expect(mistakes(records)).toContainEqual(expected);
  });

  test.each([
    [
      'a service of CNAMEs',
      '{ vips: { v: { CNAME: a.example.net. } } }',
      'leads to the service s.ex, which answers with CNAMEs',
    ],
    [
      'a static CNAME',
      '{ vips: { v: { A: 192.0.2.1 } }, when_all_down: { CNAME: a.example.net. } }',
      'leads to the service s.ex, whose when_all_down is a CNAME',
    ],
    [
      'svcb beside HTTPS',
      '{ svcb: { alpn: [h2] }, vips: { v: { A: 192.0.2.1 } } }',
      'leads to the service s.ex, which makes HTTPS and SVCB records, as there are at the ALIAS',
    ],
  ])('%s', (_, service, expected) => {
    const records = `  a: { ALIAS: s, HTTPS: "1 ." }`;
    expect(mistakes(records, `services: { s: ${service} }\n`)).toContainEqual(`4 error PH452: the ALIAS of a.ex ${expected}`); // prettier-ignore
  });

  test('a service and an ALIAS at one name', () => {
    const found = mistakes(
      '  s: { ALIAS: b }\n  b: { A: 192.0.2.1 }',
      'services: { s: { vips: { v: { A: 192.0.2.1 } } } }\n',
    );
    expect(found).toContainEqual('4 error PH451: s.ex is a service, and has an ALIAS too');
  });

  test('eight names on the way are not too many, and warnings of records are told once', () => {
    expect(mistakes(`${chain(8)}\n  mx: { MX: [10 n0, 20 nope] }`)).toEqual(['13 warning PH353: MX points at nope.ex, which has no records in this zone']); // prettier-ignore
  });
});

describe('a name outside the zones', () => {
  const zone = `zone: ex
nameservers: [ns.example.net.]
records: { a: { ttl: 30, ALIAS: lb.example.net. }, "*.w": { ALIAS: a }, gone: { ALIAS: nope.example.net., TXT: x } }
`;
  const saved = { a: ['192.0.2.7'], aaaa: ['2001:db8::7'], ttlSeconds: 300, foundAtMs: 1 };
  const files = (state: string) => ({ ...NO_GEOGRAPHY, 'zones/ex.yaml': zone, 'state/aliases.json': state });
  const good = JSON.stringify({ version: 1, names: { 'lb.example.net': saved, 'nope.example.net': { ...saved, a: ['x'] } } }); // prettier-ignore

  test('has the addresses that were found last, at most for the TTL of its owner', () => {
    const server = answering(files(good));
    const all = (name: string, type: number): unknown => server.ask(name, type).answer.map(({ ttl, data }) => [ttl, data]); // prettier-ignore
    expect(all('a.ex', T.A)).toEqual([[30, A_OF([192, 0, 2, 7])]]);
    expect(all('x.w.ex', T.AAAA)).toEqual([[30, '20010db8000000000000000000000007']]);
    const [, , info] = server.generation.catalog.zones[0]?.aliases ?? [];
    expect(info).toMatchObject({ name: 'gone.ex', leadsTo: 'unresolved', foreign: 'nope.example.net' });
  });

  test('that was never resolved gets SERVFAIL, for addresses only', () => {
    const server = answering(files(good));
    expect([T.A, T.AAAA, T.TXT, T.MX].map((type) => server.ask('gone.ex', type, { edns: {} }).rcode)).toEqual([2, 2, 0, 0]); // prettier-ignore
    expect(server.ask('gone.ex', T.A, { edns: {} }).edns?.error).toBe(14);
  });

  test('a file that cannot be used is reported', () => {
    expect(mistakesOf(files(good))).toEqual([]);
    const found = mistakesOf(files('{"version": 2}'));
    expect(found).toEqual([expect.stringContaining('warning PH454: ')]);
  });
});
