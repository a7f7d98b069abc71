/**
 * How long probes take: a histogram over all targets since the start.
 */

/** Upper bounds of the buckets in seconds; one more has all that is longer. */
export const PROBE_TIME_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

export type ProbeTimes = {
  /** Probes in each bucket, not cumulative; one more than PROBE_TIME_BOUNDS. */
  readonly counts: number[];
  sumSeconds: number;
};

export function createProbeTimes(): ProbeTimes {
  return { counts: new Array<number>(PROBE_TIME_BOUNDS.length + 1).fill(0), sumSeconds: 0 };
}

export function noteProbeTime(times: ProbeTimes, elapsedMs: number): void {
  const seconds = elapsedMs / 1000;
  const found = PROBE_TIME_BOUNDS.findIndex((bound) => seconds <= bound);
  const bucket = found < 0 ? PROBE_TIME_BOUNDS.length : found;
  times.counts[bucket] = (times.counts[bucket] ?? 0) + 1;
  times.sumSeconds += seconds;
}
