/**
 * Connections that passed probes left open (docs/health.md#watched-connections). When the other side closes or resets
 * one, its target is probed at once. Between probes they carry nothing. An HTTP probe may use one for its request, but
 * only for a limited time: only a new connection shows that the target still accepts connections.
 *
 * Their number is limited, in all and per address. A connection over the limit is closed as if it were not watched.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { shareDescriptors } from '../config/descriptor-budget.ts';
import type { Clock } from './clock.ts';
import { MAX_HARMLESS_CLOSES, MAX_IDLE_OCTETS, MAX_WATCHED, MAX_WATCHED_OF_ADDRESS, REUSE_MS } from './limits.ts';

export type Watch = {
  /** Holds a connection beside those that the key has: a check that is made of several leaves several. */
  keep(key: string, connection: Socket): void;
  /**
   * Closes what is held for the key, but for one that a probe may use: the only one, open and younger than REUSE_MS.
   * It is the caller's then, and can be given back.
   */
  take(key: string): Socket | undefined;
  /** Closes all that is held for the key. */
  drop(key: string): void;
  /** A probe of the key failed: its closes were not harmless. */
  failed(key: string): void;
  /** How many connections are held. */
  size(): number;
  /** Closes all; what comes later is closed at once. */
  stop(): void;
};

type Held = { readonly key: string; readonly peer: string; readonly listeners: Readonly<Record<string, Listener>> };
type Listener = (chunk?: Buffer) => void;

/**
 * How a target closes idle connections. One that does so after each answer, or after five idle seconds, would be probed
 * early for ever; a close that comes sooner than any harmless one still says something.
 */
type Habit = {
  /** Closes in a row after which the next probe passed. */
  harmless: number;
  /** The shortest time for which a connection was held before one of these. */
  leastMs: number;
  /** The same of the last close, until the next result. */
  pendingMs: number | undefined;
};

type State = {
  readonly clock: Clock;
  /** The other side ended a held connection of the key, by FIN or by RST. */
  readonly lost: (key: string) => void;
  readonly maxWatched: number;
  readonly ofKey: Map<string, Set<Socket>>;
  readonly held: Map<Socket, Held>;
  readonly ofPeer: Map<string, number>;
  /** When a connection was first kept, which is soon after it was made. */
  readonly openedMs: WeakMap<Socket, number>;
  /** Of keys whose connections the other side closes. */
  readonly habits: Map<string, Habit>;
  stopped: boolean;
};

export function createWatch(
  clock: Clock,
  lost: (key: string) => void,
  maxWatched = Math.min(MAX_WATCHED, shareDescriptors().watched),
): Watch {
  const state: State = {
    clock,
    lost,
    maxWatched,
    ofKey: new Map(),
    held: new Map(),
    ofPeer: new Map(),
    openedMs: new WeakMap(),
    habits: new Map(),
    stopped: false,
  };
  return {
    keep(key, connection) {
      const peer = `${connection.remoteAddress ?? ''} ${String(connection.remotePort)}`;
      const isFull = state.held.size >= maxWatched || (state.ofPeer.get(peer) ?? 0) >= MAX_WATCHED_OF_ADDRESS;
      if (!state.stopped && !isFull) {
        hold(state, key, peer, connection);
        return;
      }
      // An 'error' event without a listener ends the process.
      connection.on('error', () => undefined);
      hangUp(connection);
    },
    take: (key) => takeOnly(state, key),
    drop(key) {
      dropAll(state, key);
    },
    failed(key) {
      state.habits.delete(key);
    },
    size: () => state.held.size,
    stop() {
      state.stopped = true;
      for (const key of [...state.ofKey.keys()]) dropAll(state, key);
    },
  };
}

