/**
 * Latencies in buckets whose width grows with the value, so that every quantile is exact to 1.6 %: 64 buckets per
 * doubling, in one typed array (the layout of HdrHistogram, in microseconds).
 */
export type Histogram = Uint32Array;

const SUB_BITS = 6;
/** Values are limited to 2^26 µs, 67 s. */
const MAX_MICROSECONDS = 2 ** 26 - 1;
const BUCKETS = bucketOf(MAX_MICROSECONDS) + 1;

export function createHistogram(): Histogram {
  return new Uint32Array(BUCKETS);
}

export function record(histogram: Histogram, microseconds: number): void {
  const bucket = bucketOf(Math.min(MAX_MICROSECONDS, Math.max(0, Math.round(microseconds))));
  histogram[bucket] = (histogram[bucket] ?? 0) + 1;
}

/** Adds the counts of `other`. */
export function merge(histogram: Histogram, other: Histogram): void {
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    histogram[bucket] = (histogram[bucket] ?? 0) + (other[bucket] ?? 0);
  }
}

export function countOf(histogram: Histogram): number {
  return histogram.reduce((sum, count) => sum + count, 0);
}

/** The value in microseconds that a `share` (0 to 1) of all values does not exceed; NaN if there are none. */
export function quantile(histogram: Histogram, share: number): number {
  let left = Math.ceil(countOf(histogram) * share);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    left -= histogram[bucket] ?? 0;
    if (left <= 0 && (histogram[bucket] ?? 0) > 0) return highestIn(bucket);
  }
  return Number.NaN;
}

/** The non-empty buckets, to send them to another process. */
export function toPairs(histogram: Histogram): [bucket: number, count: number][] {
  return [...histogram.entries()].filter(([, count]) => count > 0);
}

export function fromPairs(pairs: readonly (readonly [number, number])[]): Histogram {
  const histogram = createHistogram();
  for (const [bucket, count] of pairs) histogram[bucket] = count;
  return histogram;
}

function bucketOf(value: number): number {
  const shift = Math.max(0, 31 - Math.clz32(value) - SUB_BITS);
  return (shift << SUB_BITS) + (value >> shift);
}

function highestIn(bucket: number): number {
  const shift = Math.max(0, (bucket >> SUB_BITS) - 1);
  return ((bucket - (shift << SUB_BITS) + 1) << shift) - 1;
}
