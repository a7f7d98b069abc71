/**
 * A cron line with a day of month and a weekday was due only if both matched: `0 22 1 * 5` four times in three years.
 * By crontab(5) it is due if either matches.
 */
import { afterEach, expect, test, vi } from 'vitest';
import { atCronTimes } from '../../../cli/cron.ts';
import { createSchedules } from '../../../cli/serve/schedules.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** The days of March 2024, a month that begins on a Friday, on which the line is due. */
async function daysOf(line: string): Promise<number[]> {
  vi.useFakeTimers({ now: Date.UTC(2024, 1, 29, 12) });
  const days: number[] = [];
  const job = atCronTimes(line, () => void days.push(new Date().getUTCDate()), { timezone: 'UTC' });
  await vi.advanceTimersByTimeAsync(32 * 86_400_000);
  await job.destroy();
  return days;
}

test.each([
  ['0 22 1 * 5', [1, 8, 15, 22, 29]],
  ['0 22 13 * 5', [1, 8, 13, 15, 22, 29]],
  ['0 22 13 * *', [13]],
  ['0 22 */2 * 5', [1, 15, 29]],
])('%s is due on %j, once on each of these days', async (line, wanted) => {
  expect(await daysOf(line)).toEqual(wanted);
});

test('a schedule runs once on a day that matches both', async () => {
  vi.useFakeTimers({ now: Date.UTC(2024, 2, 1, 21) });
  const told: string[] = [];
  const saved = Promise.resolve(true);
  const weigh = () => ({ kind: 'ok', targets: ['www.example.com/a'], kept: [], saved }) as const;
  const schedules = createSchedules(
    { weigh, override: weigh },
    ({ message }) => told.push(message),
    () => undefined,
  );
  const place = { file: 'pharos.yaml', line: 1, column: 1 };
  const set = [{ target: 'www.example.com/a', weight: 0, state: undefined, place }];
  await schedules.configure([{ at: '0 22 1 * 5', timezone: 'UTC', set }]);
  await vi.advanceTimersByTimeAsync(2 * 3_600_000);
  await schedules.stop();
  expect(told).toEqual(['www.example.com/a set to weight 0']);
});