function hold(state: State, key: string, peer: string, connection: Socket): void {
  const { clock, held, ofKey, ofPeer, openedMs } = state;
  const keptMs = clock.now();
  noteHarmless(state, key);
  const ended = (): void => {
    if (release(state, connection)) noteEnd(state, key, clock.now() - keptMs);
  };
  let octets = 0;
  const listeners: Held['listeners'] = {
    error: ended,
    end: ended,
    close: ended,
    data: (chunk) => {
      octets += chunk?.length ?? 0;
      if (octets > MAX_IDLE_OCTETS) release(state, connection);
    },
  };
  held.set(connection, { key, peer, listeners });
  ofKey.set(key, (ofKey.get(key) ?? new Set()).add(connection));
  ofPeer.set(peer, (ofPeer.get(peer) ?? 0) + 1);
  if (!openedMs.has(connection)) openedMs.set(connection, keptMs);
  for (const [event, listener] of Object.entries(listeners)) connection.on(event, listener);
  connection.resume();
  // Closing it properly is only a courtesy to the server, and must not keep this process running.
  connection.unref();
  if (connection.destroyed || connection.readableEnded) ended();
}

/** A probe passed after the last close: the close was harmless. */
function noteHarmless({ habits }: State, key: string): void {
  const habit = habits.get(key);
  if (habit?.pendingMs === undefined) return;
  habit.harmless += 1;
  habit.leastMs = Math.min(habit.leastMs, habit.pendingMs);
  habit.pendingMs = undefined;
}

/** The other side ended a connection after this time. That is a loss, unless it usually does so. */
function noteEnd({ habits, lost }: State, key: string, idleMs: number): void {
  const known = habits.get(key) ?? { harmless: 0, leastMs: Infinity, pendingMs: undefined };
  if (known.harmless >= MAX_HARMLESS_CLOSES && idleMs >= known.leastMs) return;
  habits.set(key, { ...known, pendingMs: idleMs });
  lost(key);
}

function takeOnly(state: State, key: string): Socket | undefined {
  const { clock, habits, held, ofKey, openedMs } = state;
  if (ofKey.has(key)) habits.delete(key);
  const [connection, ...others] = ofKey.get(key) ?? [];
  const entry = connection === undefined ? undefined : held.get(connection);
  if (connection === undefined || entry === undefined) return undefined;
  const ageMs = clock.now() - (openedMs.get(connection) ?? -Infinity);
  if (others.length > 0 || ageMs >= REUSE_MS || !connection.writable) {
    dropAll(state, key);
    return undefined;
  }
  forget(state, connection);
  for (const [event, listener] of Object.entries(entry.listeners)) connection.off(event, listener);
  connection.ref();
  return connection;
}

function dropAll(state: State, key: string): void {
  // The connection was held until the next probe: the other side has no habit of closing it.
  if (state.ofKey.has(key)) state.habits.delete(key);
  for (const connection of state.ofKey.get(key) ?? []) release(state, connection);
}

/** Closes a connection; false if it was not held any more. */
function release(state: State, connection: Socket): boolean {
  const was = forget(state, connection);
  if (was) hangUp(connection);
  return was;
}

/** Stops watching a connection without closing it; false if it was not held any more. */
function forget({ held, ofKey, ofPeer }: State, connection: Socket): boolean {
  const entry = held.get(connection);
  if (entry === undefined) return false;
  held.delete(connection);
  const those = ofKey.get(entry.key);
  those?.delete(connection);
  if (those?.size === 0) ofKey.delete(entry.key);
  const left = (ofPeer.get(entry.peer) ?? 1) - 1;
  if (left === 0) ofPeer.delete(entry.peer);
  else ofPeer.set(entry.peer, left);
  return true;
}

/**
 * Closes a connection that is no longer needed, by a reset where possible. After an orderly close, its port would be in
 * use for a minute (TIME-WAIT, RFC 9293 3.6.1), and thousands of probes of one address would use up the ports.
 */
export function hangUp(connection: Socket): void {
  const resettable = !(connection instanceof TLSSocket) && connection.writable && !connection.connecting;
  if (resettable) connection.resetAndDestroy();
  else connection.destroy();
}
