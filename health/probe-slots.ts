/**
 * Limits how many tasks run at once. The others wait in the order in which they came.
 */

import type { StopSignal } from './stop-signal.ts';

/** Ends the turn. */
export type Release = () => void;

export type ProbeSlots = {
  /** Resolves at the caller's turn with the function that ends it; rejects with the signal's reason when it aborts. */
  take(signal: StopSignal): Promise<Release>;
  /** Turns taken, and callers that wait for one. */
  load(): { readonly taken: number; readonly waiting: number };
};

export function createProbeSlots(most: number): ProbeSlots {
  /** In the order they came. */
  const waiting = new Set<() => void>();
  let taken = 0;

  const grant = (): Release => {
    taken += 1;
    let mine = true;
    return () => {
      if (!mine) return;
      mine = false;
      taken -= 1;
      const [next] = waiting;
      next?.();
    };
  };

  return {
    take(signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(reasonOf(signal));
          return;
        }
        if (taken < most) {
          resolve(grant());
          return;
        }
        const start = (): void => {
          waiting.delete(start);
          signal.removeEventListener('abort', cancel);
          resolve(grant());
        };
        const cancel = (): void => {
          waiting.delete(start);
          reject(reasonOf(signal));
        };
        waiting.add(start);
        signal.addEventListener('abort', cancel, { once: true });
      });
    },
    load: () => ({ taken, waiting: waiting.size }),
  };
}

function reasonOf(signal: StopSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('cancelled');
}
