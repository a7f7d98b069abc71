/**
 * Explain: where a client is, what its place means to each step of a service, and a plan for a place that no
 * address stands for.
 */
import { FOUND, lookupClass } from '../geo/lookup.ts';
import { NOWHERE, type Location } from '../geo/location.ts';
import { isPlaceStep, networkText, orderingWords, preparePlaceStep, type PlaceStep } from '../steering/place.ts';
import { SERVICE, type MapView, type SteeringPlan } from '../steering/plan.ts';
import { formatPrefix, inPrefix, type Prefix } from '../wire/address.ts';
import type { ServiceInfo } from '../zones/catalog.ts';
import type { LoadedGeneration } from '../zones/load.ts';

/** What explain needs of a generation. */
export type ExplainedGeneration = Pick<
  LoadedGeneration,
  'settings' | 'catalog' | 'image' | 'atlas' | 'locations' | 'latencyTables'
>;

/** What the atlas says of an address, and in which words. */
export function locationOf(
  { settings, locations }: ExplainedGeneration,
  plan: SteeringPlan,
  address: Uint8Array,
): { readonly location: Location; readonly how: string } {
  const bits = address.length * 8;
  const found = lookupClass(plan.atlas.nodes, bits === 32 ? plan.atlas.v4Root : plan.atlas.v6Root, address, 0, bits);
  const location = locations[Math.floor(found / 256)] ?? NOWHERE;
  const own = settings.geo.networks
    .filter(({ prefix }) => inPrefix(address, prefix))
    .sort((a, b) => b.prefix.bits - a.prefix.bits)[0];
  if (own) return { location, how: `geo.networks of pharos.yaml: ${formatPrefix(own.prefix)}` };
  const isKnown = location.country !== '' || location.continent !== '' || !Number.isNaN(location.latitude);
  return { location, how: isKnown ? 'the geo database' : 'no database knows this address' };
}

/** The service's regions by local number, as the compiler numbers them. */
export function localRegions({ catalog }: ExplainedGeneration, service: ServiceInfo): number[] {
  const vips = catalog.vips.slice(service.firstSlot, service.firstSlot + service.vipCount);
  return [...new Set(vips.map((vip) => vip.region))];
}

/**
 * The service's steps ready for this client: those that depend on the place, by step number. `address` lets
 * CIDR keys and measured networks match; without one there is only the location.
 */
export function placeStepsFor(
  generation: ExplainedGeneration,
  service: ServiceInfo,
  location: Location,
  address: Uint8Array | undefined,
): { readonly steps: ReadonlyMap<number, PlaceStep>; readonly location: Location } {
  const { catalog, latencyTables } = generation;
  const networks = namedNetworks(generation, service);
  const place = {
    regions: localRegions(generation, service).map(
      (number) => catalog.regions[number] ?? { name: '', point: undefined },
    ),
    networkIndex: new Map(networks.map((prefix, index) => [networkText(prefix), index])),
    latencyTables,
  };
  const containing = networks
    .map((prefix, index) => ({ prefix, index }))
    .filter(({ prefix }) => address !== undefined && inPrefix(address, prefix))
    .sort((a, b) => b.prefix.bits - a.prefix.bits)
    .map(({ index }) => index);
  const steps = new Map<number, PlaceStep>();
  service.steps.forEach((step, number) => {
    if (isPlaceStep(step)) steps.set(number, preparePlaceStep(step, place));
  });
  return { steps, location: { ...location, networks: containing } };
}

/** Networks that the service's own steps name. */
function namedNetworks({ latencyTables }: ExplainedGeneration, service: ServiceInfo): Prefix[] {
  return service.steps.flatMap((step) => {
    if (step.kind === 'geo') return step.map.flatMap(({ key }) => (key.kind === 'network' ? [key.prefix] : []));
    return step.kind === 'latency' ? (latencyTables.get(step.table)?.networks.map(({ prefix }) => prefix) ?? []) : [];
  });
}

/** The plan with every address at one place: for a country or a point that is asked for without an address. */
export function planAt(generation: ExplainedGeneration, plan: SteeringPlan, location: Location): SteeringPlan {
  const orderings = [...plan.orderings];
  const views: MapView[] = [...plan.mapViews];
  generation.catalog.services.forEach((service, number) => {
    const map = plan.services[number * SERVICE.WORDS + SERVICE.MAP] ?? -1;
    if (map < 0) return;
    const placed = placeStepsFor(generation, service, location, undefined);
    const offsets = [...placed.steps.values()].map((step) => {
      const words = orderingWords(step(placed.location));
      return orderings.push(...words) - words.length;
    });
    views[map] = {
      outcomes: Uint32Array.of(0),
      mixed: new Int32Array(0),
      starts: Int32Array.of(FOUND, FOUND),
      orderingAt: Int32Array.from(offsets),
      steps: offsets.length,
    };
  });
  // One class for all: an atlas whose roots are the leaf of class 0, and maps that lead to outcome 0.
  return {
    ...plan,
    orderings: Int32Array.from(orderings),
    mapViews: views,
    atlas: { ...plan.atlas, v4Root: ~0, v6Root: ~0 },
  };
}
