/**
 * What each check can say of this node's own network, and what all of them say together. Pure.
 */
import { PROBED, type Probed } from './table.ts';

/** One check at one address, as a witness. `suspect.ts` writes all of it. */
export type Witness = {
  /** When the probe under way began. */
  askedMs: number | undefined;
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
  readonly witness: Witness;
  readonly state: { readonly probed: Probed };
  /** The VIPs that share it. */
  readonly members: readonly unknown[];
};

/**
 * Who failed and who passed at once, of what was up: since `sinceMs`. `elapsedMs` is how long the failure took that
 * asks: a probe of another that has been under way for longer than that will not fail in the same way, so it counts
 * as passed.
 */
export function tally<Check extends Suspected>(
  checks: readonly Check[],
  sinceMs: number,
  nowMs: number,
  elapsedMs: number,
): { readonly failed: readonly Check[]; readonly passed: readonly Check[]; readonly up: number } {
  const failed: Check[] = [];
  const passed: Check[] = [];
  let up = 0;
  for (const check of checks) {
    const { witness, state, members } = check;
    const { failing, askedMs, heardFromMs, believeFromMs } = witness;
    // It is being asked once more, after a hold.
    if (believeFromMs !== undefined) continue;
    if (failing !== undefined) {
      // One that fails for longer does not fail at once with the others.
      if (!failing.wasUp || failing.heardMs < sinceMs) continue;
      up += members.length;
      failed.push(check);
    } else if (state.probed === PROBED.UP) {
      up += members.length;
      if (heardFromMs >= sinceMs || (askedMs !== undefined && nowMs - askedMs > elapsedMs)) passed.push(check);
    }
  }
  return { failed, passed, up };
}

/** The VIPs that these checks speak for. */
export function vipsOf(checks: readonly Suspected[]): number {
  return checks.reduce((sum, { members }) => sum + members.length, 0);
}
