/**
 * The time of a model: timers in the order of their times, and a wall clock that may step. Time passes only in
 * `advance`.
 */
import type { Clock } from '../../../health/clock.ts';
import { createEventQueue, type EventQueue } from '../../support/event-queue.ts';

export type ModelClock = Clock & {
  /** For parts of the model that have no clock. */
  readonly queue: EventQueue;
  /** Runs what is due in this time, each event with all promises that it settles. */
  advance(ms: number): Promise<void>;
  stepWall(ms: number): void;
};

/** Long before the times of files, so that no file is taken for one that is not being written. */
const START_MS = Date.parse('2021-01-01T00:00:00Z');
/** How many promises a probe passes through before its result is taken. */
const HOPS = 4;

export function createModelClock(): ModelClock {
  const queue = createEventQueue();
  let wallOffsetMs = START_MS;
  return {
    queue,
    now: queue.now,
    wall: () => queue.now() + wallOffsetMs,
    after(delayMs, run) {
      let isCancelled = false;
      queue.at(queue.now() + delayMs, () => {
        if (!isCancelled) run();
      });
      return () => {
        isCancelled = true;
      };
    },
    async advance(ms) {
      const untilMs = queue.now() + ms;
      for (;;) {
        const dueMs = queue.nextMs();
        if (dueMs > untilMs) break;
        queue.runUntil(dueMs);
        for (let hop = 0; hop < HOPS; hop++) await Promise.resolve();
      }
      queue.runUntil(untilMs);
      // Files that are being saved have their turn.
      await new Promise(setImmediate);
    },
    stepWall(ms) {
      wallOffsetMs += ms;
    },
  };
}
