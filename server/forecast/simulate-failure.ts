/**
 * Simulate (docs/commands.md#pharos-simulate---down-target): computes the share of clients that moves if targets fail,
 * and the VIPs that get them. The code that answers packets makes the decisions.
 */
import type { VipInfo } from '../../zones/catalog.ts';
import type { ForecastGeneration } from '../../zones/packed-generation.ts';
import { healthAfterOrder, healthFor, type LiveHealth } from '../explain/explain-answer.ts';
import { readDown } from '../explain/explain-request.ts';
import { joinAtlases, type JointClass } from './address-space.ts';
import type { CountedClients } from './client-counts.ts';
import type { Weighing } from './client-weights.ts';
import { createSide, SAMPLED_CLIENTS, type Side } from './expected-shares.ts';
import { settleLoads, type Settled } from './settle-loads.ts';
import { trafficOf, typesOf, type Traffic, type VipLoad } from './traffic.ts';

/** An order of an operator. A weight of null is that of the zone file; `auto` clears an override. */
export type SimulatedOrder = { readonly target: string } & (
  { readonly state: 'drain' | 'down' | 'up' | 'auto' } | { readonly weight: number | null }
);

/** Either `down` has a target, or there is an order. */
export type SimulateRequest = {
  readonly down: readonly string[];
  readonly order?: SimulatedOrder | undefined;
  readonly weigh: Weighing['by'];
};

/** Plain JSON, for the command line and the API. */
export type Simulation = {
  /** The targets of the request. */
  readonly down: readonly string[];
  /** The order of the request; null if targets fail. */
  readonly order: SimulatedOrder | null;
  /** The VIPs that they match. */
  readonly targets: readonly string[];
  /** One per service with such a VIP, and per record type if its types have different VIPs. */
  readonly services: readonly Traffic[];
  /** The number of services without such a VIP, whose clients do not move. */
  readonly untouched: number;
};

/** `parameter` is the name of the invalid parameter. */
export type Simulated =
  | { readonly ok: true; readonly simulation: Simulation }
  | { readonly ok: false; readonly parameter: string; readonly message: string };

/** Facts of a running server: health, answers by slot since the start, clients by name of the service, and loads. */
export type Live = {
  readonly health: LiveHealth;
  readonly served: Float64Array;
  readonly clients?: (service: string) => CountedClients;
  /** Load as a share of the VIP's capacity; undefined if unknown. */
  readonly loadOf?: (vip: VipInfo) => number | undefined;
};

/** The numbers of the services that have such a VIP. Facts of the server are needed only for these. */
export function servicesTouched({ catalog }: Pick<ForecastGeneration, 'catalog'>, down: ReadonlySet<number>): number[] {
  const touched = new Set<number>();
  for (const slot of down) touched.add(catalog.vips[slot]?.service ?? 0);
  return [...touched].sort((a, b) => a - b);
}

export function simulateFrom(generation: ForecastGeneration, request: SimulateRequest, live?: Live): Simulated {
  const down = slotsOfRequest(generation, request);
  if ('message' in down) return { ok: false, ...down };
  const { catalog, atlas } = generation;
  const { order } = request;
  const before = createSide(generation, healthFor(generation, new Set(), live?.health));
  const after = createSide(
    generation,
    order === undefined
      ? healthFor(generation, down, live?.health)
      : healthAfterOrder(generation, order, down, live?.health),
  );
  const weighing: Weighing = { classes: classesOf(atlas), counted: live, by: request.weigh };
  const targets = catalog.vips.filter((vip) => down.has(vip.slot));
  const touched = servicesTouched(generation, down);
  const work: Work = { left: MAX_SETTLE_WORK };
  const services = touched.flatMap((service) =>
    movedBy(before, after, service, weighing, live?.loadOf ?? (() => undefined), work),
  );
  return {
    ok: true,
    simulation: {
      down: request.down,
      order: order ?? null,
      targets: targets.map((vip) => vip.target),
      services,
      untouched: catalog.services.length - touched.length,
    },
  };
}

/** The slots that a request is about. */
export function slotsOfRequest(
  generation: ForecastGeneration,
  { down, order }: SimulateRequest,
): ReturnType<typeof readDown> {
  if (order === undefined) return readDown(generation, down);
  const slots = readDown(generation, [order.target]);
  return 'message' in slots ? { ...slots, parameter: 'order' } : slots;
}

/** Work that a request may still do: rounds of settling loads, times the square of the number of VIPs. */
type Work = { left: number };

/**
 * The work for all services of a request together, because a client waits for the reply: some seconds. It is not a
 * time, so that the same request has the same result on every machine. Most services settle in 20 rounds.
 */
const MAX_SETTLE_WORK = 400_000;

/** The traffic of a service by type; with settled loads if loads are known. */
function movedBy(
  before: Side,
  after: Side,
  service: number,
  weighing: Weighing,
  loadOf: (vip: VipInfo) => number | undefined,
  work: Work,
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
  const mayGoOn = (): boolean => (work.left -= vipCount * vipCount) >= 0;
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

/** Cached classes of atlases: counting takes longer than all the rest, and requests repeat. */
const counted = new WeakMap<SharedArrayBuffer, readonly JointClass[]>();

export function classesOf(atlas: SharedArrayBuffer): readonly JointClass[] {
  const known = counted.get(atlas) ?? joinAtlases(atlas, atlas);
  counted.set(atlas, known);
  return known;
}
