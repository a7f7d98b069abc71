/**
 * A report that could not be written (`pharos check > /full/disk`) ended with a stack trace.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url));

test.skipIf(!existsSync('/dev/full'))('gives the reason, and exits with 1', () => {
  const full = openSync('/dev/full', 'w');
  try {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, '--version'], { stdio: ['ignore', full, 'pipe'] });
    expect(stderr.toString()).toMatch(/^pharos: cannot write the output: ENOSPC[^\n]*\n$/);
    expect(status).toBe(1);
  } finally {
    closeSync(full);
  }
});
