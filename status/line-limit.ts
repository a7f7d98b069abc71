/**
 * A limit per minute on log lines that clients can cause at will. The next line says how many were omitted.
 */

const WINDOW_MS = 60_000;

/** Undefined if the line must be omitted; otherwise the fields to add to it. `nowMs` is a monotonic clock. */
export function createLineLimit(
  linesPerMinute: number,
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
    if (lines >= linesPerMinute) {
      leftOut++;
      return undefined;
    }
    lines++;
    const before = leftOut;
    leftOut = 0;
    return before === 0 ? {} : { lines_left_out: before };
  };
}
