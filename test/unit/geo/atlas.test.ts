import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { At } from '../../../config/settings.ts';
import { buildAtlas, compileMap, startBitsFor, type Atlas } from '../../../geo/atlas.ts';
import { ATLAS, lookupClass, lookupOutcome, MAX_START_BITS, OUTCOME_LIMIT } from '../../../geo/find-class.ts';
import type { Location } from '../../../geo/location.ts';
import { formatPrefix, parseAddress, type Prefix } from '../../../wire/address.ts';
import type { MmdbValue } from '../../support/mmdb.ts';
import { createDice, printedSeed, type Dice } from '../../support/random.ts';
import { opened, temporaryFolder } from './databases.ts';
import { locate, prefixOf, scopeOf, type DatabaseText } from './reference.ts';

const folder = temporaryFolder();
const seed = printedSeed('random networks');

const KR = { country: { iso_code: 'KR' } };
const JP = { country: { iso_code: 'JP' } };
const CALIFORNIA = {
  country: { iso_code: 'US' },
  subdivisions: [{ iso_code: 'CA' }],
  location: { latitude: 37.4, longitude: -122.1 },
};

function addressOf(text: string): Uint8Array {
  const bytes = parseAddress(text);
  if (!bytes) throw new Error(`${text} is not an address`);
  return bytes;
}

function locationOf(atlas: Atlas, text: string): Location | undefined {
  const bytes = addressOf(text);
  const root = bytes.length === 4 ? atlas.v4Root : atlas.v6Root;
  return atlas.locations[lookupClass(atlas.nodes, root, bytes, 0, bytes.length * 8) >>> 8];
}

/** [outcome, scope] of a map in which every class of `key` has a separate outcome. */
function outcomeAt(atlas: Atlas, key: (location: Location) => string, text: string): [string, number] {
  const keys: string[] = [];
  const outcomeOf = (location: Location): number => {
    if (!keys.includes(key(location))) keys.push(key(location));
    return keys.indexOf(key(location));
  };
  const map = compileMap(atlas, outcomeOf, 6);
  const bytes = addressOf(text);
  const found = lookupOutcome(atlas.nodes, map.starts, map.outcomes, map.mixed, bytes, 0, bytes.length * 8);
  return [keys[found >>> 8] ?? '?', found & 0xff];
}

describe('an address has the location of the first database that knows it', () => {
  const city = opened(folder, [
    ['192.0.2.0/24', CALIFORNIA],
    ['203.0.113.0/24', KR],
    ['2001:db8::/32', JP],
  ]);
  const country = opened(folder, [
    ['192.0.2.0/23', { country_code: 'CA' }],
    ['198.51.100.0/24', { country_code: 'DE' }],
  ]);
  const asn = opened(folder, [['192.0.2.0/25', { autonomous_system_number: 64500 }]]);
  const atlas = buildAtlas([asn, city, country], [], new Map());

  test.for([
    ['192.0.2.1', 'US', 'US-CA', 'north-america', 37.4, 64500],
    ['192.0.2.200', 'US', 'US-CA', 'north-america', 37.4, 0],
    ['192.0.3.1', 'CA', '', 'north-america', 56.130366, 0],
    ['203.0.113.9', 'KR', '', 'asia', 35.907757, 0],
    ['198.51.100.9', 'DE', '', 'europe', 51.165691, 0],
    ['2001:db8::1', 'JP', '', 'asia', 36.204824, 0],
    ['10.0.0.1', '', '', '', Number.NaN, 0],
    ['2001:db9::1', '', '', '', Number.NaN, 0],
  ] as const)('%s: %s %s', ([address, countryCode, subdivision, continent, latitude, as]) => {
    expect(locationOf(atlas, address)).toMatchObject({
      country: countryCode,
      subdivision,
      continent,
      latitude,
      asn: as,
    });
  });
});

