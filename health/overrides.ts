/**
 * What operators say of targets: it sits above the probed state, survives restarts, and may end by itself.
 */
import { isoTime, type Cancel, type Clock } from './clock.ts';
import { OVERRIDE_TICK_MS } from './limits.ts';
import type { SavedOverride, StateStore } from './state-file.ts';
import { FORCED, NEVER_SECONDS, type Forced } from './table.ts';
import { canonicalTarget } from './targets.ts';

/** The last moment that a Date has (ECMA-262 21.4.1.1). */
const LAST_TIME_MS = 8.64e15;

/** What is asked for; `forMs` undefined: until it is taken back. */
export type OverrideRequest = {
  readonly state: 'up' | 'down' | 'drain';
  readonly forMs?: number | undefined;
  readonly reason?: string | undefined;
};

export type Overrides = {
  get(target: string): SavedOverride | undefined;
  list(): readonly SavedOverride[];
  /** Sets, or with undefined takes back; resolves when it is on the disk, false when it could not be written. */
  set(targets: readonly string[], request: OverrideRequest | undefined): Promise<boolean>;
  stop(): void;
};

/** `ended` hears of each override that has ended by itself; `ticked` comes every second while one will. */
export function createOverrides(
  store: StateStore,
  clock: Clock,
  ended: (override: SavedOverride) => void,
  ticked: () => void,
): Overrides {
  const current = new Map<string, SavedOverride>();
  for (const override of store.overrides) current.set(canonicalTarget(override.target), override);
  let cancel: Cancel | undefined;

  const save = (): Promise<boolean> => store.saveOverrides([...current.values()]);

  const expire = (): readonly SavedOverride[] => {
    const over = [...current].filter(([, override]) => remainingMs(override, clock) <= 0);
    for (const [key] of over) current.delete(key);
    if (over.length > 0) void save();
    return over.map(([, override]) => override);
  };

  // Not one timer for the end: it would not notice a step of the wall clock.
  const arm = (): void => {
    cancel?.();
    cancel = undefined;
    const leastMs = Math.min(...[...current.values()].map((override) => remainingMs(override, clock)));
    if (leastMs === Infinity) return;
    cancel = clock.after(Math.min(Math.max(leastMs, 1), OVERRIDE_TICK_MS), () => {
      const over = expire();
      arm();
      for (const override of over) ended(override);
      ticked();
    });
  };

  // Those that ended while no server ran.
  expire();
  arm();
  return {
    get: (target) => current.get(canonicalTarget(target)),
    list: () => [...current.values()],
    set(targets, request) {
      for (const target of targets) {
        const key = canonicalTarget(target);
        if (request === undefined) current.delete(key);
        else {
          const { state, forMs, reason } = request;
          const until =
            forMs === undefined ? undefined : new Date(Math.min(clock.wall() + forMs, LAST_TIME_MS)).toISOString();
          current.set(key, { target, state, reason, since: isoTime(clock), until });
        }
      }
      arm();
      return save();
    },
    stop() {
      cancel?.();
      cancel = undefined;
    },
  };
}

/** Until it ends by itself; Infinity when it does not. */
export function remainingMs(override: SavedOverride, clock: Clock): number {
  return override.until === undefined ? Infinity : Date.parse(override.until) - clock.wall();
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

/** How long an override holds the state, in whole seconds. */
export function overrideHoldSeconds(override: SavedOverride, clock: Clock): number {
  const leftMs = remainingMs(override, clock);
  return leftMs === Infinity ? NEVER_SECONDS : Math.max(0, Math.floor(leftMs / 1000));
}
