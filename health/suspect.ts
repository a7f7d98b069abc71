/**
 * Whether it is rather this node's own network that has failed (SPEC 5, `suspect`): when too many VIPs fail at once,
 * their states hold until enough of them pass again. Knows results and clocks, no sockets.
 *
 *            share of the VIPs that were up fails at once
 *     WATCHING ─────────────────────────────────────────────▶ HOLDING: failures are counted, and no state goes down;
 *        ▲                                                    │        what went down a moment ago is up again
 *        │   enough pass again, or after a while enough       │
 *        │   answer, or the time is over                      │
 *        └────────────────────────────────────────────────────┘
 *            each check that still fails is asked once more, and that result decides
 */
import type { Cancel, Clock } from './clock.ts';
import {
  MAX_ASKED_AGAIN,
  MAX_SURVEYED_A_SECOND,
  SURVEY_CHECKS,
  SUSPECT_HOLD_MS,
  SUSPECT_PARTIAL_HOLD_MS,
  SUSPECT_SAMPLE,
  SUSPECT_WINDOW_MS,
  SUSPECT_WITNESSES,
} from './limits.ts';
import { PROBED } from './table.ts';
import { tally, vipsOf, type Failing, type Suspected } from './witness.ts';

export type SuspectAlarm = { readonly sinceMs: number; readonly failed: number; readonly heard: number };

/** `7 of 9 VIPs that were up failed at once, which is likelier a fault of this node's own network` */
export function suspectWords({ failed, heard }: SuspectAlarm): string {
  const share = `${String(failed)} of ${String(heard)} VIPs that were up`;
  return `${share} failed at once, which is likelier a fault of this node's own network`;
}

export type Suspicion<Check> = {
  /** The checks from now on. Those that go on keep what is known of them. */
  configure(checks: readonly Check[]): void;
  /** A probe of it begins, or has begun then: that which the next result is of. */
  asked(check: Check, startedMs?: number): void;
  /** One is late with its answer: the others are looked at too. */
  doubts(): void;
  /**
   * A result of it has come. False: it is to be counted, and shall not take the state down. `falls` says whether it
   * would.
   */
  believes(check: Check, result: Heard, falls: boolean): boolean;
  /** To be called after `believes`, when the state has been settled: ends the hold when it is time to. */
  reconsider(check: Check): void;
  /** While states hold. */
  alarm(): SuspectAlarm | undefined;
  stop(): void;
};

/** What counts of a result; see `ProbeResult`. */
type Heard = { readonly passed: boolean; readonly elapsedMs: number; readonly answered?: boolean };

export type SuspicionOptions<Check> = {
  readonly clock: Clock;
  /** The share, 0 to 1, as the configuration has it at the moment; 0: never. */
  readonly share: () => number;
  /** Have it probed soon. */
  readonly hasten: (check: Check) => void;
  /** It went down a moment ago, and shall be up again. */
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
  /** A tally takes time where there are many checks: one that said no holds for a while. */
  let talliedMs = -Infinity;
  let weighedMs = -Infinity;

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
      options.hasten(check);
      wanted -= 1;
      surveyed.count += 1;
    }
  };

  const raise = (failed: readonly Check[], heard: number): void => {
    const nowMs = clock.now();
    alarm = { sinceMs: nowMs, failed: vipsOf(failed), heard };
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

  const provenVips = (): number => vipsOf(checks.filter(({ witness }) => witness.proven));

  /** Ends the hold where the network is seen to be there: some pass, or the silent alone are too few for the alarm. */
  const releaseIfThere = (): void => {
    weighedMs = clock.now();
    if (provenVips() > 0) {
      release('some pass, so the network is there for these at least');
      return;
    }
    const up = checks.filter(({ state }) => state.probed === PROBED.UP);
    const [all, answered] = [vipsOf(up), vipsOf(up.filter(({ witness }) => witness.answered))];
    if (all - answered < share() * all)
      release(`${String(answered)} of ${String(all)} VIPs answer, though not well: the network is there`);
  };

  /** Raises the alarm where the failures since `last` began make it likelier that the fault is here; true when it did. */
  const raiseIfLikely = (last: Failing, elapsedMs: number): boolean => {
    const nowMs = clock.now();
    if (nowMs - talliedMs < Math.floor(checks.length / CHECKS_A_MS)) return false;
    const { failed, passed, up } = tally(checks, last.fromMs - SUSPECT_WINDOW_MS, nowMs, elapsedMs);
    const heard = vipsOf(failed) + vipsOf(passed);
    const wanted = share();
    const bad = new Set(failed.map(({ address }) => address));
    const all = new Set([...bad, ...passed.map(({ address }) => address)]);
    const reached =
      wanted > 0 &&
      all.size >= SUSPECT_WITNESSES &&
      heard >= Math.min(Math.ceil(up / 2), SUSPECT_SAMPLE) &&
      vipsOf(failed) >= wanted * heard &&
      bad.size >= wanted * all.size;
    if (reached) raise(failed, heard);
    else talliedMs = nowMs;
    return reached;
  };

  return {
    configure(next) {
      checks = next;
      cursor = 0;
    },
    asked({ witness }, startedMs = clock.now()) {
      witness.askedMs = startedMs;
    },
    doubts() {
      if (alarm === undefined) survey(clock.now());
    },
    believes(check, { passed, elapsedMs, answered = false }, falls) {
      const { witness, state } = check;
      const nowMs = clock.now();
      const fromMs = witness.askedMs ?? nowMs;
      // What was not asked for is a report, and stands until it expires.
      witness.heardFromMs = witness.askedMs ?? Infinity;
      witness.askedMs = undefined;
      const first = !passed && witness.failing === undefined;
      if (passed) witness.failing = undefined;
      else witness.failing ??= { fromMs, heardMs: nowMs, wasUp: state.probed === PROBED.UP };
      const isFresh = alarm !== undefined && fromMs >= alarm.sinceMs;
      witness.proven = isFresh && passed;
      witness.answered = isFresh && (passed || answered);

      if (witness.believeFromMs !== undefined) {
        if (fromMs < witness.believeFromMs) return passed;
        witness.believeFromMs = undefined;
        return true;
      }
      if (witness.failing === undefined) return true;
      if (alarm !== undefined) return state.probed === PROBED.DOWN;
      if (state.probed !== PROBED.UP) return true;
      if (first) survey(fromMs);
      return !falls || !raiseIfLikely(witness.failing, elapsedMs);
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
        const up = vipsOf(checks.filter(({ state }) => state.probed === PROBED.UP));
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
    },
  };
}

/** Checks that a tally looks at in a millisecond, or rather more: it shall take no more than a part of the time. */
const CHECKS_A_MS = 1000;