describe("an operator's network is where the operator says", () => {
  const database = opened(folder, [
    ['10.0.0.0/8', { ...CALIFORNIA, autonomous_system_number: 64500 }],
    ['2001:db8::/32', CALIFORNIA],
  ]);
  const networks = ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '2001:db8:1::/48', '10.1.0.0/16'].map(prefixOf);
  const operator = new Map<number, At>([
    [0, { kind: 'country', country: 'KR' }],
    [1, { kind: 'point', latitude: 1.5, longitude: 2.5 }],
    [3, { kind: 'country', country: 'JP' }],
  ]);
  const atlas = buildAtlas([database], networks, operator);

  test.for([
    ['10.9.9.9', { country: 'KR', subdivision: '', continent: 'asia', asn: 64500, networks: [0] }],
    ['10.1.9.9', { country: '', continent: '', latitude: 1.5, longitude: 2.5, asn: 64500, networks: [1, 4, 0] }],
    ['10.1.2.9', { country: '', latitude: 1.5, asn: 64500, networks: [2, 1, 4, 0] }],
    ['2001:db8:1::9', { country: 'JP', networks: [3] }],
    ['2001:db8:2::9', { country: 'US', subdivision: 'US-CA', networks: [] }],
  ] as const)('%s: %o', ([address, expected]) => {
    expect(locationOf(atlas, address)).toMatchObject(expected);
  });
});

describe('IPv4 inside IPv6 is not walked twice', () => {
  const rows: [string, MmdbValue][] = Array.from({ length: 256 }, (_, i) => [`11.${i}.0.0/16`, i % 2 ? KR : JP]);
  const plain = buildAtlas([opened(folder, rows, { aliases: [] })], [], new Map());
  const aliased = buildAtlas([opened(folder, rows)], [], new Map());

  test('aliases cost no nodes', () => {
    expect(aliased.nodes.length).toBe(plain.nodes.length);
  });
  test.for(['::11.1.0.1', '::ffff:11.1.0.1', '2002:b01:1::', '2001:0:b01:1::'])('%s has no place', (address) => {
    expect(locationOf(aliased, address)).toBe(aliased.locations[0]);
  });
  test('the IPv4 address itself is found', () => {
    expect(locationOf(aliased, '11.1.0.1')?.country).toBe('KR');
  });
});

describe('a scope is the shortest prefix of one outcome', () => {
  const atlas = buildAtlas(
    [
      opened(folder, [
        ['192.0.2.0/25', KR],
        ['192.0.2.128/25', JP],
        ['198.51.100.0/24', CALIFORNIA],
      ]),
    ],
    [],
    new Map(),
  );
  test.for([
    ['all alike', () => 'one', '192.0.2.1', ['one', 0]],
    ['by country', (at: Location) => at.country, '192.0.2.1', ['KR', 25]],
    ['by continent', (at: Location) => at.continent, '192.0.2.1', ['asia', 24]],
    ['one against the rest', (at: Location) => (at.country === 'US' ? 'us' : 'rest'), '192.0.2.1', ['rest', 6]],
    ['IPv6 without data', (at: Location) => at.country, '2001:db8::1', ['', 0]],
  ] as const)('%s', ([, key, address, expected]) => {
    expect(outcomeAt(atlas, key, address)).toEqual(expected);
  });
  test('an outcome beyond the limit is rejected', () => {
    expect(() => compileMap(atlas, () => OUTCOME_LIMIT, 0)).toThrow(RangeError);
  });
});

test('equal neighbours become one leaf', () => {
  const rows: [string, MmdbValue][] = Array.from({ length: 256 }, (_, i) => [`192.0.2.${i}/32`, KR]);
  const atlas = buildAtlas([opened(folder, rows)], [], new Map());
  const bytes = addressOf('192.0.2.77');
  expect(lookupClass(atlas.nodes, atlas.v4Root, bytes, 0, 32) & 0xff).toBe(24);
  expect(atlas.nodes.length / ATLAS.WORDS).toBe(24);
});

test('without any database nothing has a place, and the scope is 0', () => {
  const atlas = buildAtlas([], [], new Map());
  expect(locationOf(atlas, '192.0.2.1')).toMatchObject({ country: '', networks: [] });
  expect(outcomeAt(atlas, (at) => at.country, '2001:db8::1')).toEqual(['', 0]);
});

test.for([
  [1, 16],
  [64, 16],
  [65, 15],
  [1000, 12],
  [100_000_000, 0],
] as const)('%i maps start with %i bits', ([maps, bits]) => {
  expect(startBitsFor(maps)).toBe(bits);
});

