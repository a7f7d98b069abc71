/**
 * Freezes states when this node's own network is probably at fault (docs/health.md#suspect): too many VIPs that were up
 * fail at once. States stay frozen until enough VIPs pass again. This file knows results and a clock, but no sockets.
 *
 *            too large a share of the VIPs fails at once
 *     WATCHING ─────────────────────────────────────────────▶ FROZEN: failures are counted, and no state goes down;
 *        ▲                                                    │       what went down a moment ago is up again
 *        │   enough VIPs pass, or enough respond after        │
 *        │   SUSPECT_PARTIAL_HOLD_MS, or SUSPECT_HOLD_MS      │
 *        └────────────────────────────────────────────────────┘
 *            each check that still fails is probed once more, and that result decides
 */
import type { Fault } from './checks/probe.ts';
import type { Cancel, Clock } from './clock.ts';
import { PROBED } from './health-table.ts';
import {
  MAX_ASKED_AGAIN,
  SUSPECT_HOLD_MS,
  SUSPECT_PARTIAL_HOLD_MS,
  SUSPECT_PATIENCE_MS,
  SUSPECT_RECHECK_MS,
} from './limits.ts';
import { countVips, verdictOn, type Belief, type Failing, type NetworkVerdict } from './network-evidence.ts';
import { chooseOthers, createSurvey, type Survey } from './survey.ts';
import type { Unit } from './unit.ts';

export type SuspectAlarm = { readonly sinceMs: number; readonly failed: number; readonly heard: number };

/** `7 of 9 healthy VIPs failed at once. Suspecting this node's network: states are frozen.` */
export function suspectWords({ failed, heard }: SuspectAlarm): string {
  const share = `${String(failed)} of ${String(heard)} healthy VIPs`;
  return `${share} failed at once. Suspecting this node's network: states are frozen.`;
}

export type SuspicionOptions = {
  readonly clock: Clock;
  /** `health.suspect`, 0 to 1, as configured now; 0 is off. */
  readonly share: () => number;
  /** Probes the check soon. */
  readonly hasten: (check: Unit) => void;
  /** The check was pending and goes down now. */
  readonly fall: (check: Unit) => void;
  /** The check went down a moment ago and must be up again. */
  readonly restore: (check: Unit) => void;
  /** The next result of the check decides; results of probes that began earlier do not count. */
  readonly doubt: (check: Unit) => void;
  readonly raised: (alarm: SuspectAlarm) => void;
  readonly over: (alarm: SuspectAlarm, why: string) => void;
};

export type Suspicion = {
  readonly options: SuspicionOptions;
  checks: readonly Unit[];
  /** Undefined unless states are frozen. `timers` end the freeze. */
  alarm: SuspectAlarm | undefined;
  timers: readonly Cancel[];
  readonly survey: Survey;
  /** When a verdict was last "alone". A verdict over many checks takes time, so this one is valid for a while. */
  aloneMs: number;
  /** When `releaseIfReachable` last counted. */
  countedMs: number;
  /** Checks that go down if they fail alone, and until when they wait for that verdict. */
  readonly pending: Map<Unit, number>;
  /** The next look at the pending checks. */
  recheck: { readonly atMs: number; readonly cancel: Cancel } | undefined;
};

export function createSuspicion(options: SuspicionOptions): Suspicion {
  return {
    options,
    checks: [],
    alarm: undefined,
    timers: [],
    survey: createSurvey(),
    aloneMs: -Infinity,
    countedMs: -Infinity,
    pending: new Map(),
    recheck: undefined,
  };
}

/** Sets the checks. Those that were set before keep their evidence. */
export function setSuspects(suspicion: Suspicion, checks: readonly Unit[]): void {
  suspicion.checks = checks;
  suspicion.survey.cursor = 0;
  const wanted = new Set(checks);
  for (const check of suspicion.pending.keys()) if (!wanted.has(check)) suspicion.pending.delete(check);
}

/** A probe of the check begins, or began at `startedMs`; the next result is the result of this probe. */
export function noteAsked({ witness }: Unit, startedMs: number): void {
  witness.askedMs = startedMs;
  witness.wantedMs = undefined;
}

/** A check has failed or is late: some of the others are probed soon. */
export function askOthers(suspicion: Suspicion, sinceMs: number): void {
  const { alarm, checks, options, survey } = suspicion;
  if (alarm !== undefined) return;
  for (const other of chooseOthers(survey, checks, sinceMs, options.clock.now())) options.hasten(other);
}

