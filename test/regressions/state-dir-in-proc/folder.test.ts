/**
 * With `state_dir: /proc/nope` the control thread tried without end: the recursive mkdir of Node.js does so if the
 * system returns ENOENT for a folder whose parent exists. The test uses a child process, because a loop would hang the
 * test.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { PATIENCE_MS } from '../../support/patience.ts';

const MODULE = fileURLToPath(new URL('../../../config/folder.ts', import.meta.url));

test.skipIf(!existsSync('/proc/self'))('a folder that the system refuses is an error at once', () => {
  const code = `import { makeFolder } from ${JSON.stringify(MODULE)}; makeFolder('/proc/nope/state');`;
  const { signal, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    timeout: PATIENCE_MS,
    encoding: 'utf8',
  });
  expect({ signal, status }).toEqual({ signal: null, status: 1 });
  expect(stderr).toContain('ENOENT');
});
