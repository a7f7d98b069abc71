/**
 * What one check at one address is known to be: its state, its last result, and the VIPs it speaks for.
 */
import { checkTraits, isPush, runsCommands, type CheckSpec } from '../config/check-kinds.ts';
import type { ProbeResult, ProbeTarget } from './checks/probe.ts';
import type { Clock } from './clock.ts';
import { NO_FLAPS, type Flaps } from './flapping.ts';
import { PROBED, type Probed } from './health-table.ts';
import {
  contradicting,
  hold,
  holdSeconds,
  holdSpecOf,
  settle,
  startingState,
  type HealthState,
  type Thresholds,
} from './hysteresis.ts';
import { MAX_PROBES_OF_TARGET, MIN_GAP_MS } from './limits.ts';
import { createWitness, type Belief, type Witness } from './network-evidence.ts';
import type { HealthTarget } from './target-names.ts';

export type LastResult = ProbeResult & {
  /** ISO 8601. */
  readonly at: string;
};

/**
 * What a unit keeps of its last result. It is written over with each result, as the state is: objects that live from
 * one probe to the next would be half of the work of garbage collection.
 */
export type KeptResult = { -readonly [Key in keyof ProbeResult]-?: ProbeResult[Key] | undefined } & {
  passed: boolean;
  reason: string;
  elapsedMs: number;
  /** By the wall clock. */
  atMs: number;
};

/** One check at one address. The engine is its one writer. */
export type Unit = {
  readonly key: string;
  readonly check: CheckSpec;
  /** Undefined for `push`, and where no host is known. */
  readonly where: ProbeTarget | undefined;
  /** Where it is probed, as text; of a `push` check, its key. */
  readonly address: string;
  /** The VIPs that share it. */
  members: HealthTarget[];
  state: { -readonly [Key in keyof HealthState]: HealthState[Key] };
  /** ISO 8601: since when it is probed up or down; undefined while unknown. */
  since: string | undefined;
  last: KeptResult | undefined;
  /** When the certificate ends that a probe saw last, by the wall clock; undefined where none did. */
  certificateEndsMs: number | undefined;
  /** What it can say of this node's own network. */
  readonly witness: Witness;
  /** Cancels the probes under way. */
  cancel: (() => void) | undefined;
  /** Its last changes of state, and the same before the last of them. `flap-holds.ts` writes these three. */
  flaps: Flaps;
  flapsBefore: Flaps;
  /** It has changed too often, and is taken for down whatever the probes say. */
  heldDown: boolean;
  /** What a fleet decided; undefined without a fleet, where its own state decides. */
  verdict: Probed | undefined;
  /** Probes to make at once because other nodes of the fleet see another state. */
  doubts: number;
  /** It is no longer wanted. */
  stopped: boolean;
};

export function createUnit(key: string, check: CheckSpec, where: ProbeTarget | undefined): Unit {
  return {
    key,
    check,
    where,
    address: where === undefined ? key : `${where.host} ${String(where.port)}`,
    members: [],
    state: startingState(),
    since: undefined,
    last: undefined,
    certificateEndsMs: undefined,
    witness: createWitness(),
    cancel: undefined,
    flaps: NO_FLAPS,
    flapsBefore: NO_FLAPS,
    heldDown: false,
    verdict: undefined,
    doubts: 0,
    stopped: false,
  };
}

/** It is no longer wanted: what its probes would say is not heard. */
export function stopProbes(unit: Unit): void {
  unit.stopped = true;
  unit.cancel?.();
}

/** Whether the state would go down with the result. */
export function fallsWith(unit: Unit, passed: boolean): boolean {
  return settle(unit.state, passed, thresholdsOf(unit)).probed === PROBED.DOWN && unit.state.probed !== PROBED.DOWN;
}

// A report is the state, not a sample of it.
function thresholdsOf({ check }: Unit): Thresholds {
  return isPush(check) ? { rise: 1, fall: 1 } : check;
}

/** Notes a result that says nothing of the target: the state holds. */
export function noteUnprobed(unit: Unit, result: ProbeResult, clock: Clock): void {
  keepResult(unit, result, `not probed: ${result.reason}`, clock);
}

/** The state as answers have it: the fleet's verdict, or without a fleet its own. */
export function shownState(unit: Unit): Probed {
  return unit.verdict ?? ownState(unit);
}

/** The state that this node's probes show: down while it is held down because it flaps. */
export function ownState({ heldDown, state }: Unit): Probed {
  return heldDown ? PROBED.DOWN : state.probed;
}

/** Other nodes of the fleet see another state: as many probes as settle it are made every `fast`. */
export function raiseDoubt(unit: Unit): void {
  unit.doubts = Math.max(unit.check.rise, unit.check.fall);
}

