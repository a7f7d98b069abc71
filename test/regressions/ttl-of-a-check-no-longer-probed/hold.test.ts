/**
 * While this node's own state contradicts the verdict of the fleet, the next vote may change it, and answers have the
 * lowest TTL. A node that stopped probing kept that TTL until the next change, although it no longer had a vote.
 */
import { expect, test } from 'vitest';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable, holdSecondsOf, PROBED, stateAt, viewHealthTable } from '../../../health/health-table.ts';
import { folderOf } from '../../support/pharos.ts';
import { createManualClock, givenVerdict, httpCheck, vip } from '../../unit/health/support.ts';

test('a node that stops probing holds the verdict as long as a state that is settled', async () => {
  using folder = folderOf({});
  const clock = createManualClock();
  const fleet = givenVerdict(PROBED.DOWN);
  const health = startHealth({
    stateDir: folder.path,
    clock,
    electorate: fleet.electorate,
    probe: () => Promise.resolve({ passed: true, reason: '', elapsedMs: 1 }),
    warn: () => undefined,
    log: () => undefined,
  });
  const table = createHealthTable(1);
  const hold = (): number => holdSecondsOf(stateAt(viewHealthTable(table, 1), 0));
  const check = httpCheck({ rise: 2, fall: 1, intervalMs: 10_000 });
  health.configure([vip({ slot: 0, target: 'www.example.com/a', check })], table, 1);
  await clock.advance(12_000);
  expect(hold()).toBe(0);
  fleet.isProbing = false;
  fleet.events()?.probing(fleet.key());
  expect(hold()).toBe(20);
  await health.stop();
});
