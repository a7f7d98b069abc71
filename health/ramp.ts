/**
 * `ramp` (docs/steering.md#ramp): a VIP that is available again comes back from 1 % of its weight to all of it. The
 * monotonic clock counts the time. Over a restart the wall clock counts it, because no other clock continues.
 */
import type { Cancel, Clock } from './clock.ts';
import { RAMP_UNIT } from './health-table.ts';
import { RAMP_TICK_MS } from './limits.ts';
import { canonicalTarget, type HealthTarget } from './target-names.ts';

/** Where a ramp begins. */
const FIRST_SHARE = 0.01;
/** While a VIP ramps, its weight changes: an answer may be cached for at most a tenth of the ramp. */
const HOLD_SHARE = 0.1;

/** The share of its weight that a VIP has, 0.01 to 1. Pure. */
export function rampShare(elapsedMs: number, rampMs: number): number {
  if (elapsedMs >= rampMs) return 1;
  return FIRST_SHARE + ((1 - FIRST_SHARE) * Math.max(0, elapsedMs)) / rampMs;
}

/**
 * The weight word and the withheld word (health-table.ts) of a weight at this share of it. In a service that ramps,
 * both are in hundredths, whether the VIP ramps or not. A weight above 0 never becomes 0. Pure.
 */
export function weightWords(weight: number, share: number, ramps: boolean): { weight: number; withheld: number } {
  if (!ramps) return { weight, withheld: 0 };
  const full = weight * RAMP_UNIT;
  const now = weight === 0 ? 0 : Math.max(1, Math.floor(full * share + 1e-9));
  return { weight: now, withheld: full - now };
}

/** The value of a weight of 1 in the weight words of a service with this `ramp`. */
export function weightUnit(rampMs: number): number {
  return rampMs > 0 ? RAMP_UNIT : 1;
}

export type Ramps = {
  /** The share of its weight that the target has now; 1 when it does not ramp. */
  shareOf(target: HealthTarget): number;
  /** Whole seconds for which an answer with it may be cached; undefined when it does not ramp. */
  holdSeconds(target: HealthTarget): number | undefined;
  /** ISO 8601: when the present ramp began; undefined if the target does not ramp. */
  since(target: HealthTarget): string | undefined;
  /** Begins the ramp of a target that has been available again for `elapsedMs`. Returns false if it need not ramp. */
  begin(target: HealthTarget, elapsedMs?: number): boolean;
  /** Ends the ramp: the target is not available, or is wanted at its full weight at once. */
  end(target: HealthTarget): void;
  /** Begins a generation. Ramps of targets that it has continue. */
  configure(targets: ReadonlyMap<string, HealthTarget>): void;
  stop(): void;
};

/** `changed` is called each second for each target that ramps, and once more when it has its full weight. */
export function createRamps(clock: Clock, changed: (target: HealthTarget) => void): Ramps {
  const ramps = new Map<string, { readonly startMs: number; target: HealthTarget }>();
  let cancel: Cancel | undefined;

  const rampMsOf = ({ rampMs = 0 }: HealthTarget): number => rampMs;
  const tick = (): void => {
    cancel = undefined;
    for (const [key, { startMs, target }] of ramps) {
      if (clock.now() - startMs >= rampMsOf(target)) ramps.delete(key);
      changed(target);
    }
    wind();
  };
  const wind = (): void => {
    if (ramps.size > 0) cancel ??= clock.after(RAMP_TICK_MS, tick);
  };
  const startOf = (target: HealthTarget): number | undefined =>
    ramps.size === 0 ? undefined : ramps.get(canonicalTarget(target.target))?.startMs;

  return {
    shareOf(target) {
      const startMs = startOf(target);
      return startMs === undefined ? 1 : rampShare(clock.now() - startMs, rampMsOf(target));
    },
    holdSeconds: (target) =>
      startOf(target) === undefined ? undefined : Math.floor((rampMsOf(target) * HOLD_SHARE) / 1000),
    since(target) {
      const startMs = startOf(target);
      return startMs === undefined ? undefined : new Date(clock.wall() + startMs - clock.now()).toISOString();
    },
    begin(target, elapsedMs = 0) {
      // After a step of the wall clock, an earlier run's ramp may seem to begin in the future. Then it begins now.
      const passedMs = Math.max(0, elapsedMs);
      if (passedMs >= rampMsOf(target)) return false;
      ramps.set(canonicalTarget(target.target), { startMs: clock.now() - passedMs, target });
      wind();
      return true;
    },
    end(target) {
      if (ramps.size > 0) ramps.delete(canonicalTarget(target.target));
    },
    configure(targets) {
      for (const [key, ramp] of ramps) {
        const target = targets.get(key);
        if (target === undefined || clock.now() - ramp.startMs >= rampMsOf(target)) ramps.delete(key);
        else ramp.target = target;
      }
    },
    stop() {
      // The ramps are kept, because they must still be written to the disk.
      cancel?.();
    },
  };
}
