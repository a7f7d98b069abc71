import { describe, expect, test } from 'vitest';
import { MAX_BEACON_SOURCES } from '../../../config/limits.ts';
import { createBeaconSamples, type BeaconSamples } from '../../../geo/beacon-samples.ts';
import { MAX_BEACON_NETWORKS, MAX_NETWORKS_A_BLOCK } from '../../../geo/latency-limits.ts';
import {
  createLatencyBuilder,
  latencyOf,
  networkRow,
  sourcesOf,
  type LatencyTable,
} from '../../../geo/latency-table.ts';
import { isNoticeable, overlay } from '../../../geo/overlay-latency.ts';
import { addressWords } from '../../../geo/prefix-table.ts';
import { parseAddress } from '../../../wire/address.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const HOUR = 3_600_000;
const RULES = { sinceMs: 0, minSources: 3 };

function bytes(text: string): Uint8Array {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
}

function put(
  samples: BeaconSamples,
  address: string,
  ms: number,
  { at = 1, country = 'KR', asn = 64_500, region = 'seoul' } = {},
): boolean {
  return samples.add({ address: bytes(address), country, asn }, new Map([[region, ms]]), at);
}

/** [ms, number of supporting samples] of seoul, or undefined. */
function figure(table: LatencyTable, key: string): readonly [number, number] | undefined {
  const row = /^AS/.test(key)
    ? table.asns.get(Number(key.slice(2)))
    : key.length === 2
      ? table.countries.get(key)
      : networkRow(table, bytes(key))?.row;
  const column = table.regions.indexOf('seoul');
  const ms = latencyOf(table, row ?? -1, column);
  return ms === undefined || row === undefined ? undefined : [ms, sourcesOf(table, row, column)];
}

describe('the median of a network', () => {
  test.for([
    ['two sources are too few', ['192.0.2.1', 10, '192.0.2.2', 20], undefined],
    ['three', ['192.0.2.1', 10, '192.0.2.2', 50, '192.0.2.3', 20], [20, 3]],
    [
      'four: the mean of the two in the middle',
      ['192.0.2.1', 10, '192.0.2.2', 50, '192.0.2.3', 20, '192.0.2.4', 31],
      [25.5, 4],
    ],
    [
      'one source is one, however often it reports',
      ['192.0.2.1', 10, '192.0.2.1', 11, '192.0.2.1', 12, '192.0.2.2', 13],
      undefined,
    ],
    ['of a source the last counts', ['192.0.2.1', 900, '192.0.2.2', 30, '192.0.2.3', 20, '192.0.2.1', 10], [20, 3]],
    [
      'a false source moves it no farther than to the next honest one',
      ['192.0.2.1', 20, '192.0.2.2', 22, '192.0.2.3', 0],
      [20, 3],
    ],
    ['other networks are others', ['192.0.2.1', 20, '192.0.2.2', 22, '192.0.3.3', 24], undefined],
  ] as const)('%s', ([, list, expected]) => {
    const samples = createBeaconSamples();
    for (let at = 0; at < list.length; at += 2) put(samples, String(list[at]), Number(list[at + 1]));
    expect(figure(samples.figures(RULES), '192.0.2.200')).toEqual(expected);
  });

  test('IPv6: a /64 is one source of its /48', () => {
    const samples = createBeaconSamples();
    for (const host of [1, 2, 3]) put(samples, `2001:db8:1:1::${host}`, 10);
    expect(figure(samples.figures(RULES), '2001:db8:1::9')).toBeUndefined();
    for (const subnet of [2, 3]) put(samples, `2001:db8:1:${subnet}::1`, 30);
    expect(figure(samples.figures(RULES), '2001:db8:1:ffff::9')).toEqual([30, 3]);
  });
});

