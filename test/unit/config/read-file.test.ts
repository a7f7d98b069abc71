import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { announceReads, faultOf, readRegularFile } from '../../../config/read-file.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-read-file-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const PIECE = 128 * 1024;
const maxOctets = 1024 * 1024;

/** The failure: its code and its text. */
function fault(path: string, options: { readonly maxOctets?: number; readonly below?: string } = {}): [string, string] {
  try {
    readRegularFile(path, { maxOctets, ...options });
  } catch (error) {
    const { code, why } = faultOf(error);
    return [code, why];
  }
  return ['', 'it was read'];
}

test.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 17])('%d octets, unchanged', (length) => {
  const path = join(folder, `file-${length}`);
  const octets = Buffer.from(Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
  writeFileSync(path, octets);
  expect(readRegularFile(path, { maxOctets }).octets.equals(octets)).toBe(true);
});

test('a file of /proc, which has no size, is read to its end', () => {
  expect(readRegularFile('/proc/self/cmdline', { maxOctets }).octets).toEqual(readFileSync('/proc/self/cmdline'));
});

test('the mode is that of the file', () => {
  const path = join(folder, 'secret');
  writeFileSync(path, 'x');
  chmodSync(path, 0o640);
  expect(readRegularFile(path, { maxOctets }).mode).toBe(0o640);
});

test('a pipe without a writer is refused at once', () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(fault(pipe)).toEqual(['NOT_REGULAR', 'it is a pipe, not a regular file']);
});

test.each([
  ['/dev/zero', ['NOT_REGULAR', 'it is a device, not a regular file']],
  ['no-such-file', ['ENOENT', 'there is no such file']],
  ['.', ['EISDIR', 'it is a folder']],
])('%s is rejected', (name, expected) => {
  expect(fault(name.startsWith('/') ? name : join(folder, name))).toEqual(expected);
});

test('a file may be as large as the limit and no larger', () => {
  const path = join(folder, 'limit');
  writeFileSync(path, Buffer.alloc(2 ** 20));
  expect(fault(path, { maxOctets: 2 ** 20 })).toEqual(['', 'it was read']);
  writeFileSync(path, Buffer.alloc(2 ** 20 + 1));
  expect(fault(path, { maxOctets: 2 ** 20 })).toEqual(['TOO_LARGE', 'it is larger than 1 MiB']);
});

test('a file that must be in a folder really is, whatever links say', () => {
  const below = join(folder, 'zones');
  mkdirSync(join(below, 'deeper'), { recursive: true });
  writeFileSync(join(folder, 'outside'), 'secret');
  writeFileSync(join(below, 'inside'), 'zone');
  writeFileSync(join(below, 'deeper', 'inside'), 'zone');
  symlinkSync('../outside', join(below, 'link'));
  symlinkSync('deeper/inside', join(below, 'good-link'));
  symlinkSync('..', join(below, 'up'));
  const read = (name: string): string => fault(join(below, name), { below })[0];
  expect(['inside', 'deeper/inside', 'good-link', 'up/zones/inside'].map(read)).toEqual(['', '', '', '']);
  expect(['link', '../outside', 'up/outside', '../../../etc/passwd'].map(read)).toEqual(Array(4).fill('OUTSIDE'));
  // A folder may be named through a link.
  symlinkSync('zones', join(folder, 'current'));
  expect(fault(join(folder, 'current', 'inside'), { below: join(folder, 'current') })[0]).toBe('');
});

test('a file is announced before it is opened', () => {
  const read: string[] = [];
  announceReads((path) => read.push(path));
  fault(join(folder, 'gone'));
  announceReads(() => undefined);
  expect(read).toEqual([join(folder, 'gone')]);
});
