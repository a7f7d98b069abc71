/**
 * Loads in the compile thread, so that nothing else waits. Imports no reader, compiler or database: they live
 * and die with that thread, and so does the memory they take.
 */
import { Worker } from 'node:worker_threads';
import type { Outcome } from '../../zones/catalog.ts';
import type { LoadedGeneration, LoadInput } from '../../zones/load-generation.ts';
import type { PackedGeneration } from '../../zones/packed-generation.ts';

/** A generation with the same packed, for threads that are started later. */
export type CompiledGeneration = LoadedGeneration & { readonly packed: PackedGeneration };

/** What the compile thread posts: the file that it is about to read, and at the end what it came to. */
export type FromLoadThread =
  | { readonly kind: 'reading'; readonly path: string }
  | { readonly kind: 'done'; readonly outcome: Outcome<CompiledGeneration> };

/** The thread took too long and was told to end. */
export class LoadStuckError extends Error {
  override readonly name = 'LoadStuckError';
  /** The file that it read last. */
  readonly path: string | undefined;
  /** Resolves when the thread has ended. One that waits for a file system may never. */
  readonly ended: Promise<unknown>;

  constructor(seconds: number, path: string | undefined, ended: Promise<unknown>) {
    const where = path === undefined ? '' : `, the last of them ${path}`;
    super(`reading the files took longer than ${seconds} s${where}`);
    this.path = path;
    this.ended = ended;
  }
}

export type LoadOptions = {
  /** The thread is ended after this time. Without it, only `signal` ends it. */
  readonly limitMs?: number;
  /** Ends the thread; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The thread's entry. */
  readonly entry?: URL;
};

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './load-worker.ts' : './load-worker.js', import.meta.url);

/**
 * `loadGeneration` in a thread that ends with it. Rejects where the thread itself fails, or is ended: with
 * LoadStuckError after `limitMs`. A thread that waits for a file system which does not answer may outlive that; nothing
 * waits for it.
 */
export function loadInThread(
  input: LoadInput,
  { limitMs, signal, entry = ENTRY }: LoadOptions = {},
): Promise<Outcome<CompiledGeneration>> {
  const { env, ...rest } = input;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const worker = new Worker(entry, { workerData: { ...rest, env: { ...env } } });
    let outcome: Outcome<CompiledGeneration> | undefined;
    let path: string | undefined;
    const timer =
      limitMs === undefined
        ? undefined
        : setTimeout(() => {
            reject(new LoadStuckError(Math.round(limitMs / 1000), path, worker.terminate()));
          }, limitMs);
    const stop = (): void => {
      reject(signal?.reason instanceof Error ? signal.reason : new Error('no longer wanted'));
      void worker.terminate();
    };
    signal?.addEventListener('abort', stop, { once: true });
    worker.on('message', (message: FromLoadThread) => {
      if (message.kind === 'reading') path = message.path;
      else outcome = message.outcome;
    });
    worker.once('error', reject);
    // Not before its end: only then is its memory free.
    worker.once('exit', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      if (outcome) resolve(outcome);
      else reject(new Error('the thread that reads the configuration ended without a result'));
    });
  });
}