describe('the median of an AS or a country is that of its networks, each counted once', () => {
  test('fifty addresses of one network do not outvote others', () => {
    const samples = createBeaconSamples();
    for (let host = 0; host < 50; host++) put(samples, `20.0.2.${host}`, 1);
    for (let net = 1; net <= 5; net++) put(samples, `20.${net}.0.1`, 40 + net, { asn: 64_500 + (net % 3) });
    const table = samples.figures(RULES);
    expect(figure(table, 'KR')).toEqual([42.5, 6]);
    expect(figure(table, '20.1.0.1')).toBeUndefined();
  });

  test('an AS needs six networks', () => {
    const samples = createBeaconSamples();
    for (let net = 1; net <= 5; net++) put(samples, `198.51.${net}.1`, net);
    expect(figure(samples.figures(RULES), 'AS64500')).toBeUndefined();
    put(samples, '203.0.113.1', 9);
    expect(figure(samples.figures(RULES), 'AS64500')).toEqual([3.5, 6]);
  });

  test('of IPv6, a /40 is one source in an AS, and a /32 is one in a country', () => {
    const samples = createBeaconSamples();
    for (let site = 0; site < 20; site++) put(samples, `2001:db8:${site}::1`, 1);
    for (let net = 1; net <= 4; net++) put(samples, `20.${net}.0.1`, 40 + net, { asn: 64_500 + (net % 3) });
    put(samples, '2001:db8:100::1', 1);
    expect(figure(samples.figures(RULES), 'KR')).toBeUndefined();
    expect(figure(samples.figures(RULES), 'AS64500')).toBeUndefined();
    put(samples, '20.5.0.1', 45);
    expect(figure(samples.figures(RULES), 'KR')).toEqual([42.5, 6]);
  });

  test('no AS and no country are not keys', () => {
    const samples = createBeaconSamples();
    for (const net of [1, 2, 3]) put(samples, `198.51.${net}.1`, 5, { asn: 0, country: '' });
    const { asns, countries } = samples.figures(RULES);
    expect([asns.size, countries.size]).toEqual([0, 0]);
  });
});

describe('what is kept is bounded', () => {
  test('by time', () => {
    const samples = createBeaconSamples();
    [1, 2, 3].forEach((host) => put(samples, `192.0.2.${host}`, 10, { at: host * HOUR }));
    expect(figure(samples.figures({ sinceMs: HOUR, minSources: 3 }), '192.0.2.1')).toEqual([10, 3]);
    expect(figure(samples.figures({ sinceMs: HOUR + 1, minSources: 3 }), '192.0.2.1')).toBeUndefined();
    samples.expire(2 * HOUR);
    expect(samples.size()).toEqual({ networks: 1, samples: 2 });
    samples.expire(9 * HOUR);
    expect(samples.size()).toEqual({ networks: 0, samples: 0 });
  });

  test('by sources per network: the oldest is dropped', () => {
    const samples = createBeaconSamples();
    for (let host = 0; host < 200; host++) put(samples, `192.0.2.${host}`, host);
    expect(samples.size()).toEqual({ networks: 1, samples: MAX_BEACON_SOURCES });
    expect(figure(samples.figures(RULES), '192.0.2.1')?.[0]).toBe(199.5 - MAX_BEACON_SOURCES / 2);
  });

  test('by networks: the one without reports for longest is dropped', () => {
    const samples = createBeaconSamples();
    const address = (number: number): string => `${20 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}.1`;
    for (let number = 0; number < MAX_BEACON_NETWORKS; number++) put(samples, address(number), 10);
    put(samples, address(0), 11);
    put(samples, '192.0.2.1', 12);
    expect(samples.size().networks).toBe(MAX_BEACON_NETWORKS);
    const networks = [...samples.save()].map(({ network }) => network);
    expect(networks).toContain('20.0.0.0/24');
    expect(networks).not.toContain('20.0.1.0/24');
  });

  test('by networks of one /32 of IPv6, whoever has all of it', () => {
    const samples = createBeaconSamples();
    const sites = Array.from({ length: MAX_NETWORKS_A_BLOCK }, (_, site) => `2001:db8:${site.toString(16)}::1`);
    for (const site of sites) expect(put(samples, site, 10, { at: HOUR })).toBe(true);
    expect(put(samples, '2001:db8:ffff::1', 10)).toBe(false);
    expect(put(samples, '2001:db9::1', 10)).toBe(true);
    samples.expire(2 * HOUR);
    expect(put(samples, '2001:db8:ffff::1', 10)).toBe(true);
  });
});

