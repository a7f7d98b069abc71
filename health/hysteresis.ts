/**
 * Turns results into a state. Pure.
 *
 *                      first result: passed
 *        ┌──────────────────────────────────────────────┐
 *   UNKNOWN ──── first result: failed ────┐             │
 *   (no saved state)                      ▼             ▼
 *                        ┌──────────▶   DOWN           UP   ◀──────────┐
 *                        │               │              │              │
 *                        │               │ rise passes  │ fall         │
 *                        │               │ in a row     │ failures     │
 *                        │               ▼              │ in a row     │
 *                        │               UP             ▼              │
 *                        │                             DOWN            │
 *                        └── failed ── saved UP or DOWN ── passed ─────┘
 *                                      (no result yet: `decided` is false, the saved state holds)
 *
 * - While the results contradict the state, the next probe comes after `fast`; one result that agrees with the
 *   state ends that, and the count begins again.
 * - A reload keeps all of it if check and address are unchanged. If only the check changed, the state is kept like a
 *   saved one. At another address, nothing is kept.
 * - While too many VIPs fail at once (`suspect.ts`), failures are counted and no state goes down (`hold`). Afterwards a
 *   check that still fails is treated like one with a saved state (`undecided`).
 * - This file does not know overrides. They take precedence over the probed state, which probes still update
 *   (`overrides.ts`).
 * - A report to a `push` check is a result with `rise` and `fall` 1.
 */
import type { CheckSpec } from '../config/check-kinds.ts';
import { NEVER_SECONDS, PROBED, type Probed } from './health-table.ts';

/** Passes in a row that bring a target up, failures in a row that take it down; both at least 1. */
export type Thresholds = { readonly rise: number; readonly fall: number };

export type HealthState = {
  readonly probed: Probed;
  /** False until the first result of this run, which decides at once. */
  readonly decided: boolean;
  /** The last result, and the number of equal results in a row; 0 before the first. */
  readonly passed: boolean;
  readonly run: number;
};

/** The state of a target before its first result: the one that the last run saved, if any. */
export function startingState(saved: Probed = PROBED.UNKNOWN): HealthState {
  return { probed: saved, decided: false, passed: false, run: 0 };
}

/** The state after one more result. */
export function settle(state: HealthState, passed: boolean, thresholds: Thresholds): HealthState {
  const run = state.passed === passed ? state.run + 1 : 1;
  const says = passed ? PROBED.UP : PROBED.DOWN;
  const needed = passed ? thresholds.rise : thresholds.fall;
  const probed = !state.decided || run >= needed ? says : state.probed;
  return { probed, decided: true, passed, run };
}

/** The state after a result that is counted but not believed (`suspect`): it does not go down. */
export function hold(state: HealthState, passed: boolean): HealthState {
  return { ...state, passed, run: state.passed === passed ? state.run + 1 : 1 };
}

/** The state after failures that were not believed at first (`suspect`) and are believed now: it goes down. */
export function settleDown(state: HealthState): HealthState {
  return { ...state, probed: PROBED.DOWN, decided: true };
}

/** The state, kept like a saved one: the next result decides. */
export function undecided(state: HealthState): HealthState {
  return { ...state, decided: false };
}

/** How many results in a row contradict the state; 0 when it is settled. */
export function contradicting(state: HealthState): number {
  if (!state.decided) return 0;
  return state.passed === (state.probed === PROBED.UP) ? 0 : state.run;
}

/** How long until the next probe, counted from the start of the last one. */
export function paceMs(state: HealthState, timing: { readonly intervalMs: number; readonly fastMs: number }): number {
  return contradicting(state) > 0 ? Math.min(timing.fastMs, timing.intervalMs) : timing.intervalMs;
}

/** The data of a check that `holdSeconds` needs: its timing or, for `push`, how long a report is valid. */
export type HoldSpec =
  | (Thresholds & { readonly kind: 'probed'; readonly intervalMs: number; readonly fastMs: number })
  | { readonly kind: 'push'; readonly expiresMs: number }
  | { readonly kind: 'none' };

/** Made once per check: many targets share a check, and every result needs it. */
const specs = new WeakMap<CheckSpec, HoldSpec>();

export function holdSpecOf(check: CheckSpec): HoldSpec {
  let spec = specs.get(check);
  if (spec === undefined) {
    spec = 'expiresMs' in check ? { kind: 'push', expiresMs: check.expiresMs } : { ...check, kind: 'probed' };
    specs.set(check, spec);
  }
  return spec;
}

/**
 * Whole seconds for which the state is assumed not to flip. A TTL range is derived from them (docs/steering.md#ttl).
 *
 * - settled: interval × results needed to flip it (`fall` when up, `rise` when down). This is the documented formula
 *   (docs/health.md#how-long-a-state-holds). It is not a bound: the first contradicting result can come at any moment
 *   within the interval, and those after it come every `fast`. So the true least time is (needed − 1) × fast. A TTL
 *   of that length would always be the minimum, and would not distinguish states.
 * - contradicted: (needed − contradicting results) × fast, the actual pace, so that TTLs fall as soon as there is
 *   doubt.
 * - not decided: 0, since the next result decides.
 * - push: how long a report is valid when up; 0 when down, since a report may come at any moment.
 * - no check: NEVER_SECONDS.
 */
export function holdSeconds(state: HealthState, spec: HoldSpec): number {
  if (spec.kind === 'none') return NEVER_SECONDS;
  if (!state.decided) return 0;
  if (spec.kind === 'push') return state.probed === PROBED.UP ? Math.floor(spec.expiresMs / 1000) : 0;
  const needed = state.probed === PROBED.UP ? spec.fall : spec.rise;
  return Math.floor((Math.max(0, needed - contradicting(state)) * paceMs(state, spec)) / 1000);
}
