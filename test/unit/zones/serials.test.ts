/**
 * `soa.serial: auto` rises with every change of content and never falls (docs/transfer.md#serials).
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeAtomically } from '../../../health/atomic-file.ts';
import { withEntries } from '../../../zones/layered-map.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import {
  createSerialsText,
  formatSerials,
  readSerials,
  SERIALS_FILE,
  type SerialEntry,
  type Serials,
} from '../../../zones/serials.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const KEY = '\u0007example\u0003com\u0000';
const zone = (more: string, soa = ''): string => `zone: example.com\nnameservers: [ns.example.net.]\n${soa}${more}`;

function load(text: string, serials: Serials, file = 'example.com.yaml'): Serials {
  using folder = folderOf({ ...NO_GEOGRAPHY, [`zones/${file}`]: text });
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1, serials });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  const served = outcome.value.catalog.zones[0]?.serial;
  expect(outcome.value.serials.get(KEY)?.serial ?? served).toBe(served);
  return outcome.value.serials;
}

const serialOf = (serials: Serials): number => serials.get(KEY)?.serial ?? Number.NaN;
const A = 'records: { www: { A: 192.0.2.1 } }\n';

describe('auto', () => {
  test('the first is the time, in seconds since 1970', () => {
    const now = Date.now() / 1000;
    expect(Math.abs(serialOf(load(zone(A), new Map())) - now)).toBeLessThan(60);
  });

  test('the same content keeps it, whatever the comments, blanks and the file are', () => {
    const first = load(zone(A), new Map());
    const later = new Map([[KEY, { serial: serialOf(first) - 1000, digest: first.get(KEY)?.digest ?? '' }]]);
    expect(serialOf(load(zone(`# nothing new\n\n${A}`), later))).toBe(serialOf(later));
    expect(serialOf(load(zone(A), later, 'other.yaml'))).toBe(serialOf(later));
  });

  test.each([
    ['an address', 'records: { www: { A: 192.0.2.2 } }\n'],
    ['a TTL', 'records: { www: { ttl: 7, A: 192.0.2.1 } }\n'],
    ['a type', 'records: { www: { TYPE65400: "\\\\# 4 c0000201" } }\n'],
    ['one more record', 'records: { www: { A: [192.0.2.1, 192.0.2.2] } }\n'],
    ['a service', `${A}services: { s: { vips: { v: { A: 192.0.2.3 } } } }\n`],
    ['a weight', `${A}services: { s: { vips: { v: { A: 192.0.2.3, weight: 2 } } } }\n`],
    [
      'the bias of a step',
      `${A}regions: { r: { at: KR } }\nservices: { s: { vips: { v: { region: r, A: 192.0.2.3 } }, steer: [nearest: { bias: { r: 5 } }] } }\n`,
    ],
  ])('%s makes it rise', (_, changed) => {
    const first = load(zone(A), new Map());
    expect(serialOf(load(zone(changed), first))).toBeGreaterThan(serialOf(first));
  });

  test('it rises by one if the clock was set back', () => {
    const ahead = new Map([[KEY, { serial: 4_000_000_000, digest: 'another' }]]);
    expect(serialOf(load(zone(A), ahead))).toBe(4_000_000_001);
  });

  test('a zone that is gone keeps its serial for when it comes back', () => {
    const entry = { serial: 5, digest: 'x' };
    expect(load(zone(A), new Map([['\u0003net\u0000', entry]])).get('\u0003net\u0000')).toEqual(entry);
  });
});

test('a stated serial is served unchanged', () => {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone(A, 'soa: { serial: 77 }\n') });
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  expect(outcome.ok && outcome.value.catalog.zones[0]?.serial).toBe(77);
  // Kept, so that `auto` rises above it, with an empty digest.
  expect(outcome.ok && outcome.value.serials).toEqual(new Map([[KEY, { serial: 77, digest: '' }]]));
});

describe('the state folder', () => {
  test('what was written is read, from a folder that did not exist', async () => {
    using folder = folderOf({});
    const state = join(folder.path, 'deep', 'state');
    const serials = new Map([
      [KEY, { serial: 4_294_967_295, digest: 'abc' }],
      ['', { serial: 1, digest: '', content: '"' }],
    ]);
    await writeAtomically(join(state, SERIALS_FILE), formatSerials(serials));
    expect(readSerials(state, expect.unreachable)).toEqual(serials);
    expect(JSON.parse(formatSerials(serials))).toEqual(Object.fromEntries(serials));
    expect(formatSerials(new Map())).toBe('{}\n');
    expect(readdirSync(state)).toEqual(['serials.json']);
  });

  test('a missing file gives no warning; an unreadable file gives one', () => {
    using folder = folderOf({});
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    expect(readSerials(folder.path, warn)).toEqual(new Map());
    expect(warnings).toEqual([]);
    writeFileSync(join(folder.path, 'serials.json'), '{ "half');
    expect(readSerials(folder.path, warn)).toEqual(new Map());
    writeFileSync(join(folder.path, 'serials.json'), '{ "x": 1 }');
    expect(readSerials(folder.path, warn)).toEqual(new Map());
    mkdirSync(join(folder.path, 'b', 'serials.json'), { recursive: true });
    expect(readSerials(join(folder.path, 'b'), warn)).toEqual(new Map());
    expect(warnings).toHaveLength(3);
    for (const warning of warnings) expect(warning).toContain('serials.json cannot be read');
  });

  test('a restart continues from the serials in the folder', async () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone(A) });
    const last = formatSerials(new Map([[KEY, { serial: 4_100_000_000, digest: 'old' }]]));
    await writeAtomically(join(folder.path, 'state', SERIALS_FILE), last);
    const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
    expect(outcome.ok && outcome.value.catalog.zones[0]?.serial).toBe(4_100_000_001);
    writeFileSync(join(folder.path, 'state', 'serials.json'), '[');
    const warned = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
    expect([warned.ok, warned.diagnostics.map(({ code }) => code)]).toEqual([true, ['PH382']]);
  });
});

test('the text with replaced lines is the text from scratch', () => {
  const dice = createDice(printedSeed('lines of serials'));
  const entry = (): SerialEntry => ({ serial: dice.pick([1, 7, 4_000_000_000]), digest: dice.pick(['', 'a', 'b']) });
  let serials: Serials = new Map(Array.from({ length: 1200 }, (_, zone) => [`z${zone}\u00e9"`, entry()]));
  const textOf = createSerialsText();
  const kept: [Uint8Array, string][] = [];
  for (let round = 0; round < 60; round++) {
    const keys = Array.from({ length: dice.below(4) }, () => `z${dice.below(dice.chance(0.1) ? 1300 : 1200)}\u00e9"`);
    serials = withEntries(serials, new Map(keys.map((key) => [key, entry()])));
    kept.push([textOf(serials), formatSerials(serials)]);
  }
  // Earlier texts do not change: one may still be on its way to the disk.
  for (const [octets, text] of kept) expect(Buffer.from(octets).toString()).toBe(text);
  expect(Buffer.from(createSerialsText()(new Map())).toString()).toBe('{}\n');
});
