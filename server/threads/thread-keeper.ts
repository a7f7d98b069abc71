/**
 * Keeps one answering thread alive: starts it, handles its messages, and restarts it when it dies.
 */
import { Worker } from 'node:worker_threads';
import type { Endpoint } from '../../wire/address.ts';
import type { Log, ToControl } from '../contract.ts';
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
  /** Replies to a question of the thread. */
  readonly onQuestion: (question: unknown) => unknown;
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

/** A thread that lives this long has recovered: its next restart is immediate again. */
const RECOVERED_MS = 10_000;
/** Delays before restarts in a row. The first restart is immediate. */
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** Time limit for a thread to finish after `stop`. */
const FINISH_MS = 5_000;

// In dist/ this file ends in .js: the compiler rewrites imports, but not this URL.
const entry = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/** Starts a thread and keeps it until `ended` is called. */
export function keepThread(options: KeeperOptions): Keeper {
  const { name, log, counters } = options;
  const started = Promise.withResolvers<readonly Endpoint[]>();
  // A rejection that nothing awaits must not end the process.
  started.promise.catch(() => undefined);
  let worker: Worker | undefined;
  let running = 0;
  let descriptors: readonly number[] = [];
  let everServed = false;
  let stopping = false;
  let deaths = 0;
  let timer: NodeJS.Timeout | undefined;
  let gone = Promise.resolve();

  const replyTo = (question: unknown): unknown => {
    try {
      return options.onQuestion(question);
    } catch (error) {
      log.error(`${name}: cannot reply to its question: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const onMessage = (message: ToControl, thread: Worker): void => {
    switch (message.kind) {
      case 'question': {
        const { id, question } = message;
        thread.postMessage({ kind: 'reply', id, reply: replyTo(question) } satisfies ToThread);
        break;
      }
      case 'ready':
        everServed = true;
        started.resolve(message.endpoints);
        descriptors = message.descriptors;
        running = message.sequence;
        options.onRunning();
        break;
      case 'running':
        running = message.sequence;
        options.onRunning();
        break;
      case 'refused':
        started.reject(new Error(`${name} cannot create its answerer: ${message.reason}`));
        options.onRefused(message.sequence, message.reason);
        break;
      case 'cannot-listen': {
        const error = new ListenError(message.failure);
        if (everServed) log.error(`${name}: ${error.message}; ${error.hint}`);
        started.reject(error);
        break;
      }
      case 'log':
        log.error(`${name}: ${message.message}`);
    }
  };

  const begin = (): void => {
    const startedAt = performance.now();
    const thread = new Worker(entry, { name, workerData: options.start() });
    thread.postMessage(options.first());
    worker = thread;
    let reason = 'it ended';
    thread.on('message', (message: ToControl) => {
      onMessage(message, thread);
    });
    thread.on('error', (error) => {
      reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    const exited = Promise.withResolvers<undefined>();
    gone = exited.promise.then();
    thread.on('exit', () => {
      exited.resolve(undefined);
      worker = undefined;
      running = 0;
      started.reject(new Error(`${name} did not start: ${reason}`));
      if (stopping || !everServed) return;
      deaths = performance.now() - startedAt > RECOVERED_MS ? 1 : deaths + 1;
      const delayMs = deaths === 1 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (deaths - 2));
      count(counters, COUNTER.THREAD_RESTARTS);
      const when = delayMs === 0 ? 'at once' : `in ${delayMs} ms`;
      log.error(`${name} died; restarting it ${when}: ${reason}`);
      if (delayMs === 0) begin();
      else timer = setTimeout(begin, delayMs);
    });
  };
  begin();

  return {
    started: started.promise,
    descriptors: () => descriptors,
    running: () => running,
    post: (message) => {
      worker?.postMessage(message);
    },
    ended: async () => {
      stopping = true;
      clearTimeout(timer);
      const force = setTimeout(() => {
        log.warn(`${name} did not finish within ${FINISH_MS} ms`);
        void worker?.terminate();
      }, FINISH_MS);
      await gone;
      clearTimeout(force);
    },
  };
}
