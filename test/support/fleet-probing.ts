/**
 * Probes of a simulated fleet: one pair is one vantage point that probes one target, with the pace, the hysteresis and
 * the doubts of the health room. A pair whose next results are certain rests: nothing is executed for it until a fault
 * begins or ends, and its probes are computed.
 */
import { PROBED, type Probed } from '../../health/health-table.ts';
import {
  contradicting,
  hold,
  paceMs,
  settle,
  startingState,
  undecided,
  type HealthState,
} from '../../health/hysteresis.ts';
import { SUSPECT_HOLD_MS } from '../../health/limits.ts';
import { nextOnGrid } from '../../health/scheduler.ts';
import type { EventQueue } from './event-queue.ts';
import { USUAL_LOSS, type World } from './fleet-world.ts';
import type { Dice } from './random.ts';

/** The check of all targets. */
export type Timing = {
  readonly intervalMs: number;
  readonly fastMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
};

/** The defaults of checks (docs/health.md). */
export const DEFAULT_TIMING: Timing = { intervalMs: 10_000, fastMs: 1000, timeoutMs: 2000, rise: 2, fall: 3 };
/** `health.suspect`. */
const SUSPECT_SHARE = 0.7;

export type Pair = {
  readonly key: number;
  /** The vantage point. A lock moves to another one when its holder is lost. */
  node: number;
  readonly target: number;
  state: HealthState;
  startedMs: number;
  underWay: number;
  doubts: number;
  /** Counts up with each new time for the next probe: older ones are void. */
  turn: number;
  isResting: boolean;
  isDropped: boolean;
  /** Probes that are lost whatever the network does. */
  unlucky: number;
};

export type Probing = {
  readonly get: (node: number, target: number) => Pair | undefined;
  readonly pairs: () => Iterable<Pair>;
  /** A new pair; its first probe comes after that time, undefined: at its place in the interval. */
  readonly add: (node: number, target: number, state: HealthState, firstMs: number | undefined) => Pair;
  /** What the pair's probes meet has changed. */
  readonly wake: (pair: Pair) => void;
  /** Others see another state: probes come every `fast` until as many as settle it. */
  readonly doubt: (pair: Pair) => void;
  readonly drop: (pair: Pair) => void;
  /** A vantage point may have its network back. */
  readonly reconsider: (node: number) => void;
  readonly isFrozen: (node: number) => boolean;
  readonly forget: (node: number) => void;
  readonly counts: { executed: number; fast: number };
};

export type ProbingOptions = {
  readonly queue: EventQueue;
  readonly world: World;
  readonly dice: Dice;
  readonly timing: Timing;
  /** Whether pairs rest; otherwise every probe is executed. */
  readonly rests: boolean;
  /** Whether a node suspects itself when its network fails (docs/health.md#suspect). */
  readonly suspects: boolean;
  /** One pair per target, as with a lock; otherwise one per vantage point and target. */
  readonly isLock?: boolean;
  /** A result is about to be taken. */
  readonly taking?: (pair: Pair, passed: boolean) => void;
  /** The state may have changed. */
  readonly taken: (pair: Pair, before: HealthState) => void;
  readonly dropped?: (pair: Pair) => void;
  readonly froze?: (node: number, isFrozen: boolean) => void;
  readonly started?: (target: number) => void;
};

export const UP_STATE: HealthState = { probed: PROBED.UP, decided: true, passed: true, run: 2 };

