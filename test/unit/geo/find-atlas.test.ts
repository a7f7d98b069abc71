import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { observeReads } from '../../../config/read-file.ts';
import { ATLAS_FORMAT } from '../../../geo/atlas-format.ts';
import { buildAtlas } from '../../../geo/atlas.ts';
import { countryCodes } from '../../../geo/countries.ts';
import { findAtlas, type AtlasInputs, type FoundAtlas } from '../../../geo/find-atlas.ts';
import { openGeography, type DatabaseSource, type KnownDatabase } from '../../../geo/geography.ts';
import { latencyKinds } from '../../../geo/latency-classes.ts';
import { createLatencyBuilder } from '../../../geo/latency-table.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { createDice, printedSeed } from '../../support/random.ts';
import { NOW_MS, treesOf } from './databases.ts';
import { prefixOf, type DatabaseText } from './reference.ts';

const seed = printedSeed('atlases in a cache');
let base = '';
let folder = '';
let path = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'pharos-atlas-'));
  folder = join(base, 'cache');
  path = join(base, 'place.mmdb');
  writeFileSync(path, writeMmdb(ROWS));
});
afterEach(() => {
  rmSync(base, { recursive: true });
});

const ROWS: DatabaseText = [
  ['192.0.2.0/24', { country: { iso_code: 'KR' } }],
  ['198.51.100.0/24', { country: { iso_code: 'IE' }, location: { latitude: 53.3, longitude: -6.2 } }],
  ['2001:db8::/32', { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'CA' }] }],
];
const INPUTS: AtlasInputs = {
  networks: [prefixOf('192.0.2.128/25'), prefixOf('10.0.0.0/8')],
  operator: new Map([[1, { kind: 'country', country: 'JP' }]]),
  latency: [],
};

type Load = FoundAtlas & {
  /** How often a database was decoded to build it. */
  readonly decoded: number;
  readonly known: readonly KnownDatabase[];
};

function load(
  inputs: AtlasInputs = INPUTS,
  { inUse, known = [] }: { readonly inUse?: SharedArrayBuffer; readonly known?: readonly KnownDatabase[] } = {},
): Load {
  const cache = { read: [folder], write: [folder] };
  const report = createReport();
  const { sources } = openGeography({ databases: [{ path, place: { file: path } }] }, report, {
    nowMs: NOW_MS,
    cache,
    known,
  });
  expect(report.diagnostics).toEqual([]);
  let decoded = 0;
  const counting = sources.map((source): DatabaseSource => ({
    known: source.known,
    decode: () => {
      decoded += 1;
      return source.decode();
    },
  }));
  const allocate = (octets: number): SharedArrayBuffer => new SharedArrayBuffer(octets);
  const found = findAtlas(inputs, { sources: counting, cache, inUse, allocate });
  return { ...found, decoded, known: sources.map((source) => source.known) };
}

/** The atlas, built without any cache. */
function built(inputs: AtlasInputs = INPUTS): ReturnType<typeof buildAtlas> {
  const { sources } = openGeography({ databases: [{ path, place: { file: path } }] }, createReport(), {
    nowMs: NOW_MS,
  });
  return buildAtlas(treesOf(sources), inputs.networks, inputs.operator, inputs.latency);
}

function atlasFiles(): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('atlas-'));
}

describe('the atlas', () => {
  test('is built once, and then read: the same in every part', () => {
    const first = load();
    const second = load();
    expect([first.decoded, second.decoded]).toEqual([1, 0]);
    expect(first.atlas).toEqual(built());
    expect(second.atlas).toEqual(built());
  });

  test('of the generation in force is used again, without a look into the cache', () => {
    const first = load();
    rmSync(folder, { recursive: true });
    const second = load(INPUTS, { inUse: first.memory, known: first.known });
    expect(second.memory).toBe(first.memory);
    expect(second.decoded).toBe(0);
    expect(second.atlas).toEqual(built());
  });

  test('with latency tables has the kinds of every class', () => {
    const builder = createLatencyBuilder();
    for (const [text, seoul, dublin] of [
      ['192.0.2.0/26', 5, 90],
      ['198.51.100.0/24', 90, 5],
    ] as const) {
      const { bytes, bits } = prefixOf(text);
      const row = builder.network(Uint32Array.of(new DataView(Uint8Array.from(bytes).buffer).getUint32(0)), bits);
      builder.set(row, builder.column('seoul'), seoul, 1);
      builder.set(row, builder.column('dublin'), dublin, 1);
    }
    const { tree } = latencyKinds(builder.done(), [{ regions: ['seoul', 'dublin'], withinMs: 0 }]);
    const inputs = { ...INPUTS, latency: [tree] };
    const kinds = (atlas: FoundAtlas['atlas']): unknown => atlas.locations.map(({ latency }) => latency[0] ?? 0);
    expect(load(inputs).decoded).toBe(1);
    const again = load(inputs);
    expect(again.decoded).toBe(0);
    expect(kinds(again.atlas)).toEqual(kinds(built(inputs)));
    expect(new Set(kinds(again.atlas) as number[]).size).toBe(3);
    // Without the table it is another atlas.
    expect(load().decoded).toBe(1);
  });
});

