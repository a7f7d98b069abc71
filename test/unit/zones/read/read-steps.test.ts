import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { StepSpec } from '../../../../steering/steps.ts';
import { expectMistake, placesOf } from '../../config/mistakes.ts';
import { VIPS, readServiceText } from '../read-helper.ts';

/** The lines under `steer:`, the first of which is line 13; they begin in column 7. */
const read = (...steps: readonly string[]) => readServiceText(VIPS, 'steer:', ...steps.map((step) => `  ${step}`));

const SEOUL = { key: { kind: 'country', country: 'KR', text: 'KR' }, regions: ['seoul'] };
const REST = { key: { kind: 'default', text: 'default' }, regions: ['virginia'] };

test.each<[steps: string[], read: object[], warnings?: string[]]>([
  [['- weighted'], [{ kind: 'weighted' }]],
  [['- all'], [{ kind: 'all' }]],
  [
    ['- nearest', '- weighted'],
    [{ kind: 'nearest', bias: new Map(), withinKm: 0 }, { kind: 'weighted' }],
  ],
  [['- nearest:'], [{ kind: 'nearest' }]],
  [['- nearest: { bias: { seoul: 20, virginia: -5 }, within: 300km }'], [{ kind: 'nearest', bias: new Map([['seoul', 20], ['virginia', -5]]), withinKm: 300 }]], // prettier-ignore
  [['- nearest:', '  within: 300km'], [{ kind: 'nearest', withinKm: 300 }]],
  [['- { nearest: , within: 300km }'], [{ kind: 'nearest', withinKm: 300 }]],
  [['- nearest: { bias: { seoul: 5 } }', '  within: 1km'], [{ kind: 'nearest', bias: new Map([['seoul', 5]]), withinKm: 1 }]], // prettier-ignore
  [['- latency: { table: rtt.csv, within: 10ms }'], [{ kind: 'latency', withinMs: 10 }]],
  [['- { latency: , table: rtt.csv }'], [{ kind: 'latency', withinMs: 0 }]],
  [['- geo: { KR: seoul, default: virginia }'], [{ kind: 'geo', fence: false, map: [SEOUL, REST] }]],
  [['- geo: { KR: seoul, default: virginia, fence: true }'], [{ kind: 'geo', fence: true, map: [SEOUL, REST] }]],
  [['- geo: { KR: seoul, default: virginia }', '  fence: true'], [{ kind: 'geo', fence: true, map: [SEOUL, REST] }]],
  [['- geo: { JP: none, AS: [], KR: seoul, default: virginia }'], [{ kind: 'geo', map: [{ regions: [] }, { regions: [] }, SEOUL, REST] }], ['13:26 PH132']], // prettier-ignore
  [['- geo: { KR: { to: seoul, ttl: 10 }, default: { to: [virginia] } }'], [{ kind: 'geo', map: [{ ...SEOUL, ttlSeconds: 10 }, REST] }]], // prettier-ignore
  [['- failover: [virginia, seoul]'], [{ kind: 'failover', order: [{ kind: 'region', region: 'virginia' }, { kind: 'region', region: 'seoul' }] }]], // prettier-ignore
  [['- failover: [b, seoul]'], [{ kind: 'failover', order: [{ kind: 'vip', vip: 1 }, { kind: 'region', region: 'seoul' }] }]], // prettier-ignore
  [['- failover: b'], [{ kind: 'failover', order: [{ kind: 'vip', vip: 1 }] }], ['13:9 PH230']],
  [['- sticky'], [{ kind: 'sticky', v4Bits: 24, v6Bits: 56 }]],
  [['- sticky: { v4: 32, v6: 64 }'], [{ kind: 'sticky', v4Bits: 32, v6Bits: 64 }]],
])('steps are read in every form: %j', (steps, expected, warnings = []) => {
  const { service, diagnostics } = read(...steps);
  expect(placesOf(diagnostics)).toEqual(warnings);
  expect(service?.steps).toMatchObject(expected);
});

