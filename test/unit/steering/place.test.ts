/**
 * The preferences that `geo`, `nearest` and `latency` give a location, and the shortcut through several such steps.
 */
import { describe, expect, test } from 'vitest';
import { distanceKm } from '../../../geo/distance.ts';
import { createLatencyBuilder } from '../../../geo/latency-table.ts';
import { NOWHERE, type Location } from '../../../geo/location.ts';
import { entryText, foldCity, prepareGeo, withoutSharedMap, type GeoEntry, type GeoKey } from '../../../steering/geo-step.ts'; // prettier-ignore
import { measuredRow, prepareLatency } from '../../../steering/latency-step.ts';
import { prepareNearest } from '../../../steering/nearest-step.ts';
import { networkText, NO_ANSWER, orderingWords, rankRegions, shortcutWords, type PlaceContext, type Preference } from '../../../steering/place.ts'; // prettier-ignore
import { parsePrefix } from '../../../wire/address.ts';

const at = (name: string, longitude: number) => ({ name, point: { latitude: 0, longitude } });
const REGIONS = [at('a', 10), at('b', 20), { name: 'c', point: undefined }, at('d', 40)];
const NETWORK = parsePrefix('192.0.2.0/24') ?? { bytes: new Uint8Array(4), bits: 0 };

function contextOf(more: Partial<PlaceContext> = {}): PlaceContext {
  return { regions: REGIONS, networkIndex: new Map([[networkText(NETWORK), 7]]), latency: new Map(), ...more };
}

/** Regions with the end of their group. */
const ends = (preferences: readonly Preference[]): readonly (readonly [number, number])[] =>
  preferences.map(({ region, end }) => [region, end]);

/** Regions that are kept one by one, with the index of the key for `geo`. */
const each = (...regions: readonly number[]): Preference[] =>
  regions.map((region, index) => ({ region, end: index + 1, detail: 0 }));

test('the lowest is first; its group has those within the margin; the unknown are last, as one group', () => {
  const measures = [10, 5, Number.NaN, 15, 20.1, Number.NaN].map((detail, region) => ({ region, detail }));
  expect(ends(rankRegions(measures, 5))).toEqual([[1, 2], [0, 3], [3, 3], [4, 4], [2, 6], [5, 6]]); // prettier-ignore
  expect(ends(rankRegions(measures, 0)).slice(0, 2)).toEqual([[1, 1], [0, 2]]); // prettier-ignore
  expect(rankRegions([], 5)).toEqual([]);
});

test('the words of an ordering are its length, pairs, and TTLs if the step gives some', () => {
  const preferences = [
    { region: 4, end: 2, detail: 9, ttlSeconds: 30 },
    { region: ~1, end: 2, detail: 9 },
  ];
  expect(orderingWords(preferences, false)).toEqual([2, 4, 2, ~1, 2]);
  expect(orderingWords(preferences, true)).toEqual([2, 4, 2, ~1, 2, 30, -1]);
});

