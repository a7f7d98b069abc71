/**
 * Chooses other checks to probe when one fails or is late: a few each time, different ones, and a limited number per
 * second. Their results tell whether this node's own network is at fault (`suspect.ts`).
 */
import { PROBED } from './health-table.ts';
import { MAX_SURVEYED_A_SECOND, SURVEY_CHECKS } from './limits.ts';
import type { Suspected } from './network-evidence.ts';

export type Survey = {
  /** Where the next survey begins. */
  cursor: number;
  /** Checks chosen in the second that began at `secondMs`. */
  chosen: number;
  secondMs: number;
};

export function createSurvey(): Survey {
  return { cursor: 0, chosen: 0, secondMs: -Infinity };
}

/** Chooses checks that are up and have no result of a probe that began since `sinceMs`; notes that they are wanted. */
export function chooseOthers<Check extends Suspected>(
  survey: Survey,
  checks: readonly Check[],
  sinceMs: number,
  nowMs: number,
): readonly Check[] {
  if (nowMs - survey.secondMs >= 1000) Object.assign(survey, { secondMs: nowMs, chosen: 0 });
  const wanted = Math.min(SURVEY_CHECKS, MAX_SURVEYED_A_SECOND - survey.chosen);
  const others: Check[] = [];
  for (let looked = 0; others.length < wanted && looked < Math.min(checks.length, 8 * SURVEY_CHECKS); looked += 1) {
    survey.cursor = (survey.cursor + 1) % checks.length;
    const check = checks[survey.cursor];
    if (check === undefined || check.state.probed !== PROBED.UP) continue;
    const { askedMs, heardFromMs, failing } = check.witness;
    if (askedMs !== undefined || failing !== undefined || heardFromMs >= sinceMs) continue;
    check.witness.wantedMs = nowMs;
    others.push(check);
  }
  survey.chosen += others.length;
  return others;
}
