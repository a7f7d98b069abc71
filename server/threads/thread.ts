/**
 * How the control thread and the threads that answer talk: messages, one word of shared memory each for "a
 * publication waits" and "stop", and the part that every such thread does alike.
 *
 *     control word   WANTED   number of the newest publication that was posted (not its generation)
 *                    STOP     1: finish what is in flight and end
 *
 * The words are for the loop that never gets to its event loop: it looks at them between batches.
 */
import { parentPort, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import type { Endpoint } from '../../wire/address.ts';
import { COUNTER, count } from '../counters.ts';
import type { Answer, AnswererModule, AnswerLong, Link, Publication, ToControl } from '../contract.ts';
import { collectAll, collectYoung } from './release-generation.ts';
import type { UdpSocket } from '../io/sockets.ts';

export const WORD = { WANTED: 0, STOP: 1, COUNT: 2 } as const;

/**
 * What a thread is given at its start (`workerData`). The first publication is not in it, but comes as a message like
 * all others: this lives as long as the thread does, and would keep the first image.
 */
export type ThreadStart = {
  readonly index: number;
  /** URL of an AnswererModule. */
  readonly answererModule: string;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly counters: Float64Array<SharedArrayBuffer>;
  readonly work: Work;
};

export type Work =
  | { readonly kind: 'udp-batch'; readonly sockets: readonly UdpSocket[] }
  | { readonly kind: 'udp-dgram'; readonly endpoints: readonly Endpoint[]; readonly reusePort: boolean }
  | {
      readonly kind: 'stream';
      readonly endpoints: readonly Endpoint[];
      /** Where DNS over TLS is spoken; publications then bring a certificate. */
      readonly tlsEndpoints: readonly Endpoint[];
      /** Descriptors of sockets that listen already, by endpoint as text: of a server whose place is taken. */
      readonly inherited: Readonly<Record<string, number>>;
      readonly clients: number;
      readonly idleMs: number;
    };

export type ToThread =
  | { readonly kind: 'publish'; readonly sequence: number; readonly publication: Publication }
  /** To a 'question' of this thread. */
  | { readonly kind: 'reply'; readonly id: number; readonly reply: unknown }
  | { readonly kind: 'stop' };

/** One stack trace this often is enough to find a fault; a flood of packets must not become a flood of log lines. */
const LOG_EVERY_MS = 10_000;

/** The port to the control thread. Throws in a thread that has none. */
export function controlPort(): MessagePort {
  if (parentPort === null) throw new Error('this module runs in a worker thread');
  return parentPort;
}

/** A loop that looks up this rarely had nothing to do: a little less than what it waits for a packet. */
const IDLE_MS = 40;
/**
 * A thread that is never idle takes the pause of a whole collection only after so many publications: the short ones
 * have let go of what they can by then, which is all but the last two images.
 */
const MAX_OLD = 32;

/** A link, with the number of the publication that it was made with. */
export type FirstLink = Link & {
  readonly firstSequence: number;
  /** The control thread has replied to the question with this number. */
  hear(id: number, reply: unknown): void;
};

/**
 * Makes the first answerer, of the publication that waits at the port. Undefined when it threw, which the control
 * thread has been told then.
 *
 * @param alsoTake is given every publication before its answerer is made; it refuses one by throwing
 */
export function createLink(
  start: ThreadStart,
  module: AnswererModule,
  port: MessagePort,
  alsoTake?: (publication: Publication) => void,
): FirstLink | undefined {
  const { words, counters } = start;
  const message = receiveMessageOnPort(port)?.message as ToThread | undefined;
  if (message?.kind !== 'publish') throw new Error('a thread is posted a publication right after its start');
  const firstSequence = message.sequence;
  let running = firstSequence;
  const send = (message: ToControl): void => {
    port.postMessage(message);
  };
  const questions = new Map<number, (reply: unknown) => void>();
  let asked = 0;
  const ask = (question: unknown): Promise<unknown> =>
    new Promise((resolve) => {
      questions.set(++asked, resolve);
      send({ kind: 'question', id: asked, question });
    });
  const build = (sequence: number, publication: Publication): { now: Answer; long?: AnswerLong } | undefined => {
    try {
      alsoTake?.(publication);
      const now = module.createAnswerer(publication, counters, start.index);
      if (start.work.kind !== 'stream' || !module.createAnswerLong) return { now };
      return { now, long: module.createAnswerLong(publication, counters, start.index, ask) };
    } catch (error) {
      send({ kind: 'refused', sequence, reason: traceOf(error) });
      return undefined;
    }
  };
  const first = build(firstSequence, message.publication);
  if (!first) return undefined;
  let answer: Answer = first.now;
  let long = first.long;
  /** Answerers before this one that may still be in memory. */
  let old = 0;
  /** The loop that called `news` still has the answerer before at hand until it has been given another. */
  let isOldAtHand = false;
  let lookedAt = 0;
  /** A short collection at once, and a whole one as soon as nobody waits for this thread. */
  const letGo = (): void => {
    const now = performance.now();
    const isIdle = now - lookedAt >= IDLE_MS;
    lookedAt = now;
    if (isOldAtHand) {
      isOldAtHand = false;
      collectYoung();
    } else if (isIdle || old >= MAX_OLD) {
      old = 0;
      collectAll();
    }
  };
  let loggedAt = -Infinity;
  let unlogged = 0;

  const take = (sequence: number, publication: Publication): void => {
    const next = build(sequence, publication);
    running = sequence;
    if (!next) return;
    answer = next.now;
    long = next.long;
    if (start.work.kind === 'udp-batch') {
      old++;
      isOldAtHand = true;
    } else {
      collectAll();
    }
    send({ kind: 'running', sequence });
  };
  const threw = (error: unknown): void => {
    count(counters, COUNTER.EXCEPTIONS);
    const now = performance.now();
    if (now - loggedAt < LOG_EVERY_MS) {
      unlogged++;
      return;
    }
    const before = unlogged === 0 ? '' : ` (and ${unlogged} more since the last such line)`;
    send({ kind: 'log', message: `a query was dropped: ${traceOf(error)}${before}` });
    loggedAt = now;
    unlogged = 0;
  };
  return {
    counters,
    firstSequence,
    send,
    threw,
    take,
    hear: (id, reply) => {
      questions.get(id)?.(reply);
      questions.delete(id);
    },
    current: () => answer,
    currentLong: () => long,
    stopping: () => Atomics.load(words, WORD.STOP) === 1,
    news: () => {
      if (Atomics.load(words, WORD.WANTED) === running) {
        if (old > 0) letGo();
        return answer;
      }
      // The message was posted before the word was set, so it is there.
      for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) {
        const message = got.message as ToThread;
        if (message.kind === 'publish') take(message.sequence, message.publication);
      }
      return answer;
    },
  };
}

/** For threads with an event loop: takes publications as they come, and calls `stop` when told to. */
export function listenToControl(link: FirstLink, port: MessagePort, stop: () => void): void {
  port.on('message', (message: ToThread) => {
    if (message.kind === 'stop') stop();
    else if (message.kind === 'reply') link.hear(message.id, message.reply);
    else link.take(message.sequence, message.publication);
  });
}

/** The module that answers. Throws when it is not one. */
export async function loadAnswerer(url: string): Promise<AnswererModule> {
  const module = (await import(url)) as Partial<AnswererModule>;
  if (typeof module.createAnswerer !== 'function') throw new TypeError(`${url} exports no createAnswerer`);
  return module as AnswererModule;
}

function traceOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
