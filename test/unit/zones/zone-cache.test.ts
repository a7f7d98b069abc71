/**
 * Large zones in the cache: a zone with unchanged files is not read again, and answers as one that was read. Every
 * doubt about an entry means reading the files.
 */
import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createPartStore } from '../../../zones/image/part-store.ts';
import { loadWithZones, loadWorld, type LoadedWorld } from '../../../zones/load-generation.ts';
import type { Serials } from '../../../zones/serials.ts';
import { LEAST_RECORDS, ZONE_FORMAT } from '../../../zones/zone-cache.ts';
import { T } from '../../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY, type Files } from '../../support/pharos.ts';

const ZONE = 'zone: big.example\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\ninclude: [big.db]\n';
/** With a wildcard, a delegation with glue, names in data, and a warning (PH353). */
const MASTER = `$TTL 300
$GENERATE 1-${LEAST_RECORDS} h$ A 192.0.2.1
*.wild MX 10 h1
sub NS ns.sub
ns.sub A 192.0.2.54
mail MX 10 nothing
$INCLUDE more.db
`;
const FILES: Files = {
  ...NO_GEOGRAPHY,
  'zones/big.yaml': ZONE,
  'zones/big.db': MASTER,
  'zones/more.db': 'more 60 TXT "one"\n',
};

type Loaded = LoadedWorld & { readonly isRead: boolean; readonly codes: readonly string[] };

function load(path: string, serials: Serials = new Map(), isCached = true, version = '1'): Loaded {
  const cache = isCached ? { user: join(path, 'cache'), keepsInState: false, version } : undefined;
  const outcome = loadWorld(
    { file: undefined, cwd: path, env: { ADDRESS: '192.0.2.53' }, cores: 1, serials, cache },
    createPartStore((octets) => new SharedArrayBuffer(octets)),
  );
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  const codes = outcome.diagnostics.map(({ code }) => code).sort();
  return { ...outcome.value, isRead: outcome.value.zones.length > 0, codes };
}

const QUERIES: readonly (readonly [string, number])[] = [
  ['big.example', T.SOA],
  ['h7.big.example', T.A],
  ['H20000.big.example', T.A],
  ['x.wild.big.example', T.MX],
  ['x.sub.big.example', T.A],
  ['more.big.example', T.TXT],
  ['none.big.example', T.A],
];

function answersOf({ world }: LoadedWorld): unknown[] {
  const answering = answeringFrom(world.generation);
  return QUERIES.map(([name, type]) => answering.ask(name, type));
}

function entries(path: string): string[] {
  return readdirSync(join(path, 'cache')).filter((name) => name.startsWith('zone-'));
}

describe('a large zone', () => {
  test('is read once, and then answers from the cache: the same answers, warnings and catalog', () => {
    using folder = folderOf(FILES);
    const fresh = load(folder.path, new Map(), false);
    const first = load(folder.path);
    const second = load(folder.path);
    expect([fresh.isRead, first.isRead, second.isRead]).toEqual([true, true, false]);
    expect(fresh.codes).toContain('PH353');
    expect(second.codes).toEqual(fresh.codes);
    expect(answersOf(second)).toEqual(answersOf(fresh));
    expect(second.world.generation.catalog).toEqual(fresh.world.generation.catalog);
    expect(second.world.generation.serials).toEqual(fresh.world.generation.serials);
  });

  test('has the serial of this start, not that of the entry', () => {
    using folder = folderOf(FILES);
    const { digest } = [...load(folder.path).world.generation.serials.values()][0] ?? { digest: '' };
    const key = '\u0003big\u0007example\u0000';
    const kept = load(folder.path, new Map([[key, { serial: 4_000_000_001, digest }]]));
    const other = load(folder.path, new Map([[key, { serial: 4_000_000_001, digest: 'of other content' }]]));
    expect([kept.isRead, other.isRead]).toEqual([false, false]);
    expect(kept.world.generation.catalog.zones.map(({ serial }) => serial)).toEqual([4_000_000_001]);
    expect(other.world.generation.catalog.zones.map(({ serial }) => serial)).toEqual([4_000_000_002]);
    const fresh = load(folder.path, new Map([[key, { serial: 4_000_000_001, digest }]]), false);
    expect(answersOf(kept)).toEqual(answersOf(fresh));
  });

  test('is read where its records are needed', () => {
    using folder = folderOf(FILES);
    load(folder.path);
    const cache = { user: join(folder.path, 'cache'), keepsInState: false, version: '1' };
    const outcome = loadWithZones({ file: undefined, cwd: folder.path, env: {}, cores: 1, cache });
    expect(outcome.ok && outcome.value.zones.length).toBe(1);
  });

  test('reloads from the cache as from files', () => {
    using folder = folderOf(FILES);
    load(folder.path);
    const store = createPartStore((octets) => new SharedArrayBuffer(octets));
    const input = { file: undefined, cwd: folder.path, env: {}, cores: 1, serials: new Map() };
    const first = loadWorld(
      { ...input, cache: { user: join(folder.path, 'cache'), keepsInState: false, version: '1' } },
      store,
    );
    if (!first.ok) throw new Error('it has mistakes');
    const same = loadWorld(input, store, first.value.world);
    expect([first.value.zones.length, same.ok && same.value.isUnchanged]).toEqual([0, true]);
    writeFileSync(join(folder.path, 'zones/more.db'), 'more 60 TXT "two"\n');
    const changed = loadWorld(input, store, first.value.world);
    if (!changed.ok) throw new Error('it has mistakes');
    expect(changed.value.zones.length).toBe(1);
    expect(answersOf(changed.value)).toEqual(answersOf(load(folder.path, first.value.world.generation.serials, false)));
  });
});