describe('the shortcut through steps', () => {
  /** The number of steps; the regions that need a candidate; those that are kept. */
  test.each<[string, readonly (readonly Preference[])[], number[] | undefined]>([
    ['a single kept region needs no check', [each(3, 1)], [1, 0, 1, 3]],
    ['region 0 counts like any other', [each(0, 1)], [1, 0, 1, 0]],
    ['a group is kept whole, if its first region has a candidate', [[{ region: 2, end: 2, detail: 0 }, ...each(9, 1).slice(1)]], [1, 1, 2, 2, 2, 1]], // prettier-ignore
    [
      'a later step chooses among what the first kept, and both regions are needed',
      [[{ region: 2, end: 2, detail: 0 }, { region: 1, end: 2, detail: 0 }, { region: 5, end: 3, detail: 0 }], each(5, 1, 2)], // prettier-ignore
      [2, 1, 2, 1, 1],
    ],
    [
      'a group of a later step has only regions that were kept before',
      [
        [5, 1, 2].map((region) => ({ region, end: 3, detail: 0 })),
        [5, 9, 2].map((region) => ({ region, end: 3, detail: 0 })),
      ],
      [2, 1, 5, 2, 5, 2],
    ],
    ['none if no step prefers anything', [[]], undefined],
    ['none if the steps keep no region', [each(1), each(2)], undefined],
    ['none with a VIP in place of a region', [each(~3, 1)], undefined],
    ['none with a VIP in the group', [[{ region: 1, end: 2, detail: 0 }, { region: ~0, end: 2, detail: 0 }]], undefined], // prettier-ignore
    ['none for clients without an answer', [each(NO_ANSWER)], undefined],
    ['none with a TTL', [[{ region: 1, end: 1, detail: 0, ttlSeconds: 5 }]], undefined],
    ['none if only a later one has a TTL', [[...each(1), { region: 2, end: 2, detail: 0, ttlSeconds: 0 }]], undefined],
    ['none without steps', [], undefined],
  ])('%s', (_, steps, words) => {
    expect(shortcutWords(steps)).toEqual(words);
  });
});

describe('nearest', () => {
  const km = (longitude: number): number => distanceKm(0, 0, 0, longitude);
  const from = { ...NOWHERE, latitude: 0, longitude: 0 };

  test('a positive bias shrinks the distance, a negative one stretches it, as in Route 53', () => {
    const bias = new Map([['a', -50], ['b', 50]]); // prettier-ignore
    const preferences = prepareNearest({ bias, withinKm: 0 }, contextOf())(from);
    expect(ends(preferences)).toEqual([[1, 1], [0, 2], [3, 3], [2, 4]]); // prettier-ignore
    const details = preferences.map(({ detail }) => detail);
    [km(20) / 2, km(10) * 2, km(40)].forEach((expected, index) => {
      expect(details[index]).toBeCloseTo(expected, 6);
    });
  });

  test('without a place of the client, all regions are one group', () => {
    expect(ends(prepareNearest({ bias: new Map(), withinKm: 0 }, contextOf())(NOWHERE))).toEqual([[0, 4], [1, 4], [2, 4], [3, 4]]); // prettier-ignore
  });
});

describe('latency', () => {
  const builder = createLatencyBuilder();
  const [ofNetwork, ofAsn, ofCountry] = [builder.network(new Uint32Array(1), 8), builder.asn(64_500), builder.country('KR')]; // prettier-ignore
  builder.set(ofNetwork, builder.column('d'), 30, 0);
  builder.set(ofNetwork, builder.column('b'), 25, 0);
  builder.set(ofAsn, builder.column('a'), 5, 0);
  builder.set(ofCountry, builder.column('c'), 5, 0);
  const table = builder.done();
  const source = { table, networkRow: ({ networks }: Location) => (networks.length > 0 ? ofNetwork : -1) };
  const step = prepareLatency({ table: 't', withinMs: 5 }, contextOf({ latency: new Map([['t', source]]) }));
  const place = { ...NOWHERE, latitude: 0, longitude: 0 };

  test('measured regions come first, then the others, nearest first', () => {
    const preferences = step({ ...place, networks: [0] });
    expect(preferences).toEqual([
      { region: 1, end: 2, detail: 25 },
      { region: 3, end: 2, detail: 30 },
      { region: 0, end: 3, detail: Number.NaN },
      { region: 2, end: 4, detail: Number.NaN },
    ]);
  });

  test('the row is that of the network, else of the AS, else of the country', () => {
    const all = { ...NOWHERE, asn: 64_500, country: 'KR' };
    expect(measuredRow(source, { ...all, networks: [0] })).toBe(ofNetwork);
    expect(measuredRow(source, all)).toBe(ofAsn);
    expect(measuredRow(source, { ...all, asn: 1 })).toBe(ofCountry);
    expect(measuredRow(source, NOWHERE)).toBe(-1);
    expect(ends(step(place))).toEqual([[0, 1], [1, 2], [3, 3], [2, 4]]); // prettier-ignore
  });

  test('a table that was not read is an error of the program', () => {
    expect(() => prepareLatency({ table: 'other', withinMs: 0 }, contextOf())).toThrow('other has not been read');
  });
});

