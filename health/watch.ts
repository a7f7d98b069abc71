/**
 * Connections that passed probes left open (docs/health.md#watched-connections). When the other side closes or resets
 * one, its target is probed at once. Between probes they carry nothing. An HTTP probe may use one for its request, but
 * only for a limited time: only a new connection shows that the target still accepts connections.
 *
 * Their number is limited, in all and per address. A connection over the limit is closed as if it were not watched.
 */
import { shareDescriptors } from '../config/descriptor-budget.ts';
import type { Clock } from './clock.ts';
import { NO_OWNER, type Owner, type ProbeConnection } from './connection.ts';
import { MAX_HARMLESS_CLOSES, MAX_IDLE_OCTETS, MAX_WATCHED, MAX_WATCHED_OF_ADDRESS, REUSE_MS } from './limits.ts';

export type Watch = {
  /** Holds a connection beside those that the key already has: a compound check may leave several. */
  keep(key: string, connection: ProbeConnection): void;
  /**
   * Closes the connections held for the key, except one that a probe may use: the only one, open and younger than
   * REUSE_MS. The caller then owns it and may give it back.
   */
  take(key: string): ProbeConnection | undefined;
  /** Closes all connections that are held for the key. */
  drop(key: string): void;
  /** Notes that a probe of the key failed: the closes before it were not harmless. */
  failed(key: string): void;
  /** How many connections are held. */
  size(): number;
  /** Closes all connections. Connections that come later are closed at once. */
  stop(): void;
};

/** A connection, and its owner while it is held. */
type Held = Owner & { readonly key: string; readonly peer: string; readonly connection: ProbeConnection };

/**
 * How a target closes idle connections. Without this, a target that closes after each response, or after five idle
 * seconds, would always be probed early. A close that comes sooner than any harmless one still starts a probe.
 */
type Habit = {
  /** Closes in a row after which the next probe passed. */
  harmless: number;
  /** The shortest time for which a connection was held before one of these. */
  leastMs: number;
  /** The same for the last close, until the next result. */
  pendingMs: number | undefined;
};

type State = {
  readonly clock: Clock;
  /** The other side ended a held connection of the key, by FIN or by RST. */
  readonly lost: (key: string) => void;
  readonly maxWatched: number;
  readonly ofKey: Map<string, Held[]>;
  readonly ofPeer: Map<string, number>;
  /** How many are held. */
  count: number;
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
    ofPeer: new Map(),
    count: 0,
    habits: new Map(),
    stopped: false,
  };
  return {
    keep(key, connection) {
      const peer = connection.peer();
      const isFull = state.count >= maxWatched || (state.ofPeer.get(peer) ?? 0) >= MAX_WATCHED_OF_ADDRESS;
      if (state.stopped || isFull) connection.hangUp();
      else hold(state, key, peer, connection);
    },
    take: (key) => takeOnly(state, key),
    drop(key) {
      dropAll(state, key);
    },
    failed(key) {
      state.habits.delete(key);
    },
    size: () => state.count,
    stop() {
      state.stopped = true;
      for (const key of [...state.ofKey.keys()]) dropAll(state, key);
    },
  };
}

function hold(state: State, key: string, peer: string, connection: ProbeConnection): void {
  const { clock, ofKey, ofPeer } = state;
  const sinceMs = clock.now();
  noteHarmless(state, key);
  const ended = (): void => {
    if (release(state, held)) noteEnd(state, key, clock.now() - sinceMs);
  };
  let octets = 0;
  const received = ({ length }: Buffer): void => {
    octets += length;
    if (octets > MAX_IDLE_OCTETS) release(state, held);
  };
  const held: Held = { key, peer, connection, received, ended, failed: ended };
  const others = ofKey.get(key);
  if (others === undefined) ofKey.set(key, [held]);
  else others.push(held);
  ofPeer.set(peer, (ofPeer.get(peer) ?? 0) + 1);
  state.count += 1;
  // The first time is soon after the connection was made.
  connection.keptMs ??= sinceMs;
  connection.owner = held;
  // Closing it properly is only a courtesy to the server, and must not keep this process running.
  connection.rest(true);
  if (!connection.isOpen()) ended();
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

function takeOnly(state: State, key: string): ProbeConnection | undefined {
  const those = state.ofKey.get(key);
  const held = those?.[0];
  if (those === undefined || held === undefined) return undefined;
  state.habits.delete(key);
  const { connection } = held;
  const ageMs = state.clock.now() - (connection.keptMs ?? -Infinity);
  if (those.length > 1 || ageMs >= REUSE_MS || !connection.isOpen()) {
    dropAll(state, key);
    return undefined;
  }
  forget(state, held);
  connection.owner = NO_OWNER;
  connection.rest(false);
  return connection;
}

function dropAll(state: State, key: string): void {
  const those = state.ofKey.get(key);
  if (those === undefined) return;
  // The connection was held until the next probe: the other side has no habit of closing it.
  state.habits.delete(key);
  for (const held of [...those]) release(state, held);
}

/** Closes a connection; false if it was not held any more. */
function release(state: State, held: Held): boolean {
  const was = forget(state, held);
  if (was) held.connection.hangUp();
  return was;
}

/** Stops watching a connection without closing it; false if it was not held any more. */
function forget(state: State, held: Held): boolean {
  const { ofKey, ofPeer } = state;
  const those = ofKey.get(held.key);
  if (those?.includes(held) !== true) return false;
  if (those.length === 1) ofKey.delete(held.key);
  else those.splice(those.indexOf(held), 1);
  const left = (ofPeer.get(held.peer) ?? 1) - 1;
  if (left === 0) ofPeer.delete(held.peer);
  else ofPeer.set(held.peer, left);
  state.count -= 1;
  return true;
}