export function createProbing(options: ProbingOptions): Probing {
  const { queue, world, dice, timing } = options;
  const { targets } = world.size;
  const { intervalMs, fastMs } = timing;
  const keyOf = (node: number, target: number): number => (options.isLock === true ? target : node * targets + target);
  const found = new Map<number, Pair>();
  const frozen = new Map<number, number>();
  /** Nodes whose freeze has ended while they still reach nothing. */
  const exhausted = new Set<number>();
  const counts = { executed: 0, fast: 0 };

  const schedule = (pair: Pair, atMs: number): void => {
    pair.turn += 1;
    const { turn } = pair;
    queue.at(atMs, () => {
      if (pair.turn === turn && !pair.isDropped) start(pair);
    });
  };
  const gridAfter = (pair: Pair, afterMs: number): number =>
    nextOnGrid(0, intervalMs, phaseOf(pair.node, pair.target), afterMs);

  const start = (pair: Pair): void => {
    const nowMs = queue.now();
    if (!world.isAlive(pair.node)) return;
    pair.startedMs = nowMs;
    pair.underWay += 1;
    counts.executed += 1;
    options.started?.(pair.target);
    if (pair.doubts > 0 || contradicting(pair.state) > 0) counts.fast += 1;
    const fate = pair.unlucky > 0 ? 'silent' : world.probe(pair.node, pair.target);
    pair.unlucky = Math.max(0, pair.unlucky - 1);
    const tookMs = fate === 'silent' ? timing.timeoutMs : world.probeMs(pair.node, pair.target);
    queue.at(nowMs + tookMs, () => {
      if (!pair.isDropped) hear(pair, fate === 'passes');
    });
    const needed = timing.fall - contradicting(pair.state);
    const isUp = pair.state.probed === PROBED.UP && pair.state.decided;
    // Another one is asked beside a probe that is not answered, up to as many as take the target down.
    if (fate === 'silent' && isUp && pair.underWay < needed) schedule(pair, nowMs + fastMs);
  };

  const hear = (pair: Pair, passed: boolean): void => {
    const { node, state: before } = pair;
    pair.underWay -= 1;
    pair.doubts = Math.max(0, pair.doubts - 1);
    options.taking?.(pair, passed);
    const after = settle(before, passed, timing);
    if (!passed && before.probed !== PROBED.DOWN && after.probed === PROBED.DOWN) freezeIfSuspect(node);
    pair.state = !passed && frozen.has(node) ? hold(before, passed) : after;
    options.taken(pair, before);
    if (pair.underWay > 0) return;
    if (options.rests && mayRest(pair)) {
      pair.isResting = true;
      pair.turn += 1;
      if (pair.state.probed === PROBED.UP && pair.state.decided && !frozen.has(node)) drop(pair);
      return;
    }
    const nowMs = queue.now();
    const pace = pair.doubts > 0 ? fastMs : paceMs(pair.state, timing);
    schedule(pair, pace === intervalMs ? gridAfter(pair, nowMs) : Math.max(nowMs, pair.startedMs + pace));
  };

  /** Whether all further results agree with the state, or are not believed. */
  const mayRest = ({ node, target, state, doubts, unlucky }: Pair): boolean => {
    if (doubts > 0 || unlucky > 0) return false;
    const loss = world.loss(node, target);
    if (loss === 1 && frozen.has(node)) return true;
    if (!state.decided || contradicting(state) > 0) return false;
    return state.probed === PROBED.UP ? loss === USUAL_LOSS : loss === 1;
  };

  const freezeIfSuspect = (node: number): void => {
    if (!options.suspects || frozen.has(node) || exhausted.has(node)) return;
    if (world.unreachable(node) < SUSPECT_SHARE) return;
    const sinceMs = queue.now();
    frozen.set(node, sinceMs);
    options.froze?.(node, true);
    queue.at(sinceMs + SUSPECT_HOLD_MS, () => {
      if (frozen.get(node) !== sinceMs) return;
      exhausted.add(node);
      thaw(node);
    });
  };
  const thaw = (node: number): void => {
    if (!frozen.delete(node)) return;
    for (const pair of found.values()) {
      if (pair.node !== node || (pair.state.passed && pair.state.run > 0)) continue;
      const before = pair.state;
      pair.state = undecided(before);
      options.taken(pair, before);
      pair.isResting = false;
      if (pair.underWay === 0) schedule(pair, queue.now() + dice.below(fastMs));
    }
    options.froze?.(node, false);
  };

  const drop = (pair: Pair): void => {
    pair.isDropped = true;
    found.delete(pair.key);
    options.dropped?.(pair);
  };

  return {
    counts,
    get: (node, target) => found.get(keyOf(node, target)),
    pairs: () => found.values(),
    add: (node, target, state, firstMs) => {
      const key = keyOf(node, target);
      const pair: Pair = { key, node, target, state, startedMs: 0, underWay: 0, doubts: 0, turn: 0, isResting: false, isDropped: false, unlucky: 0 }; // prettier-ignore
      const nextMs = gridAfter(pair, queue.now());
      pair.startedMs = nextMs - intervalMs;
      found.set(key, pair);
      schedule(pair, firstMs === undefined ? nextMs : queue.now() + firstMs);
      return pair;
    },
    wake: (pair) => {
      if (!pair.isResting) return;
      pair.isResting = false;
      const isFast = contradicting(pair.state) > 0;
      schedule(pair, isFast ? queue.now() + dice.below(fastMs) : gridAfter(pair, queue.now()));
    },
    doubt: (pair) => {
      // A pair that rests stays so: its probes would say the same.
      if (pair.isResting) return;
      pair.doubts = Math.max(timing.rise, timing.fall);
      if (pair.underWay === 0) schedule(pair, Math.max(queue.now(), pair.startedMs + fastMs));
    },
    drop,
    reconsider: (node) => {
      if (world.unreachable(node) >= SUSPECT_SHARE) return;
      exhausted.delete(node);
      if (!frozen.has(node)) return;
      // The next probes that pass end it.
      queue.at(queue.now() + dice.below(fastMs) + 100, () => {
        if (world.unreachable(node) < SUSPECT_SHARE) thaw(node);
      });
    },
    isFrozen: (node) => frozen.has(node),
    forget: (node) => {
      frozen.delete(node);
      exhausted.delete(node);
      for (const pair of [...found.values()]) if (pair.node === node) drop(pair);
    },
  };
}

/** The place of a pair in the interval, 0 to 1. */
function phaseOf(node: number, target: number): number {
  const mixed = Math.imul((node + 1) * 0x9e37_79b1, target + 0x85eb_ca6b);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 4_294_967_296;
}

/** A target that a vantage point begins to probe, perhaps with the state that it saved. */
export function freshState(saved: Probed = PROBED.UNKNOWN): HealthState {
  return startingState(saved);
}
