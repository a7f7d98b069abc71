/**
 * The thread that writes the progress line while the command's own thread is busy.
 */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { ERASE, FLAG, STATE, type ProgressData } from './progress-line.ts';

/** A step that is done within this time is not shown. */
const QUIET_MS = 1000;
const BETWEEN_MS = 250;

const { flags, steps, fd, startMs } = workerData as ProgressData;

/** Both threads count from the same time. */
function passedMs(): number {
  return performance.timeOrigin + performance.now() - startMs;
}

function write(): void {
  if (Atomics.compareExchange(flags, FLAG.STATE, STATE.IDLE, STATE.WRITING) !== STATE.IDLE) {
    clearInterval(timer);
    return;
  }
  const step = Math.min(Atomics.load(flags, FLAG.STEP), steps.length - 1);
  const seconds = Math.floor(passedMs() / 1000);
  const count = steps.length > 1 ? ` (${step + 1} of ${steps.length})` : '';
  try {
    writeSync(fd, `${ERASE}${steps[step] ?? ''}${count}: ${seconds} s`);
    Atomics.store(flags, FLAG.SHOWN, 1);
  } catch {
    // The terminal is closed, or accepts no more output now.
  }
  Atomics.store(flags, FLAG.STATE, STATE.IDLE);
  Atomics.notify(flags, FLAG.STATE);
}

let timer = setTimeout(
  () => {
    write();
    timer = setInterval(write, BETWEEN_MS);
  },
  Math.max(0, QUIET_MS - passedMs()),
);
