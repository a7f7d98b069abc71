/**
 * `push` checks: results are reported to the HTTP API, and a report is valid for `expires`.
 */
import type { Cancel, Clock } from '../clock.ts';
import { formatMs, type ProbeResult } from './probe.ts';

export type PushTimers = {
  /** Waits `expiresMs` from now for a report. Replaces an earlier wait. */
  expect(key: string, expiresMs: number): void;
  forget(key: string): void;
  stop(): void;
};

/** Calls `expired` for each key without a report in its time. */
export function createPushTimers(clock: Clock, expired: (key: string, result: ProbeResult) => void): PushTimers {
  const timers = new Map<string, Cancel>();
  const forget = (key: string): void => {
    timers.get(key)?.();
    timers.delete(key);
  };
  return {
    expect(key, expiresMs) {
      forget(key);
      const cancel = clock.after(expiresMs, () => {
        timers.delete(key);
        expired(key, { passed: false, reason: `no report in ${formatMs(expiresMs)}`, elapsedMs: 0 });
      });
      timers.set(key, cancel);
    },
    forget,
    stop() {
      for (const key of [...timers.keys()]) forget(key);
    },
  };
}
