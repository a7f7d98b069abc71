/**
 * Compares what observers answer with what is true: false failovers, missed failures, and the times until the first and
 * the last observer has noticed.
 */
import { median } from '../../bench/results.ts';

/** A target that became usable less than this ago may still be taken down by probes from before. */
export const LATE_MS = 15_000;
/** Shorter failures need not be noticed. */
export const SHORT_MS = 30_000;

export type Ledger = {
  /** The observer takes the target down, or up. */
  readonly show: (observer: number, target: number, isDown: boolean) => void;
  readonly isDown: (observer: number, target: number) => boolean;
  /** The target has become usable or unusable. */
  readonly turn: (target: number, isUsable: boolean) => void;
  readonly report: () => LedgerReport;
};

export type Times = { readonly count: number; readonly medianMs: number; readonly worstMs: number };

export type LedgerReport = {
  /** Failovers from usable targets, each counted once per observer; and those that all observers made. */
  readonly falseFailovers: number;
  /** Failovers from targets that the observer and its clients could not reach, but others could. */
  readonly apart: number;
  readonly falseTargets: number;
  readonly falseEverywhere: number;
  /** Failures of more than SHORT_MS, and how many of them an observer never noticed, by observer and by target. */
  readonly failures: number;
  readonly missed: number;
  readonly missedTargets: number;
  readonly missedEverywhere: number;
  /** Targets that some observer takes down at the end. */
  readonly downAtEnd: number;
  /**
   * From the failure until the first, and until the last observer has noticed. Failures that an observer missed are not
   * in it.
   */
  readonly firstMs: Times;
  readonly lastMs: Times;
  /** Between the first and the last observer. */
  readonly spreadMs: Times;
  /** From the end of the failure until the last observer has noticed. */
  readonly recoveredMs: Times;
};

type Failure = { readonly startMs: number; readonly seen: Map<number, number> };

export function createLedger(
  observers: number,
  targets: number,
  now: () => number,
  /** Whether the network keeps the observer from the target, so that down is right for its clients. */
  isApart: (observer: number, target: number) => boolean = () => false,
): Ledger {
  const down = new Uint8Array(observers * targets);
  /** Observers that take the target down. */
  const downs = new Int32Array(targets);
  const usableSince = new Float64Array(targets).fill(Number.NEGATIVE_INFINITY);
  const failures = new Map<number, Failure>();
  /** Failures that are over, while some observer still takes the target down. */
  const ending = new Map<number, number>();
  /** Targets that were taken down wrongly, until all observers have them up again: by how many observers. */
  const wrongs = new Map<number, Set<number>>();
  const first: number[] = [];
  const last: number[] = [];
  const spread: number[] = [];
  const recovered: number[] = [];
  const totals = { falseFailovers: 0, apart: 0, falseTargets: 0, falseEverywhere: 0, failures: 0, missed: 0, missedTargets: 0, missedEverywhere: 0 }; // prettier-ignore

  const isDown = (observer: number, target: number): boolean => down[observer * targets + target] === 1;
  const note = (observer: number, target: number): void => {
    const failure = failures.get(target);
    if (failure !== undefined) {
      if (!failure.seen.has(observer)) failure.seen.set(observer, now());
      return;
    }
    if (now() - (usableSince[target] ?? 0) < LATE_MS) return;
    if (isApart(observer, target)) {
      totals.apart += 1;
      return;
    }
    totals.falseFailovers += 1;
    const by = wrongs.get(target) ?? new Set();
    if (by.size === 0) totals.falseTargets += 1;
    if (!by.has(observer) && by.size === observers - 1) totals.falseEverywhere += 1;
    wrongs.set(target, by.add(observer));
  };
  const close = (target: number, { startMs, seen }: Failure): void => {
    ending.set(target, now());
    if (now() - startMs < SHORT_MS) return;
    totals.failures += 1;
    totals.missed += observers - seen.size;
    if (seen.size < observers) totals.missedTargets += 1;
    if (seen.size === 0) totals.missedEverywhere += 1;
    if (seen.size < observers) return;
    const times = [...seen.values()];
    const [least, most] = [Math.min(...times), Math.max(...times)];
    first.push(least - startMs);
    last.push(most - startMs);
    spread.push(most - least);
  };

  return {
    isDown,
    show: (observer, target, isNowDown) => {
      const at = observer * targets + target;
      if ((down[at] === 1) === isNowDown) return;
      down[at] = isNowDown ? 1 : 0;
      downs[target] = (downs[target] ?? 0) + (isNowDown ? 1 : -1);
      if (isNowDown) note(observer, target);
      if (downs[target] !== 0) return;
      wrongs.delete(target);
      const endMs = ending.get(target);
      if (endMs !== undefined) recovered.push(now() - endMs);
      ending.delete(target);
    },
    turn: (target, isUsable) => {
      const failure = failures.get(target);
      if (isUsable === (failure === undefined)) return;
      if (failure !== undefined) {
        failures.delete(target);
        usableSince[target] = now();
        close(target, failure);
        if (downs[target] === 0) ending.delete(target);
        return;
      }
      ending.delete(target);
      wrongs.delete(target);
      const seen = new Map<number, number>();
      for (let observer = 0; observer < observers; observer++) {
        if (isDown(observer, target)) seen.set(observer, now());
      }
      failures.set(target, { startMs: now(), seen });
    },
    report: () => ({
      ...totals,
      downAtEnd: downs.filter((observersDown) => observersDown > 0).length,
      firstMs: timesOf(first),
      lastMs: timesOf(last),
      spreadMs: timesOf(spread),
      recoveredMs: timesOf(recovered),
    }),
  };
}

function timesOf(times: readonly number[]): Times {
  return {
    count: times.length,
    medianMs: times.length === 0 ? 0 : median(times),
    worstMs: times.reduce((most, time) => Math.max(most, time), 0),
  };
}
