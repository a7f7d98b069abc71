/**
 * Simulate of a running server. It has a thread, because the control thread must run probes. The thread computes one
 * request at a time; a few more wait. It starts with the first request of a generation. It ends when the generation is
 * replaced, when a request takes too long or is cancelled, and after some time without requests.
 */
import { Worker } from 'node:worker_threads';
import type { PackedGeneration } from '../../zones/packed-generation.ts';
import type { CountedClients } from './client-counts.ts';
import type { SimulateRequest } from './simulate-failure.ts';

/** Facts about a service that only the control thread has; lists are by its VIPs. */
export type ServiceFacts = {
  readonly clients: CountedClients;
  /** Answers since the start. */
  readonly served: readonly number[];
  /** Load as a share of the VIP's capacity; undefined if unknown. */
  readonly loads: readonly (number | undefined)[];
};

/** The part of the generation in force that simulate uses. Each generation has a different object. */
export type SimulatedServer = {
  readonly generation: PackedGeneration;
  /** Its health table. */
  readonly health: SharedArrayBuffer;
  readonly factsOf: (service: number) => ServiceFacts;
};

export type ToSimulateThread =
  | { readonly kind: 'start'; readonly generation: PackedGeneration; readonly health: SharedArrayBuffer }
  | { readonly kind: 'ask'; readonly request: SimulateRequest }
  /** For the services of the last 'need', in their order. */
  | { readonly kind: 'facts'; readonly facts: readonly ServiceFacts[] };

export type FromSimulateThread =
  | { readonly kind: 'need'; readonly services: readonly number[] }
  | { readonly kind: 'done'; readonly json: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'refused'; readonly parameter: string; readonly message: string };

/** The outcome of a request. */
export type SimulateOutcome =
  /** A Simulation as JSON. */
  | { readonly kind: 'done'; readonly json: Uint8Array<ArrayBuffer> }
  /** `parameter` is the name of the invalid parameter. */
  | { readonly kind: 'refused'; readonly parameter: string; readonly message: string }
  /** Too many requests are waiting. */
  | { readonly kind: 'busy' }
  /** The generation was replaced: the client should ask again. */
  | { readonly kind: 'replaced' }
  | { readonly kind: 'too-long'; readonly seconds: number }
  | { readonly kind: 'too-large' }
  /** The client has disconnected, or the server stops. */
  | { readonly kind: 'cancelled' };

/** `leave` frees the request's place when the reply has been sent. It may be called more than once. */
export type SimulateReply = { readonly outcome: SimulateOutcome; readonly leave: () => void };

export type SimulateThread = {
  /** The outcome is `cancelled` if `signal` aborts. Rejects if the thread fails because of a bug. */
  readonly simulate: (request: SimulateRequest, signal?: AbortSignal) => Promise<SimulateReply>;
  /** Call this when the generation was replaced. */
  readonly replaced: () => void;
  readonly stop: () => void;
};

export type SimulateThreadOptions = {
  readonly server: () => SimulatedServer;
  readonly limitMs?: number;
  readonly idleMs?: number;
  /** The entry file of the thread. */
  readonly entry?: URL;
};

/** Requests that may wait while one is computed. A request keeps its place until its reply has been sent. */
const MAX_WAITING = 4;
/** The time limit of one request: a region with thousands of services takes a few seconds. */
const LIMIT_MS = 30_000;
/** The thread ends after this time without requests, because it keeps the catalog in memory. */
const IDLE_MS = 60_000;
/**
 * A region with 10,000 services needs half of it. Requests that need more are refused, to protect the server's memory.
 */
const MAX_HEAP_MIB = 2048;
/** Services per lookup in the control thread: about 1 ms if each has clients in all countries. */
export const SERVICES_A_QUESTION = 16;

const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './simulate-worker.ts' : './simulate-worker.js',
  import.meta.url,
);

