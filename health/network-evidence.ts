/**
 * The evidence of each check about this node's own network, and the verdict that follows from all of it. Pure.
 */
import { PROBED, type Probed } from './health-table.ts';
import { MAX_SURVEYED_A_SECOND, SUSPECT_SAMPLE, SUSPECT_WINDOW_MS, SUSPECT_WITNESSES } from './limits.ts';

/** One check at one address, as a witness. `suspect.ts` writes all of it. */
export type Witness = {
  /** When the probe under way began. */
  askedMs: number | undefined;
  /** When an early probe of it was requested; undefined once that probe begins. */
  wantedMs: number | undefined;
  /** When the probe with the last result began; Infinity if that result is a report. */
  heardFromMs: number;
  /** The failures in a row up to the last result; undefined after a pass, and before the first result. */
  failing: Failing | undefined;
  /** A probe that began during the freeze has passed, and no later one has failed. */
  proven: boolean;
  /** A probe that began during the freeze has passed or got a response, and every later one did too. */
  answered: boolean;
  /**
   * Results of probes that began before this are not believed. The first result of a later probe is always believed.
   */
  believeFromMs: number | undefined;
};

export type Failing = {
  /** When the first of them began, and when its result came. */
  readonly fromMs: number;
  readonly heardMs: number;
  /** Whether the state was up until then. */
  readonly wasUp: boolean;
};

export function createWitness(): Witness {
  return {
    askedMs: undefined,
    wantedMs: undefined,
    heardFromMs: -Infinity,
    failing: undefined,
    proven: false,
    answered: false,
    believeFromMs: undefined,
  };
}

/**
 * How a result counts. `believed`: it counts. `frozen`: it is counted but does not take the state down. `pending`: the
 * same until the other checks have results. Then the state goes down, or the alarm is raised.
 */
export type Belief = 'believed' | 'frozen' | 'pending';

/** The data of a check that a verdict needs. */
export type Suspected = {
  /** Checks at one address are one witness, however many VIPs and checks it has. */
  readonly address: string;
  readonly check: { readonly fastMs: number; readonly timeoutMs: number };
  readonly witness: Witness;
  readonly state: { readonly probed: Probed };
  /** The VIPs that share it. */
  readonly members: readonly unknown[];
};

/**
 * Whether other checks fail together with one that fails. `together`: this node's network is suspect. `wait`: the
 * results of others could still change the verdict, until that time. `alone`: the fault is the target's.
 */
export type NetworkVerdict<Check> =
  | { readonly kind: 'together'; readonly failed: readonly Check[]; readonly heard: number }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'alone' };

/** The facts about a check that fails. */
export type FailureFacts = {
  readonly failing: Failing;
  /** Whether its state goes down if it fails alone. */
  readonly falls: boolean;
  /** `health.suspect`, 0 to 1; 0 is off. */
  readonly share: number;
  readonly nowMs: number;
};

export function verdictOn<Check extends Suspected>(
  check: Check,
  checks: readonly Check[],
  { failing, falls, share, nowMs }: FailureFacts,
): NetworkVerdict<Check> {
  if (share === 0) return { kind: 'alone' };
  const sinceMs = failing.fromMs - windowMs(check, checks.length);
  const { failed, passed, waiting, waitUntilMs, up } = tally(checks, { sinceMs, fromMs: failing.fromMs, nowMs });
  const heard = countVips(failed) + countVips(passed);
  const isSample = heard >= Math.min(Math.ceil(up / 2), SUSPECT_SAMPLE);
  const asked = [...failed, ...waiting];
  const couldReach = waiting.length > 0 && reaches(share, asked, [...asked, ...passed]);
  const reached = reaches(share, failed, [...failed, ...passed, ...(couldReach ? waiting : [])]);
  // If the state does not go down anyway, the verdict waits for the checks that are being probed.
  if (isSample && reached && (falls || waiting.length === 0)) return { kind: 'together', failed, heard };
  return couldReach ? { kind: 'wait', untilMs: waitUntilMs } : { kind: 'alone' };
}

/** Whether the bad checks reach this share of all checks, both by VIPs and by addresses. */
function reaches(share: number, bad: readonly Suspected[], all: readonly Suspected[]): boolean {
  const addresses = countAddresses(all);
  return (
    addresses >= SUSPECT_WITNESSES &&
    countVips(bad) >= share * countVips(all) &&
    countAddresses(bad) >= share * addresses
  );
}

/** How long before a check's first failed probe others may have begun to fail: only a probe shows a failure. */
function windowMs({ check: { fastMs, timeoutMs } }: Suspected, checks: number): number {
  return SUSPECT_WINDOW_MS + fastMs + timeoutMs + (checks / MAX_SURVEYED_A_SECOND) * 1000;
}

function countAddresses(checks: readonly Suspected[]): number {
  return new Set(checks.map(({ address }) => address)).size;
}

/** The number of VIPs that share these checks. */
export function countVips(checks: readonly Suspected[]): number {
  return checks.reduce((sum, { members }) => sum + members.length, 0);
}

/** Counts of the checks that were up. */
type Tally<Check> = {
  readonly failed: readonly Check[];
  readonly passed: readonly Check[];
  /** Checks that are being probed or soon will be, and have no result yet. */
  readonly waiting: readonly Check[];
  /** When the last of their results is due. */
  readonly waitUntilMs: number;
  /** VIPs that were up. */
  readonly up: number;
};

/**
 * Counts the checks that failed since `sinceMs`, those that passed a probe that began since `fromMs`, and those whose
 * probe has no result yet.
 */
function tally<Check extends Suspected>(
  checks: readonly Check[],
  { sinceMs, fromMs, nowMs }: { readonly sinceMs: number; readonly fromMs: number; readonly nowMs: number },
): Tally<Check> {
  const failed: Check[] = [];
  const passed: Check[] = [];
  const waiting: Check[] = [];
  let waitUntilMs = nowMs;
  let up = 0;
  for (const check of checks) {
    const { witness, state, members } = check;
    const { failing, heardFromMs, believeFromMs } = witness;
    // It is probed once more after a freeze.
    if (believeFromMs !== undefined) continue;
    if (failing !== undefined) {
      // A check that failed earlier did not fail at once with the others.
      if (!failing.wasUp || failing.heardMs < sinceMs) continue;
      up += members.length;
      failed.push(check);
    } else if (state.probed === PROBED.UP) {
      up += members.length;
      const untilMs = answerDueMs(check);
      if (heardFromMs >= fromMs) passed.push(check);
      else if (untilMs > nowMs) {
        waiting.push(check);
        waitUntilMs = Math.max(waitUntilMs, untilMs);
      }
    }
  }
  return { failed, passed, waiting, waitUntilMs, up };
}

/** When the result of a running or requested probe is due; -Infinity if no probe is running or requested. */
function answerDueMs({ witness: { askedMs, wantedMs }, check: { fastMs, timeoutMs } }: Suspected): number {
  if (askedMs !== undefined) return askedMs + timeoutMs + ANSWER_SLACK_MS;
  return wantedMs === undefined ? -Infinity : wantedMs + fastMs + timeoutMs + ANSWER_SLACK_MS;
}

/** A deadline fires a little later than it is due. */
const ANSWER_SLACK_MS = 100;
