import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isPrivate, readCacheEntry, userCacheFolder, writeCacheEntry } from '../../../config/cache-entry.ts';
import { allocateEntry, ENTRY_HEADER_OCTETS } from '../../../config/entry-header.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const KIND = { kind: 'thing', keep: 3 };
const seed = printedSeed('cache entries');
/** Only root can give a file to another user. */
const isRoot = process.geteuid?.() === 0;
const NOBODY = 65_534;

let base = '';
let folder = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'pharos-cache-'));
  folder = join(base, 'cache');
});
afterEach(() => {
  rmSync(base, { recursive: true });
});

function keyOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

function plain(octets: number): ArrayBuffer {
  return new ArrayBuffer(octets);
}

function write(number: number, content: string, write: readonly string[] = [folder]): void {
  const octets = Buffer.from(content);
  const entry = allocateEntry(octets.length, keyOf(number), plain);
  new Uint8Array(entry, ENTRY_HEADER_OCTETS).set(octets);
  writeCacheEntry({ read: [], write }, KIND, entry);
}

function read(number: number, folders: readonly string[] = [folder]): string | undefined {
  const entry = readCacheEntry({ read: folders, write: [] }, KIND, keyOf(number), plain);
  return entry && Buffer.from(entry, ENTRY_HEADER_OCTETS).toString();
}

/** The path of the only entry. */
function onlyEntry(): string {
  const [name, ...more] = readdirSync(folder);
  if (name === undefined || more.length > 0) throw new Error(`not one entry: ${readdirSync(folder).join()}`);
  return join(folder, name);
}