describe('geo', () => {
  const KEYS: readonly GeoKey[] = [
    { kind: 'default', text: 'default' },
    { kind: 'continent', continent: 'asia', text: 'asia' },
    { kind: 'area', area: 'AP', text: 'AP' },
    { kind: 'country', country: 'US', text: 'us' },
    { kind: 'subdivision', subdivision: 'US-CA', text: 'US-CA' },
    { kind: 'city', place: 'US', city: foldCity('Los Ángeles'), text: 'US/Los Ángeles' },
    { kind: 'asn', asn: 64_500, text: 'AS64500' },
    { kind: 'network', prefix: NETWORK, text: '192.0.2.0/24' },
  ];
  const WHERE: Location = { ...NOWHERE, country: 'US', subdivision: 'US-CA', city: 'LOS ÁNGELES', area: 'AP', continent: 'asia', asn: 64_500, networks: [7] }; // prettier-ignore
  const regions = KEYS.map((_, index) => ({ name: `r${index}`, point: undefined }));
  const map = KEYS.map((key, index): GeoEntry => ({ key, regions: [`r${index}`] }));
  const local = ({ region, end, detail }: Preference): readonly number[] => [region, end, detail];

  test('the most specific key is first; each has its region once, and its index as the detail', () => {
    const broadestLast = prepareGeo({ map, fence: false }, contextOf({ regions }))(WHERE);
    expect(broadestLast.map(local)).toEqual([7, 6, 5, 4, 3, 2, 1, 0].map((region, index) => [region, index + 1, region])); // prettier-ignore
    const [first, second] = [{ key: KEYS[3], regions: ['r1', 'r2', 'unknown'] }, { key: KEYS[0], regions: ['r2', 'r4', 'r1'] }] as [GeoEntry, GeoEntry]; // prettier-ignore
    const twice = prepareGeo({ map: [first, second], fence: false }, contextOf({ regions }))(WHERE);
    expect(twice.map(local)).toEqual([[1, 1, 0], [2, 2, 0], [4, 3, 1]]); // prettier-ignore
  });

  test('a fence leaves only the most specific key, and none ends the search', () => {
    expect(prepareGeo({ map, fence: true }, contextOf({ regions }))(WHERE).map(local)).toEqual([[7, 1, 7]]);
    const none = map.map((entry) => (entry.key.kind === 'area' ? { ...entry, regions: [] } : entry));
    const preferences = prepareGeo({ map: none, fence: false }, contextOf({ regions }))({ ...WHERE, country: 'KR', subdivision: '', asn: 0, networks: [] }); // prettier-ignore
    expect(preferences.map(({ region }) => region)).toEqual([NO_ANSWER]);
  });

  test('the text of a value', () => {
    const value = (names: readonly string[], ttlSeconds?: number): string => entryText({ key: { kind: 'default', text: 'default' }, regions: names, ttlSeconds }); // prettier-ignore
    expect([value([]), value(['a', 'b']), value(['a'], 0)]).toEqual(['none', 'a, b', 'a (ttl 0 s)']);
  });

  test('the step of a shared map is its digest in JSON; other values stay', () => {
    const shared = { map, fence: false, shared: { name: 'm', zone: undefined, digest: 'd' } };
    expect(withoutSharedMap(shared)).toEqual({ shared: 'd' });
    for (const value of [undefined, null, 7, 'shared', { shared: 1 }, { map }]) expect(withoutSharedMap(value)).toBe(value); // prettier-ignore
  });
});
