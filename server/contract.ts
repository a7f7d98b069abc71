/**
 * The interface between the code that moves packets and the code that answers them. Neither side imports anything else
 * of the other.
 */

import type { Endpoint } from '../wire/address.ts';
import type { ListenFailure } from './listen-error.ts';

/** The transport of a query; see `Packet`. */
export const TRANSPORT = { UDP: 0, TCP: 1, TLS: 2 } as const;

/** One query and the buffer for its response. A packet loop has one record and fills it anew for each query. */
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

/** A packet whose message and address fill their buffers, and whose response begins at the start of `tx`. */
export function packetOf(query: Uint8Array, peer: Uint8Array, transport: number, tx: Uint8Array): Packet {
  const peerOctets = peer.length === 4 ? 4 : 16;
  return { rx: query, rxAt: 0, length: query.length, peer, peerAt: 0, peerOctets, transport, tx, txAt: 0 };
}

/**
 * Answers one query. Returns the number of octets written to `tx` from `txAt`; 0 sends no response, DEFERRED hands the
 * message over. Never throws for bad input, allocates nothing, and keeps no reference to the packet.
 */
export type Answer = (packet: Readonly<Packet>) => number;

/**
 * The result of an `Answer` for a message that only the control thread can answer (`Deferred`): the packet loop hands
 * it over, and sends no response itself.
 */
export const DEFERRED = -1;

/** The question to the control thread about such a message. Its reply is the response, or undefined for none. */
export type Deferred = {
  readonly kind: 'deferred';
  readonly message: Uint8Array;
  /** The client's address: 4 or 16 octets. */
  readonly peer: Uint8Array;
  /** One of TRANSPORT. */
  readonly transport: number;
};

export function deferredOf({ rx, rxAt, length, peer, peerAt, peerOctets, transport }: Readonly<Packet>): Deferred {
  const message = Uint8Array.from(rx.subarray(rxAt, rxAt + length));
  return { kind: 'deferred', message, peer: Uint8Array.from(peer.subarray(peerAt, peerAt + peerOctets)), transport };
}

/** Where the response to a datagram is sent: the socket, and the client's address and control data as received. */
export type DatagramRoute = { readonly fd: number; readonly name: Uint8Array; readonly control: Uint8Array };

/** A generation as posted to the answering threads: plain data and shared memory. */
export type Publication = {
  readonly generation: number;
  readonly payload: unknown;
  /**
   * Whether it shares its large memory with the previous publication, so that replacing that one leaves little garbage.
   */
  readonly sharesMemory?: boolean;
  /** For DNS over TLS. Undefined: the previous certificate stays in use. */
  readonly tls?: KeyPair;
};

/** A certificate with its chain, and its private key: text of PEM files. */
export type KeyPair = { readonly cert: string; readonly key: string };

/** A client of a stream, as an `AnswerLong` sees it. */
export type StreamClient = {
  /** The address in network order: `octets` from `at`. An IPv4-mapped address has 4. */
  readonly peer: { readonly bytes: Uint8Array; readonly at: number; readonly octets: 4 | 16 };
  /** TRANSPORT.TCP or TRANSPORT.TLS. */
  readonly transport: number;
  /**
   * Sends one message of at most TCP_OCTETS, without its length prefix. Waits until the client has read most of the
   * earlier messages, then copies the message. Resolves when the message is handed to the socket, so that awaiting it
   * bounds memory. Resolves to false when the client has disconnected; the work can end then.
   */
  readonly send: (message: Uint8Array) => Promise<boolean>;
};

/**
 * Asks the control thread, which replies when it has time. `ServerOptions.reply` defines which questions it
 * understands. Resolves to undefined without a reply. Question and reply are plain data.
 */
export type AskControl = (question: unknown) => Promise<unknown>;

/**
 * Takes over a message that cannot be answered at once, such as a zone transfer. Returns the work, or undefined when
 * `Answer` must answer the message. Other queries of the connection are answered meanwhile (RFC 7766 6.2.1.1). When the
 * work rejects, the connection is closed. The message is valid only during the call, like `rx` of `Packet`.
 */
export type AnswerLong = (
  client: StreamClient,
  rx: Uint8Array,
  rxAt: number,
  length: number,
) => Promise<void> | undefined;

/**
 * The exports of a module that answers. Threads import it by URL, so that tests can use another module.
 * `counters` is the thread's block (server/counters.ts). `threadIndex` starts at 0; the stream thread is last.
 * A thread calls `createAnswerer` for every publication. When it throws, the publication is rejected and every thread
 * keeps the previous one.
 */
export type AnswererModule = {
  createAnswerer(publication: Publication, counters: Float64Array, threadIndex: number): Answer;
  /** Called only in the stream thread, after `createAnswerer`, with the same arguments. */
  createAnswerLong?(publication: Publication, counters: Float64Array, threadIndex: number, ask: AskControl): AnswerLong;
};

/** Messages from a thread to the control thread. */
export type ToControl =
  /** The thread serves. `endpoints` are those that it bound itself, with the actual ports; TLS endpoints are last. */
  | {
      readonly kind: 'ready';
      readonly sequence: number;
      readonly endpoints: readonly Endpoint[];
      /** Descriptors of the sockets at these endpoints; empty where unknown. */
      readonly descriptors: readonly number[];
    }
  | { readonly kind: 'running'; readonly sequence: number }
  | { readonly kind: 'refused'; readonly sequence: number; readonly reason: string }
  | { readonly kind: 'cannot-listen'; readonly failure: ListenFailure }
  | { readonly kind: 'question'; readonly id: number; readonly question: unknown }
  /** A deferred message of a packet loop that cannot wait for the reply. */
  | { readonly kind: 'datagram'; readonly question: Deferred; readonly route: DatagramRoute }
  | { readonly kind: 'log'; readonly message: string };

/** The interface of a thread to its packet loop. */
export type Link = {
  readonly counters: Float64Array;
  /** The current answerer, after taking a waiting publication. For loops that block. */
  news(): Answer;
  /** The current answerer. For loops with events. */
  current(): Answer;
  /** The current `AnswerLong`; undefined where the module has none. */
  currentLong(): AnswerLong | undefined;
  /** Takes a publication. When its answerer cannot be created, reports that and keeps the previous publication. */
  take(sequence: number, publication: Publication): void;
  stopping(): boolean;
  /**
   * Takes a place among the deferred datagrams that the control thread has not answered. Returns false, and counts, if
   * there is none: the datagram is dropped.
   */
  defers(): boolean;
  /** Gives the place back. For loops that ask; for a 'datagram' the control thread does it. */
  settled(): void;
  /** Counts an exception of an answer. The control thread logs the first, then at most one per interval. */
  threw(error: unknown): void;
  send(message: ToControl): void;
  ask: AskControl;
};

/** The log for operators. A pino logger is one. */
export type Log = {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
};
