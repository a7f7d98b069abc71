/**
 * What each check can say of this node's own network, and what all of them say together. Pure.
 */
import { PROBED, type Probed } from './health-table.ts';

/** One check at one address, as a witness. `suspect.ts` writes all of it. */
export type Witness = {
  /** When the probe under way began. */
  askedMs: number | undefined;
  /** When it was asked to be probed soon, until that probe begins. */
  wantedMs: number | undefined;
  /** When the probe began that the last result is of; Infinity of a report. */
  heardFromMs: number;
  /** The failures in a row that the last result ends; undefined after a pass, and before the first result. */
  failing: Failing | undefined;
  /** A probe that began since the states hold has passed, and none has failed after it. */
  proven: boolean;
  /** One that began since then has passed or was told no, and none after it was met with silence. */
  answered: boolean;
  /** Results of probes that began before this are not believed, and the first one after it is, whatever it says. */
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

/** What is asked of a check. */
export type Suspected = {
  /** Checks at one address are one witness, however many VIPs and checks it has. */
  readonly address: string;
  readonly check: { readonly fastMs: number; readonly timeoutMs: number };
  readonly witness: Witness;
  readonly state: { readonly probed: Probed };
  /** The VIPs that share it. */
  readonly members: readonly unknown[];
};

/** What the checks say that were up. */
export type Tally<Check> = {
  readonly failed: readonly Check[];
  readonly passed: readonly Check[];
  /** Asked, and without an answer yet. */
  readonly waiting: readonly Check[];
  /** When the last of these will have had its time. */
  readonly waitUntilMs: number;
  /** VIPs that were up. */
  readonly up: number;
};

/**
 * Counts the checks that failed since `sinceMs`, those that passed a probe that began since `fromMs`, and those that
 * have been asked and have not answered yet.
 */
export function tally<Check extends Suspected>(
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
    // It is being asked once more, after a hold.
    if (believeFromMs !== undefined) continue;
    if (failing !== undefined) {
      // One that fails for longer does not fail at once with the others.
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

/** When a check that has been asked will have answered or failed; -Infinity where it has not been asked. */
function answerDueMs({ witness: { askedMs, wantedMs }, check: { fastMs, timeoutMs } }: Suspected): number {
  if (askedMs !== undefined) return askedMs + timeoutMs + ANSWER_SLACK_MS;
  return wantedMs === undefined ? -Infinity : wantedMs + fastMs + timeoutMs + ANSWER_SLACK_MS;
}

/** A deadline fires a little later than it is due. */
const ANSWER_SLACK_MS = 100;

/** The VIPs that these checks speak for. */
export function countVips(checks: readonly Suspected[]): number {
  return checks.reduce((sum, { members }) => sum + members.length, 0);
}
