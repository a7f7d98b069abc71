/**
 * `push` checks: somebody reports, and a report lasts for `expires`.
 */
import type { Cancel, Clock } from '../clock.ts';
import { formatMs, type ProbeResult } from './probe.ts';

export type PushTimers = {
  /** Waits for a report for `expiresMs` from now on, in place of what it waited for before. */
  expect(key: string, expiresMs: number): void;
  forget(key: string): void;
  stop(): void;
};

/** `expired` hears of each key whose time went by without a report. */
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
