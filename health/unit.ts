/**
 * What one check at one address is known to be: its state, its last result, and the VIPs it speaks for.
 */
import type { CheckSpec } from '../config/settings.ts';
import { isoTime, type Clock } from './clock.ts';
import { contradicting, holdSeconds, settle, startingState, type HealthState, type HoldSpec } from './hysteresis.ts';
import type { ProbeResult, ProbeTarget } from './probe.ts';
import { PROBED, type Probed } from './table.ts';
import type { HealthTarget } from './targets.ts';

export type LastResult = ProbeResult & {
  /** ISO 8601. */
  readonly at: string;
};

/** One check at one address. The engine is its one writer. */
export type Unit = {
  readonly key: string;
  readonly check: CheckSpec;
  /** Undefined for `push`, and where no host is known. */
  readonly where: ProbeTarget | undefined;
  /** The VIPs that share it. */
  members: HealthTarget[];
  state: HealthState;
  /** ISO 8601: since when it is probed up or down; undefined while unknown. */
  since: string | undefined;
  last: LastResult | undefined;
  /** Aborts when the unit is no longer wanted. */
  readonly controller: AbortController;
};

export function createUnit(key: string, check: CheckSpec, where: ProbeTarget | undefined): Unit {
  return {
    key,
    check,
    where,
    members: [],
    state: startingState(),
    since: undefined,
    last: undefined,
    controller: new AbortController(),
  };
}

/** Takes a result in; returns the state before it. */
export function takeResult(unit: Unit, result: ProbeResult, clock: Clock): Probed {
  const before = unit.state.probed;
  // Whoever reports knows: a report is the state, not a sample of it.
  const thresholds = unit.check.kind === 'push' ? { rise: 1, fall: 1 } : unit.check;
  unit.state = settle(unit.state, result.passed, thresholds);
  unit.last = { ...result, at: isoTime(clock) };
  if (unit.state.probed !== before) unit.since = unit.last.at;
  return before;
}

export function isContradicted(unit: Unit): boolean {
  return contradicting(unit.state) > 0;
}

/** Whole seconds for which the state is taken not to flip. */
export function unitHoldSeconds(unit: Unit): number {
  const { check } = unit;
  const spec: HoldSpec =
    check.kind === 'push' ? { kind: 'push', expiresMs: check.expiresMs } : { ...check, kind: 'probed' };
  return holdSeconds(unit.state, spec);
}

export function probedWord(probed: Probed): 'up' | 'down' | 'unknown' {
  return probed === PROBED.UP ? 'up' : probed === PROBED.DOWN ? 'down' : 'unknown';
}
