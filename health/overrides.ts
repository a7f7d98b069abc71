/**
 * Overrides of targets by operators and schedules. An override takes precedence over the probed state, survives
 * restarts, and may end by itself. While the server runs, the monotonic clock counts the time until the end, so a step
 * of the wall clock neither ends an override early nor prolongs it. Over a restart there is only the wall clock.
 */
import type { Cancel, Clock } from './clock.ts';
import { FORCED, NEVER_SECONDS, type Forced } from './health-table.ts';
import { OVERRIDE_TICK_MS } from './limits.ts';
import type { SavedOverride, StateStore } from './state-file.ts';
import { canonicalTarget } from './target-names.ts';

/** The last moment that a Date has (ECMA-262 21.4.1.1). */
const LAST_TIME_MS = 8.64e15;

/** The author: an operator's override takes precedence over a schedule's. */
export type Author = SavedOverride['by'];

/** What is asked for; `forMs` undefined: until it is taken back. */
export type OverrideRequest = {
  readonly state: 'up' | 'down' | 'drain';
  readonly forMs?: number | undefined;
  readonly reason?: string | undefined;
};

export type Overrides = {
  get(target: string): SavedOverride | undefined;
  list(): readonly SavedOverride[];
  /** How long it holds the state yet, in whole seconds. */
  holdSeconds(override: SavedOverride): number;
  /** Sets, or with undefined takes back; resolves when it is on the disk, false when it could not be written. */
  set(targets: readonly string[], request: OverrideRequest | undefined, by: Author): Promise<boolean>;
  /** Writes them again, because what `finish` says of them has changed. */
  keep(): void;
  stop(): void;
};

/** `endMs`: by the monotonic clock, Infinity for never. */
type Entry = { readonly override: SavedOverride; readonly endMs: number };

/**
 * `ended` hears of each override that has ended by itself; `ticked` comes every second while one will. `finish` adds
 * what is known of an override as it is written.
 */
export function createOverrides(
  store: StateStore,
  clock: Clock,
  ended: (override: SavedOverride) => void,
  ticked: () => void,
  finish: (override: SavedOverride) => SavedOverride = (override) => override,
): Overrides {
  const current = new Map<string, Entry>();
  for (const override of store.overrides) {
    current.set(canonicalTarget(override.target), { override, endMs: clock.now() + savedRestMs(override, clock) });
  }
  let cancel: Cancel | undefined;

  const list = (): readonly SavedOverride[] => [...current.values()].map(({ override }) => override);
  const save = (): Promise<boolean> => store.saveOverrides(() => list().map(finish));

  const expire = (): readonly SavedOverride[] => {
    const over = [...current].filter(([, { endMs }]) => endMs <= clock.now());
    for (const [key] of over) current.delete(key);
    if (over.length > 0) void save();
    return over.map(([, { override }]) => override);
  };

  /** After a step of the wall clock, what is shown and kept as the end is where it will be. */
  const follow = (): void => {
    let moved = false;
    for (const [key, { override, endMs }] of current) {
      if (override.until === undefined) continue;
      const wallMs = clock.wall() + endMs - clock.now();
      if (Math.abs(wallMs - Date.parse(override.until)) < OVERRIDE_TICK_MS) continue;
      current.set(key, { override: { ...override, until: wallTime(wallMs) }, endMs });
      moved = true;
    }
    if (moved) void save();
  };

  // Not one timer for the end: the time left is part of the TTL, and steps of the wall clock are followed.
  const arm = (): void => {
    cancel?.();
    cancel = undefined;
    const endMs = Math.min(...[...current.values()].map((entry) => entry.endMs));
    if (endMs === Infinity) return;
    cancel = clock.after(Math.min(Math.max(endMs - clock.now(), 1), OVERRIDE_TICK_MS), () => {
      const over = expire();
      follow();
      arm();
      for (const override of over) ended(override);
      ticked();
    });
  };

  // Those that ended while no server ran.
  expire();
  arm();
  return {
    get: (target) => current.get(canonicalTarget(target))?.override,
    list,
    holdSeconds({ target }) {
      const endMs = current.get(canonicalTarget(target))?.endMs ?? Infinity;
      return endMs === Infinity ? NEVER_SECONDS : Math.max(0, Math.floor((endMs - clock.now()) / 1000));
    },
    set(targets, request, by) {
      const nowMs = clock.now();
      const wallMs = clock.wall();
      for (const target of targets) {
        const key = canonicalTarget(target);
        if (request === undefined) current.delete(key);
        else {
          const { state, forMs, reason } = request;
          const until = forMs === undefined ? undefined : wallTime(wallMs + forMs);
          const override: SavedOverride = { target, state, reason, since: wallTime(wallMs), until, by };
          current.set(key, { override, endMs: nowMs + (forMs ?? Infinity) });
        }
      }
      arm();
      return save();
    },
    keep() {
      if (current.size > 0) void save();
    },
    stop() {
      cancel?.();
      cancel = undefined;
    },
  };
}

function wallTime(ms: number): string {
  return new Date(Math.min(ms, LAST_TIME_MS)).toISOString();
}

/** What is left of an override of the last run: never more than it had, should the wall clock have gone back. */
function savedRestMs({ since, until }: SavedOverride, clock: Clock): number {
  if (until === undefined) return Infinity;
  const endMs = Date.parse(until);
  return Math.min(endMs - clock.wall(), endMs - Date.parse(since));
}

/** The override's part of the state word. */
export function forcedBy(override: SavedOverride | undefined): Forced {
  switch (override?.state) {
    case undefined:
      return FORCED.NONE;
    case 'up':
      return FORCED.UP;
    case 'down':
      return FORCED.DOWN;
    case 'drain':
      return FORCED.DRAIN;
  }
}
