/**
 * Whether this node's own network is more likely at fault (docs/health.md#suspect). When too many VIPs fail at once,
 * their states hold until enough of them pass again. This file knows results and clocks, but no sockets.
 *
 *            share of the VIPs that were up fails at once
 *     WATCHING ─────────────────────────────────────────────▶ HOLDING: failures are counted, and no state goes down;
 *        ▲                                                    │        what went down a moment ago is up again
 *        │   enough pass again, or after a while enough       │
 *        │   answer, or the time is over                      │
 *        └────────────────────────────────────────────────────┘
 *            each check that still fails is asked once more, and that result decides
 */
import type { Fault } from './checks/probe.ts';
import type { Cancel, Clock } from './clock.ts';
import { PROBED } from './health-table.ts';
import {
  MAX_ASKED_AGAIN,
  MAX_SURVEYED_A_SECOND,
  SURVEY_CHECKS,
  SUSPECT_HOLD_MS,
  SUSPECT_PARTIAL_HOLD_MS,
  SUSPECT_PATIENCE_MS,
  SUSPECT_RECHECK_MS,
  SUSPECT_SAMPLE,
  SUSPECT_WINDOW_MS,
  SUSPECT_WITNESSES,
} from './limits.ts';
import { tally, countVips, type Failing, type Suspected } from './network-evidence.ts';

export type SuspectAlarm = { readonly sinceMs: number; readonly failed: number; readonly heard: number };

/** `7 of 9 healthy VIPs failed at once. Suspecting this node's network: states are frozen.` */
export function suspectWords({ failed, heard }: SuspectAlarm): string {
  const share = `${String(failed)} of ${String(heard)} healthy VIPs`;
  return `${share} failed at once. Suspecting this node's network: states are frozen.`;
}

/**
 * What becomes of a result. `believed`: it counts as it is. `frozen`: it is counted and does not take the state down.
 * `pending`: the same, until those that have been asked have answered; then `fall` is called or the alarm is raised.
 */
export type Belief = 'believed' | 'frozen' | 'pending';

export type Suspicion<Check> = {
  /** The checks from now on. Those that continue keep what is known of them. */
  configure(checks: readonly Check[]): void;
  /** A probe of it begins, or has begun then: that which the next result is of. */
  asked(check: Check, startedMs?: number): void;
  /** One is late with its answer: the others are looked at too. */
  doubts(): void;
  /** A result of it has come; `falls` says whether it would take the state down. */
  believes(check: Check, result: Heard, falls: boolean): Belief;
  /** A result has come that says nothing of the target; its state holds in any case. */
  unprobed(check: Check, fault: Fault): void;
  /** To be called after `believes`, when the state has been settled: ends the hold when it is time to. */
  reconsider(check: Check): void;
  /** While states hold. */
  alarm(): SuspectAlarm | undefined;
  stop(): void;
};

/** What counts of a result; see `ProbeResult`. */
type Heard = { readonly passed: boolean; readonly answered?: boolean };

type Weighed = { readonly verdict: 'raise' | 'alone' } | { readonly verdict: 'wait'; readonly untilMs: number };

export type SuspicionOptions<Check> = {
  readonly clock: Clock;
  /** The share, 0 to 1, as the configuration has it at the moment; 0: never. */
  readonly share: () => number;
  /** Have it probed soon. */
  readonly hasten: (check: Check) => void;
  /** It was pending, and goes down now. */
  readonly fall: (check: Check) => void;
  /** It went down a moment ago, and must be up again. */
  readonly restore: (check: Check) => void;
  /** Its next result decides; nothing is believed of what began before. */
  readonly doubt: (check: Check) => void;
  readonly raised: (alarm: SuspectAlarm) => void;
  readonly over: (alarm: SuspectAlarm, why: string) => void;
};