test('a table is found beside the zone file', () => {
  const { service, folder } = read('- latency: { table: rtt.csv }');
  expect(service?.steps).toEqual([{ kind: 'latency', table: join(folder, 'rtt.csv'), withinMs: 0 }]);
});

test('a name that is a region of the service and a VIP is the region', () => {
  const { service } = readServiceText(
    'vips: { seoul: { region: virginia, A: 203.0.113.1 }, x: { region: seoul, A: 203.0.113.2 } }',
    'steer: [{ failover: [seoul] }]',
  );
  expect(service?.steps).toEqual([{ kind: 'failover', order: [{ kind: 'region', region: 'seoul' }] }]);
});

test('the order of VIPs and steps in the file does not matter', () => {
  const { service, diagnostics } = readServiceText('steer: [{ failover: [b, a] }]', VIPS);
  expect(placesOf(diagnostics)).toEqual([]);
  const order = [1, 0].map((vip) => ({ kind: 'vip', vip }));
  expect(service?.steps).toEqual([{ kind: 'failover', order }]);
});

describe('a key of geo', () => {
  const keyOf = (key: string): StepSpec | undefined =>
    read('- geo:', `    ${key}: seoul`, '    default: virginia').service?.steps[0];
  test.each<[string, object]>([
    ['10.0.0.0/8', { kind: 'network', prefix: { bytes: Uint8Array.of(10, 0, 0, 0), bits: 8 } }],
    ['192.0.2.1', { kind: 'network', prefix: { bits: 32 } }],
    ['2001:db8::/32', { kind: 'network', prefix: { bits: 32 } }],
    ['AS64500', { kind: 'asn', asn: 64_500 }],
    ['AS', { kind: 'country', country: 'AS' }],
    ['AP', { kind: 'area', area: 'AP' }],
    ['ap', { kind: 'area', area: 'AP', text: 'ap' }],
    ['KR/Seoul', { kind: 'city', place: 'KR', city: 'seoul', text: 'KR/Seoul' }],
    ['us-ca/ LOS Angeles', { kind: 'city', place: 'US-CA', city: 'los angeles' }],
    ['"US/Los Angeles"', { kind: 'city', place: 'US', city: 'los angeles' }],
    ['US-CA', { kind: 'subdivision', subdivision: 'US-CA' }],
    ['us-ca', { kind: 'subdivision', subdivision: 'US-CA', text: 'us-ca' }],
    ['kr', { kind: 'country', country: 'KR', text: 'kr' }],
    ['north-america', { kind: 'continent', continent: 'north-america' }],
    ['Asia', { kind: 'continent', continent: 'asia' }],
  ])('%s', (key, expected) => {
    expect(keyOf(key)).toMatchObject({ kind: 'geo', map: [{ key: expected, regions: ['seoul'] }, REST] });
  });
});

