/**
 * SIGUSR1 opened Node.js's debugger to every local user; SIGUSR2, SIGALRM, SIGIO and others ended the server; and so
 * did SIGHUP while it started.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { ROOT, run, serve } from '../../support/process.ts';

test.skipIf(process.platform !== 'linux')('signals without a meaning for a server have no effect', async () => {
  using folder = folderOf({
    'pharos.yaml': 'listen: 127.0.0.1:0\nworkers: 1\nstatus: { listen: 127.0.0.1:0 }\n',
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
  });
  await using server = await serve([], { cwd: folder.path });
  const { SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSTKFLT } = constants.signals;
  const realTime = [34, 40, 64];
  for (const signal of [
    SIGUSR1,
    SIGUSR2,
    SIGPIPE,
    SIGALRM,
    SIGVTALRM,
    SIGPROF,
    SIGIO,
    SIGPWR,
    SIGSTKFLT,
    ...realTime,
  ]) {
    const { status } = spawnSync('sh', ['-c', `kill -${signal} ${server.child.pid ?? 0}`]);
    expect(status, `signal ${signal}`).toBe(0);
    expect((await fetch(`${server.api}/healthz`)).status, `signal ${signal}`).toBe(200);
  }
  expect(await server.stop()).toMatchObject({ code: 0, stderr: '' });
});

test('signals are held until the server can act on them', () => {
  const module = new URL('../../../cli/signals.ts', import.meta.url).href;
  const program = `import { holdSignals, receiveSignals } from ${JSON.stringify(module)};
    holdSignals();
    process.kill(process.pid, 'SIGHUP');
    setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50);
    setTimeout(() => { receiveSignals((signal) => console.log(signal)); }, 100);`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'SIGHUP\nSIGTERM\n' });
});

test.skipIf(process.platform !== 'linux').each([
  ['SIGHUP', 'while the launcher looks for Node.js is without effect', 'ran --disable-sigusr1 dist/start.js serve\n'],
  ['SIGTERM', 'while the launcher looks for Node.js ends it with 0', ''],
])('%s %s', async (signal, _title, output) => {
  const node = `#!/bin/sh
if [ "$1" = -v ]; then kill -${signal.slice(3)} $(cut -d' ' -f4 /proc/$PPID/stat); echo v99.0.0; exit; fi
echo "ran $1 $(echo "$2" | grep -o 'dist/.*') $3"
`;
  using folder = folderOf({ 'path/node': node, 'pharos/dist/start.js': '' });
  chmodSync(join(folder.path, 'path/node'), 0o755);
  mkdirSync(join(folder.path, 'pharos/bin'));
  for (const name of ['pharos', 'lib.sh']) cpSync(`${ROOT}bin/${name}`, join(folder.path, 'pharos/bin', name));
  const env = { PATH: `${join(folder.path, 'path')}:${process.env.PATH ?? ''}` };
  const { code, stdout } = await run(['serve'], { command: join(folder.path, 'pharos/bin/pharos'), env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: output });
});
