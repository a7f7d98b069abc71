/**
 * Simulate (SPEC 1): what share of the clients moves where if targets fail. Decided by the code that answers packets.
 */
import { joinAtlases, type JointClass } from './address-space.ts';
import type { CountedClients } from './client-counts.ts';
import { createSide, SAMPLED_CLIENTS, type Side } from './expected-shares.ts';
import { readDown } from '../explain/explain-request.ts';
import { healthFor, type LiveHealth } from '../explain/explain-answer.ts';
import { settleLoads, type Settled } from './settle-loads.ts';
import { trafficOf, typesOf, type Traffic, type VipLoad } from './traffic.ts';
import type { VipInfo } from '../../zones/catalog.ts';
import type { ForecastGeneration } from '../../zones/packed-generation.ts';
import type { Weighing } from './client-weights.ts';

/** `down` are TARGETs, one at least. */
export type SimulateRequest = { readonly down: readonly string[]; readonly weigh: Weighing['by'] };

/** Plain JSON, for the command line and the API. */
export type Simulation = {
  /** As asked. */
  readonly down: readonly string[];
  /** The VIPs that this means. */
  readonly targets: readonly string[];
  /** One for each service with such a VIP, and for each of its types that have VIPs of their own. */
  readonly services: readonly Traffic[];
  /** How many services have none, so that nothing moves there. */
  readonly untouched: number;
};

/** `parameter` names what was wrong with the request. */
export type Simulated =
  | { readonly ok: true; readonly simulation: Simulation }
  | { readonly ok: false; readonly parameter: string; readonly message: string };

/** What a running server knows: its health, answers by slot since the start, the clients of a service by its name, loads. */
export type Live = {
  readonly health: LiveHealth;
  readonly served: Float64Array;
  readonly clients?: (service: string) => CountedClients;
  /** As a share of the VIP's capacity; undefined where none is known. */
  readonly loadOf?: (vip: VipInfo) => number | undefined;
};

/** The services that have such a VIP, by number; what else is known of a server is asked for these alone. */
export function servicesTouched({ catalog }: Pick<ForecastGeneration, 'catalog'>, down: ReadonlySet<number>): number[] {
  const touched = new Set<number>();
  for (const slot of down) touched.add(catalog.vips[slot]?.service ?? 0);
  return [...touched].sort((a, b) => a - b);
}

export function simulateFrom(generation: ForecastGeneration, request: SimulateRequest, live?: Live): Simulated {
  const down = readDown(generation, request.down);
  if ('message' in down) return { ok: false, ...down };
  const { catalog, atlas } = generation;
  const before = createSide(generation, healthFor(generation, new Set(), live?.health));
  const after = createSide(generation, healthFor(generation, down, live?.health));
  const weighing: Weighing = { classes: classesOf(atlas), counted: live, by: request.weigh };
  const targets = catalog.vips.filter((vip) => down.has(vip.slot));
  const touched = servicesTouched(generation, down);
  const endMs = performance.now() + MAX_SETTLE_MS;
  const mayGoOn = (): boolean => performance.now() < endMs;
  const services = touched.flatMap((service) =>
    movedBy(before, after, service, weighing, live?.loadOf ?? (() => undefined), mayGoOn),
  );
  return {
    ok: true,
    simulation: {
      down: request.down,
      targets: targets.map((vip) => vip.target),
      services,
      untouched: catalog.services.length - touched.length,
    },
  };
}

/**
 * For all services of a request together: somebody waits for the reply. Most services need some milliseconds each; for
 * dozens of VIPs near full it is not enough.
 */
const MAX_SETTLE_MS = 5000;

/** The traffic of a service by type; where loads are known, once these have settled. */
function movedBy(
  before: Side,
  after: Side,
  service: number,
  weighing: Weighing,
  loadOf: (vip: VipInfo) => number | undefined,
  mayGoOn: () => boolean,
): Traffic[] {
  const { catalog } = after.generation;
  const { firstSlot = 0, vipCount = 0 } = catalog.services[service] ?? {};
  const vips = catalog.vips.slice(firstSlot, firstSlot + vipCount);
  const seats = typesOf({ side: before, service }).map(({ has, types }) => ({
    types,
    was: { side: before, service, has },
    is: { side: after, service, has },
  }));
  const loads = vips.map(loadOf);
  const settled = settleLoads({ before, after, service, weighing, loads, sampled: SAMPLED_CLIENTS, mayGoOn });
  const known = new Map(vips.map(({ name }, vip) => [name, settled && vipLoad(loads[vip], settled, vip)]));
  return seats.map(({ was, is, types }) => {
    const traffic = trafficOf(was, is, types, weighing);
    if (settled === undefined) return traffic;
    return {
      ...traffic,
      settles: settled.settled !== undefined,
      vips: traffic.vips.map((one) => ({ ...one, load: known.get(one.vip) ?? null })),
    };
  });
}

function vipLoad(before: number | undefined, { atOnce, settled }: Settled, vip: number): VipLoad | null {
  if (before === undefined) return null;
  const inThousandths = (load = 0): number => Math.round(load * 1000) / 1000;
  return {
    before: inThousandths(before),
    at_once: inThousandths(atOnce[vip]),
    settled: settled === undefined ? null : inThousandths(settled[vip]),
  };
}

/** Classes of atlases in use: counting takes longer than all the rest, and a server is asked again. */
const counted = new WeakMap<SharedArrayBuffer, readonly JointClass[]>();

function classesOf(atlas: SharedArrayBuffer): readonly JointClass[] {
  const known = counted.get(atlas) ?? joinAtlases(atlas, atlas);
  counted.set(atlas, known);
  return known;
}
