/**
 * Communication between the control thread and the answering threads: messages, and two words of shared memory for "a
 * publication waits" and "stop". Also the code that all answering threads share.
 *
 *     control word   WANTED   number of the newest publication that was posted (not its generation)
 *                    STOP     1: finish what is in flight and end
 *
 * The words are for the batch loop, which never returns to the event loop. It reads them between batches.
 */
import { parentPort, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { collectAll, collectYoung } from '../../config/garbage.ts';
import type { Endpoint } from '../../wire/address.ts';
import type { Answer, AnswererModule, AnswerLong, Link, Publication, ToControl } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import type { UdpSocket } from '../io/sockets.ts';

/** Names of the threads, also in the kernel (`ps -L`, `top -H`). */
export const STREAM_THREAD = 'stream';
const UDP_THREAD = 'udp-';

export function udpThreadName(index: number): string {
  return `${UDP_THREAD}${index}`;
}

export function isUdpThread(name: string): boolean {
  return name.startsWith(UDP_THREAD);
}

export const WORD = { WANTED: 0, STOP: 1, COUNT: 2 } as const;

/**
 * The `workerData` of a thread. The first publication is not part of it, but comes as a message like all others: this
 * object exists as long as the thread and would keep the first image in memory.
 */
export type ThreadStart = {
  readonly index: number;
  /** URL of an AnswererModule. */
  readonly answererModule: string;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly counters: Float64Array<SharedArrayBuffer>;
  /**
   * Number of deferred datagrams that wait for the control thread. Not that of an earlier thread: its places are gone.
   */
  readonly deferred: Int32Array<SharedArrayBuffer>;
  readonly work: Work;
};

export type Work =
  | { readonly kind: 'udp-batch'; readonly sockets: readonly UdpSocket[] }
  | { readonly kind: 'udp-dgram'; readonly endpoints: readonly Endpoint[]; readonly reusePort: boolean }
  | {
      readonly kind: 'stream';
      readonly endpoints: readonly Endpoint[];
      /** Endpoints of DNS over TLS. If there are any, the first publication must have a certificate. */
      readonly tlsEndpoints: readonly Endpoint[];
      /** Descriptors of listening sockets from a takeover, by endpoint as text. */
      readonly inherited: Readonly<Record<string, number>>;
      readonly clients: number;
      readonly idleMs: number;
    };

export type ToThread =
  | { readonly kind: 'publish'; readonly sequence: number; readonly publication: Publication }
  /** Replies to a 'question' of this thread. */
  | { readonly kind: 'reply'; readonly id: number; readonly reply: unknown }
  | { readonly kind: 'stop' };

/** Least time between two stack traces: a flood of packets must not cause a flood of log lines. */
const LOG_EVERY_MS = 10_000;
/**
 * Deferred datagrams of a thread that wait for the control thread. An update and a difference take it some tenths of a
 * millisecond each; a flood of them, signed or from a network of `transfer.allow`, must neither fill the memory nor
 * delay probes and orders.
 */
const MOST_DEFERRED = 256;
/** How often a thread with an event loop counts a turn. */
const TURN_MS = 100;

/** The port to the control thread. Throws Error in the main thread. */
export function controlPort(): MessagePort {
  if (parentPort === null) throw new Error('this module runs in a worker thread');
  return parentPort;
}

/** A loop whose last check is this long ago was idle. A little less than the receive timeout. */
const IDLE_MS = 40;
/**
 * A thread that is never idle pauses for a full collection only after this many publications. Short collections release
 * all but the last two images until then.
 */
const MAX_OLD = 32;

/** A link and the sequence of the publication that it was created with. */
export type FirstLink = Link & {
  readonly firstSequence: number;
  /** Delivers the control thread's reply to the question with this number. */
  hear(id: number, reply: unknown): void;
};

/** What a thread answers with, and the state of its link. */
type LinkState = {
  readonly start: ThreadStart;
  readonly port: MessagePort;
  readonly build: (sequence: number, publication: Publication) => Built | undefined;
  /** The sequence of the publication that was taken last. */
  running: number;
  answer: Answer;
  long: AnswerLong | undefined;
  /** Number of previous answerers that may still be in memory. */
  old: number;
  /** Whether the loop that called `news` still holds the previous answerer, until the next call returns. */
  isOldAtHand: boolean;
  /** Number of publications that shared the memory of the one before. */
  small: number;
  /** When `letGo` was last called. */
  lookedAt: number;
  loggedAt: number;
  /** Number of exceptions since `loggedAt`. */
  unlogged: number;
};

type Built = { readonly now: Answer; readonly long?: AnswerLong };

/**
 * Creates the first answerer, from the publication that waits at the port. Returns undefined when that throws, after
 * reporting it to the control thread.
 *
 * @param alsoTake is called with every publication before its answerer is created; it rejects a publication by throwing
 */
export function createLink(
  start: ThreadStart,
  module: AnswererModule,
  port: MessagePort,
  alsoTake?: (publication: Publication) => void,
): FirstLink | undefined {
  const message = receiveMessageOnPort(port)?.message as ToThread | undefined;
  if (message?.kind !== 'publish') throw new Error('the first message to a thread must be a publication');
  const firstSequence = message.sequence;
  const { ask, hear } = createQuestions(port);
  const build = (sequence: number, publication: Publication): Built | undefined => {
    try {
      alsoTake?.(publication);
      const now = module.createAnswerer(publication, start.counters, start.index);
      if (start.work.kind !== 'stream' || !module.createAnswerLong) return { now };
      return { now, long: module.createAnswerLong(publication, start.counters, start.index, ask) };
    } catch (error) {
      send(port, { kind: 'refused', sequence, reason: traceOf(error) });
      return undefined;
    }
  };
  const first = build(firstSequence, message.publication);
  if (!first) return undefined;
  const link: LinkState = {
    ...{ start, port, build, running: firstSequence, answer: first.now, long: first.long },
    ...{ old: 0, isOldAtHand: false, small: 0, lookedAt: 0, loggedAt: -Infinity, unlogged: 0 },
  };
  return {
    counters: start.counters,
    firstSequence,
    send: (message) => {
      send(port, message);
    },
    threw: (error) => {
      noteException(link, error);
    },
    take: (sequence, publication) => {
      take(link, sequence, publication);
    },
    hear,
    ask,
    current: () => link.answer,
    currentLong: () => link.long,
    stopping: () => {
      count(start.counters, COUNTER.TURNS);
      return Atomics.load(start.words, WORD.STOP) === 1;
    },
    defers: () => takesPlace(start),
    settled: () => {
      Atomics.sub(start.deferred, 0, 1);
    },
    news: () => takeNews(link),
  };
}

function takesPlace({ deferred, counters }: ThreadStart): boolean {
  if (Atomics.load(deferred, 0) >= MOST_DEFERRED) {
    count(counters, COUNTER.DEFERRED_DROPPED);
    return false;
  }
  Atomics.add(deferred, 0, 1);
  return true;
}

function send(port: MessagePort, message: ToControl): void {
  port.postMessage(message);
}

/** Questions to the control thread, by number, until it replies. */
function createQuestions(port: MessagePort): {
  readonly ask: (question: unknown) => Promise<unknown>;
  readonly hear: (id: number, reply: unknown) => void;
} {
  const questions = new Map<number, (reply: unknown) => void>();
  let asked = 0;
  return {
    ask: (question) =>
      new Promise((resolve) => {
        questions.set(++asked, resolve);
        send(port, { kind: 'question', id: asked, question });
      }),
    hear: (id, reply) => {
      questions.get(id)?.(reply);
      questions.delete(id);
    },
  };
}

/** Takes the publications that wait, and returns the answerer to use. */
function takeNews(link: LinkState): Answer {
  if (Atomics.load(link.start.words, WORD.WANTED) === link.running) {
    if (link.old > 0) letGo(link);
    return link.answer;
  }
  // The message is there: it was posted before the word was set.
  for (let got = receiveMessageOnPort(link.port); got; got = receiveMessageOnPort(link.port)) {
    const message = got.message as ToThread;
    if (message.kind === 'publish') take(link, message.sequence, message.publication);
  }
  return link.answer;
}

function take(link: LinkState, sequence: number, publication: Publication): void {
  const next = link.build(sequence, publication);
  link.running = sequence;
  if (!next) return;
  link.answer = next.now;
  link.long = next.long;
  if (publication.sharesMemory === true && ++link.small % MAX_OLD !== 0) {
    // Some kilobytes of garbage are not worth a collection.
  } else if (link.start.work.kind === 'udp-batch') {
    link.old++;
    link.isOldAtHand = true;
  } else {
    collectAll();
  }
  send(link.port, { kind: 'running', sequence });
}

/** Runs a short collection at once, and a full one when the thread is idle. */
function letGo(link: LinkState): void {
  const now = performance.now();
  const isIdle = now - link.lookedAt >= IDLE_MS;
  link.lookedAt = now;
  if (link.isOldAtHand) {
    link.isOldAtHand = false;
    collectYoung();
  } else if (isIdle || link.old >= MAX_OLD) {
    link.old = 0;
    collectAll();
  }
}

/** Counts an exception, and logs it unless one was logged recently. */
function noteException(link: LinkState, error: unknown): void {
  count(link.start.counters, COUNTER.EXCEPTIONS);
  const now = performance.now();
  if (now - link.loggedAt < LOG_EVERY_MS) {
    link.unlogged++;
    return;
  }
  const before = link.unlogged === 0 ? '' : ` (and ${link.unlogged} more since the last such message)`;
  send(link.port, { kind: 'log', message: `dropped a query: ${traceOf(error)}${before}` });
  link.loggedAt = now;
  link.unlogged = 0;
}

/** For threads with an event loop: takes publications as they arrive, and calls `stop` on a 'stop' message. */
export function listenToControl(link: FirstLink, port: MessagePort, stop: () => void): void {
  setInterval(() => {
    count(link.counters, COUNTER.TURNS);
  }, TURN_MS).unref();
  port.on('message', (message: ToThread) => {
    if (message.kind === 'stop') stop();
    else if (message.kind === 'reply') link.hear(message.id, message.reply);
    else link.take(message.sequence, message.publication);
  });
}

/** Imports the module that answers. Throws TypeError when it does not export createAnswerer. */
export async function loadAnswerer(url: string): Promise<AnswererModule> {
  const module = (await import(url)) as Partial<AnswererModule>;
  if (typeof module.createAnswerer !== 'function') throw new TypeError(`${url} does not export createAnswerer`);
  return module as AnswererModule;
}

function traceOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