/** Takes a result in, which is counted only where it is not believed. Says whether the state is another one now. */
export function takeResult(unit: Unit, result: ProbeResult, clock: Clock, belief: Belief = 'believed'): boolean {
  const before = unit.state.probed;
  unit.doubts = Math.max(0, unit.doubts - 1);
  const isBelieved = belief === 'believed';
  const { state } = unit;
  const next = isBelieved ? settle(state, result.passed, thresholdsOf(unit)) : hold(state, result.passed);
  state.probed = next.probed;
  state.decided = next.decided;
  state.passed = next.passed;
  state.run = next.run;
  keepResult(unit, result, belief === 'frozen' ? `${result.reason}; state frozen (suspect)` : result.reason, clock);
  unit.certificateEndsMs = result.certificateEndsMs ?? unit.certificateEndsMs;
  return unit.state.probed !== before;
}

function keepResult(unit: Unit, result: ProbeResult, reason: string, clock: Clock): void {
  const last: KeptResult = (unit.last ??= { ...NO_RESULT });
  last.passed = result.passed;
  last.reason = reason;
  last.elapsedMs = result.elapsedMs;
  last.answered = result.answered;
  last.fault = result.fault;
  last.load = result.load;
  last.certificateEndsMs = result.certificateEndsMs;
  last.atMs = clock.wall();
}

const NO_RESULT: KeptResult = {
  passed: false,
  reason: '',
  // Not an integer, so that these two are changed in place.
  elapsedMs: 0.5,
  answered: undefined,
  fault: undefined,
  load: undefined,
  certificateEndsMs: undefined,
  atMs: 0.5,
};

/** The last result, as the status page and the API have it. */
export function showResult({ atMs, ...result }: KeptResult): LastResult {
  const known = Object.entries(result).filter(([, value]) => value !== undefined);
  return { ...(Object.fromEntries(known) as ProbeResult), at: new Date(atMs).toISOString() };
}

/** Whether results or other nodes contradict the state, so that it is probed every `fast`. */
export function isContradicted(unit: Unit): boolean {
  return contradicting(unit.state) > 0 || unit.doubts > 0;
}

/**
 * Whether its probe may use the connection of the last one: HTTP has requests in a row. Not in doubt, so that a fault
 * of the connection alone, as of a firewall that forgot it, takes nothing down: one that is settled and falls by more
 * than one failure is asked over a new one before it does.
 */
export function mayReuse({ check, state }: Unit): boolean {
  return checkTraits(check).reusesConnection && check.fall > 1 && contradicting(state) === 0;
}

/**
 * How many more probes may be asked beside those under way, that all may fail: up to as many failures as take it down.
 * Commands are not run side by side.
 */
export function needsMore({ check, state }: Unit, underWay: number): number {
  if (isPush(check) || runsCommands(check)) return 0;
  if (state.probed !== PROBED.UP || !state.decided || check.fastMs >= check.timeoutMs) return 0;
  return Math.min(MAX_PROBES_OF_TARGET, check.fall - contradicting(state)) - underWay;
}

/** How long an answer may take before another probe is asked: `fast`, or as long as one that is slow takes usually. */
export function doubtMsOf(unit: Unit): number {
  const usualMs = unit.last?.passed === true ? unit.last.elapsedMs : 0;
  return Math.max(fastMsOf(unit), SLOW_ANSWER_FACTOR * usualMs);
}

const SLOW_ANSWER_FACTOR = 1.5;

/** Time between the starts of two probes while the state is in doubt. */
export function fastMsOf({ check }: Unit): number {
  return Math.max(MIN_GAP_MS, check.fastMs);
}

/** Whole seconds for which the state is taken not to flip. */
export function unitHoldSeconds(unit: Unit, nowMs: number): number {
  const { check, flaps, heldDown } = unit;
  if (heldDown && unit.verdict !== PROBED.UP) return Math.max(0, Math.floor((flaps.heldUntilMs - nowMs) / 1000));
  return holdSeconds(stateOfVerdict(unit), holdSpecOf(check));
}

/**
 * The state whose length counts. Where a fleet decides: the own one if it agrees, a settled one if this node does not
 * probe, and an undecided one if it disagrees, since the verdict may flip with the next vote.
 */
function stateOfVerdict({ verdict, state }: Unit): HealthState {
  if (verdict === undefined || (state.decided && state.probed === verdict)) return state;
  if (state.decided || verdict === PROBED.UNKNOWN) return { ...state, decided: false };
  return { probed: verdict, decided: true, passed: verdict === PROBED.UP, run: 1 };
}

/** Whole seconds until its load is reported again: at the next probe; a push may come at any moment. */
export function loadHoldSeconds({ check }: Unit): number {
  return isPush(check) ? 0 : Math.floor(check.intervalMs / 1000);
}

export function probedWord(probed: Probed): 'up' | 'down' | 'unknown' {
  return probed === PROBED.UP ? 'up' : probed === PROBED.DOWN ? 'down' : 'unknown';
}
