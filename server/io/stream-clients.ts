/**
 * Who is connected: limits in all and for each client, and who goes when room or time is short (RFC 7766 6.2.2,
 * 6.2.3). Connections of TCP and of TLS count alike.
 */
import type { Socket } from 'node:net';
import { COUNTER, count } from '../counters.ts';
import type { StreamClient } from '../contract.ts';
import type { Pending } from './frames.ts';
import type { Peer } from './udp-dgram.ts';

export type StreamLimits = {
  /** Connections in all. One client may hold half of them, so that it alone never shuts out the others. */
  readonly clients: number;
  /** How long a connection may stay without a whole query (RFC 7766 6.2.3). A fifth of it while nearly full. */
  readonly idleMs: number;
  /** What a TLS handshake may take from its first octet to its last. */
  readonly handshakeMs?: number;
};

export type Connection = {
  readonly socket: Socket;
  readonly client: StreamClient;
  /** Connections with the same key are one client's. */
  readonly key: string;
  readonly pending: Pending;
  activeAt: number;
  /** Whether it has sent a whole message. */
  hasAsked: boolean;
  /** In the TLS handshake: nothing can be asked yet. */
  isShaking: boolean;
  /** The client reads slower than it asks: what it sends next is not read before it has read. */
  isBlocked: boolean;
  /** It has had its turn, and waits for the next: what it sends is not read before. */
  isWaiting: boolean;
  /** The client has sent all it will send (half-close). */
  hasEnded: boolean;
  /** What it sent last was no DNS: it gets the responses that it is owed, and what else it sends goes nowhere. */
  isOver: boolean;
  /** Messages that are being answered elsewhere (AnswerLong). */
  longAnswers: number;
  /** Called when the client has read, or is gone. */
  readonly waiting: (() => void)[];
};

export type StreamClients = {
  /** Takes in a connection; closes another one where there is no room. */
  admit(connection: Connection): void;
  /** The handshake is through. */
  greet(connection: Connection): void;
  /** It is closed, or about to be. False when that was known. */
  forget(connection: Connection): boolean;
  /** Makes it the last of those that go. */
  touch(connection: Connection): void;
  /** Closes who has been idle for too long. */
  readonly sweep: () => void;
  all(): Iterable<Connection>;
};

/** Share of the limit from which idle connections are given less time. */
const NEARLY_FULL = 0.75;
const HURRY = 5;
/** A handshake takes two round trips and some milliseconds; who needs longer than this holds a place for nothing. */
const HANDSHAKE_MS = 5000;

export function createClients(limits: StreamLimits, counters: Float64Array): StreamClients {
  // In the order of their last activity: a Set keeps the order in which members were added.
  const connections = new Set<Connection>();
  /** In the order in which they came. */
  const shaking = new Set<Connection>();
  const held = new Map<string, number>();
  const ofOneClient = Math.max(1, Math.floor(limits.clients / 2));
  const handshakeMs = Math.min(limits.idleMs, limits.handshakeMs ?? HANDSHAKE_MS);

  const idleMs = (): number =>
    connections.size >= limits.clients * NEARLY_FULL ? limits.idleMs / HURRY : limits.idleMs;
  const tellIdle = (): void => {
    counters[COUNTER.STREAM_IDLE] = Math.floor(idleMs() / 100);
  };
  const forget = (connection: Connection): boolean => {
    if (!connections.delete(connection)) return false;
    shaking.delete(connection);
    count(counters, COUNTER.TCP_OPEN, -1);
    const left = (held.get(connection.key) ?? 1) - 1;
    if (left === 0) held.delete(connection.key);
    else held.set(connection.key, left);
    tellIdle();
    return true;
  };
  const close = (connection: Connection, reason: number): void => {
    count(counters, reason);
    forget(connection);
    connection.socket.destroy();
  };
  /** Closes the connection that was idle longest, of one client or of all; one at work only where all are. */
  const evict = (key: string | undefined): void => {
    let chosen: Connection | undefined;
    for (const connection of connections) {
      if (key !== undefined && connection.key !== key) continue;
      chosen ??= connection;
      if (connection.longAnswers > 0) continue;
      chosen = connection;
      break;
    }
    if (chosen) close(chosen, COUNTER.TCP_EVICTED);
  };
  const touch = (connection: Connection): void => {
    if (!connections.delete(connection)) return;
    connection.activeAt = performance.now();
    connections.add(connection);
  };
  // The connections of a thread that died before this one went with it.
  counters[COUNTER.TCP_OPEN] = 0;
  tellIdle();

  return {
    admit: (connection) => {
      if ((held.get(connection.key) ?? 0) >= ofOneClient) evict(connection.key);
      else if (connections.size >= limits.clients) evict(undefined);
      connections.add(connection);
      if (connection.isShaking) shaking.add(connection);
      held.set(connection.key, (held.get(connection.key) ?? 0) + 1);
      count(counters, COUNTER.TCP_ACCEPTED);
      count(counters, COUNTER.TCP_OPEN);
      tellIdle();
    },
    greet: (connection) => {
      connection.isShaking = false;
      shaking.delete(connection);
      touch(connection);
    },
    forget,
    touch,
    sweep: () => {
      const now = performance.now();
      for (const connection of shaking) {
        if (connection.activeAt > now - handshakeMs) break;
        close(connection, COUNTER.TLS_TIMEOUTS);
      }
      const before = now - idleMs();
      for (const connection of connections) {
        if (connection.activeAt > before) break;
        if (connection.isOver) {
          // It was counted when it happened.
          forget(connection);
          connection.socket.destroy();
          continue;
        }
        // It waits for us, not we for it.
        if (connection.longAnswers > 0 && !connection.isBlocked) touch(connection);
        else close(connection, COUNTER.TCP_IDLE);
      }
    },
    all: () => connections,
  };
}

/** What makes one client of many connections: an IPv4 address, or the network of 64 bits that a site has in IPv6. */
export function clientKey({ bytes, at, octets }: Peer): string {
  return bytes.subarray(at, at + (octets === 4 ? 4 : 8)).join('.');
}
