/**
 * The open connections: limits in total and per client, idle timeouts, and which connection is closed to make room (RFC
 * 7766 6.2.2, 6.2.3). TCP and TLS connections count alike.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../health/clock.ts';
import type { StreamClient } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import type { Pending } from './frames.ts';
import type { Peer } from './udp-dgram.ts';

export type StreamLimits = {
  /** Maximum of connections. One client may have half of them, so that it cannot lock out the others. */
  readonly clients: number;
  /**
   * Time without a complete query after which a connection is closed (RFC 7766 6.2.3). While the number of connections
   * is near its limit, a fifth of this time applies.
   */
  readonly idleMs: number;
  /** Time limit of a TLS handshake. */
  readonly handshakeMs?: number;
};

export type Connection = {
  readonly socket: Socket;
  readonly client: StreamClient;
  /** Connections with the same key belong to one client. */
  readonly key: string;
  readonly pending: Pending;
  activeAt: number;
  /** Whether the client has sent a complete message. */
  hasAsked: boolean;
  /** Whether the TLS handshake is not complete. */
  isShaking: boolean;
  /** Whether the client reads too slowly: the server reads no more queries until the client has read. */
  isBlocked: boolean;
  /** Whether the connection waits for its next turn: the server reads no more queries until then. */
  isWaiting: boolean;
  /** Whether the client has closed its sending side (half-close). */
  hasEnded: boolean;
  /**
   * Whether the client has sent an invalid length: it gets the outstanding responses, and further data are discarded.
   */
  isOver: boolean;
  /** Number of messages that an AnswerLong is answering. */
  longAnswers: number;
  /** Called when the client has read or disconnected. */
  readonly waiting: (() => void)[];
};

export type StreamClients = {
  /** Adds a connection. Closes another one when a limit is reached. */
  admit(connection: Connection): void;
  /** The handshake is complete. */
  greet(connection: Connection): void;
  /** Removes a closed connection. Returns false when it was removed before. */
  forget(connection: Connection): boolean;
  /** Marks the connection as the most recently active one. */
  touch(connection: Connection): void;
  /** Closes connections that have been idle for too long. */
  readonly sweep: () => void;
  all(): Iterable<Connection>;
};

/** Share of the limit from which the idle timeout is shorter. */
const NEARLY_FULL = 0.75;
const HURRY = 5;
/** A handshake takes two round trips and some milliseconds; a longer one only occupies a connection. */
const HANDSHAKE_MS = 5000;

export function createClients(limits: StreamLimits, counters: Float64Array, clock: Clock): StreamClients {
  // In the order of last activity: a Set keeps insertion order.
  const connections = new Set<Connection>();
  /** Connections in the handshake, in order of arrival. */
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
  /** Closes the longest idle connection, of one client or of all. Spares connections with long answers if possible. */
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
    connection.activeAt = clock.now();
    connections.add(connection);
  };
  // The connections of a previous thread that died were closed with it.
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
      const now = clock.now();
      for (const connection of shaking) {
        if (connection.activeAt > now - handshakeMs) break;
        close(connection, COUNTER.TLS_TIMEOUTS);
      }
      const before = now - idleMs();
      for (const connection of connections) {
        if (connection.activeAt > before) break;
        if (connection.isOver) {
          // Counted already, as TCP_BAD_LENGTH.
          forget(connection);
          connection.socket.destroy();
          continue;
        }
        // The client waits for the server, so it is not idle.
        if (connection.longAnswers > 0 && !connection.isBlocked) touch(connection);
        else close(connection, COUNTER.TCP_IDLE);
      }
    },
    all: () => connections,
  };
}

/** The key that identifies a client: an IPv4 address, or an IPv6 network of 64 bits, the size of one subnet. */
export function clientKey({ bytes, at, octets }: Peer): string {
  return bytes.subarray(at, at + (octets === 4 ? 4 : 8)).join('.');
}
