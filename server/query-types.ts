/**
 * Query types that are counted apart, and the histogram of answer times. Both have a fixed number of places, so that no
 * client can add any.
 */
import { TYPE, typeNumber } from '../wire/types.ts';
import { COUNTER, count } from './counters.ts';

/** In the order of their places after COUNTER.TYPES; one more place counts all other types. */
export const COUNTED_TYPES = [
  ...['A', 'AAAA', 'CNAME', 'NS', 'SOA', 'MX', 'TXT', 'PTR', 'SRV', 'CAA', 'HTTPS', 'SVCB', 'DS', 'DNSKEY', 'ANY'],
] as const;

/** ANY is a type of queries only (RFC 1035 3.2.3). */
function numberOf(name: string): number {
  return name === 'ANY' ? TYPE.ANY : (typeNumber(name) ?? 0);
}

const OTHER = COUNTED_TYPES.length;
/** The place of each type below 512, which has all that are counted apart. */
const PLACES = new Uint8Array(512).fill(OTHER);
for (const [place, name] of COUNTED_TYPES.entries()) PLACES[numberOf(name)] = place;

/** PACKET PATH. */
export function countType(counters: Float64Array, type: number): void {
  count(counters, COUNTER.TYPES + (PLACES[type] ?? OTHER));
}

/** Upper bounds of the buckets in seconds; one more has all that is longer. */
export const ANSWER_TIME_BOUNDS = [
  ...[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.1],
] as const;
const BOUNDS_MS = Float64Array.from(ANSWER_TIME_BOUNDS, (seconds) => seconds * 1000);

/** Counts a batch of queries that took `ms` from the end of receiving to the end of sending. */
export function countAnswerTime(counters: Float64Array, ms: number, queries: number): void {
  let bucket = 0;
  while (bucket < BOUNDS_MS.length && ms > (BOUNDS_MS[bucket] ?? 0)) bucket++;
  count(counters, COUNTER.ANSWER_TIMES + bucket, queries);
  count(counters, COUNTER.ANSWER_MS, ms * queries);
}
