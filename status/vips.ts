/**
 * Each VIP of the generation with what is known of it, by slot: what status, health and metrics are made of.
 */
import type { VipHealth } from '../health/engine.ts';
import type { VipInfo } from '../zones/catalog.ts';
import { inTurns } from './assemble-reply.ts';
import { safeAtOf } from './override-json.ts';
import type { Runtime } from './runtime.ts';

export type VipState = {
  readonly info: VipInfo;
  /** Names; the region's is empty where it has none. */
  readonly service: string;
  readonly region: string;
  readonly health: VipHealth | undefined;
  readonly effective: VipHealth['effective'];
  /** Up, or not yet known, or not checked; not drained or forced down (SPEC 4), its region's `min_healthy` aside. */
  readonly available: boolean;
  /** Answers that named it: since the start, and in the last minute. */
  readonly served: number;
  readonly servedLately: number;
};

/** By slot, as `ServiceInfo.firstSlot` and `vipCount` count. */
export async function vipStates(runtime: Runtime): Promise<readonly VipState[]> {
  const { catalog } = runtime.generation();
  const look = vipLooker(runtime);
  const states: VipState[] = [];
  await inTurns(catalog.vips, (info) => {
    states.push(look(info));
  });
  return states;
}

/** Looks at VIPs of the generation that is in force now. */
export function vipLooker(runtime: Runtime): (info: VipInfo) => VipState {
  const { catalog } = runtime.generation();
  const served = runtime.served();
  const { served: lately } = runtime.recent();
  return (info) => {
    // By target: while a reload is under way the health room has the next generation, whose slots are others.
    const known = runtime.health.find(info.target);
    const effective = known?.effective ?? 'unknown';
    return {
      info,
      service: catalog.services[info.service]?.name ?? '',
      region: catalog.regions[info.region]?.name ?? '',
      health: known,
      effective,
      available: effective === 'up' || effective === 'unknown',
      served: served[info.slot] ?? 0,
      servedLately: lately[info.slot] ?? 0,
    };
  };
}

/** One entry of `GET /api/v1/health` (docs/http-api.md). */
export type VipDocument = {
  readonly target: string;
  readonly service: string;
  readonly vip: string;
  readonly region: string | null;
  readonly a: string | null;
  readonly aaaa: string | null;
  readonly cname: string | null;
  /** As steering uses it. */
  readonly weight: number;
  /** As the file has it. */
  readonly file_weight: number;
  /** The share of the weight that it has: below 1 while it comes back (`ramp`). */
  readonly ramp: number;
  /** What its check says of its load, as a share of its capacity; null where the service does not shed. */
  readonly load: number | null;
  /** The share of its clients that it gives up for its load, 0 to 1. */
  readonly shed: number;
  /** Where it was set at run time, by whom and why. */
  readonly weight_override: {
    readonly weight: number;
    readonly reason: string | null;
    readonly since: string;
    readonly by: 'operator' | 'schedule';
  } | null;
  readonly check: { readonly name: string; readonly kind: string } | null;
  /** Where it is probed: `203.0.113.10:443`, `push` or `none`. */
  readonly address: string;
  readonly probed: 'up' | 'down' | 'unknown';
  readonly effective: VipHealth['effective'];
  readonly available: boolean;
  /** Since when `probed` is what it is. */
  readonly since: string | null;
  /** Until when it is held down because it changed too often (`flap`). */
  readonly held_until: string | null;
  readonly last_result: {
    readonly passed: boolean;
    readonly reason: string;
    readonly duration_ms: number;
    readonly at: string;
  } | null;
  /** Results in a row that were alike. */
  readonly run: { readonly passed: boolean; readonly results: number } | null;
  readonly override: {
    readonly state: 'up' | 'down' | 'drain';
    readonly reason: string | null;
    readonly since: string;
    readonly until: string | null;
    readonly by: 'operator' | 'schedule';
    /** When the last answer naming it expires; null for `up`, and where it may go on being answered with. */
    readonly safe_at: string | null;
  } | null;
  /** Answers that named it: since the start, and in the last minute. */
  readonly served: number;
  readonly served_last_minute: number;
};

export function vipDocument(state: VipState): VipDocument {
  const { info, service, region, health, effective, available, served, servedLately } = state;
  const { last, override, weightOverride } = health ?? {};
  return {
    target: info.target,
    service,
    vip: info.name,
    region: region === '' ? null : region,
    a: info.a ?? null,
    aaaa: info.aaaa ?? null,
    cname: info.cname ?? null,
    weight: health?.weight ?? info.weight,
    file_weight: info.weight,
    ramp: health?.ramp ?? 1,
    load: health?.load ?? null,
    shed: health?.shed ?? 0,
    weight_override: weightOverride
      ? {
          weight: weightOverride.weight,
          reason: weightOverride.reason ?? null,
          since: weightOverride.since,
          by: weightOverride.by,
        }
      : null,
    check: health?.check ?? null,
    address: health?.address ?? 'none',
    probed: health?.probed ?? 'unknown',
    effective,
    available,
    since: health?.since ?? null,
    held_until: health?.heldUntil ?? null,
    last_result: last ? { passed: last.passed, reason: last.reason, duration_ms: last.elapsedMs, at: last.at } : null,
    run: health?.run ?? null,
    override: override
      ? {
          state: override.state,
          reason: override.reason ?? null,
          since: override.since,
          until: override.until ?? null,
          by: override.by,
          safe_at: safeAtOf(override),
        }
      : null,
    served,
    served_last_minute: servedLately,
  };
}
