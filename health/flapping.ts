/**
 * `flap` (docs/health.md#flapping): when a check's state has changed too often, its VIPs are held down for a while.
 * Pure.
 *
 *     changes of the probed state    │ │   │  │ │ │
 *     within                         └──────────────┘ the sixth of them within 10m
 *     shown                          U D U D U D▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁ down for `hold`, then the probed state
 *
 * Each further change that makes `changes` of them within `within` restarts the hold: a check that still flaps stays
 * down. Probes continue during the hold, and hysteresis does not know about the hold.
 */
import type { FlapRule } from '../config/check-timing.ts';

/** The last changes of a check's state, the oldest first and no more than `changes`; when the hold ends. */
export type Flaps = { readonly changesMs: readonly number[]; readonly heldUntilMs: number };

export const NO_FLAPS: Flaps = { changesMs: [], heldUntilMs: -Infinity };

/** The flaps after one more change of the probed state. A first result does not count as a change. */
export function noteChange({ changesMs, heldUntilMs }: Flaps, nowMs: number, rule: FlapRule): Flaps {
  const recent = [...changesMs, nowMs].filter((atMs) => nowMs - atMs <= rule.withinMs).slice(-rule.changes);
  return { changesMs: recent, heldUntilMs: recent.length < rule.changes ? heldUntilMs : nowMs + rule.holdMs };
}

export function isHeldDown({ heldUntilMs }: Flaps, nowMs: number): boolean {
  return nowMs < heldUntilMs;
}

/**
 * Restores the flaps of an earlier process or generation under this rule and clock. No hold is longer than `hold` from
 * now.
 */
export function resumeFlaps({ changesMs, heldUntilMs }: Flaps, nowMs: number, rule: FlapRule): Flaps {
  // After a step of the wall clock, changes may seem to be in the future.
  const past = changesMs.map((atMs) => Math.min(atMs, nowMs)).filter((atMs) => nowMs - atMs <= rule.withinMs);
  return { changesMs: past.slice(-rule.changes), heldUntilMs: Math.min(heldUntilMs, nowMs + rule.holdMs) };
}