describe('a mistake is reported at its position', () => {
  test.each<[string[], string, string]>([
    [['- wieghted'], '13:9 PH208', 'did you mean "weighted"?'],
    [['- goe: { KR: seoul }'], '13:9 PH208', 'did you mean "geo"?'],
    [['- [weighted]'], '13:9 PH208', 'must have a name'],
    [['- {}'], '13:9 PH208', 'must have a name'],
    [['- { nearest: , weighted: }'], '13:22 PH209', 'nearest and weighted are in one step'],
    [['- weighted: 3'], '13:19 PH209', 'takes no options'],
    [['- weighted: { a: 1 }'], '13:21 PH010', 'not a key of weighted'],
    [['- nearest: 300km'], '13:18 PH209', 'a map of options'],
    [['- nearest: { within: 300 }'], '13:28 PH017', '300km'],
    [['- nearest: { within: 1km }', '  within: 2km'], '14:9 PH004', '(first defined on line 13)'],
    [['- nearest: { bias: { soul: 5 } }'], '13:28 PH210', 'did you mean "seoul"?'],
    [['- nearest: { bias: { seoul: 100 } }'], '13:35 PH014', 'gets more clients'],
    [['- latency'], '13:9 PH012', 'needs the key table'],
    [['- latency: { table: nowhere.csv }'], '13:27 PH038', 'no file nowhere.csv'],
    [['- latency: { table: rtt.csv, within: 10 }'], '13:44 PH015', '10ms'],
    [['- geo'], '13:9 PH212', 'needs a map'],
    [['- geo: seoul'], '13:14 PH212', 'needs a map'],
    [['- geo: { KR: soul, default: virginia }'], '13:20 PH210', 'did you mean "seoul"?'],
    [['- geo: { KR: a, default: virginia }'], '13:20 PH210', 'only failover takes those'],
    [['- geo: { KR: , default: virginia }'], '13:16 PH011', 'KR has no value'],
    [['- geo: { KR: { to: none, ttl: 10 }, default: [seoul, virginia] }'], '13:37 PH229', 'negative TTL'],
    [['- geo: { KR: { ttl: 10 }, default: [seoul, virginia] }'], '13:20 PH012', 'needs the key to'],
    [['- geo: { KR: { to: seoul, tttl: 10 }, default: virginia }'], '13:33 PH010', 'did you mean "ttl"?'],
    [['- geo: { KR: { to: soul, ttl: 10 }, default: virginia }'], '13:26 PH210', 'did you mean "seoul"?'],
    [['- geo: { KR: none, default: [seoul, virginia], fence: true }'], '13:9 PH232', 'fence has no effect'],
    [
      ['- geo: { KR: dublin, default: [virginia, seoul] }'],
      '13:20 PH211',
      'no VIP of this service is in the region dublin',
    ],
    [['- geo: { erope: seoul, default: virginia }'], '13:16 PH212', 'did you mean "europe"?'],
    [['- geo: { 10.0.0.1/8: seoul, default: virginia }'], '13:16 PH212', 'write 10.0.0.0/8'],
    [['- geo: { AS4294967296: seoul, default: virginia }'], '13:16 PH212', 'AS64500'],
    [['- geo: { EU: seoul, default: virginia }'], '13:16 PH132', 'for the continent write europe'],
    [['- geo: { ZZ/Seoul: seoul, default: virginia }'], '13:16 PH033', 'unknown country "ZZ"'],
    [['- geo: { KR/: seoul, default: virginia }'], '13:16 PH212', 'not a valid key'],
    [['- geo: { KR/Seoul: seoul, kr/SEOUL: virginia, default: virginia }'], '13:33 PH213', 'the same key as KR/Seoul'],
    [['- geo: { ZZ: seoul, default: virginia }'], '13:16 PH033', 'unknown country "ZZ"'],
    [['- geo: { ZZ-1: seoul, default: virginia }'], '13:16 PH033', 'unknown country "ZZ"'],
    [['- geo: { KR: seoul, kr: virginia, default: virginia }'], '13:27 PH213', 'the same key as KR'],
    [['- geo: { KR: [seoul, virginia] }'], '13:9 PH214', 'geo has no default'],
    [['- geo: { KR: seoul, default: virginia, fence: yes }'], '13:53 PH020', 'true or false'],
    [['- all', '- weighted'], '14:9 PH215', 'nothing to choose'],
    [['- weighted', '- sticky'], '14:9 PH227', 'sticky replaces the order of weighted'],
    [
      ['- sticky: { v4: 16 }', '- geo: { default: [seoul, virginia] }', '- weighted'],
      '15:9 PH227',
      'keep one of the two',
    ],
    [['- failover: [seoul, virginia, seoul]'], '13:37 PH228', 'duplicate "seoul" in the list'],
    [['- geo: { KR: [seoul, seoul], default: virginia }'], '13:28 PH228', 'remove one'],
    [['- geo: { KR: seoul, default: seoul }'], '13:9 PH230', 'no client can ever get b: this geo does not lead there'],
    [['- failover: [a]'], '13:9 PH230', 'add it to the list, or remove the VIP'],
    [['- geo: { default: [seoul, virginia] }', '- nearest'], '14:9 PH231', 'nearest has nothing to choose: geo leaves'],
    [['- failover: [seoul, virginia]', '- latency: { table: rtt.csv }'], '14:9 PH231', 'put it before failover'],
    [['- failover: [a, b]', '- weighted'], '14:9 PH231', 'failover leaves one VIP'],
    [['- nearest', '- failover: [virginia, seoul]'], '14:9 PH231', 'or give nearest a within'],
    [['- latency: { table: rtt.csv }', '- nearest'], '14:9 PH231', 'except for clients of unknown location'],
    [['- geo: { default: [seoul, virginia], fence: true }'], '13:9 PH232', 'fence has no effect'],
    [['- geo: { KR: [seoul, virginia], default: seoul, fence: true }'], '13:9 PH232', 'remove fence'],
    [['- failover'], '13:9 PH012', 'needs the key failover'],
    [['- failover: []'], '13:19 PH026', 'at least 1 entry'],
    [['- failover: [soul]'], '13:20 PH210', 'unknown region or VIP "soul" | did you mean "seoul"?'],
    [['- failover: [dublin, seoul, virginia]'], '13:20 PH211', 'add a VIP'],
    [['- sticky: { v4: 33 }'], '13:23 PH014', '0 to 32'],
    [['- sticky: { v5: 33 }'], '13:19 PH010', 'did you mean "v4"?'],
  ])('%j', (steps, at, part) => {
    expectMistake(read(...steps).diagnostics, at, part);
  });

  test.each([
    [['- weighted', '- geo: { default: [seoul, virginia] }']],
    [['- nearest: { within: 300km }', '- latency: { table: rtt.csv, within: 5ms }', '- failover: [seoul, virginia]']],
    [['- failover: [a, virginia]', '- weighted']],
    [['- geo: { default: [seoul, virginia] }', '- failover: [a, b]']],
    [['- geo: { KR: seoul, default: virginia, fence: true }']],
    [['- geo: { 10.0.0.0/8: seoul, 10.1.0.0/16: virginia, default: [seoul, virginia], fence: true }']],
  ])('%j: no warning', (steps) => {
    expect(placesOf(read(...steps).diagnostics)).toEqual([]);
  });

  test.each([
    ['KR: seoul, asia: virginia', true],
    ['KR: seoul, europe: virginia', false],
    ['US-CA: seoul, US: virginia', true],
    ['US-CA: seoul, KR: virginia', false],
    ['US-CA: seoul, US-VA: virginia', false],
    ['US-CA: seoul, north-america: virginia', true],
    ['US-CA: seoul, asia: virginia', false],
    ['AS64500: seoul, KR: virginia', true],
    ['AS64500: seoul, AS64501: virginia', false],
    ['10.1.0.0/16: seoul, 10.0.0.0/8: virginia', true],
    ['10.1.0.0/16: seoul, 10.2.0.0/16: virginia', false],
    ['10.1.0.0/16: seoul, 10.0.0.0/8: [seoul, virginia]', true],
    ['10.1.0.0/16: [seoul, virginia], 10.0.0.0/8: seoul', false],
    ['10.1.0.0/16: seoul, KR: virginia', true],
  ])('a fence around { %s } holds something back: %s', (keys, holds) => {
    const codes = read(`- geo: { ${keys}, fence: true }`).diagnostics.map(({ code }) => code);
    expect(codes.filter((code) => code !== 'PH214')).toEqual(holds ? [] : ['PH232']);
  });

  test('no steps at all', () => {
    expectMistake(readServiceText(VIPS, 'steer: []').diagnostics, '12:12 PH208', 'steer has no steps');
  });

  test('nearest with a region without a position', () => {
    const { diagnostics } = readServiceText('vips: { a: { region: nowhere, A: 203.0.113.1 } }', 'steer: nearest');
    expectMistake(diagnostics, '12:12 PH221', 'compute the distance of nowhere');
  });
});
