/**
 * Overrides of targets by operators and schedules. An override takes precedence over the probed state, survives
 * restarts, and may end by itself. While the server runs, the monotonic clock counts the time until the end, so a step
 * of the wall clock neither ends an override early nor prolongs it. Over a restart, only the wall clock continues.
 */
import type { Clock } from './clock.ts';
import { FORCED, NEVER_SECONDS, type Forced } from './health-table.ts';
import { OVERRIDE_TICK_MS } from './limits.ts';
import type { SavedOverride } from './state-file.ts';
import { canonicalTarget } from './target-names.ts';

/** The last moment that a Date has (ECMA-262 21.4.1.1). */
const LAST_TIME_MS = 8.64e15;

/** The author: an operator's override takes precedence over a schedule's. */
export type Author = SavedOverride['by'];

/** The request for an override; without `forMs`, it holds until it is cleared. */
export type OverrideRequest = {
  readonly state: 'up' | 'down' | 'drain';
  readonly forMs?: number | undefined;
  readonly reason?: string | undefined;
};

/** `endMs`: by the monotonic clock, Infinity for never. */
type Entry = { readonly override: SavedOverride; readonly endMs: number };

export type Overrides = {
  readonly clock: Clock;
  /** By canonical target. */
  readonly entries: Map<string, Entry>;
};

/** The overrides that the last run saved. Some may have ended since. */
export function resumeOverrides(saved: readonly SavedOverride[], clock: Clock): Overrides {
  const entries = new Map<string, Entry>();
  for (const override of saved) {
    entries.set(canonicalTarget(override.target), { override, endMs: clock.now() + savedRestMs(override, clock) });
  }
  return { clock, entries };
}

export function overrideOf({ entries }: Overrides, target: string): SavedOverride | undefined {
  // Most servers have no overrides.
  return entries.size === 0 ? undefined : entries.get(canonicalTarget(target))?.override;
}

export function listOverrides({ entries }: Overrides): readonly SavedOverride[] {
  return [...entries.values()].map(({ override }) => override);
}

/** Whole seconds until the override of the target ends. */
export function overrideSeconds({ clock, entries }: Overrides, target: string): number {
  const endMs = entries.get(canonicalTarget(target))?.endMs ?? Infinity;
  return endMs === Infinity ? NEVER_SECONDS : Math.max(0, Math.floor((endMs - clock.now()) / 1000));
}

/** Sets the overrides of the targets; with undefined, clears them. */
export function setOverrides(
  { clock, entries }: Overrides,
  targets: readonly string[],
  request: OverrideRequest | undefined,
  by: Author,
  who?: string,
): void {
  const [nowMs, wallMs] = [clock.now(), clock.wall()];
  for (const target of targets) {
    const key = canonicalTarget(target);
    if (request === undefined) entries.delete(key);
    else {
      const { state, forMs, reason } = request;
      const until = forMs === undefined ? undefined : wallTime(wallMs + forMs);
      const override: SavedOverride = { target, state, reason, since: wallTime(wallMs), until, by, who };
      entries.set(key, { override, endMs: nowMs + (forMs ?? Infinity) });
    }
  }
}

/** Removes the overrides whose time is over and returns them. */
export function expireOverrides({ clock, entries }: Overrides): readonly SavedOverride[] {
  const over = [...entries].filter(([, { endMs }]) => endMs <= clock.now());
  for (const [key] of over) entries.delete(key);
  return over.map(([, { override }]) => override);
}

/**
 * After a step of the wall clock, corrects the ends as displayed and saved. Returns whether any has changed. The start
 * moves with the end: a restart takes the time between them as the whole time (`savedRestMs`).
 */
export function correctEnds({ clock, entries }: Overrides): boolean {
  let changed = false;
  for (const [key, { override, endMs }] of entries) {
    if (override.until === undefined) continue;
    const wallMs = clock.wall() + endMs - clock.now();
    const stepMs = wallMs - Date.parse(override.until);
    if (Math.abs(stepMs) < OVERRIDE_TICK_MS) continue;
    const since = wallTime(Date.parse(override.since) + stepMs);
    entries.set(key, { override: { ...override, since, until: wallTime(wallMs) }, endMs });
    changed = true;
  }
  return changed;
}

/**
 * Milliseconds until the overrides must be checked again; undefined if none ends. This may be before the next end,
 * because the time left is part of the TTL and because the wall clock may step.
 */
export function untilNextTick({ clock, entries }: Overrides): number | undefined {
  const endMs = Math.min(...[...entries.values()].map((entry) => entry.endMs));
  return endMs === Infinity ? undefined : Math.min(Math.max(endMs - clock.now(), 1), OVERRIDE_TICK_MS);
}

function wallTime(ms: number): string {
  return new Date(Math.min(ms, LAST_TIME_MS)).toISOString();
}

/** Milliseconds left of an override of the last run: at most its whole time, even if the wall clock has gone back. */
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
