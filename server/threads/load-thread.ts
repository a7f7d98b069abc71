/**
 * Loads a generation in the compile thread, so that nothing else waits. Imports no reader, compiler or database: their
 * memory is freed with that thread.
 */
import { Worker } from 'node:worker_threads';
import type { Outcome } from '../../zones/catalog.ts';
import type { LoadedGeneration, LoadInput } from '../../zones/load-generation.ts';
import type { PackedGeneration } from '../../zones/packed-generation.ts';

/** A generation, also in packed form for threads that start later. */
export type CompiledGeneration = LoadedGeneration & { readonly packed: PackedGeneration };

/** Messages of the compile thread: each file before it is read, and the outcome at the end. */
export type FromLoadThread =
  | { readonly kind: 'reading'; readonly path: string }
  | { readonly kind: 'done'; readonly outcome: Outcome<CompiledGeneration> };

/** The compile thread took too long and was terminated. */
export class LoadStuckError extends Error {
  override readonly name = 'LoadStuckError';
  /** The last file that it began to read. */
  readonly path: string | undefined;
  /** Resolves when the thread has ended. A thread that waits for an unresponsive file system may never end. */
  readonly ended: Promise<unknown>;

  constructor(seconds: number, path: string | undefined, ended: Promise<unknown>) {
    const where = path === undefined ? '' : `, the last of them ${path}`;
    super(`reading the files took longer than ${seconds} s${where}`);
    this.path = path;
    this.ended = ended;
  }
}

export type LoadOptions = {
  /** Terminates the thread after this time. Undefined: no limit. */
  readonly limitMs?: number;
  /** Terminates the thread; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The thread's entry module. */
  readonly entry?: URL;
};

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './load-worker.ts' : './load-worker.js', import.meta.url);

/**
 * Runs `loadGeneration` in a thread that ends afterwards. Rejects when the thread fails or is terminated: with
 * LoadStuckError after `limitMs`. A thread that waits for an unresponsive file system may continue; nothing waits for
 * it.
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
    // Resolves at the thread's end, when its memory is free.
    worker.once('exit', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      if (outcome) resolve(outcome);
      else reject(new Error('the thread that reads the configuration ended without a result'));
    });
  });
}
