/**
 * Databases with damaged numbers were loaded as valid and sent clients to the wrong region, and one without
 * `build_epoch`, or with an absurd one, caused an internal error. Every field of an external file may have any content.
 */
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { openDatabase } from '../../../geo/database.ts';
import { writeMmdb, type MmdbValue } from '../../support/mmdb.ts';
import { createDice, printedSeed } from '../../support/random.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-mmdb-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function open(bytes: Buffer) {
  const path = join(folder, 'test.mmdb');
  writeFileSync(path, bytes);
  const report = createReport();
  return { database: openDatabase(path, report), codes: report.diagnostics.map(({ code }) => code) };
}

const city = (latitude: number, longitude: number): MmdbValue => ({
  country: { iso_code: 'KR' },
  location: { latitude, longitude },
});
const networks = (value: MmdbValue): [string, MmdbValue][] => [
  ['192.0.2.0/24', value],
  ['198.51.100.0/24', city(38.95, -77.45)],
];

describe('an impossible position', () => {
  test.each([
    ['north of the pole', 90.001, 127.5],
    ['west of the date line', 37.5, -180.25],
    ['not a number', Number.NaN, 127.5],
    ['without end', 37.5, Number.POSITIVE_INFINITY],
    ['of a damaged exponent', -1.3e284, 127.5],
  ])('%s: PH407', (_, latitude, longitude) => {
    expect(open(writeMmdb(networks(city(latitude, longitude))))).toEqual({ database: undefined, codes: ['PH407'] });
  });

  test.each([
    [90, 180],
    [-90, -180],
    [0, 0],
  ])('%d, %d is one', (latitude, longitude) => {
    expect(open(writeMmdb(networks(city(latitude, longitude)))).database?.records).toHaveLength(3);
  });
});

test('doubles of another size than eight octets: PH402', () => {
  const bytes = writeMmdb(networks(city(37.57, 126.98)));
  // 0x68: a double of 8 octets. 0x65: one of 5.
  const at = bytes.indexOf(Buffer.from('\x48latitude\x68', 'latin1'));
  expect(at).toBeGreaterThan(0);
  bytes[at + 9] = 0x65;
  expect(open(bytes)).toEqual({ database: undefined, codes: ['PH402'] });
});

test('one unreadable record of many affects only its own addresses: PH408', () => {
  const many: [string, MmdbValue][] = Array.from({ length: 300 }, (_, index) => [
    `10.${Math.floor(index / 250)}.${index % 250}.0/24`,
    city(30 + index / 10 + 0.05, 100.5),
  ]);
  const bytes = writeMmdb(many);
  const double = Buffer.alloc(8);
  double.writeDoubleBE(30 + 100 / 10 + 0.05);
  bytes[bytes.indexOf(double) - 1] = 0x65;
  const { database, codes } = open(bytes);
  expect(codes).toContain('PH408');
  expect(database?.records.length).toBe(300);
});

describe('metadata', () => {
  const good = writeMmdb(networks(city(37.57, 126.98)));
  const changed = (from: string, to: string): Buffer => {
    const at = good.lastIndexOf(Buffer.from(from, 'latin1'));
    expect(at).toBeGreaterThan(0);
    const bytes = Buffer.from(good);
    bytes.write(to, at, 'latin1');
    return bytes;
  };
  test.each([
    ['no build_epoch', changed('build_epoch', 'build_epocx')],
    ['a build_epoch of 10^13', writeMmdb(networks(city(1.5, 1.5)), { builtAt: 1e13 })],
    ['a build_epoch of 2^63', writeMmdb(networks(city(1.5, 1.5)), { builtAt: 2 ** 63 })],
  ])('%s: PH406', (_, bytes) => {
    expect(open(bytes)).toEqual({ database: undefined, codes: ['PH406'] });
  });

  test('a type with control characters is shown without them', () => {
    expect(open(writeMmdb(networks(city(1.5, 1.5)), { type: '\u001b[31mCity\u202e' })).database?.info.type).toBe('[31mCity'); // prettier-ignore
  });
});

test('at random: a damaged file is rejected, or its content can be used', () => {
  const seed = printedSeed('database damage');
  const dice = createDice(seed);
  const good = writeMmdb([...networks(city(37.57, 126.98)), ['2001:db8::/32', { country: { iso_code: 'DE' } }]]);
  const metadataAt = good.lastIndexOf(Buffer.from('MaxMind.com', 'latin1'));
  for (let round = 0; round < 3000; round += 1) {
    const bytes = Buffer.from(good);
    const from = round % 2 === 0 ? metadataAt : 0;
    for (let left = 1 + dice.below(4); left > 0; left -= 1)
      bytes[from + dice.below(bytes.length - from)] = dice.below(256);
    const { database, codes } = open(bytes);
    if (database === undefined) {
      expect(codes, `seed ${seed}, round ${round}`).toHaveLength(1);
      continue;
    }
    const { builtAtMs, type, ageDays } = database.info;
    expect(() => new Date(builtAtMs).toISOString(), `seed ${seed}, round ${round}`).not.toThrow();
    expect([typeof type, Number.isInteger(ageDays)]).toEqual(['string', true]);
    for (const { latitude, longitude } of database.records) {
      if (!Number.isNaN(latitude)) expect(Math.abs(latitude)).toBeLessThanOrEqual(90);
      if (!Number.isNaN(longitude)) expect(Math.abs(longitude)).toBeLessThanOrEqual(180);
    }
  }
});
