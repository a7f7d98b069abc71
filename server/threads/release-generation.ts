/**
 * Lets go of a generation that is no longer answered from. Its image is shared memory, which no thread's collector
 * counts as its own: left to themselves, threads that allocate nothing would keep every image they ever had.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'major' | 'minor'; readonly flavor?: 'last-resort' }) => void;

const scope = globalThis as { gc?: Collect };

/** To be called once, before any thread is started; without it the functions below do nothing. */
export function allowCollecting(): void {
  setFlagsFromString('--expose-gc');
  // A heap may by default grow to several times what is alive before it is collected. Thousands of probes a second would
  // have hundreds of megabytes of garbage lie about; with this it is half, for a few per cent of the probes' time.
  setFlagsFromString('--heap-growing-percent=20');
  // Threads find it in their global scope; this one was there before the flag.
  scope.gc ??= runInNewContext('gc') as Collect;
}

/**
 * What the thread made since its last collection and uses no more: some 0.3 ms where little is alive. Often enough
 * for an answering thread: its only garbage is the generation before, which has seen one collection since it was made.
 */
export function collectYoung(): void {
  collect('minor');
}

/** Everything that this thread uses no more: some 10 ms. For threads that a query does not wait for. */
export function collectAll(): void {
  collect('major');
}

/** The same, and the heap keeps no room to spare: for a start, which needs more than what comes after it. Some 50 ms. */
export function shrinkHeap(): void {
  scope.gc?.({ type: 'major', flavor: 'last-resort' });
}

function collect(type: 'major' | 'minor'): void {
  scope.gc?.({ type });
}
