/**
 * Computes the pressure of a VIP, the share of its clients that it sheds, from its load (docs/steering.md#load).
 *
 * Pressure rises at once and falls slowly. Clients move only when their cached answers expire. A pressure that fell
 * as quickly would call them back before the last of them had left, and this would repeat for ever.
 * test/unit/steering/load.test.ts simulates the loop.
 */
import type { Clock } from './clock.ts';
import { FULL } from './health-table.ts';
import { canonicalTarget, type HealthTarget, type ShedMarks } from './target-names.ts';

/**
 * Above `high`, each further load of this share of the capacity adds FULL to the pressure. If all VIPs are full,
 * clients go to the VIP that is the least above `high`. With a span as narrow as most marks, all clients would move
 * from one VIP to the other and back.
 */
const OVERLOAD_SPAN = 1;
/** Higher pressures would not distinguish VIPs any better. */
const MAX_PRESSURE = 16 * FULL;

/**
 * A pressure that is no longer needed falls by the factor e in this many TTLs. With 8, loads of equal VIPs still swing
 * by a tenth for ever (test/regressions/loads-swing). With 20, not even loads of VIPs a quarter as large as others
 * swing, but a wrong pressure takes twice as long to correct.
 */
const RELEASE_TTLS = 12;

/** The pressure of a load, a share of the capacity. Pure. */
export function pressureOf(load: number, { low, high }: ShedMarks): number {
  if (load <= low) return 0;
  const pressure = load < high ? (load - low) / (high - low) : 1 + (load - high) / OVERLOAD_SPAN;
  return Math.min(MAX_PRESSURE, Math.round(pressure * FULL));
}

/** The pressure after one more report, `elapsedMs` after the previous one; `ttlMs` is the TTL of the answers. Pure. */
export function relieve(before: number, wanted: number, elapsedMs: number, ttlMs: number): number {
  if (wanted >= before || ttlMs <= 0) return wanted;
  return wanted + Math.floor((before - wanted) * Math.exp(-elapsedMs / (RELEASE_TTLS * ttlMs)));
}

/** The known load of a target, as a share of its capacity, and its pressure. */
export type Load = { readonly share: number; readonly pressure: number };

/** VIPs that had a load when they became unavailable. The health table already shows the change. */
export type Loss = {
  readonly gone: readonly HealthTarget[];
  /** The loads before the loss, including those of the lost VIPs. */
  readonly loadOf: (target: string) => Load | undefined;
  /** Sets the pressure at which the target's load will settle. May be called at any later time. */
  readonly raise: (target: string, pressure: number) => void;
};

/** Called for each loss, so that pressures can be set to where the loads will settle. */
export type Foresee = (loss: Loss) => void;

export type Pressures = {
  /** Undefined while no load is known, or if the service does not shed. */
  of(target: HealthTarget): Load | undefined;
  /**
   * Takes the load of a check that passed, in the unit of `capacity`; undefined if it reported none. `holdSeconds`: the
   * time until the next report.
   */
  report(target: HealthTarget, load: number | undefined, holdSeconds: number): void;
  /**
   * Keeps such a load of a target that is not available until `resume`, for `validMs` at most. In a fleet, a target is
   * available when other nodes have voted as well, which is after its check has passed.
   */
  defer(target: HealthTarget, load: number | undefined, holdSeconds: number, validMs: number): void;
  /** Takes the load that was kept for a target that is available again. */
  resume(target: HealthTarget): void;
  /** Forgets the load of a target that is not available. `was`: whether it was available until now. */
  forget(target: HealthTarget, was: boolean): void;
  /** Begins a generation. The loads of targets that it has are kept. */
  configure(targets: ReadonlyMap<string, HealthTarget>): void;
};

/** `changed` is called for a target whose pressure was foreseen. */
export function createPressures(clock: Clock, foresee?: Foresee, changed?: (target: HealthTarget) => void): Pressures {
  /** `fromMs`: since when the pressure may fall. */
  const loads = new Map<string, Load & { readonly fromMs: number }>();
  /** Loads of targets that are not available. */
  const deferred = new Map<string, { readonly load: number; readonly holdSeconds: number; readonly untilMs: number }>();
  let known: ReadonlyMap<string, HealthTarget> = new Map();
  /** VIPs that became unavailable in this turn of the event loop. A whole region fails in one turn. */
  let lost = new Map<string, { readonly target: HealthTarget; readonly load: Load }>();

  const raise = (text: string, pressure: number): void => {
    const key = canonicalTarget(text);
    const [target, load] = [known.get(key), loads.get(key)];
    if (target === undefined || load === undefined || pressure <= load.pressure) return;
    // No report can contradict it before the clients have moved. Then it falls as usual, unless reports keep it up.
    const fromMs = clock.now() + (target.answers?.maxTtlSeconds ?? 0) * 1000;
    loads.set(key, { share: load.share, pressure: Math.min(MAX_PRESSURE, pressure), fromMs });
    changed?.(target);
  };
  const tell = (): void => {
    const before = lost;
    lost = new Map();
    const loadOf = (text: string): Load | undefined => {
      const key = canonicalTarget(text);
      return before.get(key)?.load ?? loads.get(key);
    };
    foresee?.({ gone: [...before.values()].map(({ target }) => target), loadOf, raise });
  };

  const report: Pressures['report'] = (target, load, holdSeconds) => {
    const { shed, capacity = 1 } = target;
    if (shed === undefined) return;
    const key = canonicalTarget(target.target);
    deferred.delete(key);
    const before = loads.get(key);
    const fromMs = Math.max(clock.now(), before?.fromMs ?? 0);
    const share = load === undefined ? 0 : load / capacity;
    const elapsedMs = fromMs - (before?.fromMs ?? fromMs);
    const { minTtlSeconds = 0, maxTtlSeconds = 0 } = target.answers ?? {};
    const ttlMs = Math.min(maxTtlSeconds, Math.max(minTtlSeconds, holdSeconds)) * 1000;
    const pressure = relieve(before?.pressure ?? 0, pressureOf(share, shed), elapsedMs, ttlMs);
    if (load === undefined && pressure === 0) loads.delete(key);
    else loads.set(key, { share, pressure, fromMs });
  };

  return {
    of: (target) => (loads.size === 0 ? undefined : loads.get(canonicalTarget(target.target))),
    report,
    defer(target, load, holdSeconds, validMs) {
      if (target.shed === undefined) return;
      const key = canonicalTarget(target.target);
      if (load === undefined) deferred.delete(key);
      else deferred.set(key, { load, holdSeconds, untilMs: clock.now() + validMs });
    },
    resume(target) {
      if (deferred.size === 0) return;
      const key = canonicalTarget(target.target);
      const kept = deferred.get(key);
      deferred.delete(key);
      if (kept !== undefined && clock.now() < kept.untilMs) report(target, kept.load, kept.holdSeconds);
    },
    forget(target, was) {
      if (loads.size === 0) return;
      const key = canonicalTarget(target.target);
      const load = loads.get(key);
      if (load === undefined) return;
      loads.delete(key);
      if (!was || foresee === undefined) return;
      if (lost.size === 0) clock.after(0, tell);
      lost.set(key, { target, load });
    },
    configure(targets) {
      known = targets;
      for (const kept of [loads, deferred]) {
        for (const key of kept.keys()) if (targets.get(key)?.shed === undefined) kept.delete(key);
      }
    },
  };
}
