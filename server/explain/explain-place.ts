/**
 * Explain: locates a client, prepares a service's steps for its place, and makes a plan for a place given without an
 * address.
 */
import { FOUND } from '../../geo/find-class.ts';
import { networkRow } from '../../geo/latency-table.ts';
import { locationAt, type Location } from '../../geo/location.ts';
import { networkText, orderingWords, type LatencySource, type PlaceStep } from '../../steering/place.ts';
import { hasBits, mapNumber, type MapView, type SteeringPlan } from '../../steering/plan.ts';
import { givesTtls, traitsOf } from '../../steering/steps.ts';
import { formatPrefix, inPrefix, type Prefix } from '../../wire/address.ts';
import type { ServiceInfo } from '../../zones/catalog.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { whyMeasured } from './explain-latency.ts';

/** The parts of a generation that explain uses. */
export type ExplainedGeneration = Pick<
  LoadedGeneration,
  'settings' | 'catalog' | 'image' | 'atlas' | 'locations' | 'latencyTables' | 'online'
>;

/** The location of an address in the atlas, and the source of the location in words. */
export function locationOf(
  { settings, locations }: ExplainedGeneration,
  plan: SteeringPlan,
  address: Uint8Array,
): { readonly location: Location; readonly how: string } {
  const location = locationAt(plan.atlas, locations, address);
  const own = settings.geo.networks
    .filter(({ prefix }) => inPrefix(address, prefix))
    .sort((a, b) => b.prefix.bits - a.prefix.bits)[0];
  if (own) return { location, how: `geo.networks of pharos.yaml: ${formatPrefix(own.prefix)}` };
  if (plan.atlas.databases === 0) return { location, how: 'no zone has a service, so no geo database is loaded' };
  if (location.area !== '') {
    return { location, how: `the geo database, which has no country for it, only the area ${location.area}` };
  }
  const isKnown = location.country !== '' || location.continent !== '' || !Number.isNaN(location.latitude);
  return { location, how: isKnown ? 'the geo database' : 'no geo database has this address' };
}

/** The service's regions by local number, as the compiler numbers them. */
export function localRegions({ catalog }: ExplainedGeneration, service: ServiceInfo): number[] {
  const vips = catalog.vips.slice(service.firstSlot, service.firstSlot + service.vipCount);
  return [...new Set(vips.map((vip) => vip.region))];
}

/**
 * The service's steps that depend on the place, prepared for this client, by step number. CIDR keys and measured
 * networks match only if there is an `address`. `measured` has the source of the measurement for steps that use one.
 */
export function placeStepsFor(
  generation: ExplainedGeneration,
  service: ServiceInfo,
  location: Location,
  address: Uint8Array | undefined,
): {
  readonly steps: ReadonlyMap<number, PlaceStep>;
  readonly measured: ReadonlyMap<number, string>;
  readonly location: Location;
} {
  const { catalog, latencyTables } = generation;
  const networks = namedNetworks(service);
  const place = {
    regions: localRegions(generation, service).map(
      (number) => catalog.regions[number] ?? { name: '', point: undefined },
    ),
    networkIndex: new Map(networks.map((prefix, index) => [networkText(prefix), index])),
    latency: new Map(
      [...latencyTables].map(([path, table]): [string, LatencySource] => [
        path,
        { table, networkRow: () => (address && networkRow(table, address)?.row) ?? -1 },
      ]),
    ),
  };
  const containing = networks
    .map((prefix, index) => ({ prefix, index }))
    .filter(({ prefix }) => address !== undefined && inPrefix(address, prefix))
    .sort((a, b) => b.prefix.bits - a.prefix.bits)
    .map(({ index }) => index);
  const steps = new Map<number, PlaceStep>();
  const measured = new Map<number, string>();
  service.steps.forEach((step, number) => {
    const { action, table: used } = traitsOf(step);
    if (action.by === 'place') steps.set(number, action.prepare(place));
    const table = used && latencyTables.get(used.path);
    if (!table) return;
    const names = place.regions.map(({ name }) => name);
    const why = whyMeasured(table, used.path, names, location, address);
    if (why !== '') measured.set(number, why);
  });
  return { steps, measured, location: { ...location, networks: containing } };
}

/** Networks that the service's steps list. */
function namedNetworks(service: ServiceInfo): Prefix[] {
  return service.steps.flatMap((step) => traitsOf(step).networks ?? []);
}

/**
 * A plan in which every address is at one place, for a request with a country or a point. If the request also has an
 * address, CIDR keys and measured networks are compared with that address.
 */
export function planAt(
  generation: ExplainedGeneration,
  plan: SteeringPlan,
  location: Location,
  address: Uint8Array | undefined,
): SteeringPlan {
  const orderings = [...plan.orderings];
  const views: MapView[] = [...plan.mapViews];
  generation.catalog.services.forEach((service, number) => {
    const maps = hasBits(plan, number)
      .map((has) => mapNumber(plan, number, has))
      .filter((map) => map >= 0);
    if (maps.length === 0) return;
    const placed = placeStepsFor(generation, service, location, address);
    const offsets = [...placed.steps].map(([number, step]) => {
      const spec = service.steps[number];
      const words = orderingWords(step(placed.location), spec !== undefined && givesTtls(traitsOf(spec)));
      return orderings.push(...words) - words.length;
    });
    const view: MapView = {
      outcomes: Int32Array.of(0),
      mixed: new Int32Array(0),
      starts: Int32Array.of(FOUND, FOUND),
      orderingAt: Int32Array.from(offsets),
      shortcutAt: new Int32Array(0),
      steps: offsets.length,
    };
    for (const map of maps) views[map] = view;
  });
  // One class for all addresses: both roots of the atlas are the leaf of class 0, and all maps give outcome 0.
  return {
    ...plan,
    orderings: Int32Array.from(orderings),
    mapViews: views,
    atlas: { ...plan.atlas, v4Root: ~0, v6Root: ~0 },
  };
}
