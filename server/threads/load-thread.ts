/**
 * Loads generations in the compile thread, so that nothing else waits. Imports no reader, compiler or database: their
 * memory belongs to that thread.
 */
import { Worker } from 'node:worker_threads';
import type { Diagnostic } from '../../config/diagnostics.ts';
import type { Outcome } from '../../zones/catalog.ts';
import { changedEntries } from '../../zones/layered-map.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';
import type { SigningProgress } from '../../zones/postponed.ts';
import type { SetWish, SignedWish } from '../../zones/sign-sets.ts';
import { applyChanges, type GenerationChanges } from './generation-changes.ts';

/** `number` will name the generation; `base` is that of the generation in force, if this thread loaded it. */
export type LoadRequest = { readonly input: LoadInput; readonly number: number; readonly base: number | undefined };

/** Sets of VIPs to sign, of a generation that the thread has loaded. */
export type SetsRequest = {
  readonly kind: 'sign-sets';
  readonly id: number;
  readonly of: number;
  readonly wishes: readonly SetWish[];
};

/** Messages of the compile thread: each file before it is read, and the outcome at the end. */
export type FromLoadThread =
  | { readonly kind: 'reading'; readonly path: string }
  | { readonly kind: 'done'; readonly outcome: LoadOutcome }
  /** Between loads too: zones that are signed in the background, and one of them that is finished. */
  | { readonly kind: 'signing'; readonly zones: readonly SigningProgress[] }
  | { readonly kind: 'signed'; readonly zone: string }
  /** Replies to a SetsRequest. */
  | { readonly kind: 'sets'; readonly id: number; readonly sets: readonly (SignedWish | undefined)[] };

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

/** `isPartial`: only what has changed since the generation in force was loaded. */
export type RunLoad = (
  input: LoadInput,
  options?: LoadOptions,
) => Promise<Outcome<CompiledGeneration> & { readonly isPartial?: boolean }>;

/** Loads in a thread that keeps running. If the value of an outcome is `inForce`, nothing has changed. */
export type Loader = {
  readonly load: RunLoad;
  /** Signs sets of VIPs of the generation in force. Resolves to nothing if the thread does not have its zones. */
  readonly signSets: (inForce: CompiledGeneration, wishes: readonly SetWish[]) => Promise<SignedWishes>;
  /** Zones of the generation in force have been changed in place: `next` is that generation now. */
  readonly changedInPlace: (inForce: CompiledGeneration, next: CompiledGeneration) => void;
  readonly stop: () => void;
};

export type SignedWishes = readonly (SignedWish | undefined)[];

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './load-worker.ts' : './load-worker.js', import.meta.url);

/** A generation, and the number by which the thread identifies it. */
type Known = {
  readonly number: number;
  readonly generation: CompiledGeneration;
  /** The serials that the thread knows. */
  readonly told: CompiledGeneration['serials'];
};

/** Hears of zones that are signed in the background. */
export type SigningWatch = {
  readonly signing: (zones: readonly SigningProgress[]) => void;
  /** The zone has all signatures: a reload puts them in force. */
  readonly signed: (zone: string) => void;
};

export function createLoader(watch: SigningWatch = { signing: () => undefined, signed: () => undefined }): Loader {
  let worker: Worker | undefined;
  let known: Known[] = [];
  let count = 0;
  const asked = new Map<number, (sets: SignedWishes) => void>();
  const end = (): Promise<unknown> => {
    const ended = worker?.terminate();
    worker = undefined;
    known = [];
    for (const reply of asked.values()) reply([]);
    asked.clear();
    return Promise.resolve(ended);
  };
  const load: RunLoad = async (input, { inForce, ...options } = {}) => {
    const base = known.find(({ generation }) => generation === inForce);
    const number = ++count;
    const { file, cwd, env, cores, measured, keyPairInUse, cache, fleetSerials, agreedKeys, updated, foreign } = input;
    const moved = base && changedEntries(base.told, base.generation.serials);
    // The thread has the serials and the geography of the base.
    const request: LoadRequest = {
      ...requestOf(
        base
          ? { file, cwd, env, cores, measured, keyPairInUse, cache, fleetSerials, agreedKeys, updated, foreign, moved }
          : input,
      ),
      number,
      base: base?.number,
    };
    let outcome: LoadOutcome;
    try {
      if (worker) worker.postMessage(request);
      else {
        const started = new Worker(options.entry ?? ENTRY, { name: 'load', workerData: { stays: true, request } });
        worker = started;
        // After a failure between two loads, the next load starts another thread.
        worker.on('error', () => {
          if (worker === started) void end();
        });
        worker.on('message', (message: FromLoadThread) => {
          if (message.kind === 'signing') watch.signing(message.zones);
          else if (message.kind === 'signed') watch.signed(message.zone);
          else if (message.kind === 'sets') {
            asked.get(message.id)?.(message.sets);
            asked.delete(message.id);
          }
        });
      }
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
    known = [...(base && isShared ? [base] : []), { number, generation: value, told: value.serials }];
    return { ok: true, value, diagnostics, isPartial: outcome.kind === 'changed' };
  };
  return {
    load,
    signSets: (inForce, wishes) =>
      new Promise((resolve) => {
        const base = known.find(({ generation }) => generation === inForce);
        if (!worker || !base) {
          resolve([]);
          return;
        }
        const request: SetsRequest = { kind: 'sign-sets', id: ++count, of: base.number, wishes };
        asked.set(request.id, resolve);
        worker.postMessage(request);
      }),
    changedInPlace: (inForce, generation) => {
      known = known.map((each) => (each.generation === inForce ? { ...each, generation } : each));
    },
    stop: () => void end(),
  };
}

/**
 * Loads in a thread that ends afterwards. Rejects when the thread fails or is terminated: with LoadStuckError after
 * `limitMs`. A thread that waits for an unresponsive file system may continue; nothing waits for it.
 */
export const loadInThread: RunLoad = async (input, { entry = ENTRY, ...options } = {}) => {
  options.signal?.throwIfAborted();
  const request = requestOf(input);
  const worker = new Worker(entry, { name: 'load', workerData: { stays: false, request } });
  worker.on('error', () => undefined); // after the outcome it does not matter
  const { diagnostics, ...outcome } = await outcomeOf(worker, options, () => worker.terminate());
  if (outcome.kind !== 'loaded') return { ok: false, diagnostics };
  return { ok: true, value: outcome.generation, diagnostics };
};

function requestOf(input: LoadInput): LoadRequest {
  const { env, serials, ...rest } = input;
  const copied = serials && { serials: new Map(serials) };
  return { input: { ...rest, ...copied, env: { ...env } }, number: 1, base: undefined };
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
      if (message.kind !== 'done') return;
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
      worker.off('error', reject);
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