/** A request that is waiting or running. */
type Job = {
  readonly request: SimulateRequest;
  readonly end: (outcome: SimulateOutcome) => void;
  readonly fail: (error: Error) => void;
};

export function createSimulateThread(options: SimulateThreadOptions): SimulateThread {
  const { server, limitMs = LIMIT_MS, idleMs = IDLE_MS, entry = ENTRY } = options;
  const waiting: Job[] = [];
  let running: Job | undefined;
  let worker: Worker | undefined;
  let limit: NodeJS.Timeout | undefined;
  let idle: NodeJS.Timeout | undefined;
  let places = MAX_WAITING + 1;
  let stopped = false;

  const endThread = (): void => {
    const ended = worker;
    worker = undefined;
    clearTimeout(idle);
    ended?.removeAllListeners('message');
    void ended?.terminate();
  };
  /** Called when the running request has ended; the thread may have ended too. */
  const next = (): void => {
    clearTimeout(limit);
    clearTimeout(idle);
    running = waiting.shift();
    if (running === undefined) {
      idle = setTimeout(endThread, idleMs).unref();
      return;
    }
    limit = setTimeout(() => {
      give({ kind: 'too-long', seconds: Math.round(limitMs / 1000) }, true);
    }, limitMs);
    worker ??= begin();
    worker.postMessage({ kind: 'ask', request: running.request } satisfies ToSimulateThread);
  };
  const give = (outcome: SimulateOutcome, endsThread = false): void => {
    const job = running;
    if (endsThread) endThread();
    next();
    job?.end(outcome);
  };
  const begin = (): Worker => {
    const { generation, health, factsOf } = server();
    const thread = new Worker(entry, { name: 'simulate', resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB } });
    thread.unref();
    thread.postMessage({ kind: 'start', generation, health } satisfies ToSimulateThread);
    thread.on('message', (message: FromSimulateThread) => {
      if (message.kind !== 'need') {
        give(message);
        return;
      }
      const facts = message.services.map(factsOf);
      thread.postMessage({ kind: 'facts', facts } satisfies ToSimulateThread);
    });
    const failed = (error: Error & { readonly code?: string }): void => {
      if (worker !== thread) return;
      worker = undefined;
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
        give({ kind: 'too-large' });
        return;
      }
      const job = running;
      next();
      job?.fail(error);
    };
    thread.on('error', failed);
    thread.on('exit', () => {
      failed(new Error('the thread of simulate ended without a reply'));
    });
    return thread;
  };

  return {
    simulate: (request, signal) => {
      if (stopped || signal?.aborted === true) {
        return Promise.resolve({ outcome: { kind: 'cancelled' }, leave: () => undefined });
      }
      if (places === 0) return Promise.resolve({ outcome: { kind: 'busy' }, leave: () => undefined });
      places--;
      let isThere = true;
      const leave = (): void => {
        if (isThere) places++;
        isThere = false;
      };
      return new Promise((resolve, reject) => {
        const job: Job = {
          request,
          end: (outcome) => {
            signal?.removeEventListener('abort', cancel);
            resolve({ outcome, leave });
          },
          fail: (error) => {
            signal?.removeEventListener('abort', cancel);
            leave();
            reject(error);
          },
        };
        const cancel = (): void => {
          if (job === running) {
            give({ kind: 'cancelled' }, true);
            return;
          }
          const at = waiting.indexOf(job);
          if (at >= 0) waiting.splice(at, 1);
          job.end({ kind: 'cancelled' });
        };
        signal?.addEventListener('abort', cancel, { once: true });
        waiting.push(job);
        if (running === undefined) next();
      });
    },
    replaced: () => {
      if (running === undefined) endThread();
      else give({ kind: 'replaced' }, true);
    },
    stop: () => {
      stopped = true;
      const left = [running, ...waiting.splice(0)];
      running = undefined;
      clearTimeout(limit);
      endThread();
      for (const job of left) job?.end({ kind: 'cancelled' });
    },
  };
}
