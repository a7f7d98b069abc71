import { expect, test } from 'vitest';
import { createProbeTimes, noteProbeTime, PROBE_TIME_BOUNDS } from '../../../health/probe-times.ts';

test('a bucket has the times up to its bound, and the last one all others', () => {
  const times = createProbeTimes();
  for (const ms of [0, 1, 1.01, 10_000, 10_001, 60_000]) noteProbeTime(times, ms);
  const last = PROBE_TIME_BOUNDS.length;
  expect(times.counts.flatMap((count, bucket) => (count === 0 ? [] : [[bucket, count]]))).toEqual([
    [0, 2],
    [1, 1],
    [last - 1, 1],
    [last, 2],
  ]);
  expect(times.sumSeconds).toBeCloseTo(80.00301, 5);
});
