/**
 * The reports for WatchdogSec=: none while a thread is blocked.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { reportAlive } from '../../../../cli/serve/report-alive.ts';
import { NO_MANAGER } from '../../../../server/io/service-manager.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function watched(watchdogMs: number | undefined) {
  const seen = { reports: 0, lines: [] as string[], blocked: [] as string[] };
  reportAlive(
    {
      ...NO_MANAGER,
      watchdogMs,
      alive: () => {
        seen.reports++;
      },
    },
    { blocked: () => seen.blocked },
    { info: (line: string) => void seen.lines.push(line), error: (line: string) => void seen.lines.push(line) },
  );
  return seen;
}

test('three reports within the time limit', () => {
  const seen = watched(30_000);
  vi.advanceTimersByTime(30_000);
  expect(seen).toMatchObject({ reports: 3, lines: [] });
});

test('no report while a thread is blocked; the log says so once, and once that it is over', () => {
  const seen = watched(30_000);
  seen.blocked = ['udp-1', 'stream'];
  vi.advanceTimersByTime(20_000);
  expect(seen.reports).toBe(0);
  seen.blocked = [];
  vi.advanceTimersByTime(10_000);
  expect(seen.reports).toBe(1);
  expect(seen.lines).toEqual([
    'udp-1, stream blocked: no report to the service manager, which restarts the server after 30 s',
    'all threads answer again',
  ]);
});

test('nothing without a watchdog', () => {
  const seen = watched(undefined);
  vi.advanceTimersByTime(100_000);
  expect(seen.reports).toBe(0);
});
