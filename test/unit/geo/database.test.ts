import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { buildAtlas } from '../../../geo/atlas.ts';
import { openDatabase } from '../../../geo/database.ts';
import { lookupClass } from '../../../geo/find-class.ts';
import { BUNDLED_ATTRIBUTION, openGeography } from '../../../geo/geography.ts';
import { parseAddress } from '../../../wire/address.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';
import { NOW_MS, openBytes, temporaryFolder, treesOf } from './databases.ts';

const folder = temporaryFolder();
const KR = { country: { iso_code: 'KR' } };
const good = writeMmdb([['192.0.2.0/24', KR]]);
const DAY_SECONDS = 86_400;

/** The file with what `change` does to a copy of it. */
function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(good);
  change(bytes);
  return bytes;
}

describe('an unusable file is one diagnostic', () => {
  test.for([
    ['text', 'PH401', 'not an mmdb file', 'network,country\n192.0.2.0/24,KR\n'],
    ['nothing', 'PH401', 'not an mmdb file', ''],
    ['its second half missing', 'PH401', 'end is missing', good.subarray(0, good.length / 2)],
    ['its first half missing', 'PH402', 'broken', good.subarray(good.length / 2)],
    ['metadata cut off', 'PH402', 'broken', good.subarray(0, good.length - 20)],
    [
      'metadata only',
      'PH402',
      'inside its tree',
      good.subarray(good.lastIndexOf(Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1'))),
    ],
    ['a tree with a circle', 'PH402', 'circle', changed((bytes) => bytes.fill(0, 0, 3))],
    ['a tree that points past the data', 'PH402', 'outside the data', changed((bytes) => bytes.fill(0xff, 3, 6))],
    [
      'data of an unknown kind',
      'PH402',
      'broken',
      changed((bytes) => bytes.fill(0, good.indexOf('country') - 2, good.indexOf('country') + 4)),
    ],
    ['the next version of the format', 'PH405', 'version 3', writeMmdb([['192.0.2.0/24', KR]], { majorVersion: 3 })],
    [
      'no geography',
      'PH403',
      'Anonymous-IP',
      writeMmdb([['192.0.2.0/24', { is_anonymous: true }]], { type: 'Anonymous-IP' }),
    ],
    ['no network at all', 'PH403', 'has no country', writeMmdb([])],
  ] as const)('%s: %s', ([, code, words, bytes]) => {
    const { database, diagnostics, path } = openBytes(folder, bytes);
    expect(database).toBeUndefined();
    expect(diagnostics).toMatchObject([{ code, severity: 'error', place: { file: path } }]);
    expect(diagnostics[0]?.message).toContain(words);
    expect(diagnostics[0]?.hint).toBeTruthy();
  });

  test.for([
    ['missing.mmdb', 'there is no such file'],
    ['.', 'it is a folder'],
  ] as const)('%s: PH400, at the place where it was named', ([name, why]) => {
    const report = createReport();
    const place = { file: 'pharos.yaml', line: 3, column: 9 };
    expect(openDatabase(join(folder, name), report, { place })).toBeUndefined();
    expect(report.diagnostics).toMatchObject([{ code: 'PH400', place }]);
    expect(report.diagnostics[0]?.message).toContain(why);
  });

  test('no single changed octet makes it throw or hang', () => {
    const every = Math.max(1, Math.round(good.length / trials(good.length)));
    for (let at = createDice(printedSeed('changed octets')).below(every); at < good.length; at += every) {
      for (const value of [0x00, 0x5a, 0xff]) {
        const { database, diagnostics } = openBytes(
          folder,
          changed((bytes) => bytes.fill(value, at, at + 1)),
        );
        expect(database !== undefined || diagnostics.length === 1, `octet ${at} = ${value}`).toBe(true);
      }
    }
  });
});

describe('what the file says about itself', () => {
  test('type, age and contents', () => {
    const { database, diagnostics } = openBytes(
      folder,
      writeMmdb([['192.0.2.0/24', KR]], { type: 'GeoLite2-Country' }),
    );
    expect(diagnostics).toEqual([]);
    expect(database?.info).toMatchObject({
      name: 'test.mmdb',
      type: 'GeoLite2-Country',
      bundled: false,
      builtAtMs: 1_780_000_000_000,
      ageDays: 10,
      ipVersion: 6,
      records: 1,
      has: { country: true, subdivision: false, city: false, point: false, asn: false },
    });
  });

  test.for([
    [365, []],
    [366, ['PH404']],
    [2000, ['PH404']],
  ] as const)('%i days old: %o', ([days, codes]) => {
    const builtAt = NOW_MS / 1000 - days * DAY_SECONDS;
    const { database, diagnostics } = openBytes(folder, writeMmdb([['192.0.2.0/24', KR]], { builtAt }));
    expect(database?.info.ageDays).toBe(days);
    expect(diagnostics.map(({ code, severity }) => `${severity} ${code}`)).toEqual(
      codes.map((code) => `warning ${code}`),
    );
  });

  test('a file packed with gzip is unpacked', () => {
    expect(openBytes(folder, gzipSync(good)).database?.info.records).toBe(1);
  });
});

describe('every tree of the format', () => {
  for (const recordBits of [24, 28, 32] as const) {
    for (const ipVersion of [4, 6] as const) {
      test(`records of ${recordBits} bits, IPv${ipVersion}`, () => {
        const { database } = openBytes(
          folder,
          writeMmdb(
            [
              ['192.0.2.0/24', KR],
              ['10.0.0.0/8', { asn: 64500 }],
            ],
            { recordBits, ipVersion },
          ),
        );
        const atlas = buildAtlas(database ? [database] : [], [], new Map());
        const found = lookupClass(atlas.nodes, atlas.v4Root, Uint8Array.of(192, 0, 2, 1), 0, 32);
        expect(atlas.locations[found >>> 8]?.country).toBe('KR');
        expect(atlas.v6Root).toBe(~0);
      });
    }
  }
});

describe('the bundled database', () => {
  const report = createReport();
  const { sources, info } = openGeography({ databases: [] }, report, { nowMs: Date.UTC(2026, 6, 1) });
  const atlas = buildAtlas(treesOf(sources), [], new Map());

  test('opens without a message', () => {
    expect(report.diagnostics).toEqual([]);
    expect(info).toMatchObject([{ bundled: true, ipVersion: 6, has: { country: true } }]);
    expect(BUNDLED_ATTRIBUTION.url).toMatch(/^https:/);
  });

  test.for([
    ['211.104.0.1', 'KR'],
    ['73.1.2.3', 'US'],
    ['126.0.1.1', 'JP'],
    ['84.128.1.1', 'DE'],
    ['86.40.1.1', 'IE'],
    ['177.0.1.1', 'BR'],
    ['41.0.1.1', 'ZA'],
    ['101.160.1.1', 'AU'],
    ['2001:2d8::1', 'KR'],
    ['2601:600::1', 'US'],
    ['2400:4050::1', 'JP'],
    ['2003:c0::1', 'DE'],
    ['10.0.0.1', ''],
    ['192.0.2.1', ''],
    ['fd00::1', ''],
  ] as const)('%s is in %s', ([text, countryCode]) => {
    const bytes = parseAddress(text) ?? new Uint8Array(4);
    const root = bytes.length === 4 ? atlas.v4Root : atlas.v6Root;
    expect(atlas.locations[lookupClass(atlas.nodes, root, bytes, 0, bytes.length * 8) >>> 8]?.country).toBe(
      countryCode,
    );
  });

  test('every class has a point, except those without a place', () => {
    expect(atlas.locations.slice(1).filter((at) => Number.isNaN(at.latitude) || at.continent === '')).toEqual([]);
  });
});

test('of several databases the readable ones are returned, and every mistake is reported', () => {
  const place = { file: 'pharos.yaml', line: 1, column: 1 };
  writeFileSync(join(folder, 'good.mmdb'), good);
  const report = createReport();
  const paths = ['a.mmdb', 'good.mmdb', 'b.mmdb'].map((name) => ({ path: join(folder, name), place }));
  expect(openGeography({ databases: paths }, report, { nowMs: NOW_MS }).info.map(({ name }) => name)).toEqual([
    'good.mmdb',
  ]);
  expect(report.diagnostics.map(({ code }) => code)).toEqual(['PH400', 'PH400']);
});
