/**
 * The unit deploy/pharos.service: its sandbox as systemd rates it, and the watchdog. packaging-deb.test.ts runs the
 * unit.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { has, ROOT, serve } from '../support/process.ts';
import { hasManager, startManager } from '../support/service-manager.ts';

const FILES = {
  ...NO_GEOGRAPHY,
  'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}listen: 127.0.0.1:0
workers: 1
status: { listen: 127.0.0.1:0 }
shutdown: { grace: 0s }
`,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
};

const UNIT = `${ROOT}deploy/pharos.service`;

describe.skipIf(!has('systemd-analyze'))('systemd-analyze security', () => {
  const rate = (unit: string): number => {
    const { stdout, stderr } = spawnSync('systemd-analyze', ['security', '--offline=yes', '--no-pager', unit], {
      encoding: 'utf8',
    });
    const [, level = ''] = /Overall exposure level for [^:]+: ([\d.]+)/.exec(stdout) ?? [];
    if (level === '') throw new Error(`no exposure level: ${stderr}`);
    return Number(level);
  };

  test('rates the exposure of the unit at most 1.5, of 10', () => {
    expect(rate(UNIT)).toBeLessThanOrEqual(1.5);
  });

  test('would rate it above 9 without the sandbox', () => {
    using folder = folderOf({ 'bare.service': '[Service]\nExecStart=/bin/true\n' });
    expect(rate(join(folder.path, 'bare.service'))).toBeGreaterThan(9);
  });
});

test.skipIf(!hasManager)('with WATCHDOG_USEC the server reports that it is alive, and not while it hangs', async () => {
  using folder = folderOf(FILES);
  const socket = join(folder.path, 'notify');
  await using manager = await startManager(socket);
  await using server = await serve([], {
    cwd: folder.path,
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000' },
  });
  await manager.until(/(?:"WATCHDOG=1"\n){3}/);
  server.child.kill('SIGSTOP');
  const reports = (): number => manager.stdout().split('WATCHDOG=1').length;
  // One report may be on its way.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = reports();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(reports()).toBe(before);
  server.child.kill('SIGCONT');
  await manager.until(new RegExp(`(?:WATCHDOG=1[^]*){${String(before + 1)}}`));
});

test.skipIf(!hasManager)('no reports for a WATCHDOG_PID of another process', async () => {
  using folder = folderOf(FILES);
  const socket = join(folder.path, 'notify');
  await using manager = await startManager(socket);
  await using server = await serve([], {
    cwd: folder.path,
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '60000', WATCHDOG_PID: '1' },
  });
  await manager.until(/READY=1/);
  await server.stop();
  await manager.until(/STOPPING=1/);
  expect(manager.stdout()).not.toContain('WATCHDOG');
});
