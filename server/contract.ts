/**
 * What passes between the code that moves packets and the code that answers them. Both sides know these
 * types and nothing else of each other.
 */

import type { Endpoint } from '../wire/address.ts';
import type { ListenFailure } from './listen-error.ts';

/** How a query came; see `Packet`. */
export const TRANSPORT = { UDP: 0, TCP: 1, TLS: 2 } as const;

/** One query and the room for its response. A packet loop has one record, and fills it anew for each query. */
export type Packet = {
  /**
   * Holds the query: `length` octets (12 at least) from `rxAt`, valid during the call. The response may be written over
   * it: `tx` and `txAt` may be `rx` and `rxAt`.
   */
  rx: Uint8Array;
  rxAt: number;
  length: number;
  /** Holds the client's address in network order from `peerAt`; an IPv4-mapped IPv6 peer has 4 octets. */
  peer: Uint8Array;
  peerAt: number;
  peerOctets: 4 | 16;
  /** One of TRANSPORT. */
  transport: number;
  /** Has room for UDP_OCTETS or TCP_OCTETS (wire/limits.ts) from `txAt`. */
  tx: Uint8Array;
  txAt: number;
};

/** A whole message from a whole address, and the response from the start of `tx`. */
export function packetOf(query: Uint8Array, peer: Uint8Array, transport: number, tx: Uint8Array): Packet {
  const peerOctets = peer.length === 4 ? 4 : 16;
  return { rx: query, rxAt: 0, length: query.length, peer, peerAt: 0, peerOctets, transport, tx, txAt: 0 };
}

/**
 * Answers one query. Returns the octets written to `tx` from `txAt`, 0 to stay silent. Never throws for bad input;
 * allocates nothing; keeps nothing of the packet.
 */
export type Answer = (packet: Readonly<Packet>) => number;

/** What a generation is to an answering thread: plain data and shared memory, so that it can be posted. */
export type Publication = {
  readonly generation: number;
  readonly payload: unknown;
  /** For DNS over TLS; without it, the one before stays in use. */
  readonly tls?: KeyPair;
};

/** A certificate, with those that lead to its root, and its private key: text of PEM files. */
export type KeyPair = { readonly cert: string; readonly key: string };

/** A client of a stream, as those see it who answer in their own time. */
export type StreamClient = {
  /** The address in network order: `octets` from `at`. An IPv4-mapped address has 4. */
  readonly peer: { readonly bytes: Uint8Array; readonly at: number; readonly octets: 4 | 16 };
  /** TRANSPORT.TCP or TRANSPORT.TLS. */
  readonly transport: number;
  /**
   * Sends one message, of TCP_OCTETS at most and without the length in front, as soon as the client has read most of
   * what came before; it is copied then. Resolves when it is on its way, so waiting for it bounds memory: to false
   * when the client is gone, and the work can end.
   */
  readonly send: (message: Uint8Array) => Promise<boolean>;
};

/**
 * Puts a question to the control thread, which replies when it has time. What may be asked is between the answerer and
 * who started the server (`ServerOptions.reply`); resolves to undefined where nobody replies. Both are plain data.
 */
export type AskControl = (question: unknown) => Promise<unknown>;

/**
 * Takes over a message that cannot be answered at once, such as a zone transfer: returns the work, or undefined for
 * all that `Answer` is to answer. Other queries of the connection are answered meanwhile (RFC 7766 6.2.1.1). When the
 * work rejects, the connection is closed. The message is valid during the call alone, as `rx` of `Answer` is.
 */
export type AnswerLong = (
  client: StreamClient,
  rx: Uint8Array,
  rxAt: number,
  length: number,
) => Promise<void> | undefined;

/**
 * What a module that answers exports. Threads import it by URL, so that tests can give their own.
 * `counters` is the thread's block (server/counters.ts); `threadIndex` counts from 0, the stream thread last.
 * A thread calls `createAnswerer` again for every publication; when it throws, the publication is refused and
 * every thread keeps the one before.
 */
export type AnswererModule = {
  createAnswerer(publication: Publication, counters: Float64Array, threadIndex: number): Answer;
  /** Called in the stream thread alone, after `createAnswerer`, with the same arguments. */
  createAnswerLong?(publication: Publication, counters: Float64Array, threadIndex: number, ask: AskControl): AnswerLong;
};

/** What a thread tells the control thread. */
export type ToControl =
  /** The thread serves; `endpoints` are those it bound itself, with their ports; those of TLS last. */
  | {
      readonly kind: 'ready';
      readonly sequence: number;
      readonly endpoints: readonly Endpoint[];
      /** Of the sockets at these endpoints; empty where that is not known. */
      readonly descriptors: readonly number[];
    }
  | { readonly kind: 'running'; readonly sequence: number }
  | { readonly kind: 'refused'; readonly sequence: number; readonly reason: string }
  | { readonly kind: 'cannot-listen'; readonly failure: ListenFailure }
  | { readonly kind: 'question'; readonly id: number; readonly question: unknown }
  | { readonly kind: 'log'; readonly message: string };

/** What a packet loop needs of its thread. */
export type Link = {
  readonly counters: Float64Array;
  /** The answerer to use now; takes a waiting publication first. For loops that block. */
  news(): Answer;
  /** The answerer to use now. For loops with events. */
  current(): Answer;
  /** What takes over messages of streams; undefined where nothing does. */
  currentLong(): AnswerLong | undefined;
  /** Takes a publication; when its answerer cannot be made, the control thread hears so and the one before stays. */
  take(sequence: number, publication: Publication): void;
  stopping(): boolean;
  /** An answer threw: counts it, and lets the control thread log the first and then one every so often. */
  threw(error: unknown): void;
  send(message: ToControl): void;
};

/** Where the control thread writes what an operator should read. pino's logger is one. */
export type Log = {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
};
