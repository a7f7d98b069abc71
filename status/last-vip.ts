/**
 * The effect of drain and down on a service: whether the service loses its last available VIP, and what DNS answers
 * then contain. Computed before the order takes effect, and for its reply.
 */
import type { VipHealth } from '../health/engine.ts';
import type { ServiceInfo } from '../zones/catalog.ts';
import { vipsOf } from '../zones/read/suggest-targets.ts';
import type { Runtime } from './runtime.ts';
import { vipLooker, type VipState } from './vips.ts';

/** `consequence` is a clause: the content of DNS answers if no VIP of the service is available. */
export type Emptied = { readonly service: string; readonly consequence: string };

/**
 * The services that would lose their last available VIP if the targets were drained, and the services whose last VIP
 * that is neither drained nor forced down would be drained.
 */
export function emptiedBy(runtime: Runtime, targets: ReadonlySet<string>): readonly Emptied[] {
  const { catalog } = runtime.generation();
  const look = vipLooker(runtime);
  return catalog.services.flatMap((service) => {
    if (!vipsOf(catalog, service).some(({ target }) => targets.has(target))) return [];
    const own = vipsOf(catalog, service).map(look);
    const isMeant = (state: VipState): boolean => targets.has(state.info.target);
    // An order that changes nothing has no effect.
    if (!own.some((state) => isMeant(state) && !isOut(state.health))) return [];
    const left = own.filter((state) => !isMeant(state));
    const allOut = left.every(({ health }) => isOut(health));
    const losesLast = isServed(runtime, own, own) && !isServed(runtime, own, left);
    return losesLast || allOut ? [{ service: service.name, consequence: consequenceOf(service, allOut) }] : [];
  });
}

/** Targets that DNS answers name although drained or forced down, because every VIP of their service is. */
export function stillNamed(runtime: Runtime, targets: ReadonlySet<string>): readonly string[] {
  const { catalog } = runtime.generation();
  const out = new Set(
    runtime.health
      .overrides()
      .filter(({ state }) => state !== 'up')
      .map(({ target }) => target),
  );
  return catalog.services.flatMap((service) => {
    const vips = vipsOf(catalog, service).map(({ target }) => target);
    if (service.whenAllDown !== 'serve_all' || !vips.every((target) => out.has(target))) return [];
    return vips.filter((target) => targets.has(target));
  });
}

/** Whether one of `left` is available in a region that meets its `min_healthy`. `all` are the VIPs of the service. */
function isServed(runtime: Runtime, all: readonly VipState[], left: readonly VipState[]): boolean {
  const { regions } = runtime.generation().catalog;
  return left.some(({ available, info: { region } }) => {
    if (!available) return false;
    const weightOf = (states: readonly VipState[]): number =>
      states.reduce((sum, state) => (state.info.region === region ? sum + weigh(state) : sum), 0);
    const whole = weightOf(all);
    const share = whole === 0 ? 1 : weightOf(left.filter((state) => state.available)) / whole;
    // Tolerance for rounded shares: 1 of 3 equal weights is 33.3333 %.
    return share >= (regions[region]?.minHealthy ?? 0) - 1e-6;
  });
}

function weigh({ health, info }: VipState): number {
  return health?.weight ?? info.weight;
}

function isOut(health: VipHealth | undefined): boolean {
  const state = health?.override?.state;
  return state === 'drain' || state === 'down';
}

function consequenceOf({ whenAllDown }: ServiceInfo, allOut: boolean): string {
  if (whenAllDown === 'static') return 'DNS answers are the static answers of when_all_down';
  if (whenAllDown === 'none') return 'DNS answers have no data (when_all_down: none)';
  const which = allOut ? 'all of its VIPs, including drained ones' : 'VIPs that are down';
  return `DNS answers name ${which} (when_all_down: serve_all)`;
}
