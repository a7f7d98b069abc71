/**
 * Simulate of a running server, in a thread beside the control thread, which has probes to see to. One request at a time;
 * a few more wait. The thread starts with the first request of a generation, and ends when the generation is replaced, when
 * a request takes too long or is no longer wanted, and when nobody has asked for a while.
 */
import { Worker } from 'node:worker_threads';
import type { PackedGeneration } from '../../zones/packed-generation.ts';
import type { CountedClients } from './client-counts.ts';
import type { SimulateRequest } from './simulate-failure.ts';

/** What only the control thread knows of a service; lists are by its VIPs. */
export type ServiceFacts = {
  readonly clients: CountedClients;
  /** Answers since the start. */
  readonly served: readonly number[];
  /** As a share of the VIP's capacity; undefined where none is known. */
  readonly loads: readonly (number | undefined)[];
};

/** The generation in force, as far as simulate goes into it. The object is another for every generation. */
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

/** What a request comes to. */
export type SimulateOutcome =
  /** A Simulation as JSON. */
  | { readonly kind: 'done'; readonly json: Uint8Array<ArrayBuffer> }
  /** `parameter` names what was wrong with the request. */
  | { readonly kind: 'refused'; readonly parameter: string; readonly message: string }
  /** As many wait as may. */
  | { readonly kind: 'busy' }
  /** Another generation is in force: ask again. */
  | { readonly kind: 'replaced' }
  | { readonly kind: 'too-long'; readonly seconds: number }
  | { readonly kind: 'too-large' }
  /** The client has gone, or the server stops. */
  | { readonly kind: 'cancelled' };

/** `leave` gives the place to the next request, once nobody needs the reply any more. It may be called again. */
export type SimulateReply = { readonly outcome: SimulateOutcome; readonly leave: () => void };

export type SimulateThread = {
  /** Aborted, it comes to `cancelled`. Rejects where the thread fails for a fault of this program. */
  readonly simulate: (request: SimulateRequest, signal?: AbortSignal) => Promise<SimulateReply>;
  /** Another generation is in force. */
  readonly replaced: () => void;
  readonly stop: () => void;
};

export type SimulateThreadOptions = {
  readonly server: () => SimulatedServer;
  readonly limitMs?: number;
  readonly idleMs?: number;
  /** The thread's entry. */
  readonly entry?: URL;
};

/** Requests that wait while one is computed. A reply keeps its place until it is sent. */
const MAX_WAITING = 4;
/** For one request: a region of thousands of services takes some seconds. */
const LIMIT_MS = 30_000;
/** The thread keeps the catalog in memory, so it ends when nobody has asked for so long. */
const IDLE_MS = 60_000;
/** A region of ten thousand services takes half of it. What needs more is refused, and the server keeps its memory. */
const MAX_HEAP_MIB = 2048;
/** The control thread looks this many services up at a time: about a millisecond where each has clients in all countries. */
export const SERVICES_A_QUESTION = 16;

const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './simulate-worker.ts' : './simulate-worker.js',
  import.meta.url,
);

/** A request that waits or is computed. */
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
  /** The one that is computed has ended; the thread may have. */
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
