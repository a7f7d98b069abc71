/**
 * A limit on lines of the log that others can cause at will: so many a minute, and how many were left out.
 */

const WINDOW_MS = 60_000;

/** Undefined where the line is left out; else the fields to add to it. `nowMs` is a monotonic clock. */
export function createLineLimit(
  linesAMinute: number,
  nowMs: () => number = () => performance.now(),
): () => { readonly lines_left_out?: number } | undefined {
  let startMs = -Infinity;
  let lines = 0;
  let leftOut = 0;
  return () => {
    const now = nowMs();
    if (now - startMs >= WINDOW_MS) {
      startMs = now;
      lines = 0;
    }
    if (lines >= linesAMinute) {
      leftOut++;
      return undefined;
    }
    lines++;
    const before = leftOut;
    leftOut = 0;
    return before === 0 ? {} : { lines_left_out: before };
  };
}
