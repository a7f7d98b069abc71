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

/** The owner of a connection while it is held. A probe that uses the connection gives it back to the same one. */
class Held implements Owner {
  readonly key: string;
  readonly peer: string;
  readonly connection: ProbeConnection;
  /** The first time is soon after the connection was made. */
  readonly firstMs: number;
  sinceMs: number;
  /** Others of the same key: a compound check may leave several. */
  next: Held | undefined = undefined;
  readonly #state: State;
  #octets = 0;

  constructor(state: State, key: string, connection: ProbeConnection) {
    this.#state = state;
    this.key = key;
    this.peer = connection.peer();
    this.connection = connection;
    this.firstMs = this.sinceMs = state.clock.now();
  }

  isOf(state: State, key: string): boolean {
    return this.#state === state && this.key === key;
  }

  holdFrom(nowMs: number): void {
    this.sinceMs = nowMs;
    this.#octets = 0;
  }

  received({ length }: Buffer): void {
    this.#octets += length;
    if (this.#octets > MAX_IDLE_OCTETS) release(this.#state, this);
  }

  ended(): void {
    const { key, sinceMs } = this;
    if (release(this.#state, this)) noteEnd(this.#state, key, this.#state.clock.now() - sinceMs);
  }

  failed(): void {
    this.ended();
  }
}

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
  /** The last of each key; `next` leads to the others. */
  readonly ofKey: Map<string, Held>;
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
      const held = state.stopped || state.count >= maxWatched ? undefined : heldOf(state, key, connection);
      if (held === undefined || (state.ofPeer.get(held.peer) ?? 0) >= MAX_WATCHED_OF_ADDRESS) connection.hangUp();
      else hold(state, held);
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

function heldOf(state: State, key: string, connection: ProbeConnection): Held {
  const { held } = connection;
  return held instanceof Held && held.isOf(state, key) ? held : new Held(state, key, connection);
}

function hold(state: State, held: Held): void {
  const { clock, ofKey, ofPeer } = state;
  const { key, peer, connection } = held;
  noteHarmless(state, key);
  held.holdFrom(clock.now());
  held.next = ofKey.get(key);
  ofKey.set(key, held);
  ofPeer.set(peer, (ofPeer.get(peer) ?? 0) + 1);
  state.count += 1;
  connection.held = connection.owner = held;
  // Closing it properly is only a courtesy to the server, and must not keep this process running.
  connection.rest(true);
  if (!connection.isOpen()) held.ended();
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
  const held = state.ofKey.get(key);
  if (held === undefined) return undefined;
  state.habits.delete(key);
  const { connection, firstMs, next } = held;
  if (next !== undefined || state.clock.now() - firstMs >= REUSE_MS || !connection.isOpen()) {
    dropAll(state, key);
    return undefined;
  }
  forget(state, held);
  connection.owner = NO_OWNER;
  connection.rest(false);
  return connection;
}

function dropAll(state: State, key: string): void {
  let held = state.ofKey.get(key);
  if (held === undefined) return;
  // The connection was held until the next probe: the other side has no habit of closing it.
  state.habits.delete(key);
  while (held !== undefined) {
    const { next }: Held = held;
    release(state, held);
    held = next;
  }
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
  if (!unlink(ofKey, held)) return false;
  const left = (ofPeer.get(held.peer) ?? 1) - 1;
  if (left === 0) ofPeer.delete(held.peer);
  else ofPeer.set(held.peer, left);
  state.count -= 1;
  return true;
}

function unlink(ofKey: State['ofKey'], held: Held): boolean {
  const { key, next } = held;
  const last = ofKey.get(key);
  if (last === held) {
    if (next === undefined) ofKey.delete(key);
    else ofKey.set(key, next);
  } else {
    let before = last;
    while (before !== undefined && before.next !== held) before = before.next;
    if (before === undefined) return false;
    before.next = next;
  }
  held.next = undefined;
  return true;
}
