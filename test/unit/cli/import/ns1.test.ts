/**
 * `pharos import ns1`: records with filter chains.
 */
import { describe, expect, test } from 'vitest';
import type { Files } from '../../../support/pharos.ts';
import { expectLines, geographyOf, importFiles, importValid, serverOf } from './run-import.ts';

type Meta = Readonly<Record<string, unknown>>;
const answer = (address: string, meta: Meta = {}, region?: string) => ({
  answer: [address],
  meta,
  ...(region === undefined ? {} : { region }),
});
function record(
  name: string,
  answers: readonly unknown[],
  filters: readonly (string | readonly [string, Meta])[],
  more: Meta = {},
) {
  return {
    zone: 'example.com',
    domain: name === '' ? 'example.com' : `${name}.example.com`,
    type: 'A',
    ttl: 30,
    answers,
    filters: filters.map((each) =>
      typeof each === 'string' ? { filter: each, config: {} } : { filter: each[0], config: each[1] },
    ),
    ...more,
  };
}
const FIRST = ['select_first_n', { N: 1 }] as const;
const RECORDS = [
  record(
    'ordered',
    [
      answer('203.0.113.1', { up: { feed: 'f1' } }),
      answer('203.0.113.2', { up: true }),
      answer('203.0.113.9', { up: false }),
    ],
    ['up', FIRST],
  ),
  record(
    'random',
    [answer('203.0.113.1'), answer('203.0.113.2'), answer('203.0.113.3')],
    ['up', 'shuffle', ['select_first_n', { N: '2' }]],
  ),
  record(
    'weights',
    [answer('203.0.113.1', { weight: 10 }), answer('203.0.113.2', { weight: 30 })],
    ['weighted_shuffle', FIRST],
  ),
  record(
    'place',
    [
      answer('203.0.113.1', { country: ['KR', 'JP'] }),
      answer('203.0.113.2', { georegion: ['EUROPE'] }),
      answer('203.0.113.3', { us_state: ['CA'] }),
      answer('203.0.113.4', { georegion: 'US-EAST' }),
      answer('203.0.113.5'),
    ],
    ['up', 'geotarget_country', 'geotarget_regional', FIRST],
  ),
  record(
    'groups',
    [answer('203.0.113.1', {}, 'eu'), answer('203.0.113.2', {}, 'eu'), answer('203.0.113.3', {}, 'us')],
    ['geofence_country', 'shuffle', FIRST],
    {
      regions: { eu: { meta: { country: ['DE'] } }, us: { meta: { country: ['US'] } } },
    },
  ),
  record(
    'fence',
    [
      answer('203.0.113.1', { asn: [64500] }),
      answer('203.0.113.2', { ip_prefixes: ['198.51.100.0/24'] }),
      answer('203.0.113.3'),
    ],
    ['netfence_asn', 'netfence_prefix', FIRST],
  ),
  record(
    'near',
    [
      answer('203.0.113.1', { latitude: 37.5, longitude: 127 }),
      answer('203.0.113.2', { latitude: 50.1, longitude: 8.7 }),
    ],
    ['geotarget_latlong', FIRST],
  ),
  record(
    'tiers',
    [
      answer('203.0.113.1', { priority: 2 }),
      answer('203.0.113.2', { priority: 1 }),
      answer('203.0.113.3', { priority: 1 }),
    ],
    ['up', 'priority', 'shuffle', FIRST],
  ),
  record('other', [answer('203.0.113.1'), answer('203.0.113.2')], ['shed_load', 'sticky', FIRST]),
  record('both', [answer('203.0.113.1'), answer('203.0.113.2')], ['shuffle', FIRST]),
  record('both', [answer('2001:db8::1'), answer('2001:db8::2')], ['shuffle', FIRST], { type: 'AAAA' }),
  record('', [{ answer: ['10', 'mx.example.net'] }, { answer: ['20', 'mx2.example.net'] }], ['shuffle'], {
    type: 'MX',
  }),
  record('site', [answer('203.0.113.1', { country: 'KR' }), answer('203.0.113.2')], ['geotarget_country', FIRST]),
  record('site', [answer('in Korea', { country: 'KR' }), answer('elsewhere')], ['geotarget_country', FIRST], {
    type: 'TXT',
  }),
  record(
    'mail',
    [
      { answer: ['10', 'mx.kr.example.net'], meta: { weight: 9 } },
      { answer: ['10', 'mx.eu.example.net'], meta: { weight: 1 } },
    ],
    ['weighted_shuffle', FIRST],
    { type: 'MX', ttl: 60 },
  ),
  record('mail', [answer('203.0.113.9')], [], { ttl: 60 }),
  record('unlike', [answer('203.0.113.1'), answer('203.0.113.2')], ['shuffle', FIRST]),
  record('unlike', [answer('one', { priority: 1 }), answer('two', { priority: 2 })], ['priority', FIRST], {
    type: 'TXT',
  }),
  record('plain', [answer('203.0.113.1')], []),
  record('text', [{ answer: ['say "hi"'] }], [], { type: 'TXT' }),
  record('alias', [{ answer: ['lb.example.net'] }], [], { type: 'ALIAS' }),
];
const ZONE = {
  zone: 'example.com',
  dns_servers: ['dns1.p01.nsone.net', 'dns2.p01.nsone.net'],
  records: [
    { domain: 'plain.example.com', type: 'A', ttl: 30, tier: 1, short_answers: ['192.0.2.250'] },
    { domain: 'lost.example.com', type: 'A', ttl: 60, tier: 3, short_answers: ['203.0.113.1', '203.0.113.2'] },
  ],
};
const FILES: Files = { 'ns1/a-records.json': JSON.stringify(RECORDS), 'ns1/zone.json': JSON.stringify(ZONE) };
const { out, notes } = importValid('ns1', FILES, 'ns1');
const GEOGRAPHY = geographyOf({
  '192.0.2.0/26': 'DE 52,13',
  '192.0.2.64/26': 'KR 37,127',
  '192.0.2.128/26': 'US-CA',
  '192.0.2.192/26': 'US-NY',
});
const [GERMANY, KOREA, CALIFORNIA, NEW_YORK] = ['192.0.2.1', '192.0.2.65', '192.0.2.129', '192.0.2.193'];
const { addresses, ask, set, seen, texts } = serverOf(out, GEOGRAPHY);

