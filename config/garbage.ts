/**
 * Collections on demand. An image is shared memory, which V8 does not count for any thread's heap: without forced
 * collections, threads that allocate nothing would keep every old image. And a heap that has grown keeps what it no
 * longer needs.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { releaseMemory } from './libc.ts';

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

/** Work that makes a heap larger by this much leaves mostly garbage. */
const MUCH_OCTETS = 64 * 1024 * 1024;

/** The size of the calling thread's heap. */
export function heapOctets(): number {
  return getHeapStatistics().total_heap_size;
}

/**
 * If the heap of the calling thread is much larger than it was (`before`: `heapOctets`), collects all garbage and
 * returns the memory to the system: 0.2 s. Call it between two pieces of work that need much memory, so that the second
 * one does not need it in addition.
 */
export function shrinkGrownHeap(before: number): void {
  if (heapOctets() - before < MUCH_OCTETS) return;
  allowCollecting();
  shrink();
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
    shrink();
  }, SHRINK_MS).unref();
}

/** A heap may be larger than after its last collection by this much. */
const MAX_GROWTH_OCTETS = 4 * 1024 * 1024;

/** The size of this thread's heap after the last collection. */
let settledOctets = 0;

/**
 * Does the same if the heap has grown since. Call it after work that is repeated for years, such as a reload: each
 * leaves the young generation a little larger, up to 32 MB, and V8 gives nothing back to the system while the thread
 * works.
 */
export function shrinkIfGrown(): void {
  if (heapOctets() - settledOctets > MAX_GROWTH_OCTETS) shrinkLater();
}

/** The young generation of a thread with little work doubles every few minutes. */
const LOOK_MS = 60_000;
/** A collection takes about 0.6 ms of CPU time per megabyte. A thread with a larger heap uses its young generation. */
const SMALL_OCTETS = 64 * 1024 * 1024;
/**
 * Returning 80 MB in 5,000 pieces takes 10 ms of CPU time, in which the threads that they belong to wait for memory. In
 * a larger process, that is more time and a smaller share of its memory.
 */
const SMALL_PROCESS_OCTETS = 256 * 1024 * 1024;

let looking: NodeJS.Timeout | undefined;

/**
 * Does the same each minute for the calling thread, which must not pause for long. Also returns memory that native code
 * of all threads has freed, in about 1 ms.
 */
export function keepHeapSmall(): void {
  looking ??= setInterval(() => {
    if (heapOctets() < SMALL_OCTETS) shrinkIfGrown();
    if (process.memoryUsage.rss() < SMALL_PROCESS_OCTETS) releaseMemory();
  }, LOOK_MS).unref();
}

function shrink(): void {
  scope.gc?.({ type: 'major', flavor: 'last-resort' });
  releaseMemory();
  settledOctets = heapOctets();
}

function collect(type: 'major' | 'minor'): void {
  scope.gc?.({ type });
}
