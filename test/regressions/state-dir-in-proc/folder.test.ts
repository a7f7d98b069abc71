/**
 * `state_dir: /proc/nope` had the control thread try for ever: the recursive mkdir of Node.js does, where the system
 * says ENOENT of a folder whose parent exists. A child process, because a loop would take the test with it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MODULE = fileURLToPath(new URL('../../../config/folder.ts', import.meta.url));

test.skipIf(!existsSync('/proc/self'))('a folder that the system refuses is an error at once', () => {
  const code = `import { makeFolder } from ${JSON.stringify(MODULE)}; makeFolder('/proc/nope/state');`;
  const { signal, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    timeout: 20_000,
    encoding: 'utf8',
  });
  expect({ signal, status }).toEqual({ signal: null, status: 1 });
  expect(stderr).toContain('ENOENT');
});