test('saving and restoring changes nothing', async () => {
  const seed = printedSeed('beacon samples');
  const dice = createDice(seed);
  const samples = createBeaconSamples();
  for (let turn = 0; turn < 2000; turn++) {
    const address = dice.chance(0.5)
      ? `20.0.${dice.below(6)}.${dice.below(256)}`
      : `2001:db8:${dice.below(6)}:${dice.below(99)}::1`;
    const about = {
      region: dice.pick(['seoul', 'dublin']),
      country: dice.pick(['KR', 'JP']),
      asn: dice.below(3),
      at: turn,
    };
    put(samples, address, dice.below(3000) / 10, about);
  }
  const again = createBeaconSamples();
  again.restore(JSON.parse(JSON.stringify([...samples.save()])) as never, 5000);
  expect(again.size()).toEqual(samples.size());
  expect(again.figures(RULES)).toEqual(samples.figures(RULES));
  expect(await again.figuresInTurns(RULES, () => Promise.resolve())).toEqual(samples.figures(RULES));
  // A clock that was set back since.
  const past = createBeaconSamples();
  past.restore(samples.save(), 10);
  past.expire(11);
  expect(past.size().samples).toBe(0);
});

describe('measured over a table', () => {
  const table = createLatencyBuilder();
  const set = (network: string, bits: number, region: string, ms: number): void => {
    table.set(table.network(addressWords(bytes(network)), bits), table.column(region), ms, 0);
  };
  set('192.0.2.0', 24, 'seoul', 100);
  set('192.0.2.0', 24, 'dublin', 200);
  set('192.0.2.128', 25, 'seoul', 300);
  set('198.51.100.0', 24, 'seoul', 400);
  const samples = createBeaconSamples();
  for (const host of [1, 2, 3]) put(samples, `192.0.2.${host}`, 7);
  for (const host of [1, 2, 3]) put(samples, `203.0.113.${host}`, 9);
  overlay(table, samples.figures(RULES));
  const merged = table.done();

  test.for([
    ['192.0.2.1', 'seoul', 7, 3],
    ['192.0.2.1', 'dublin', 200, 0],
    ['192.0.2.200', 'seoul', 300, 0],
    ['198.51.100.1', 'seoul', 400, 0],
    ['203.0.113.1', 'seoul', 9, 3],
    ['203.0.113.1', 'dublin', undefined, 0],
  ] as const)('%s to %s: %s ms', ([address, region, ms, sources]) => {
    const row = networkRow(merged, bytes(address))?.row ?? -1;
    const column = merged.regions.indexOf(region);
    expect(latencyOf(merged, row, column)).toBe(ms);
    expect(sourcesOf(merged, row, column)).toBe(sources);
  });
});

test.for([
  ['nothing changed', [10, 10, 10], [10, 10, 10], false],
  ['a little', [10, 10, 10], [11.5, 11.5, 11.5], false],
  ['a tenth of much is little', [200, 200, 200], [215, 215, 215], false],
  ['more', [10, 10, 10], [13, 13, 13], true],
  ['it appeared', [10, 10], [10, 10, 10], true],
  ['it disappeared', [10, 10, 10], [10, 10], true],
] as const)('worth a change of maps: %s: %s to %s', ([, before, after, expected]) => {
  const [one, other] = [before, after].map((times) => {
    const samples = createBeaconSamples();
    times.forEach((ms, host) => put(samples, `192.0.2.${host}`, ms));
    return samples.figures(RULES);
  });
  expect(one && other && isNoticeable(one, other)).toBe(expected);
});
