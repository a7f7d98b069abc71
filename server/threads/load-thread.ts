/**
 * Loads generations in the compile thread, so that nothing else waits. Imports no reader, compiler or database: their
 * memory belongs to that thread.
 */
import { Worker } from 'node:worker_threads';
import type { Diagnostic } from '../../config/diagnostics.ts';
import type { Outcome } from '../../zones/catalog.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';
import { applyChanges, type GenerationChanges } from './generation-changes.ts';

/** `number` will name the generation; `base` is that of the generation in force, if this thread loaded it. */
export type LoadRequest = { readonly input: LoadInput; readonly number: number; readonly base: number | undefined };

/** Messages of the compile thread: each file before it is read, and the outcome at the end. */
export type FromLoadThread =
  { readonly kind: 'reading'; readonly path: string } | { readonly kind: 'done'; readonly outcome: LoadOutcome };

export type LoadOutcome = { readonly diagnostics: readonly Diagnostic[] } & (
  | { readonly kind: 'refused' }
  | { readonly kind: 'loaded'; readonly generation: CompiledGeneration }
  /** Compared with the base. */
  | { readonly kind: 'changed'; readonly changes: GenerationChanges }
  | { readonly kind: 'unchanged' }
);

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
  /** The generation in force. Unchanged parts are taken from it. */
  readonly inForce?: CompiledGeneration;
};

export type RunLoad = (input: LoadInput, options?: LoadOptions) => Promise<Outcome<CompiledGeneration>>;

/** Loads in a thread that keeps running. If the value of an outcome is `inForce`, nothing has changed. */
export type Loader = { readonly load: RunLoad; readonly stop: () => void };

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './load-worker.ts' : './load-worker.js', import.meta.url);

/** A generation, and the number by which the thread identifies it. */
type Known = { readonly number: number; readonly generation: CompiledGeneration };

export function createLoader(): Loader {
  let worker: Worker | undefined;
  let known: Known[] = [];
  let count = 0;
  const end = (): Promise<unknown> => {
    const ended = worker?.terminate();
    worker = undefined;
    known = [];
    return Promise.resolve(ended);
  };
  const load: RunLoad = async (input, { inForce, ...options } = {}) => {
    const base = known.find(({ generation }) => generation === inForce);
    const number = ++count;
    const { file, cwd, env, cores, measured, keyPairInUse, cache, fleetSerials } = input;
    // The thread has the serials and the geography of the base.
    const request: LoadRequest = {
      ...requestOf(base ? { file, cwd, env, cores, measured, keyPairInUse, cache, fleetSerials } : input),
      number,
      base: base?.number,
    };
    let outcome: LoadOutcome;
    try {
      if (worker) worker.postMessage(request);
      else worker = new Worker(options.entry ?? ENTRY, { name: 'load', workerData: { stays: true, request } });
      outcome = await outcomeOf(worker, options, end);
    } catch (error) {
      void end();
      throw error;
    }
    const { diagnostics } = outcome;
    if (outcome.kind === 'refused') return { ok: false, diagnostics };
    if (outcome.kind === 'unchanged' && base) return { ok: true, value: base.generation, diagnostics };
    const value =
      outcome.kind === 'loaded'
        ? outcome.generation
        : outcome.kind === 'changed' && base
          ? applyChanges(base.generation, outcome.changes)
          : undefined;
    if (!value) throw new Error('the compile thread compared with an unknown generation');
    // Releases the base if it has another arena, as the thread does. If the new generation is then not put in force,
    // the next load is a complete one.
    const isShared = base?.generation.image.arena === value.image.arena;
    known = [...(base && isShared ? [base] : []), { number, generation: value }];
    return { ok: true, value, diagnostics };
  };
  return { load, stop: () => void end() };
}

/**
 * Loads in a thread that ends afterwards. Rejects when the thread fails or is terminated: with LoadStuckError after
 * `limitMs`. A thread that waits for an unresponsive file system may continue; nothing waits for it.
 */
export const loadInThread: RunLoad = async (input, { entry = ENTRY, ...options } = {}) => {
  options.signal?.throwIfAborted();
  const request = requestOf(input);
  const worker = new Worker(entry, { name: 'load', workerData: { stays: false, request } });
  const { diagnostics, ...outcome } = await outcomeOf(worker, options, () => worker.terminate());
  if (outcome.kind !== 'loaded') return { ok: false, diagnostics };
  return { ok: true, value: outcome.generation, diagnostics };
};

function requestOf(input: LoadInput): LoadRequest {
  const { env, ...rest } = input;
  return { input: { ...rest, env: { ...env } }, number: 1, base: undefined };
}

/** Waits for the thread's outcome. `end` terminates it. */
function outcomeOf(
  worker: Worker,
  { limitMs, signal }: LoadOptions,
  end: () => Promise<unknown>,
): Promise<LoadOutcome> {
  return new Promise((resolve, reject) => {
    let path: string | undefined;
    worker.ref();
    const timer =
      limitMs === undefined
        ? undefined
        : setTimeout(() => {
            reject(new LoadStuckError(Math.round(limitMs / 1000), path, end()));
          }, limitMs);
    const stop = (): void => {
      reject(signal?.reason instanceof Error ? signal.reason : new Error('no longer wanted'));
      void end();
    };
    const heard = (message: FromLoadThread): void => {
      if (message.kind === 'reading') {
        path = message.path;
        return;
      }
      leave();
      resolve(message.outcome);
    };
    const exited = (): void => {
      leave();
      reject(new Error('the thread that reads the configuration ended without a result'));
    };
    const leave = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      worker.off('message', heard);
      worker.off('exit', exited);
      worker.unref();
    };
    if (signal?.aborted === true) stop();
    else signal?.addEventListener('abort', stop, { once: true });
    worker.on('message', heard);
    worker.once('error', reject);
    worker.once('exit', exited);
  });
}