describe('a zone is read again', () => {
  test.for<[string, Files]>([
    ['with another record', { 'zones/big.db': `${MASTER}new A 192.0.2.9\n` }],
    ['with another included file', { 'zones/more.db': 'more 60 TXT "two"\n' }],
    ['with another YAML file', { 'zones/big.yaml': `${ZONE}ttl: 77\n` }],
    ['with a zone below it', { 'zones/sub.yaml': 'zone: sub.big.example\nnameservers: [ns.example.net.]\n' }],
    ['with other settings', { 'pharos.yaml': 'geo: { databases: [small.mmdb] }\nregions: { eu: {} }\n' }],
  ])('%s', ([, files]) => {
    using folder = folderOf(FILES);
    load(folder.path);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder.path, name), content);
    const next = load(folder.path);
    expect(next.world.known.readings.items.length).toBe('zones/sub.yaml' in files ? 2 : 1);
    expect(next.zones.map(({ file }) => file)).toContain(join(folder.path, 'zones/big.yaml'));
    expect(answersOf(next)).toEqual(answersOf(load(folder.path, new Map(), false)));
  });

  test('by another version of Pharos', () => {
    using folder = folderOf(FILES);
    load(folder.path);
    expect(load(folder.path, new Map(), true, '2').isRead).toBe(true);
  });

  test('whose file has another content, at the same size and time', () => {
    using folder = folderOf(FILES);
    load(folder.path);
    const path = join(folder.path, 'zones/more.db');
    const { atime, mtime } = statSync(path);
    writeFileSync(path, 'more 60 TXT "two"\n');
    utimesSync(path, atime, mtime);
    const next = load(folder.path);
    expect(next.isRead).toBe(true);
    expect(answersOf(next)).toEqual(answersOf(load(folder.path, new Map(), false)));
  });

  test.for<[string, (path: string) => void]>([
    ['a damaged octet', (path) => { const octets = readFileSync(path); octets[octets.length - 99] = ~(octets[octets.length - 99] ?? 0); writeFileSync(path, octets); }], // prettier-ignore
    ['a damaged head', (path) => { const octets = readFileSync(path); octets[70] = ~(octets[70] ?? 0); writeFileSync(path, octets); }], // prettier-ignore
    ['a short file', (path) => { truncateSync(path, 5000); }], // prettier-ignore
    ['an empty file', (path) => { truncateSync(path, 0); }], // prettier-ignore
    ['a file that others may write', (path) => { chmodSync(path, 0o666); }], // prettier-ignore
  ])('whose entry is %s', ([, harm]) => {
    using folder = folderOf(FILES);
    const first = load(folder.path);
    const [entry = ''] = entries(folder.path);
    harm(join(folder.path, 'cache', entry));
    const next = load(folder.path);
    expect(next.isRead).toBe(true);
    expect(answersOf(next)).toEqual(answersOf(first));
    // It was written anew.
    expect(load(folder.path).isRead).toBe(false);
  });
});

test.for<[string, Files]>([
  ['a small zone', { 'zones/big.db': 'a A 192.0.2.1\nmore A 192.0.2.1\n' }],
  ['a zone with services', { 'zones/big.yaml': `${ZONE}services: { www: { vips: { a: { A: 203.0.113.1 } } } }\n` }],
  [
    'a zone with variables',
    { 'zones/big.yaml': `${ZONE}checks: { web: { type: http, headers: { Token: "\${ADDRESS}" } } }\n` },
  ],
])('%s is not kept', ([, files]) => {
  using folder = folderOf({ ...FILES, ...files });
  load(folder.path);
  expect(entries(folder.path)).toEqual([]);
});

test('the format of an entry has this number', () => {
  using folder = folderOf(FILES);
  load(folder.path);
  const [entry = ''] = entries(folder.path);
  const octets = readFileSync(join(folder.path, 'cache', entry));
  // The part of the image follows what reading told, which has paths and times.
  const part = octets.subarray(64 + 4 + octets.readInt32LE(64));
  const { serial } = load(folder.path).world.generation.catalog.zones[0] ?? { serial: 0 };
  const head = Buffer.alloc(4);
  head.writeUInt32BE(serial);
  for (let at = part.indexOf(head); at >= 0; at = part.indexOf(head, at)) part.fill(0, at, at + 4);
  part.writeInt32LE(0, 40);
  const digest = createHash('sha256').update(part).digest('hex').slice(0, 16);
  // If this fails, raise ZONE_FORMAT and write its number and the new digest here.
  expect([ZONE_FORMAT, digest]).toEqual([4, '11ac8ac8d9d1b4c4']);
});
