/**
 * Random sequences of changed files: a generation that shares what did not change answers as one that is loaded from
 * scratch.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { createPartStore, type PartStore } from '../../../zones/image/part-store.ts';
import {
  loadGeneration,
  loadWorld,
  type LoadedGeneration,
  type LoadedWorld,
  type World,
} from '../../../zones/load-generation.ts';
import { T } from '../../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { LONG_TESTS, createDice, printedSeed, trials, type Dice } from '../../support/random.ts';

const APEXES = ['ex', 'a.ex', 'b.a.ex', 'c.ex', 'other'];
const LABELS = ['a', 'b', 'c', 'www', '*'];

function zoneText(dice: Dice, apex: string): string {
  const owners = dice.sample(['www', 'x', 'a', 'c', 'b.a', '*', 'deep.er'], dice.below(6));
  const records = owners.map((owner) =>
    dice.chance(0.2) && owner !== '*'
      ? `  "${owner}": { NS: [ns.${owner}] }`
      : `  "${owner}": { A: 192.0.2.${dice.below(250)}, MX: [10 www] }`,
  );
  const service = dice.chance(0.4)
    ? [`services: { svc: { vips: { v: { A: 203.0.113.${dice.below(3)} }, w: { A: 203.0.113.9 } } } }`]
    : [];
  const head = [`zone: ${apex}`, 'nameservers: [ns.example.net.]', 'soa: { serial: 7 }'];
  return [...head, ...(records.length > 0 ? ['records:', ...records] : []), ...service, ''].join('\n');
}

function loadChanged(cwd: string, store: PartStore, before: World | undefined): LoadedWorld {
  const outcome = loadWorld({ file: undefined, cwd, env: {}, cores: 1 }, store, before);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.value;
}

// The fast way is for files whose times are some seconds old.
const AGES = [
  ['just written', 0],
  ['written a minute ago', 60_000],
] as const;

afterEach(() => {
  vi.useRealTimers();
});

test.each(AGES)('answers are those of a load from scratch: files %s', (_, ageMs) => {
  vi.setSystemTime(Date.now() + ageMs);
  const dice = createDice(printedSeed('changed files'));
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/ex.yaml': zoneText(dice, 'ex') });
  const store = createPartStore((octets) => new SharedArrayBuffer(octets));
  let world: World | undefined;
  for (let round = 0; round < trials(40); round++) {
    const apex = dice.pick(APEXES);
    const path = join(folder.path, 'zones', `${apex}.yaml`);
    if (apex !== 'ex' && dice.chance(0.25)) rmSync(path, { force: true });
    else writeFileSync(path, zoneText(dice, apex));
    const loaded = loadChanged(folder.path, store, world);
    ({ world } = loaded);
    const scratch = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
    if (!scratch.ok) throw new Error('the files have mistakes');
    const { generation } = world;
    expect(generation.catalog).toEqual(scratch.value.catalog);
    if (!loaded.isUnchanged) expect(generation.files).toEqual(scratch.value.files);
    const [shared, fresh] = [answeringFrom(generation), answeringFrom(scratch.value)];
    for (let query = 0; query < 60; query++) {
      const labels = Array.from({ length: dice.below(3) }, () => dice.pick([...LABELS, 'svc', 'ns']));
      const name = [...labels, dice.pick(APEXES)].join('.');
      const type = dice.pick([T.A, T.NS, T.DS, T.MX, T.SOA, T.ANY]);
      expect(shared.ask(name, type), `round ${round}: ${name} ${type}`).toEqual(fresh.ask(name, type));
    }
  }
  expect(store.arena?.memory.byteLength).toBeLessThan(10 * 1024 * 1024);
});

test('a part that did not change keeps its memory, and nothing at all keeps the generation', () => {
  const zone = (apex: string, address: string): string =>
    `zone: ${apex}\nnameservers: [ns.example.net.]\nrecords: { www: { A: ${address} } }\n`;
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'zones/one.yaml': zone('one.example', '192.0.2.1'),
    'zones/two.yaml': zone('two.example', '192.0.2.1'),
  });
  const store = createPartStore((octets) => new SharedArrayBuffer(octets));
  const first = loadChanged(folder.path, store, undefined).world;
  const same = loadChanged(folder.path, store, first);
  expect([same.isUnchanged, same.world.generation]).toEqual([true, first.generation]);
  writeFileSync(join(folder.path, 'zones/two.yaml'), zone('two.example', '192.0.2.2'));
  const { world, zones, isUnchanged } = loadChanged(folder.path, store, same.world);
  expect(isUnchanged).toBe(false);
  expect(zones.map(({ file }) => file)).toEqual([join(folder.path, 'zones/two.yaml')]);
  const partOf = (of: World, name: string): unknown => of.compiled.get(join(folder.path, 'zones', name))?.part;
  expect(partOf(world, 'one.yaml')).toBe(partOf(first, 'one.yaml'));
  expect(partOf(world, 'two.yaml')).not.toBe(partOf(first, 'two.yaml'));
  expect(world.generation.image.plan).toBe(first.generation.image.plan);
  expect(world.generation.image.arena).toBe(first.generation.image.arena);
});

test.runIf(LONG_TESTS)('after 200 reloads the arena has been replaced, and has less than 12 MiB', () => {
  const large = (round: number): string =>
    `zone: large.example\nnameservers: [ns.example.net.]\ninclude: [large.db]\nrecords: { r: { TXT: "${round}" } }\n`;
  const records = Array.from({ length: 600 }, (_, i) => `h${i} TXT "${'x'.repeat(200)}"\n`).join('');
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/large.db': records, 'zones/large.yaml': large(0) });
  const arenas = new Set<SharedArrayBuffer>();
  const store = createPartStore((octets) => new SharedArrayBuffer(octets));
  let world: World | undefined;
  for (let round = 0; round < 200; round++) {
    writeFileSync(join(folder.path, 'zones/large.yaml'), large(round));
    ({ world } = loadChanged(folder.path, store, world));
    arenas.add(world.generation.image.arena);
  }
  expect(arenas.size).toBeGreaterThan(2);
  for (const { byteLength } of arenas) expect(byteLength).toBeLessThan(12 * 1024 * 1024);
});

describe('the atlas has the databases', () => {
  const zone = (more: string): string => `zone: ex\nnameservers: [ns.example.net.]\n${more}`;
  const service = 'services: { www: { vips: { v: { A: 203.0.113.1 } } } }\n';
  /** Where explain finds a client of the database, and one of geo.networks. */
  const placesIn = (generation: LoadedGeneration): string[] =>
    ['192.0.2.1', '10.0.0.1'].map((client) => {
      const explained = explainFrom(generation, { name: 'ex', type: 'SOA', client });
      if (!explained.ok) throw new Error(explained.message);
      return `${explained.trace.client.country} ${explained.trace.client.how}`;
    });
  const own = 'JP geo.networks of pharos.yaml: 10.0.0.0/8';
  const pharos = (more = ''): string =>
    `geo: { databases: [small.mmdb], networks: { 10.0.0.0/8: JP } }\nregions: { seoul: {} }\n${more}`;

  test('while there is a service or a beacon', () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'pharos.yaml': pharos(), 'zones/ex.yaml': zone('') });
    const store = createPartStore((octets) => new SharedArrayBuffer(octets));
    let world: World | undefined;
    const after = (file: string, text: string): string[] => {
      writeFileSync(join(folder.path, file), text);
      ({ world } = loadChanged(folder.path, store, world));
      return placesIn(world.generation);
    };
    const without = [' no zone has a service, so no geo database is loaded', own];
    const all = ['KR the geo database', own];
    expect(after('zones/ex.yaml', zone(''))).toEqual(without);
    expect(after('zones/ex.yaml', zone(service))).toEqual(all);
    expect(after('zones/ex.yaml', zone('records: { a: { A: 192.0.2.1 } }\n'))).toEqual(without);
    const small = world?.generation.atlas;
    // The same memory.
    expect(after('zones/ex.yaml', zone('records: { a: { A: 192.0.2.2 } }\n'))).toEqual(without);
    expect(world?.generation.atlas).toBe(small);
    expect(after('pharos.yaml', pharos('beacon: { urls: { seoul: "https://seoul.example.com/ping" } }\n'))).toEqual(
      all,
    );
  });

  test('for commands that show places', () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/ex.yaml': zone('') });
    const input = { file: undefined, cwd: folder.path, env: {}, cores: 1 };
    const loaded = [false, true].map((needsPlaces) => loadGeneration({ ...input, needsPlaces }));
    expect(loaded.map((outcome) => outcome.ok && placesIn(outcome.value)[0])).toEqual([
      ' no zone has a service, so no geo database is loaded',
      'KR the geo database',
    ]);
  });
});
