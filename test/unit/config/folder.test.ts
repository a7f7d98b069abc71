import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolder } from '../../../config/folder.ts';

test('makeFolder: makes missing folders, leaves existing ones, reports what blocks it', () => {
  const root = mkdtempSync(join(tmpdir(), 'pharos-folder-'));
  try {
    makeFolder(join(root, 'a/b/c'));
    expect(existsSync(join(root, 'a/b/c'))).toBe(true);
    makeFolder(join(root, 'a/b/c'));
    writeFileSync(join(root, 'file'), '');
    expect(() => {
      makeFolder(join(root, 'file/below'));
    }).toThrow('ENOTDIR');
  } finally {
    rmSync(root, { recursive: true });
  }
});
