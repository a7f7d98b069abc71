import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readInPieces } from '../../../config/read-file.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-read-file-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const PIECE = 128 * 1024;

test.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 17])('%d octets, as they are', (length) => {
  const path = join(folder, `file-${length}`);
  const octets = Buffer.from(Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
  writeFileSync(path, octets);
  expect(readInPieces(path).equals(octets)).toBe(true);
});

test('what has no size of its own is read to its end', () => {
  expect(readInPieces('/proc/self/cmdline')).toEqual(readFileSync('/proc/self/cmdline'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  execFileSync('sh', ['-c', `head -c 300000 /dev/zero >"$1" &`, 'sh', pipe], { stdio: 'ignore' });
  expect(readInPieces(pipe)).toHaveLength(300_000);
});

test.each([
  ['no-such-file', 'ENOENT'],
  ['.', 'EISDIR'],
])('%s fails with %s', (name, code) => {
  expect(() => readInPieces(join(folder, name))).toThrow(expect.objectContaining({ code }) as Error);
});
