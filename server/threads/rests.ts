/**
 * Divides the control thread's time between what answering threads ask of it (updates, IXFR over UDP) and everything
 * else.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work takes a turn of the event loop for about this time: that of a reply of the status server. */
const WORK_MS = 2;
/**
 * Turns that follow without it. An order takes some ten turns, so it waits for work once or twice. An empty turn takes
 * microseconds.
 */
const REST_TURNS = 8;

/**
 * Returns a function that long work calls between its parts. It waits when it is time that probes and requests to the
 * status server are served.
 */
export function createRests(now: () => number = () => performance.now()): () => Promise<void> {
  let startMs = now();
  return async () => {
    if (now() - startMs < WORK_MS) return;
    for (let turn = 0; turn < REST_TURNS; turn++) await nextTurn();
    startMs = now();
  };
}

/** Runs jobs later, in their order, with such rests between them. */
export function createJobQueue(now?: () => number): (job: () => void) => void {
  const waiting: (() => void)[] = [];
  let isWorking = false;
  const work = async (): Promise<void> => {
    isWorking = true;
    await nextTurn();
    // Idle time before is not work.
    const rest = createRests(now);
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      job();
      await rest();
    }
    isWorking = false;
  };
  return (job) => {
    waiting.push(job);
    if (!isWorking) void work();
  };
}