export function createSuspicion<Check extends Suspected>(options: SuspicionOptions<Check>): Suspicion<Check> {
  const { clock, share } = options;
  let checks: readonly Check[] = [];
  let alarm: SuspectAlarm | undefined;
  let timers: Cancel[] = [];
  /** Where the next survey begins, so that each asks others. */
  let cursor = 0;
  let surveyed = { sinceMs: -Infinity, count: 0 };
  /** A tally of many checks takes time, so a negative one is valid for a while. */
  let talliedMs = -Infinity;
  let weighedMs = -Infinity;
  /** Checks that would be down if it were known that they are alone, and how long they wait to know. */
  const pending = new Map<Check, number>();
  let recheck: { readonly atMs: number; readonly cancel: Cancel } | undefined;

  /** One check fails, or is late: some of the others are asked, and each of those that fails has some more asked. */
  const survey = (since: number): void => {
    const nowMs = clock.now();
    if (nowMs - surveyed.sinceMs >= 1000) surveyed = { sinceMs: nowMs, count: 0 };
    let wanted = Math.min(SURVEY_CHECKS, MAX_SURVEYED_A_SECOND - surveyed.count);
    for (let looked = 0; wanted > 0 && looked < Math.min(checks.length, 8 * SURVEY_CHECKS); looked += 1) {
      cursor = (cursor + 1) % checks.length;
      const check = checks[cursor];
      if (check === undefined || check.state.probed !== PROBED.UP) continue;
      const { askedMs, heardFromMs, failing } = check.witness;
      if (askedMs !== undefined || failing !== undefined || heardFromMs >= since) continue;
      check.witness.wantedMs = nowMs;
      options.hasten(check);
      wanted -= 1;
      surveyed.count += 1;
    }
  };

  const raise = (failed: readonly Check[], heard: number): void => {
    const nowMs = clock.now();
    alarm = { sinceMs: nowMs, failed: countVips(failed), heard };
    pending.clear();
    recheck?.cancel();
    recheck = undefined;
    for (const { witness } of checks) witness.proven = witness.answered = false;
    for (const check of failed) if (check.state.probed === PROBED.DOWN) options.restore(check);
    timers = [
      clock.after(SUSPECT_PARTIAL_HOLD_MS, releaseIfThere),
      clock.after(SUSPECT_HOLD_MS, () => {
        release('they have been held for as long as they are at most');
      }),
    ];
    options.raised(alarm);
  };

  const release = (why: string): void => {
    if (alarm === undefined) return;
    const was = alarm;
    alarm = undefined;
    for (const cancel of timers) cancel();
    timers = [];
    const nowMs = clock.now();
    let asked = 0;
    for (const check of checks) {
      const { witness, state } = check;
      if (witness.failing === undefined || state.probed === PROBED.DOWN) continue;
      witness.believeFromMs = nowMs;
      options.doubt(check);
      // The others have their place in the interval.
      if ((asked += 1) <= MAX_ASKED_AGAIN) options.hasten(check);
    }
    options.over(was, why);
  };

  const provenVips = (): number => countVips(checks.filter(({ witness }) => witness.proven));

  /** Ends the hold where the network is seen to be there: some pass, or the silent alone are too few for the alarm. */
  const releaseIfThere = (): void => {
    weighedMs = clock.now();
    if (provenVips() > 0) {
      release('some pass, so the network is there for these at least');
      return;
    }
    const up = checks.filter(({ state }) => state.probed === PROBED.UP);
    const [all, answered] = [countVips(up), countVips(up.filter(({ witness }) => witness.answered))];
    if (all - answered < share() * all)
      release(`${String(answered)} of ${String(all)} VIPs answer, though not well: the network is there`);
  };

  /** What the failures of this check mean: are others failing with it, is it alone, or is that not known yet? */
  const weigh = (check: Check, last: Failing, falls: boolean): Weighed => {
    const nowMs = clock.now();
    const wanted = share();
    if (wanted === 0) return { verdict: 'alone' };
    const { failed, passed, waiting, waitUntilMs, up } = tally(checks, {
      sinceMs: last.fromMs - windowMs(check, checks.length),
      fromMs: last.fromMs,
      nowMs,
    });
    const heard = countVips(failed) + countVips(passed);
    const reaches = (bad: readonly Check[], all: readonly Check[]): boolean => {
      const addresses = addressesOf(all);
      return (
        addresses >= SUSPECT_WITNESSES &&
        countVips(bad) >= wanted * countVips(all) &&
        addressesOf(bad) >= wanted * addresses
      );
    };
    const isSample = heard >= Math.min(Math.ceil(up / 2), SUSPECT_SAMPLE);
    const couldReach = waiting.length > 0 && reaches([...failed, ...waiting], [...failed, ...waiting, ...passed]);
    const reached = reaches(failed, [...failed, ...passed, ...(couldReach ? waiting : [])]);
    // Where the state holds in any case, those that have been asked are counted first.
    if (isSample && reached && (falls || waiting.length === 0)) {
      raise(failed, heard);
      return { verdict: 'raise' };
    }
    return couldReach ? { verdict: 'wait', untilMs: waitUntilMs } : { verdict: 'alone' };
  };

  /** Weighs a check that would go down. A tally of many checks takes time, so a negative one is valid for a while. */
  const beliefOf = (check: Check, failing: Failing): Belief => {
    const nowMs = clock.now();
    if (nowMs - talliedMs < Math.floor(checks.length / CHECKS_A_MS)) return 'believed';
    const weighed = weigh(check, failing, true);
    if (weighed.verdict === 'raise') return 'frozen';
    if (weighed.verdict === 'wait') {
      const untilMs = Math.min(pending.get(check) ?? nowMs + SUSPECT_PATIENCE_MS, weighed.untilMs);
      if (untilMs > nowMs) {
        pending.set(check, pending.get(check) ?? nowMs + SUSPECT_PATIENCE_MS);
        recheckAt(untilMs);
        return 'pending';
      }
    }
    pending.delete(check);
    talliedMs = nowMs;
    return 'believed';
  };

  const recheckAt = (atMs: number): void => {
    if (recheck !== undefined && recheck.atMs <= atMs) return;
    recheck?.cancel();
    const cancel = clock.after(atMs - clock.now(), () => {
      recheck = undefined;
      talliedMs = -Infinity;
      for (const check of [...pending.keys()]) {
        const { failing } = check.witness;
        if (alarm !== undefined) return;
        if (failing === undefined) pending.delete(check);
        else if (beliefOf(check, failing) === 'believed') options.fall(check);
      }
    });
    recheck = { atMs, cancel };
  };

  /** Notes when a result came and what it was. */
  const hear = ({ witness, state }: Check, passed: boolean, answered: boolean): { fromMs: number; first: boolean } => {
    const nowMs = clock.now();
    const fromMs = witness.askedMs ?? nowMs;
    // A result without a probe is a report. It is valid until it expires.
    witness.heardFromMs = witness.askedMs ?? Infinity;
    witness.askedMs = witness.wantedMs = undefined;
    const first = !passed && witness.failing === undefined;
    if (passed) witness.failing = undefined;
    else witness.failing ??= { fromMs, heardMs: nowMs, wasUp: state.probed === PROBED.UP };
    const isFresh = alarm !== undefined && fromMs >= alarm.sinceMs;
    witness.proven = isFresh && passed;
    witness.answered = isFresh && (passed || answered);
    if (pending.size > 0) recheckAt(nowMs + SUSPECT_RECHECK_MS);
    return { fromMs, first };
  };

  return {
    configure(next) {
      checks = next;
      cursor = 0;
      const wanted = new Set(next);
      for (const check of pending.keys()) if (!wanted.has(check)) pending.delete(check);
    },
    asked({ witness }, startedMs = clock.now()) {
      witness.askedMs = startedMs;
      witness.wantedMs = undefined;
    },
    doubts() {
      if (alarm === undefined) survey(clock.now());
    },
    unprobed(check, fault) {
      const { witness, state } = check;
      if (fault !== 'network') {
        witness.askedMs = witness.wantedMs = undefined;
        return;
      }
      const { fromMs, first } = hear(check, false, false);
      if (alarm !== undefined || state.probed !== PROBED.UP || witness.failing === undefined) return;
      if (first) survey(fromMs);
      weigh(check, witness.failing, false);
    },
    believes(check, { passed, answered = false }, falls) {
      const { witness, state } = check;
      const { fromMs, first } = hear(check, passed, answered);
      if (witness.believeFromMs !== undefined) {
        if (fromMs < witness.believeFromMs) return passed ? 'believed' : 'frozen';
        witness.believeFromMs = undefined;
        return 'believed';
      }
      if (witness.failing === undefined) {
        pending.delete(check);
        return 'believed';
      }
      if (alarm !== undefined) return state.probed === PROBED.DOWN ? 'believed' : 'frozen';
      if (state.probed !== PROBED.UP) return 'believed';
      if (first) survey(fromMs);
      return falls ? beliefOf(check, witness.failing) : 'believed';
    },
    reconsider({ witness }) {
      if (alarm === undefined) return;
      if (share() === 0) {
        release('health.suspect is off now');
        return;
      }
      if (!witness.answered) return;
      const nowMs = clock.now();
      if (witness.proven) {
        const up = countVips(checks.filter(({ state }) => state.probed === PROBED.UP));
        const proven = provenVips();
        if (up - proven < share() * up) {
          release(`${String(proven)} of ${String(up)} VIPs pass`);
          return;
        }
      }
      if (nowMs - alarm.sinceMs < SUSPECT_PARTIAL_HOLD_MS || nowMs - weighedMs < checks.length / CHECKS_A_MS) return;
      releaseIfThere();
    },
    alarm: () => alarm,
    stop() {
      for (const cancel of timers) cancel();
      timers = [];
      recheck?.cancel();
      pending.clear();
    },
  };
}

/** How long before a check's first failed probe others may have begun to fail: only a probe shows a failure. */
function windowMs({ check: { fastMs, timeoutMs } }: Suspected, checks: number): number {
  return SUSPECT_WINDOW_MS + fastMs + timeoutMs + (checks / MAX_SURVEYED_A_SECOND) * 1000;
}

function addressesOf(checks: readonly Suspected[]): number {
  return new Set(checks.map(({ address }) => address)).size;
}

/** Checks that a tally looks at in a millisecond, or rather more: it shall take no more than a part of the time. */
const CHECKS_A_MS = 1000;
