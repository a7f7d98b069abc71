/**
 * Progress of a command on a terminal: after a second, a line with the step and the time so far, erased at the end.
 *
 * Commands read and compute without a pause, so a timer in the same thread would not run. A second thread writes the
 * line (progress-thread.ts).
 */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Output } from './output.ts';
import { ERASE, FLAG, STATE, type ProgressData } from './progress-line.ts';

export type Progress = Disposable & {
  /** Begins with the next step. */
  readonly next: () => void;
};

const NONE: Progress = { next: () => undefined, [Symbol.dispose]: () => undefined };
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './progress-thread.ts' : './progress-thread.js',
  import.meta.url,
);

/** Shows the progress of a command until it is disposed of. `steps` are its steps, in order. */
export function startProgress(steps: readonly string[], { beforeWriting }: Output): Progress {
  // Not a terminal.
  if (beforeWriting === undefined) return NONE;
  const flags = new Int32Array(new SharedArrayBuffer(FLAG.COUNT * 4));
  const { fd } = process.stderr;
  const startMs = performance.timeOrigin + performance.now();
  const workerData: ProgressData = { flags, steps, fd, startMs };
  const thread = new Worker(ENTRY, { name: 'progress', workerData });
  thread.unref();
  // If the thread fails, the command works without the line.
  thread.on('error', () => undefined);
  /** Erases the line. `after` is the state that follows. */
  const erase = (after: number): void => {
    while (Atomics.compareExchange(flags, FLAG.STATE, STATE.IDLE, STATE.WRITING) === STATE.WRITING) {
      Atomics.wait(flags, FLAG.STATE, STATE.WRITING, 10);
    }
    if (Atomics.exchange(flags, FLAG.SHOWN, 0) === 1) writeSync(fd, ERASE);
    Atomics.store(flags, FLAG.STATE, after);
    Atomics.notify(flags, FLAG.STATE);
  };
  beforeWriting(() => {
    erase(STATE.IDLE);
  });
  return {
    next: () => void Atomics.add(flags, FLAG.STEP, 1),
    [Symbol.dispose]: () => {
      beforeWriting(undefined);
      erase(STATE.ENDED);
      void thread.terminate();
    },
  };
}
