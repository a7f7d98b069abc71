/**
 * The end of an override followed the wall clock: when the clock was set forward, a drain ended at once, and answers
 * named the VIP in the middle of its maintenance.
 */
import { expect, test } from 'vitest';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable, FORCED, forcedOf, viewHealthTable } from '../../../health/health-table.ts';
import { createManualClock, vip } from '../../unit/health/support.ts';

test.each([3_600_000, -3_600_000])(
  'a drain for 30 minutes takes 30 minutes, after a step of %i ms of the clock',
  async (step) => {
    const clock = createManualClock();
    const health = startHealth({ stateDir: undefined, clock, log: () => undefined, warn: () => undefined });
    const memory = createHealthTable(1);
    health.configure([vip({ slot: 0, target: 'www.example.com/a' })], memory, 1);
    const forced = (): number => forcedOf(viewHealthTable(memory, 1).states[0] ?? 0);
    health.override('www.example.com/a', { state: 'drain', forMs: 1_800_000 });
    clock.stepWall(step);
    await clock.advance(1_799_000);
    expect(forced()).toBe(FORCED.DRAIN);
    await clock.advance(1000);
    expect(forced()).toBe(FORCED.NONE);
    await health.stop();
  },
);