/** The parts of a result that count; see `ProbeResult`. */
type Heard = { readonly passed: boolean; readonly answered?: boolean };

/** Takes a result of the check; `falls` says whether it would take the state down. */
export function beliefIn(suspicion: Suspicion, check: Unit, result: Heard, falls: boolean): Belief {
  const { witness, state } = check;
  const { fromMs, first } = hear(suspicion, check, result);
  if (witness.believeFromMs !== undefined) {
    if (fromMs < witness.believeFromMs) return result.passed ? 'believed' : 'frozen';
    witness.believeFromMs = undefined;
    if (first) askOthers(suspicion, fromMs);
    return 'believed';
  }
  if (witness.failing === undefined) {
    suspicion.pending.delete(check);
    return 'believed';
  }
  if (suspicion.alarm !== undefined) return state.probed === PROBED.DOWN ? 'believed' : 'frozen';
  if (state.probed !== PROBED.UP) return 'believed';
  if (first) askOthers(suspicion, fromMs);
  return falls ? beliefInFailure(suspicion, check, witness.failing) : 'believed';
}

/** Takes a result that says nothing about the target. Its state is kept in any case. */
export function noteFault(suspicion: Suspicion, check: Unit, fault: Fault): void {
  const { witness, state } = check;
  if (fault !== 'network') {
    witness.askedMs = witness.wantedMs = undefined;
    return;
  }
  const { fromMs, first } = hear(suspicion, check, { passed: false });
  if (suspicion.alarm !== undefined || state.probed !== PROBED.UP || witness.failing === undefined) return;
  if (first) askOthers(suspicion, fromMs);
  weigh(suspicion, check, witness.failing, false);
}

/** Ends the freeze if it is time to. Called after `beliefIn`, when the state has been settled. */
export function reconsider(suspicion: Suspicion, { witness }: Unit): void {
  const { alarm, checks, countedMs, options } = suspicion;
  if (alarm === undefined) return;
  const share = options.share();
  if (share === 0) {
    release(suspicion, 'health.suspect is off now');
    return;
  }
  if (!witness.answered) return;
  if (witness.proven) {
    const up = countVips(checks.filter(isUp));
    const proven = provenVips(checks);
    if (up - proven < share * up) {
      release(suspicion, `${String(proven)} of ${String(up)} VIPs pass`, true);
      return;
    }
  }
  const nowMs = options.clock.now();
  const isEarly = nowMs - alarm.sinceMs < SUSPECT_PARTIAL_HOLD_MS || nowMs - countedMs < checks.length / CHECKS_A_MS;
  if (!isEarly) releaseIfReachable(suspicion);
}

export function stopSuspicion(suspicion: Suspicion): void {
  for (const cancel of suspicion.timers) cancel();
  suspicion.timers = [];
  suspicion.recheck?.cancel();
  suspicion.pending.clear();
}

/** Notes a result and its time. `first`: it is the first failure after a pass. */
function hear(
  suspicion: Suspicion,
  { witness, state }: Unit,
  { passed, answered = false }: Heard,
): { readonly fromMs: number; readonly first: boolean } {
  const { alarm, options, pending } = suspicion;
  const nowMs = options.clock.now();
  const fromMs = witness.askedMs ?? nowMs;
  // A result without a probe is a report. It is valid until it expires.
  witness.heardFromMs = witness.askedMs ?? Infinity;
  witness.askedMs = witness.wantedMs = undefined;
  const first = !passed && witness.failing === undefined;
  if (passed) witness.failing = undefined;
  else witness.failing ??= { fromMs, heardMs: nowMs, wasUp: isUp({ state }) };
  const isFresh = alarm !== undefined && fromMs >= alarm.sinceMs;
  witness.proven = isFresh && passed;
  witness.answered = isFresh && (passed || answered);
  if (pending.size > 0) recheckAt(suspicion, nowMs + SUSPECT_RECHECK_MS);
  return { fromMs, first };
}

/** Whether a failure counts that would take the check down. */
function beliefInFailure(suspicion: Suspicion, check: Unit, failing: Failing): Belief {
  const { checks, options, pending } = suspicion;
  const nowMs = options.clock.now();
  if (nowMs - suspicion.aloneMs < Math.floor(checks.length / CHECKS_A_MS)) return 'believed';
  const verdict = weigh(suspicion, check, failing, true);
  if (verdict.kind === 'together') return 'frozen';
  if (verdict.kind === 'wait') {
    const patientMs = pending.get(check) ?? nowMs + SUSPECT_PATIENCE_MS;
    const untilMs = Math.min(patientMs, verdict.untilMs);
    if (untilMs > nowMs) {
      pending.set(check, patientMs);
      recheckAt(suspicion, untilMs);
      return 'pending';
    }
  }
  pending.delete(check);
  suspicion.aloneMs = nowMs;
  return 'believed';
}

