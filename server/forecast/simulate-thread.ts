/**
 * Runs simulate for a running server, in a separate thread, because the control thread must run probes. The thread
 * computes one request at a time; a few more wait. It starts with the first request of a generation. It ends when the
 * generation is replaced, when a request takes too long or is cancelled, and after some time without requests.
 */
import { Worker } from 'node:worker_threads';
import { systemClock, type Cancel, type Clock } from '../../health/clock.ts';
import type { PackedGeneration } from '../../zones/packed-generation.ts';
import type { CountedClients } from './client-counts.ts';
import type { SimulateRequest } from './simulate-failure.ts';
import type { MapRequest } from './who-serves.ts';

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

export type ForecastRequest = SimulateRequest | MapRequest;

export type ToSimulateThread =
  | { readonly kind: 'start'; readonly generation: PackedGeneration; readonly health: SharedArrayBuffer }
  | { readonly kind: 'ask'; readonly request: ForecastRequest }
  /** For the services of the last 'need', in their order. */
  | { readonly kind: 'facts'; readonly facts: readonly ServiceFacts[] };

export type FromSimulateThread =
  | { readonly kind: 'need'; readonly services: readonly number[] }
  | { readonly kind: 'done'; readonly json: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'refused'; readonly parameter: string; readonly message: string };

/** The outcome of a request. */
export type SimulateOutcome =
  /** A Simulation as JSON, or a ServiceMap for a MapRequest. */
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
  readonly simulate: (request: ForecastRequest, signal?: AbortSignal) => Promise<SimulateReply>;
  /** Call this when the generation was replaced. */
  readonly replaced: () => void;
  readonly stop: () => void;
};

export type SimulateThreadOptions = {
  readonly server: () => SimulatedServer;
  readonly clock?: Clock;
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
 * A request about a region with 10,000 services needs half of this heap. Requests that need more than all of it are
 * refused, to protect the server's memory.
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
  readonly request: ForecastRequest;
  readonly end: (outcome: SimulateOutcome) => void;
  readonly fail: (error: Error) => void;
};

/** The thread, the request that it computes, and those that wait. */
type Simulations = {
  readonly server: () => SimulatedServer;
  readonly clock: Clock;
  readonly entry: URL;
  readonly waiting: Job[];
  running: Job | undefined;
  worker: Worker | undefined;
  /** Cancel the time limit of the running request, and the planned end of a thread without requests. */
  cancelLimit: Cancel;
  cancelIdle: Cancel;
  /** Number of further requests that may be accepted. */
  places: number;
  stopped: boolean;
};

const nothingToCancel: Cancel = () => undefined;

export function createSimulateThread(options: SimulateThreadOptions): SimulateThread {
  const { server, entry = ENTRY, clock = systemClock } = options;
  const simulations: Simulations = {
    ...{ server, entry, clock },
    waiting: [],
    running: undefined,
    worker: undefined,
    cancelLimit: nothingToCancel,
    cancelIdle: nothingToCancel,
    places: MAX_WAITING + 1,
    stopped: false,
  };
  return {
    simulate: (request, signal) => enqueue(simulations, request, signal),
    replaced: () => {
      if (simulations.running === undefined) endThread(simulations);
      else endThreadAndGive(simulations, { kind: 'replaced' });
    },
    stop: () => {
      simulations.stopped = true;
      const left = [simulations.running, ...simulations.waiting.splice(0)];
      simulations.running = undefined;
      simulations.cancelLimit();
      endThread(simulations);
      for (const job of left) job?.end({ kind: 'cancelled' });
    },
  };
}

function enqueue(simulations: Simulations, request: ForecastRequest, signal?: AbortSignal): Promise<SimulateReply> {
  if (simulations.stopped || signal?.aborted === true) {
    return Promise.resolve({ outcome: { kind: 'cancelled' }, leave: () => undefined });
  }
  if (simulations.places === 0) return Promise.resolve({ outcome: { kind: 'busy' }, leave: () => undefined });
  simulations.places--;
  let isThere = true;
  const leave = (): void => {
    if (isThere) simulations.places++;
    isThere = false;
  };
  return new Promise((resolve, reject) => {
    const job: Job = {
      request,
      end: (outcome) => {
        signal?.removeEventListener('abort', abort);
        resolve({ outcome, leave });
      },
      fail: (error) => {
        signal?.removeEventListener('abort', abort);
        leave();
        reject(error);
      },
    };
    const abort = (): void => {
      cancel(simulations, job);
    };
    signal?.addEventListener('abort', abort, { once: true });
    simulations.waiting.push(job);
    if (simulations.running === undefined) next(simulations);
  });
}

function cancel(simulations: Simulations, job: Job): void {
  if (job === simulations.running) {
    endThreadAndGive(simulations, { kind: 'cancelled' });
    return;
  }
  const at = simulations.waiting.indexOf(job);
  if (at >= 0) simulations.waiting.splice(at, 1);
  job.end({ kind: 'cancelled' });
}

/** Called when the running request has ended; the thread may have ended too. */
function next(simulations: Simulations): void {
  const { clock } = simulations;
  simulations.cancelLimit();
  simulations.cancelIdle();
  simulations.running = simulations.waiting.shift();
  if (simulations.running === undefined) {
    simulations.cancelIdle = clock.after(IDLE_MS, () => {
      endThread(simulations);
    });
    return;
  }
  simulations.cancelLimit = clock.after(LIMIT_MS, () => {
    endThreadAndGive(simulations, { kind: 'too-long', seconds: LIMIT_MS / 1000 });
  });
  simulations.worker ??= beginThread(simulations);
  simulations.worker.postMessage({ kind: 'ask', request: simulations.running.request } satisfies ToSimulateThread);
}

/** Ends the running request and begins the next one. */
function give(simulations: Simulations, outcome: SimulateOutcome): void {
  const job = simulations.running;
  next(simulations);
  job?.end(outcome);
}

function endThreadAndGive(simulations: Simulations, outcome: SimulateOutcome): void {
  endThread(simulations);
  give(simulations, outcome);
}

function beginThread(simulations: Simulations): Worker {
  const { generation, health, factsOf } = simulations.server();
  const resourceLimits = { maxOldGenerationSizeMb: MAX_HEAP_MIB };
  const thread = new Worker(simulations.entry, { name: 'simulate', resourceLimits });
  thread.unref();
  thread.postMessage({ kind: 'start', generation, health } satisfies ToSimulateThread);
  thread.on('message', (message: FromSimulateThread) => {
    if (message.kind !== 'need') {
      give(simulations, message);
      return;
    }
    const facts = message.services.map(factsOf);
    thread.postMessage({ kind: 'facts', facts } satisfies ToSimulateThread);
  });
  thread.on('error', (error: Error) => {
    loseThread(simulations, thread, error);
  });
  thread.on('exit', () => {
    loseThread(simulations, thread, new Error('the thread of simulate ended without a reply'));
  });
  return thread;
}

/** The thread has failed; the next request gets a new one. */
function loseThread(simulations: Simulations, thread: Worker, error: Error & { readonly code?: string }): void {
  if (simulations.worker !== thread) return;
  simulations.worker = undefined;
  if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    give(simulations, { kind: 'too-large' });
    return;
  }
  const job = simulations.running;
  next(simulations);
  job?.fail(error);
}

function endThread(simulations: Simulations): void {
  const ended = simulations.worker;
  simulations.worker = undefined;
  simulations.cancelIdle();
  ended?.removeAllListeners('message');
  void ended?.terminate();
}
