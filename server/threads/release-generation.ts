/**
 * Releases the memory of replaced generations. An image is shared memory, which V8 does not count for any thread's
 * heap: without forced collections, threads that allocate nothing would keep every old image.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { releaseMemory } from '../../config/libc.ts';

type Collect = (options: { readonly type: 'major' | 'minor'; readonly flavor?: 'last-resort' }) => void;

const scope = globalThis as { gc?: Collect };

/** Enables the functions below; without it they do nothing. Call it once, before any thread starts. */
export function allowCollecting(): void {
  setFlagsFromString('--expose-gc');
  // Threads that start later have it in their global scope; this thread started before the flag was set.
  scope.gc ??= runInNewContext('gc') as Collect;
}

/**
 * Collects the young generation of the calling thread: about 0.3 ms when little is alive. This is usually enough for an
 * answering thread, whose only garbage is the previous generation.
 */
export function collectYoung(): void {
  collect('minor');
}

/** Collects all garbage of the calling thread: about 10 ms. For threads that no query waits for. */
export function collectAll(): void {
  collect('major');
}

/** The delay before the collection: long enough for a start to complete. */
const SHRINK_MS = 2000;

let shrinking: NodeJS.Timeout | undefined;

/**
 * Collects all garbage of the calling thread and returns the memory to the system, in two seconds: about 50 ms. Call it
 * at the end of work that needs more memory than the server needs afterwards, such as a start.
 */
export function shrinkLater(): void {
  shrinking ??= setTimeout(() => {
    shrinking = undefined;
    // By default a heap may grow to several times its live size before a collection, which keeps hundreds of megabytes
    // of garbage at thousands of probes per second. This flag halves that, for a few per cent of the probes' CPU time.
    // During the start it would cost a fifth of the CPU time: almost all that a start allocates stays.
    setFlagsFromString('--heap-growing-percent=20');
    scope.gc?.({ type: 'major', flavor: 'last-resort' });
    releaseMemory();
  }, SHRINK_MS).unref();
}

function collect(type: 'major' | 'minor'): void {
  scope.gc?.({ type });
}
