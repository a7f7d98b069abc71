/**
 * Where a fleet decides, a state that this node found itself was saved only when the verdict changed with it. A node
 * that restarted before that began with the state of long ago, and answered with a VIP that it had seen down.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable, PROBED } from '../../../health/health-table.ts';
import { folderOf } from '../../support/pharos.ts';
import { createManualClock, givenVerdict, httpCheck, vip } from '../../unit/health/support.ts';

test.each([
  ['up', PROBED.UP],
  ['down', PROBED.DOWN],
  ['unknown', PROBED.UNKNOWN],
])('the own state is saved while the fleet says %s', async (_, verdict) => {
  using folder = folderOf({});
  const clock = createManualClock();
  const health = startHealth({
    stateDir: folder.path,
    clock,
    electorate: givenVerdict(verdict).electorate,
    probe: () => Promise.resolve({ passed, reason: '', elapsedMs: 1 }),
    warn: () => undefined,
    log: () => undefined,
  });
  const saved = (): string =>
    /"probed":"(\w+)"/.exec(readFileSync(join(folder.path, 'health.json'), 'utf8'))?.[1] ?? 'none';
  const check = httpCheck({ rise: 1, fall: 1, intervalMs: 10_000 });
  let passed = true;
  health.configure([vip({ slot: 0, target: 'www.example.com/a', check })], createHealthTable(1), 1);
  await clock.advance(12_000);
  passed = false;
  await clock.advance(24_000);
  await health.stop();
  expect(saved()).toBe('down');
});
