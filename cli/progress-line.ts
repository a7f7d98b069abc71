/**
 * The common definitions of the two threads of a progress line.
 */

/** Words of the shared memory. */
export const FLAG = { STATE: 0, STEP: 1, SHOWN: 2, COUNT: 3 } as const;
/** `WRITING` while one of the threads writes to the terminal; after `ENDED` the second one writes nothing. */
export const STATE = { IDLE: 0, WRITING: 1, ENDED: 2 } as const;

/** `startMs` is a time of the wall clock, as `performance.timeOrigin`. */
export type ProgressData = {
  readonly flags: Int32Array;
  readonly steps: readonly string[];
  readonly fd: number;
  readonly startMs: number;
};

/** Returns to the first column and erases the line (ECMA-48 8.3.41). */
export const ERASE = '\r\u001b[2K';
