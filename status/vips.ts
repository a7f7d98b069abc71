/**
 * The state of each VIP of the generation, by slot: the source of status, health and metrics.
 */
import type { VipHealth } from '../health/engine.ts';
import type { VipInfo } from '../zones/catalog.ts';
import { inTurns } from './assemble-reply.ts';
import type { Runtime } from './runtime.ts';

export type VipState = {
  readonly info: VipInfo;
  /** Names; `region` is empty for a VIP without one. */
  readonly service: string;
  readonly region: string;
  readonly health: VipHealth | undefined;
  readonly effective: VipHealth['effective'];
  /** In a fleet: why the verdict differs from what this node sees; undefined if it does not. */
  readonly dissent: string | undefined;
  /**
   * Up, unknown or not checked, and neither drained nor forced down (docs/steering.md#candidates).
   * `min_healthy` of its region is not considered. A VIP that is a service: while that has a VIP that is available.
   */
  readonly available: boolean;
  /** Answers that named the VIP: since the start, and in the last minute. */
  readonly served: number;
  readonly servedLately: number;
};

/** By slot, in the order that `ServiceInfo.firstSlot` and `vipCount` refer to. */
export async function vipStates(runtime: Runtime): Promise<readonly VipState[]> {
  const { catalog } = runtime.generation();
  const look = vipLooker(runtime);
  const states: VipState[] = [];
  await inTurns(catalog.vips, (info) => {
    states.push(look(info));
  });
  return states;
}

/** Reads the state of VIPs of the current generation. */
export function vipLooker(runtime: Runtime): (info: VipInfo) => VipState {
  const { catalog } = runtime.generation();
  const served = runtime.served();
  const { served: lately } = runtime.recent();
  return (info) => {
    // By target: during a reload the health room already has the next generation, whose slots differ.
    const known = runtime.health.find(info.target);
    const own = known?.effective ?? 'unknown';
    const isInnerUp = info.inner === undefined || runtime.isInnerUp(info);
    // A VIP that is a service has no check.
    const effective = info.inner === undefined || own !== 'unknown' ? own : isInnerUp ? 'up' : 'down';
    return {
      info,
      service: catalog.services[info.service]?.name ?? '',
      region: catalog.regions[info.region]?.name ?? '',
      health: known,
      effective,
      dissent: runtime.fleet?.dissent(info.target),
      available: isInnerUp && (effective === 'up' || effective === 'unknown'),
      served: served[info.slot] ?? 0,
      servedLately: lately[info.slot] ?? 0,
    };
  };
}
