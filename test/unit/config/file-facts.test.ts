import {
  mkdtempSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { factsOf, factsOfStats } from '../../../config/file-facts.ts';

const folder = mkdtempSync(join(tmpdir(), 'pharos-facts-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function make(name: string, seconds = 1_700_000_000.123456, octets = 3): string {
  const path = join(folder, name);
  writeFileSync(path, '');
  truncateSync(path, octets);
  utimesSync(path, seconds, seconds);
  return path;
}

const PATHS: Readonly<Record<string, () => string>> = {
  'a file': () => make('file'),
  'a file with other letters': () => make('zoné ☂.yaml'),
  'a time before 1970': () => make('old', -1_000_000.25),
  'a time after 2038': () => make('new', 4_200_000_000.5),
  'a size above 4 GiB': () => make('large', 0, 5 * 2 ** 30 + 7),
  'a folder': () => {
    mkdirSync(join(folder, 'inner'));
    return join(folder, 'inner');
  },
  'a link': () => {
    symlinkSync(make('target', 5), join(folder, 'link'));
    return join(folder, 'link');
  },
  'a device': () => '/dev/null',
};

test.each(Object.keys(PATHS))('%s: the values of node:fs', (name) => {
  const path = PATHS[name]?.() ?? '';
  const { mtimeMs, ctimeMs, size, ino, dev } = statSync(path);
  const wanted = [mtimeMs, ctimeMs, size, ino, dev];
  expect([...(factsOf(path) ?? [])]).toEqual(wanted);
  expect([...(factsOfStats(path) ?? [])]).toEqual(wanted);
});

test('nothing for what cannot be examined', () => {
  symlinkSync('circle', join(folder, 'circle'));
  for (const path of ['none', 'circle', 'circle/below', '']) {
    expect([factsOf(join(folder, path, 'x')), factsOfStats(join(folder, path, 'x'))]).toEqual([undefined, undefined]);
  }
});
