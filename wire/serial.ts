/**
 * Arithmetic of zone serials (RFC 1982): 32 bits, and 0 follows 2^32 - 1.
 */

/** Whether `a` is later than `b`. RFC 1982 3.2 leaves serials that are 2^31 apart undefined; here neither is later. */
export function isLaterSerial(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/** The latest of the serials; undefined if there are none. */
export function latestSerial(serials: Iterable<number>): number | undefined {
  let latest: number | undefined;
  for (const serial of serials) if (latest === undefined || isLaterSerial(serial, latest)) latest = serial;
  return latest;
}

/** A serial that is later than `last`: `wanted` if that is later, else the next one. */
export function serialAfter(last: number | undefined, wanted: number): number {
  if (last === undefined) return wanted;
  return wanted > last && isLaterSerial(wanted, last) ? wanted : (last + 1) >>> 0;
}