describe('a new atlas is built', () => {
  const { networks, operator } = INPUTS;
  test.for<[string, AtlasInputs]>([
    ['a network more', { ...INPUTS, networks: [...networks, prefixOf('203.0.113.0/24')] }],
    ['another order of networks', { ...INPUTS, networks: networks.toReversed() }],
    ['another length', { ...INPUTS, networks: [prefixOf('192.0.2.128/26'), prefixOf('10.0.0.0/8')] }],
    ['another place of a network', { ...INPUTS, operator: new Map([[1, { kind: 'country', country: 'KR' }]]) }],
    ['a point', { ...INPUTS, operator: new Map([[1, { kind: 'point', latitude: 1, longitude: 2 }]]) }],
    ['another network with the place', { ...INPUTS, operator: new Map([[0, { kind: 'country', country: 'JP' }]]) }],
    ['no place', { networks, operator: new Map(), latency: [] }],
  ])('for %s', ([, inputs]) => {
    load();
    expect(operator.size).toBe(1);
    const other = load(inputs);
    expect(other.decoded).toBe(1);
    expect(other.atlas).toEqual(built(inputs));
  });

  test('for a changed database, at the same size and time', () => {
    const first = load();
    const before = readFileSync(path);
    const after = writeMmdb(ROWS.map(([network], row) => (row === 0 ? [network, { country: { iso_code: 'JP' } }] : ROWS[row] ?? [network, '']))); // prettier-ignore
    expect(after.length).toBe(before.length);
    writeFileSync(path, after);
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    const second = load(INPUTS, { inUse: first.memory, known: first.known });
    expect(second.decoded).toBe(1);
    expect(second.atlas).toEqual(built());
    expect(second.atlas.locations.map(({ country }) => country)).not.toContain('KR');
  });

  test(`if the file is damaged anywhere (PHAROS_SEED=${seed})`, () => {
    const dice = createDice(seed);
    const expected = load().atlas;
    for (let round = 0; round < 40; round++) {
      const [name = ''] = atlasFiles();
      const file = join(folder, name);
      const octets = readFileSync(file);
      const at = dice.below(octets.length);
      if (dice.chance(0.3)) writeFileSync(file, octets.subarray(0, at));
      else {
        octets[at] = (octets[at] ?? 0) ^ (1 + dice.below(255));
        writeFileSync(file, octets);
      }
      const found = load();
      expect(found.decoded, `octet ${at}`).toBe(1);
      expect(found.atlas).toEqual(expected);
      // It was written anew.
      expect(load().decoded).toBe(0);
    }
  });
});

test('a database that was not decoded says the same of itself', () => {
  const open = (nowMs: number): unknown => {
    const report = createReport();
    const cache = { read: [folder], write: [folder] };
    const { info } = openGeography({ databases: [{ path, place: { file: path } }] }, report, { nowMs, cache });
    return { info, diagnostics: report.diagnostics };
  };
  const later = NOW_MS + 400 * 86_400_000;
  const [first, old] = [open(NOW_MS), open(later)];
  expect([open(NOW_MS), open(later)]).toEqual([first, old]);
  rmSync(folder, { recursive: true });
  expect(open(later)).toEqual(old);
  expect(old).toMatchObject({ diagnostics: [{ code: 'PH404' }] });
});