describe('an entry', () => {
  test('is read as it was written, by its key', () => {
    write(1, 'one');
    write(2, 'two');
    expect([read(1), read(2), read(3)]).toEqual(['one', 'two', undefined]);
  });

  test('and its folder are for their owner only', () => {
    write(1, 'one');
    expect(statSync(onlyEntry()).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test(`with any octet changed is a miss (PHAROS_SEED=${seed})`, () => {
    const dice = createDice(seed);
    write(1, 'x'.repeat(1000));
    const path = onlyEntry();
    const whole = readFileSync(path);
    for (let round = 0; round < 300; round++) {
      const damaged = Buffer.from(whole);
      // Half of the rounds in the header, which is a small part of the file.
      const at = dice.below(dice.chance(0.5) ? ENTRY_HEADER_OCTETS : damaged.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 + dice.below(255));
      writeFileSync(path, damaged);
      expect(read(1), `octet ${at}`).toBeUndefined();
    }
    writeFileSync(path, whole);
    expect(read(1)).toBe('x'.repeat(1000));
  });

  test('cut short, too long or empty is a miss', () => {
    write(1, 'x'.repeat(1000));
    const path = onlyEntry();
    const whole = readFileSync(path);
    for (const octets of [0, 1, ENTRY_HEADER_OCTETS - 1, ENTRY_HEADER_OCTETS, 1000, whole.length - 1]) {
      writeFileSync(path, whole);
      truncateSync(path, octets);
      expect(read(1), `${octets} octets`).toBeUndefined();
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
    expect(read(1)).toBeUndefined();
  });

  test('of another key under this name is a miss', () => {
    write(1, 'one');
    const path = onlyEntry();
    write(2, 'two');
    const other = readdirSync(folder).find((name) => !path.endsWith(name)) ?? '';
    renameSync(join(folder, other), path);
    expect([read(1), read(2)]).toEqual([undefined, undefined]);
  });

  test('that is a link, a folder or a pipe is a miss', () => {
    write(1, 'one');
    const path = onlyEntry();
    renameSync(path, join(base, 'elsewhere'));
    symlinkSync(join(base, 'elsewhere'), path);
    expect(read(1)).toBeUndefined();
    rmSync(path);
    mkdirSync(path);
    expect(read(1)).toBeUndefined();
  });

  test.each([0o620, 0o602])('that others may write (mode %o) is a miss', (mode) => {
    write(1, 'one');
    chmodSync(onlyEntry(), mode);
    expect(read(1)).toBeUndefined();
  });

  test.skipIf(!isRoot)('of another user is a miss', () => {
    write(1, 'one');
    chownSync(onlyEntry(), NOBODY, NOBODY);
    expect(read(1)).toBeUndefined();
  });

  test('comes from the first folder that has it', () => {
    const other = join(base, 'other');
    write(1, 'one', [other]);
    expect(read(1, [folder, other])).toBe('one');
  });
});

describe('entries that cannot be written', () => {
  test('go into the next folder, or nowhere', () => {
    writeFileSync(join(base, 'file'), '');
    write(1, 'one', [join(base, 'file'), folder]);
    expect(read(1)).toBe('one');
    write(2, 'two', [join(base, 'file'), '/proc/none/cache']);
    expect(read(2)).toBeUndefined();
  });

  test('because others could replace them: the folder, or one above it, can be written by all', () => {
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    write(1, 'one');
    expect(readdirSync(folder)).toEqual([]);
    chmodSync(folder, 0o700);
    chmodSync(base, 0o777);
    write(1, 'one');
    expect(readdirSync(folder)).toEqual([]);
    chmodSync(base, 0o1777);
    write(1, 'one');
    expect(read(1)).toBe('one');
  });

  test.skipIf(!isRoot)('because a folder belongs to another user', () => {
    mkdirSync(folder);
    expect(isPrivate(folder)).toBe(true);
    chownSync(folder, NOBODY, NOBODY);
    expect(isPrivate(folder)).toBe(false);
    chownSync(folder, 0, 0);
    chownSync(base, NOBODY, NOBODY);
    expect(isPrivate(folder)).toBe(false);
  });

  test('do not follow a link that has the name of the folder', () => {
    mkdirSync(join(base, 'open'));
    chmodSync(join(base, 'open'), 0o777);
    symlinkSync(join(base, 'open'), folder);
    write(1, 'one');
    expect(readdirSync(join(base, 'open'))).toEqual([]);
  });
});

describe('a folder keeps', () => {
  test('the most recently used entries', () => {
    for (let number = 1; number <= 3; number++) {
      write(number, `${number}`);
      for (const name of readdirSync(folder)) age(name, 2);
    }
    // Reading the first makes it the newest.
    expect(read(1)).toBe('1');
    write(4, '4');
    expect(readdirSync(folder)).toHaveLength(3);
    expect([read(1), read(4)]).toEqual(['1', '4']);
  });

  test('other files, and no unfinished ones of long ago', () => {
    mkdirSync(folder);
    for (const name of ['notes', 'thing-1.tmp-0', 'thing-2.tmp-0']) writeFileSync(join(folder, name), '');
    age('thing-1.tmp-0', 2);
    write(1, 'one');
    expect(readdirSync(folder).filter((name) => !/^thing-[0-9a-f]{32}$/.test(name))).toEqual([
      'notes',
      'thing-2.tmp-0',
    ]);
  });

  /** Sets a file's time back by so many hours, and each call further than the last. */
  let calls = 0;
  function age(name: string, hours: number): void {
    const path = join(folder, name);
    const seconds = lstatSync(path).mtimeMs / 1000 - hours * 3600 - calls++;
    utimesSync(path, seconds, seconds);
  }
});

test.for<[Record<string, string | undefined>, string]>([
  [{ XDG_CACHE_HOME: '/var/cache', HOME: '/home/ada' }, '/var/cache/pharos'],
  [{ XDG_CACHE_HOME: '', HOME: '/home/ada' }, '/home/ada/.cache/pharos'],
  [{ XDG_CACHE_HOME: 'relative', HOME: '/home/ada' }, '/home/ada/.cache/pharos'],
])('the cache folder of a user: %j', ([env, expected]) => {
  expect(userCacheFolder(env)).toBe(expected);
});

test('there is none without a home', () => {
  expect(userCacheFolder({ HOME: 'relative' })).toBeUndefined();
});
