/**
 * Simulate (SPEC 1): what share of the clients moves where if targets fail. Decided by the code that answers packets.
 */
import { joinAtlases, type JointClass } from './address-space.ts';
import { createSide } from './expected.ts';
import type { ExplainedGeneration } from './explain-place.ts';
import { readDown } from './explain-request.ts';
import { healthFor, type LiveHealth } from './explain.ts';
import { trafficOf, typesOf, type Traffic, type Weighing } from './traffic.ts';

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

/** What a running server knows: its health, and answers by slot since the start. */
export type Live = { readonly health: LiveHealth; readonly served: Float64Array };

export function simulateFrom(generation: ExplainedGeneration, request: SimulateRequest, live?: Live): Simulated {
  const down = readDown(generation, request.down);
  if ('message' in down) return { ok: false, ...down };
  const { catalog, atlas } = generation;
  const before = createSide(generation, healthFor(generation, new Set(), live?.health));
  const after = createSide(generation, healthFor(generation, down, live?.health));
  const weighing: Weighing = { classes: classesOf(atlas), served: live?.served, by: request.weigh };
  const targets = catalog.vips.filter((vip) => down.has(vip.slot));
  const touched = [...new Set(targets.map((vip) => vip.service))];
  const services = touched.flatMap((service) =>
    typesOf({ side: before, service }).map(({ has, types }) =>
      trafficOf({ side: before, service, has }, { side: after, service, has }, types, weighing),
    ),
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

/** Classes of atlases in use: counting takes longer than all the rest, and a server is asked again. */
const counted = new WeakMap<SharedArrayBuffer, readonly JointClass[]>();

function classesOf(atlas: SharedArrayBuffer): readonly JointClass[] {
  const known = counted.get(atlas) ?? joinAtlases(atlas, atlas);
  counted.set(atlas, known);
  return known;
}