describe('chains', () => {
  test('up and select_first_n without an order: failover', () => {
    expect(seen('ordered')).toEqual(['203.0.113.1']);
    set('ordered.example.com/answers-1', { probed: 2 });
    expect(seen('ordered')).toEqual(['203.0.113.2']);
    expect(notes).toContain('dropped ordered: 203.0.113.9, which is down ("up": false)');
    expect(notes).toContain('changed ordered: its answers are up or down by a feed of NS1: give the service a check');
  });

  test('shuffle, weighted_shuffle', () => {
    expect(addresses('random.example.com')).toHaveLength(2);
    expect(seen('random')).toHaveLength(3);
    expectLines(out, ['      answers-1-2: { region: answers-1, A: 203.0.113.2, weight: 30 }']);
  });

  test('geotarget: countries, states, regions, and the rest', () => {
    expect([KOREA, GERMANY, CALIFORNIA, NEW_YORK, '203.0.113.77'].map((client) => seen('place', client))).toEqual([
      ['203.0.113.1'],
      ['203.0.113.2'],
      ['203.0.113.3'],
      ['203.0.113.4'],
      ['203.0.113.5'],
    ]);
  });

  test('geofence with the metadata of regions', () => {
    expect(seen('groups', GERMANY)).toEqual(['203.0.113.1', '203.0.113.2']);
    expect(seen('groups', CALIFORNIA)).toEqual(['203.0.113.3']);
    expect(notes).toContain(
      'changed groups: no answer without a place: for clients of other places, the first that is up is used',
    );
  });

  test('netfence: AS numbers and networks', () => {
    expect(seen('fence', '198.51.100.7')).toEqual(['203.0.113.2']);
    expect(seen('fence', GERMANY)).toEqual(['203.0.113.3']);
    expect(out).toContain('AS64500: as64500-1');
  });

  test('geotarget_latlong is nearest', () => {
    expect(seen('near', KOREA)).toEqual(['203.0.113.1']);
    expect(seen('near', GERMANY)).toEqual(['203.0.113.2']);
  });

  test('priority is failover', () => {
    expect(seen('tiers')).toEqual(['203.0.113.2', '203.0.113.3']);
    for (const vip of ['answers-2-1', 'answers-2-2']) set(`tiers.example.com/${vip}`, { probed: 2 });
    expect(seen('tiers')).toEqual(['203.0.113.1']);
  });

  test('A and AAAA of a name are one service', () => {
    expect(ask('both.example.com', 28).answer).toHaveLength(1);
    expect(seen('both')).toEqual(['203.0.113.1', '203.0.113.2']);
  });
});

describe('other types', () => {
  test('with the filters of the addresses they are records of the same service', () => {
    expect([KOREA, GERMANY].map((client) => texts('site.example.com', 'TXT', client))).toEqual([
      ['"in Korea"'],
      ['"elsewhere"'],
    ]);
    expect([KOREA, GERMANY].map((client) => seen('site', client))).toEqual([['203.0.113.1'], ['203.0.113.2']]);
  });

  test('beside an address without filters', () => {
    const all = Array.from({ length: 64 }, () => texts('mail.example.com', 'MX'));
    expect(all.every((each) => each.length === 1)).toBe(true);
    expect(out).toMatch(/MX: 10 mx\.kr\.example\.net\., weight: 9/);
    expectLines(out, ['  mail: { ttl: 60, A: 203.0.113.9 }']);
  });

  test('with other filters than the addresses they are records, with a note', () => {
    expect(texts('unlike.example.com', 'TXT')).toEqual(['"one"', '"two"']);
    expect(notes).toContain(
      'changed unlike: the filters of TXT: they differ from those of its addresses: all are records',
    );
  });
});

test('records, and what has no equivalent', () => {
  expect(out).toMatch(/^ {2}alias: \{ .*ALIAS: lb\.example\.net\. \}$/m);
  expectLines(out, ['  plain: { A: 203.0.113.1 }', '  text: { TXT: say "hi" }']);
  expect(out).toMatch(/dns1\.p01\.nsone\.net\., dns2\.p01\.nsone\.net\./);
  expect(notes).toEqual(
    expect.arrayContaining([
      'changed other: the filter shed_load has no equivalent: it is left out',
      'changed other: a sticky filter becomes sticky: a client may get another answer than it had',
      'changed @: the filters of MX: they only put its answers in order; all are records',
      'changed lost: A has filters that are not in these files: all its answers are records',
    ]),
  );
});

test('other files are refused', () => {
  expect(importFiles('ns1', { 'a.json': '{"a": 1}' }, 'a.json').error).toMatch(
    /PH501: .* has no records of a zone of NS1/,
  );
});
