/**
 * One check at one address: its state, its last result, and the VIPs that share it.
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
 * The part of the last result that a unit keeps. Each result overwrites it in place, like the state, because objects
 * that live from one probe to the next are garbage that a young collection has to copy first.
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
  /** Probes that passed or failed since it exists, and those that failed. */
  made: number;
  failed: number;
  /** When the certificate that a probe saw last expires, by the wall clock; undefined if none was seen. */
  certificateEndsMs: number | undefined;
  /** Its evidence about this node's own network. */
  readonly witness: Witness;
  /** Its turn under way. */
  round: { cancel(): void } | undefined;
  /** Its last changes of state, and the same before the last of them. `flap-holds.ts` writes these three. */
  flaps: Flaps;
  flapsBefore: Flaps;
  /** It has changed too often: it counts as down, whatever its results are. */
  heldDown: boolean;
  /** The verdict of the fleet; undefined without a fleet, where its own state decides. */
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
    made: 0,
    failed: 0,
    certificateEndsMs: undefined,
    witness: createWitness(),
    round: undefined,
    flaps: NO_FLAPS,
    flapsBefore: NO_FLAPS,
    heldDown: false,
    verdict: undefined,
    doubts: 0,
    stopped: false,
  };
}

/** Stops the probes of a unit that is no longer wanted. Their results are ignored. */
export function stopProbes(unit: Unit): void {
  unit.stopped = true;
  unit.round?.cancel();
}

/** Whether the state would go down with the result. */
export function fallsWith(unit: Unit, passed: boolean): boolean {
  return settle(unit.state, passed, thresholdsOf(unit)).probed === PROBED.DOWN && unit.state.probed !== PROBED.DOWN;
}

// A report is the state, not a sample of it.
function thresholdsOf({ check }: Unit): Thresholds {
  return isPush(check) ? { rise: 1, fall: 1 } : check;
}

/** Notes a result that says nothing about the target: the state does not change. */
export function noteUnprobed(unit: Unit, result: ProbeResult, clock: Clock): void {
  keepResult(unit, result, `not probed: ${result.reason}`, clock);
}

/** The state for answers: the fleet's verdict or, without a fleet, the unit's own state. */
export function shownState(unit: Unit): Probed {
  return unit.verdict ?? ownState(unit);
}

/** The state that this node's probes show: down while it is held down because it flaps. */
export function ownState({ heldDown, state }: Unit): Probed {
  return heldDown ? PROBED.DOWN : state.probed;
}

/** Notes that other nodes of the fleet see another state: as many probes as settle it are made every `fast`. */
export function raiseDoubt(unit: Unit): void {
  unit.doubts = Math.max(unit.check.rise, unit.check.fall);
}

/** Takes a result. A result that is not believed is only counted. Returns whether the state has changed. */
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
  // These two are fractions at first, so that V8 changes them in place later.
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
 * Whether its probe may use the connection of the last one. False if one failure takes the state down, or while results
 * contradict the state: a new connection is tried first, so that a fault of the connection alone, for example in a
 * firewall that forgot it, takes no target down.
 */
export function mayReuse({ check, state }: Unit): boolean {
  return checkTraits(check).reusesConnection && check.fall > 1 && contradicting(state) === 0;
}

/**
 * How many more probes may start beside those under way. All together are as many as the failures that take the state
 * down. Commands do not run side by side.
 */
export function needsMore({ check, state }: Unit, underWay: number): number {
  if (isPush(check) || runsCommands(check)) return 0;
  if (state.probed !== PROBED.UP || !state.decided || check.fastMs >= check.timeoutMs) return 0;
  return Math.min(MAX_PROBES_OF_TARGET, check.fall - contradicting(state)) - underWay;
}

/**
 * How long a response may take before another probe starts: `fast`, or longer if the target usually responds slowly.
 */
export function doubtMsOf(unit: Unit): number {
  const usualMs = unit.last?.passed === true ? unit.last.elapsedMs : 0;
  // Whole milliseconds, so that many targets share a timer.
  return Math.max(fastMsOf(unit), Math.ceil(SLOW_ANSWER_FACTOR * usualMs));
}

const SLOW_ANSWER_FACTOR = 1.5;

/** Time between the starts of two probes while the state is in doubt. */
export function fastMsOf({ check }: Unit): number {
  return Math.max(MIN_GAP_MS, check.fastMs);
}

/** Whole seconds for which the state is assumed not to flip. */
export function unitHoldSeconds(unit: Unit, nowMs: number): number {
  const { check, flaps, heldDown } = unit;
  if (heldDown && unit.verdict !== PROBED.UP) return Math.max(0, Math.floor((flaps.heldUntilMs - nowMs) / 1000));
  return holdSeconds(stateOfVerdict(unit), holdSpecOf(check));
}

/**
 * The state from which the hold is computed. With a fleet, it is the own state if that agrees with the verdict, a
 * settled one if this node does not probe, and an undecided one if it disagrees, since the verdict may flip with the
 * next vote.
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

/** How long a load is that of the target: until the next one is due. */
export function loadValidMs({ check }: Unit): number {
  return isPush(check) ? check.expiresMs : check.intervalMs + check.timeoutMs;
}

export function probedWord(probed: Probed): 'up' | 'down' | 'unknown' {
  return probed === PROBED.UP ? 'up' : probed === PROBED.DOWN ? 'down' : 'unknown';
}
