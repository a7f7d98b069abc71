/**
 * This node's network fails while checks of different intervals and timeouts are in progress. The first VIPs to fail,
 * with ENETUNREACH after 0 ms or with a short timeout, counted the silence of the others as health and went down for a
 * second.
 */
import { expect, test } from 'vitest';
import type { ProbeResult } from '../../../health/checks/probe.ts';
import { startHealth, type HealthEvent } from '../../../health/engine.ts';
import { createHealthTable, probedOf, viewHealthTable } from '../../../health/health-table.ts';
import { createManualClock, httpCheck, vip } from '../../unit/health/support.ts';

type Way = 'no route' | 'silent';

/** Ten VIPs: two with short intervals and timeouts, eight with long ones. */
async function outage(wayOf: (slot: number) => Way | 'alive', fall: number) {
  const clock = createManualClock();
  const events: HealthEvent[] = [];
  let out = false;
  const quick = httpCheck({ intervalMs: 1000, fastMs: 100, timeoutMs: 500, fall });
  const slow = httpCheck({ intervalMs: 30_000, fastMs: 1000, timeoutMs: 2000, fall, path: '/slow' });
  const health = startHealth({
    stateDir: undefined,
    clock,
    suspect: () => 0.7,
    warn: () => undefined,
    log: (event) => events.push(event),
    probe: ({ host }, { timeoutMs }, signal): Promise<ProbeResult> => {
      const way = out ? wayOf(Number(host.split('.')[3])) : 'alive';
      if (way === 'alive') return Promise.resolve({ passed: true, reason: 'HTTP 200', elapsedMs: 1 });
      if (way === 'no route')
        return Promise.resolve({ passed: false, reason: 'network unreachable', elapsedMs: 0, fault: 'network' });
      return new Promise((resolve) => {
        const end = (): void => {
          resolve({ passed: false, reason: 'no answer', elapsedMs: timeoutMs });
        };
        clock.after(timeoutMs, end);
        signal.addEventListener('abort', end);
      });
    },
  });
  const memory = createHealthTable(10);
  const targets = Array.from({ length: 10 }, (_, slot) =>
    vip({ slot, target: `www.example.com/v${slot}`, host: `192.0.2.${slot}`, check: slot < 2 ? quick : slow }),
  );
  health.configure(targets, memory, 10);
  await clock.advance(40_000);
  const { states } = viewHealthTable(memory, 10);
  out = true;
  await clock.advance(60_000);
  const outcome = {
    downs: events
      .filter(({ to }) => to === 'down')
      .map(({ target }) => target.slice(-2))
      .sort(),
    states: [...states].map((word) => '?UD'[probedOf(word)]).join(''),
    alarm: health.suspected()?.message,
  };
  await health.stop();
  return outcome;
}

const FROZEN = "10 of 10 healthy VIPs failed at once. Suspecting this node's network: states are frozen.";

test.each([
  ['no route to any', () => 'no route', 3],
  ['all silent', () => 'silent', 3],
  ['all silent, and one failure takes each down', () => 'silent', 1],
  ['no route to the fast ones, silence of the slow ones', (slot) => (slot < 2 ? 'no route' : 'silent'), 3],
  ['silence of the fast ones, no route to the slow ones', (slot) => (slot < 2 ? 'silent' : 'no route'), 3],
] as const satisfies readonly (readonly [string, (slot: number) => Way, number])[])(
  '%s: nothing goes down, not even for a moment',
  async (_, wayOf, fall) => {
    const { downs, states, alarm } = await outage(wayOf, fall);
    expect([downs, states]).toEqual([[], 'UUUUUUUUUU']);
    expect(alarm).toMatch(
      /^\d+ of \d+ healthy VIPs failed at once\. Suspecting this node's network: states are frozen\.$/,
    );
    if (wayOf(0) === 'no route' && wayOf(5) === 'no route') expect(alarm).toBe(FROZEN);
  },
);

test('VIPs that fail alone go down, and the others do not', async () => {
  expect(await outage((slot) => (slot < 2 ? 'silent' : 'alive'), 3)).toEqual({
    downs: ['v0', 'v1'],
    states: 'DDUUUUUUUU',
    alarm: undefined,
  });
});

test('no route to a few: their states are frozen, and the others are not', async () => {
  expect(await outage((slot) => (slot < 2 ? 'no route' : slot === 5 ? 'silent' : 'alive'), 3)).toEqual({
    downs: ['v5'],
    states: 'UUUUUDUUUU',
    alarm: undefined,
  });
});
