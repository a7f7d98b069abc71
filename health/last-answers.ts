/**
 * The time until which caches may hold an answer that names a VIP: `safe_at` of a drain (docs/health.md#safe-to-stop).
 *
 * An answer has the TTL of its service. With `{min, max}`, its TTL is the time for which no VIP that has the type can
 * change its state (docs/steering.md#ttl). Only this room changes states, so it always knows the largest TTL that can
 * have been served, without reading packets. Whenever that TTL changes, and when a VIP leaves the answers, this file
 * notes the earlier answers as
 *
 *     until = max(until, now + previous TTL)
 *
 * A VIP has left the answers when it is drained or forced down. With `when_all_down: serve_all`, answers still name it
 * while all other VIPs of the service are drained or forced down too. A VIP that is down counts as named, so the time
 * is a bound and never too early.
 */
import type { Clock } from './clock.ts';
import { forcedOf, holdSecondsOf, isForcedOut, type HealthTable } from './health-table.ts';
import { canonicalTarget, type HealthTarget } from './target-names.ts';

/** Keeps, for each VIP, the time until which caches may hold an answer that names it. */
export type LastAnswers = {
  /** Begins a generation. The answers of the previous one are remembered. `table` already has the new words. */
  configure(targets: Iterable<HealthTarget>, table: HealthTable): void;
  /** To be called after the target's word was stored; `before` is the previous word. */
  changed(target: HealthTarget, before: number): void;
  /** Takes the time that the last run saved for a target outside the answers; `wallMs` is in ms since 1970. */
  remember(target: string, wallMs: number): void;
  /** Milliseconds since 1970 by the wall clock; undefined while answers may name it, and for unknown targets. */
  safeAtMs(target: string): number | undefined;
};

type Vip = {
  readonly target: HealthTarget;
  named: boolean;
  /** By the monotonic clock: when the last answer known so far expires. */
  untilMs: number;
  /** The same by the wall clock, read when `untilMs` was set, so that the displayed time does not change. */
  untilWallMs: number;
};

type Service = {
  readonly vips: Vip[];
  /** Seconds, by type of record: the largest TTL of an answer given now. */
  ttls: ReadonlyMap<string, number>;
};

/** The smallest difference between the clocks that counts as a step of the wall clock. */
const STEP_MS = 500;
/** A reload configures health before the threads take over: old answers may be given for this long. */
const HANDOVER_MS = 1000;

export function createLastAnswers(clock: Clock): LastAnswers {
  let services = new Map<string, Service>();
  let vips = new Map<string, Vip>();
  let table: HealthTable | undefined;
  const remembered = new Map<string, number>();

  const stateOf = (vip: Vip): number => table?.states[vip.target.slot] ?? 0;

  const note = (vip: Vip, untilMs: number): void => {
    if (untilMs <= vip.untilMs) return;
    vip.untilMs = untilMs;
    // Rounded up: a moment too late is safe, one too early is not.
    vip.untilWallMs = Math.ceil(clock.wall() + untilMs - clock.now());
  };

  /** Notes the answers that were served until now, and determines those that are served from now on. */
  const settle = (service: Service, moreMs: number): void => {
    const nowMs = clock.now();
    for (const vip of service.vips) {
      if (vip.named) note(vip, nowMs + largestTtl(vip, service) * 1000 + moreMs);
    }
    service.ttls = ttlsOf(service.vips, stateOf);
    for (const vip of service.vips) vip.named = isNamed(vip, service.vips, stateOf);
  };

  return {
    configure(targets, nextTable) {
      for (const service of services.values()) settle(service, HANDOVER_MS);
      const old = vips;
      const nowMs = clock.now();
      table = nextTable;
      services = new Map();
      vips = new Map();
      for (const target of targets) {
        if (target.answers === undefined) continue;
        const key = canonicalTarget(target.target);
        const last = old.get(key);
        const { untilMs = -Infinity, untilWallMs = -Infinity } = last ?? {};
        const vip: Vip = { target, named: false, untilMs, untilWallMs };
        const wallMs = remembered.get(key);
        if (wallMs !== undefined) note(vip, nowMs + wallMs - clock.wall());
        vips.set(key, vip);
        const name = key.slice(0, key.lastIndexOf('/'));
        const service: Service = services.get(name) ?? { vips: [], ttls: new Map() };
        service.vips.push(vip);
        services.set(name, service);
      }
      // Caches may still have answers that name a removed VIP.
      for (const [key, vip] of old) if (!vips.has(key) && vip.untilMs > nowMs) vips.set(key, { ...vip, named: false });
      for (const service of services.values()) {
        service.ttls = ttlsOf(service.vips, stateOf);
        for (const vip of service.vips) {
          vip.named = isNamed(vip, service.vips, stateOf);
          // The VIP is out of the answers from the start. The last run may have named it until a moment ago.
          const maxMs = (vip.target.answers?.maxTtlSeconds ?? 0) * 1000;
          if (!vip.named && vip.untilMs === -Infinity) note(vip, nowMs + maxMs);
        }
      }
      remembered.clear();
    },
    changed(target, before) {
      const key = canonicalTarget(target.target);
      const service = services.get(key.slice(0, key.lastIndexOf('/')));
      if (service === undefined || target.answers === undefined) return;
      const { minTtlSeconds, maxTtlSeconds } = target.answers;
      const word = table?.states[target.slot] ?? 0;
      // This runs for every result of a probe. If the TTL is fixed, only an override changes the answers.
      if (minTtlSeconds === maxTtlSeconds && forcedOf(word) === forcedOf(before)) return;
      settle(service, 0);
    },
    remember(target, wallMs) {
      remembered.set(canonicalTarget(target), wallMs);
    },
    safeAtMs(target) {
      const vip = vips.get(canonicalTarget(target));
      if (vip === undefined || vip.named || vip.untilMs === -Infinity) return undefined;
      const wallMs = Math.ceil(clock.wall() + vip.untilMs - clock.now());
      return Math.abs(wallMs - vip.untilWallMs) < STEP_MS ? vip.untilWallMs : wallMs;
    },
  };
}

function largestTtl(vip: Vip, { ttls }: Service): number {
  return Math.max(0, ...(vip.target.answers?.types ?? []).map((type) => ttls.get(type) ?? 0));
}

/** Computes the TTLs as steering/chain.ts does: the least hold of the VIPs with the type, between the two limits. */
function ttlsOf(vips: readonly Vip[], stateOf: (vip: Vip) => number): ReadonlyMap<string, number> {
  const ttls = new Map<string, number>();
  for (const vip of vips) {
    const { types = [], minTtlSeconds = 0, maxTtlSeconds = 0 } = vip.target.answers ?? {};
    const seconds = Math.min(Math.max(holdSecondsOf(stateOf(vip)), minTtlSeconds), maxTtlSeconds);
    for (const type of types) ttls.set(type, Math.min(ttls.get(type) ?? Infinity, seconds));
  }
  return ttls;
}

function isNamed(vip: Vip, vips: readonly Vip[], stateOf: (vip: Vip) => number): boolean {
  if (!isForcedOut(stateOf(vip))) return true;
  return vip.target.answers?.whenAllAreOut === true && vips.every((other) => isForcedOut(stateOf(other)));
}
