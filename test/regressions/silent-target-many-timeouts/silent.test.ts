/**
 * A target that fell silent was probed one timeout after the other, and so stayed in answers for `fall` timeouts: with
 * the settings below for 6 s instead of 2.4 s (docs/health.md#silence).
 */
import { expect, test } from 'vitest';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable } from '../../../health/health-table.ts';
import { compoundCheck, createManualClock, execCheck, httpCheck, vip } from '../../unit/health/support.ts';

const timing = { intervalMs: 5000, timeoutMs: 2000, fastMs: 200, rise: 2, fall: 3 };

test.each([
  ['http: one timeout and two fast', httpCheck(timing), 2000 + 2 * 200],
  ['checks made of others, too', compoundCheck({ ...timing, members: [httpCheck(), httpCheck()] }), 2000 + 2 * 200],
  ['commands are not run in parallel', execCheck(timing), 3 * 2000],
  ['nor those in others', compoundCheck({ ...timing, members: [httpCheck(), execCheck()] }), 3 * 2000],
])('from the first unanswered probe of a silent target until it is down: %s', async (_, check, expectedMs) => {
  const clock = createManualClock();
  let silentFromMs = Infinity;
  let firstMs: number | undefined;
  let downMs: number | undefined;
  const health = startHealth({
    stateDir: undefined,
    clock,
    warn: () => undefined,
    log: ({ to }) => {
      if (to === 'down') downMs = clock.now();
    },
    probe: (_, { timeoutMs }, signal) => {
      if (clock.now() < silentFromMs) return Promise.resolve({ passed: true, reason: '', elapsedMs: 1 });
      firstMs ??= clock.now();
      return new Promise((resolve) => {
        const end = (): void => {
          resolve({ passed: false, reason: 'no answer', elapsedMs: timeoutMs });
        };
        clock.after(timeoutMs, end);
        signal.addEventListener('abort', end);
      });
    },
  });
  health.configure([vip({ slot: 0, target: 'www.example.com/a', check })], createHealthTable(1), 1);
  await clock.advance(7000);
  silentFromMs = clock.now();
  await clock.advance(12_000);
  expect((downMs ?? Infinity) - (firstMs ?? 0)).toBe(expectedMs);
  await health.stop();
});