test('a file that did not change since the last load is not read again', () => {
  // The bundled one: the stamp of a file that was just written says nothing.
  const open = (known: readonly KnownDatabase[]): readonly KnownDatabase[] =>
    openGeography({ databases: [] }, createReport(), { known }).sources.map((source) => source.known);
  const first = open([]);
  const marked = first.map((known) => ({ ...known, facts: { ...known.facts, type: 'marked' } }));
  expect(open(marked)).toEqual(marked);
  // With another stamp, what is known of it does not count.
  expect(open(marked.map((known) => ({ ...known, stamp: 'old' })))).toEqual(first);
  expect(open(marked.map((known) => ({ ...known, stamp: '' })))).toEqual(first);
});

describe('the digest of a database by its stamp', () => {
  /** What was read, and the databases. */
  const open = (): { readonly reads: string[]; readonly known: KnownDatabase[] } => {
    const reads: string[] = [];
    observeReads((file) => reads.push(file));
    const cache = { read: [folder], write: [folder] };
    const settings = { databases: [{ path, place: { file: path } }] };
    const { sources } = openGeography(settings, createReport(), { nowMs: NOW_MS, cache });
    return { reads, known: sources.map(({ known }) => known) };
  };
  // Otherwise the stamp of a file that was just written says nothing.
  beforeEach(() => {
    vi.setSystemTime(Date.now() + 60_000);
  });
  afterEach(() => {
    vi.useRealTimers();
    observeReads(() => undefined);
  });

  test('is kept for the next process, which reads nothing', () => {
    const first = open();
    expect(first.reads).toEqual([path]);
    expect(open()).toEqual({ reads: [], known: first.known });
  });

  test('is not used for other content, at the same size and time', () => {
    const first = open();
    const { atime, mtime } = statSync(path);
    const octets = readFileSync(path);
    octets[octets.indexOf('KR')] = 'I'.charCodeAt(0);
    octets[octets.indexOf('IR') + 1] = 'E'.charCodeAt(0);
    writeFileSync(path, octets);
    utimesSync(path, atime, mtime);
    const second = open();
    expect(second.reads).toEqual([path]);
    expect(second.known[0]?.digest).not.toBe(first.known[0]?.digest);
  });

  test('is not kept for a file that changed a moment ago', () => {
    vi.setSystemTime(statSync(path).ctime);
    expect([open().reads, open().reads]).toEqual([[path], [path]]);
  });

  test('is not used if the entry is damaged', () => {
    const first = open();
    const [entry = ''] = readdirSync(folder).filter((name) => name.startsWith('stamp-'));
    const octets = readFileSync(join(folder, entry));
    octets[octets.length - 3] = (octets.at(-3) ?? 0) ^ 1;
    writeFileSync(join(folder, entry), octets);
    expect(open()).toEqual({ reads: [path], known: first.known });
  });
});

test('a broken database is never taken for a known one', () => {
  load();
  writeFileSync(path, readFileSync(path).subarray(0, 200));
  const report = createReport();
  const cache = { read: [folder], write: [folder] };
  const { sources } = openGeography({ databases: [{ path, place: { file: path } }] }, report, { cache });
  expect(sources).toEqual([]);
  expect(report.diagnostics.map(({ code }) => code)).toEqual(['PH401']);
});

test('a folder keeps a few atlases', () => {
  for (let bits = 9; bits < 16; bits++)
    load({ ...INPUTS, networks: [...INPUTS.networks, prefixOf(`172.0.0.0/${bits}`)] });
  expect(atlasFiles()).toHaveLength(4);
});

/**
 * If this fails, what is made of the same databases and networks has changed: raise ATLAS_FORMAT, so that atlases kept
 * by an earlier version are not read, and write the new digest here.
 */
test('the content for a fixed input belongs to the number of the format', () => {
  const rows = countryCodes().map((code, index): DatabaseText[number] => {
    return [`${index >>> 8}.${index & 255}.0.0/16`, { country: { iso_code: code } }];
  });
  writeFileSync(path, writeMmdb([...rows, ...ROWS]));
  const { memory } = load();
  // The first 64 octets are the header of the entry, with the digest of the file.
  const digest = createHash('sha256').update(new Uint8Array(memory, 64)).digest('hex').slice(0, 16);
  expect([ATLAS_FORMAT, digest]).toEqual([3, '8beef7733a64f710']);
});
