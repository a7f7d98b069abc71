/**
 * Keeps one answering thread alive: starts it, handles its messages, and restarts it when it dies.
 */
import { Worker } from 'node:worker_threads';
import type { Endpoint } from '../../wire/address.ts';
import type { DatagramRoute, Log, ToControl } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import { ListenError } from '../listen-error.ts';
import type { ThreadStart, ToThread } from './thread.ts';

export type KeeperOptions = {
  readonly name: string;
  readonly start: () => ThreadStart;
  /** The first message to a new thread. Called at every start, so that the thread gets the current publication. */
  readonly first: () => ToThread;
  /** Called when the thread runs a publication. */
  readonly onRunning: () => void;
  /** Called when the thread could not create an answerer. */
  readonly onRefused: (sequence: number, reason: string) => void;
  /** Runs a job later, after those of all threads that came before. Replies are made in such jobs. */
  readonly inTurn: (job: () => void) => void;
  /** Replies to a question of the thread. */
  readonly onQuestion: (question: unknown) => unknown;
  /** Sends the response to a datagram that a thread has handed over. */
  readonly onResponse: (response: Uint8Array, route: DatagramRoute) => void;
  /** The control thread's counters. */
  readonly counters: Float64Array;
  readonly log: Log;
};

export type Keeper = {
  /**
   * Resolves to the bound endpoints when the thread first serves. Rejects when it cannot, for example with ListenError.
   */
  readonly started: Promise<readonly Endpoint[]>;
  /** Descriptors of the sockets that the current thread has bound, in the order of `started`. */
  descriptors(): readonly number[];
  /** The sequence of the publication that the thread runs; 0 while it runs none. */
  running(): number;
  post(message: ToThread): void;
  /** Resolves when the thread has ended after a `stop` message. Terminates it after a time limit. */
  ended(): Promise<void>;
};

/** A thread that has run for this long has recovered: its next restart is immediate again. */
const RECOVERED_MS = 10_000;
/** Delays before restarts in a row. The first restart is immediate. */
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** Time limit for a thread to finish after `stop`. */
const FINISH_MS = 5_000;

// In dist/ this file ends in .js: the build rewrites imports, but not this URL.
const entry = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

type Kept = {
  readonly options: KeeperOptions;
  readonly started: PromiseWithResolvers<readonly Endpoint[]>;
  /** The current thread. Undefined between its death and its restart. */
  worker: Worker | undefined;
  running: number;
  descriptors: readonly number[];
  everServed: boolean;
  stopping: boolean;
  /** Deaths in a row without a recovery between them. */
  deaths: number;
  /** Set while a restart is due. */
  restart: NodeJS.Timeout | undefined;
  /** Resolves when the current thread has exited. */
  gone: Promise<void>;
};

/** Starts a thread and keeps it until `ended` is called. */
export function keepThread(options: KeeperOptions): Keeper {
  const started = Promise.withResolvers<readonly Endpoint[]>();
  // A rejection that nothing awaits must not end the process.
  started.promise.catch(() => undefined);
  const kept: Kept = {
    ...{ options, started, worker: undefined, running: 0, descriptors: [] },
    ...{ everServed: false, stopping: false, deaths: 0, restart: undefined, gone: Promise.resolve() },
  };
  begin(kept);
  return {
    started: started.promise,
    descriptors: () => kept.descriptors,
    running: () => kept.running,
    post: (message) => {
      kept.worker?.postMessage(message);
    },
    ended: () => awaitEnd(kept),
  };
}

function begin(kept: Kept): void {
  const { name, start, first } = kept.options;
  const startedAt = performance.now();
  const workerData = start();
  const thread = new Worker(entry, { name, workerData });
  thread.postMessage(first());
  kept.worker = thread;
  let reason = 'it ended';
  thread.on('message', (message: ToControl) => {
    handleMessage(kept, message, thread, workerData);
  });
  thread.on('error', (error) => {
    reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  });
  const exited = Promise.withResolvers<undefined>();
  kept.gone = exited.promise.then();
  thread.on('exit', () => {
    exited.resolve(undefined);
    kept.worker = undefined;
    kept.running = 0;
    kept.started.reject(new Error(`${name} did not start: ${reason}`));
    if (!kept.stopping && kept.everServed) beginAgain(kept, performance.now() - startedAt, reason);
  });
}

function beginAgain(kept: Kept, livedMs: number, reason: string): void {
  const { name, log, counters } = kept.options;
  kept.deaths = livedMs > RECOVERED_MS ? 1 : kept.deaths + 1;
  const delayMs = kept.deaths === 1 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (kept.deaths - 2));
  count(counters, COUNTER.THREAD_RESTARTS);
  const when = delayMs === 0 ? 'at once' : `in ${delayMs} ms`;
  log.error(`${name} died; restarting it ${when}: ${reason}`);
  if (delayMs === 0) begin(kept);
  else kept.restart = setTimeout(begin, delayMs, kept);
}

function handleMessage(kept: Kept, message: ToControl, thread: Worker, { deferred }: ThreadStart): void {
  const { options, started } = kept;
  const { name, log } = options;
  switch (message.kind) {
    case 'question': {
      const { id, question } = message;
      options.inTurn(() => {
        void replyTo(options, question).then((reply) => {
          thread.postMessage({ kind: 'reply', id, reply } satisfies ToThread);
        });
      });
      break;
    }
    case 'datagram': {
      const { question, route } = message;
      options.inTurn(() => {
        void replyTo(options, question).then((reply) => {
          Atomics.sub(deferred, 0, 1);
          if (reply instanceof Uint8Array) options.onResponse(reply, route);
        });
      });
      break;
    }
    case 'ready':
      kept.everServed = true;
      started.resolve(message.endpoints);
      kept.descriptors = message.descriptors;
      kept.running = message.sequence;
      options.onRunning();
      break;
    case 'running':
      kept.running = message.sequence;
      options.onRunning();
      break;
    case 'refused':
      started.reject(new Error(`${name} cannot create its answerer: ${message.reason}`));
      options.onRefused(message.sequence, message.reason);
      break;
    case 'cannot-listen': {
      const error = new ListenError(message.failure);
      if (kept.everServed) log.error(`${name}: ${error.message}; ${error.hint}`);
      started.reject(error);
      break;
    }
    case 'log':
      log.error(`${name}: ${message.message}`);
  }
}

async function replyTo({ name, log, onQuestion }: KeeperOptions, question: unknown): Promise<unknown> {
  try {
    return await onQuestion(question);
  } catch (error) {
    log.error(`${name}: cannot reply to its question: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function awaitEnd(kept: Kept): Promise<void> {
  const { name, log } = kept.options;
  kept.stopping = true;
  clearTimeout(kept.restart);
  const force = setTimeout(() => {
    log.warn(`${name} did not finish within ${FINISH_MS} ms`);
    void kept.worker?.terminate();
  }, FINISH_MS);
  await kept.gone;
  clearTimeout(force);
}
