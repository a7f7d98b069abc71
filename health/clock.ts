/**
 * Time as an argument, so that tests control it.
 */

/** Cancels a timer. Does nothing once the timer has fired. */
export type Cancel = () => void;

export type Clock = {
  /** Milliseconds of a clock that never steps: for intervals and deadlines. */
  now(): number;
  /** Milliseconds since 1970 of the wall clock, which may step: for times that people read or files keep. */
  wall(): number;
  after(delayMs: number, run: () => void): Cancel;
};

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, Math.max(0, delayMs));
    return () => {
      clearTimeout(timer);
    };
  },
};

/** The wall clock as ISO 8601 in UTC. */
export function isoTime(clock: Clock): string {
  return new Date(clock.wall()).toISOString();
}

/** Calls `run` every `periodMs` until cancelled. */
export function every(clock: Clock, periodMs: number, run: () => void): Cancel {
  let cancel: Cancel;
  const plan = (): void => {
    cancel = clock.after(periodMs, () => {
      plan();
      run();
    });
  };
  plan();
  return () => {
    cancel();
  };
}

/** Resolves after `delayMs`. */
export function waitFor(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((passed) => void clock.after(delayMs, passed));
}