test('the packet path imports nothing', () => {
  const source = readFileSync(new URL('../../../geo/find-class.ts', import.meta.url), 'utf8');
  expect(source).not.toMatch(/^import|\bimport\(|\brequire\(/m);
});

test('the address may be anywhere in a buffer', () => {
  const atlas = buildAtlas([opened(folder, [['192.0.2.0/24', KR]])], [], new Map());
  const packet = Uint8Array.from([1, 2, 3, 192, 0, 2, 9]);
  expect(atlas.locations[lookupClass(atlas.nodes, atlas.v4Root, packet, 3, 32) >>> 8]?.country).toBe('KR');
});

describe('random networks give the same as a comparison with all of them', () => {
  const dice = createDice(seed);
  test.for(Array.from({ length: 12 }, (_, round) => round))('round %i', (round) => {
    const recordBits = ([24, 28, 32] as const)[round % 3] ?? 24;
    const texts: DatabaseText[] = [randomRows(dice, 30), randomRows(dice, 20), randomRows(dice, 10)];
    const networks = Array.from({ length: 12 }, () => prefixOf(randomNetwork(dice)));
    const operator = new Map<number, At>([
      [0, { kind: 'country', country: 'BR' }],
      [1, { kind: 'point', latitude: 10, longitude: 20 }],
      [2, { kind: 'country', country: 'ZA' }],
    ]);
    const atlas = buildAtlas(
      texts.map((rows) => opened(folder, rows, { recordBits, aliases: [] })),
      networks,
      operator,
    );
    const locationAt = (bytes: Uint8Array): Location => locate(bytes, texts, networks, operator);
    // Few outcomes, so that neighbours often agree.
    const outcomeOf = (at: Location): number => (at.country.charCodeAt(0) || 0) % 3;
    const map = compileMap(atlas, outcomeOf, (round * 3) % (MAX_START_BITS + 1));
    const edges: Prefix[] = [...texts.flat().map(([text]) => prefixOf(text)), ...networks];
    for (let i = 0; i < 60; i++) {
      const { bytes } = prefixOf(randomNetwork(dice, true));
      const root = bytes.length === 4 ? atlas.v4Root : atlas.v6Root;
      const bits = bytes.length * 8;
      const where = formatPrefix({ bytes, bits });
      const found = lookupClass(atlas.nodes, root, bytes, 0, bits);
      expect(atlas.locations[found >>> 8], where).toEqual(locationAt(bytes));
      const outcome = lookupOutcome(atlas.nodes, map.starts, map.outcomes, map.mixed, bytes, 0, bits);
      expect([outcome >>> 8, outcome & 0xff], where).toEqual([
        outcomeOf(locationAt(bytes)),
        scopeOf(bytes, edges, (address) => outcomeOf(locationAt(address))),
      ]);
    }
  });
});

/** Networks in a small part of the space, so that they nest and touch. */
function randomNetwork(dice: Dice, host = false): string {
  const v4 = dice.chance(0.5);
  const bytes = v4 ? Uint8Array.of(10, 0, 0, 0) : Uint8Array.from(addressOf('2a00::'));
  const from = v4 ? 8 : 16;
  const size = v4 ? 32 : 128;
  // 2000::/3 at least: broader ones would cover ::/96, where the file keeps IPv4.
  const bits = host ? size : 3 + dice.below((dice.chance(0.8) ? from + 8 : size) - 2);
  for (let bit = 0; bit < size; bit++) {
    const at = bit >> 3;
    const mask = 0x80 >> (bit & 7);
    // After the first few, bits are mostly 0, so that long networks overlap.
    const flip = bit >= from && dice.chance(bit < from + 6 ? 0.5 : 0.05);
    if (flip) bytes[at] = (bytes[at] ?? 0) | mask;
    if (bit >= bits) bytes[at] = (bytes[at] ?? 0) & ~mask;
  }
  return formatPrefix({ bytes, bits });
}

function randomRows(dice: Dice, count: number): DatabaseText {
  const values: readonly MmdbValue[] = [
    KR,
    JP,
    CALIFORNIA,
    { country_code: 'DE', latitude: 52.5, longitude: 13.4 },
    { asn: 'AS64501' },
    { country_code: 'FR', autonomous_system_number: 64502 },
    { continent: { code: 'EU' } },
    { nothing: true },
  ];
  // The last row keeps every file usable.
  return [
    ...Array.from({ length: count }, () => [randomNetwork(dice), dice.pick(values)] as const),
    ['10.255.255.255/32', KR] as const,
  ];
}