/** Finds whether others fail together with the check, and freezes states if they do. */
function weigh(suspicion: Suspicion, check: Unit, failing: Failing, falls: boolean): NetworkVerdict<Unit> {
  const { checks, options } = suspicion;
  const facts = { failing, falls, share: options.share(), nowMs: options.clock.now() };
  const verdict = verdictOn(check, checks, facts);
  if (verdict.kind === 'together') freeze(suspicion, verdict.failed, verdict.heard);
  return verdict;
}

function recheckAt(suspicion: Suspicion, atMs: number): void {
  const { options, pending, recheck } = suspicion;
  if (recheck !== undefined && recheck.atMs <= atMs) return;
  recheck?.cancel();
  const cancel = options.clock.after(atMs - options.clock.now(), () => {
    suspicion.recheck = undefined;
    suspicion.aloneMs = -Infinity;
    for (const check of [...pending.keys()]) {
      const { failing } = check.witness;
      if (suspicion.alarm !== undefined) return;
      if (failing === undefined) pending.delete(check);
      else if (beliefInFailure(suspicion, check, failing) === 'believed') options.fall(check);
    }
  });
  suspicion.recheck = { atMs, cancel };
}

function freeze(suspicion: Suspicion, failed: readonly Unit[], heard: number): void {
  const { checks, options, pending } = suspicion;
  const alarm = { sinceMs: options.clock.now(), failed: countVips(failed), heard };
  suspicion.alarm = alarm;
  pending.clear();
  suspicion.recheck?.cancel();
  suspicion.recheck = undefined;
  for (const { witness } of checks) witness.proven = witness.answered = false;
  for (const check of failed) if (check.state.probed === PROBED.DOWN) options.restore(check);
  suspicion.timers = [
    options.clock.after(SUSPECT_PARTIAL_HOLD_MS, () => {
      releaseIfReachable(suspicion);
    }),
    options.clock.after(SUSPECT_HOLD_MS, () => {
      release(suspicion, 'a freeze lasts no longer');
    }),
  ];
  options.raised(alarm);
}

/** Ends the freeze if the network is seen to work: some VIPs pass, or too few are silent for the alarm. */
function releaseIfReachable(suspicion: Suspicion): void {
  const { checks, options } = suspicion;
  suspicion.countedMs = options.clock.now();
  if (provenVips(checks) > 0) {
    release(suspicion, 'some VIPs pass, so the network works for these');
    return;
  }
  const up = checks.filter(isUp);
  const [all, answered] = [countVips(up), countVips(up.filter(({ witness }) => witness.answered))];
  if (all - answered >= options.share() * all) return;
  release(suspicion, `${String(answered)} of ${String(all)} VIPs respond with an error, so the network works`);
}

/**
 * Ends the freeze. `hasReturned`: the network works again, so VIPs that fail from now on fail anew; if they do so
 * together, it is out once more.
 */
function release(suspicion: Suspicion, why: string, hasReturned = false): void {
  const { alarm, checks, options, timers } = suspicion;
  if (alarm === undefined) return;
  suspicion.alarm = undefined;
  for (const cancel of timers) cancel();
  suspicion.timers = [];
  const nowMs = options.clock.now();
  let asked = 0;
  for (const check of checks) {
    const { witness, state } = check;
    if (witness.failing === undefined || state.probed === PROBED.DOWN) continue;
    witness.believeFromMs = nowMs;
    if (hasReturned) witness.failing = undefined;
    options.doubt(check);
    // The others are probed at their place in the interval.
    if ((asked += 1) <= MAX_ASKED_AGAIN) options.hasten(check);
  }
  options.over(alarm, why);
}

function isUp({ state }: Pick<Unit, 'state'>): boolean {
  return state.probed === PROBED.UP;
}

/** VIPs that passed a probe that began during the freeze. */
function provenVips(checks: readonly Unit[]): number {
  return countVips(checks.filter(({ witness }) => witness.proven));
}

/** A verdict over this many checks takes at most about a millisecond, and must take only a part of the time. */
const CHECKS_A_MS = 1000;
