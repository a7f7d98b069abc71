/**
 * `nearest`: regions by great-circle distance.
 */
import { distanceKm } from '../geo/distance.ts';
import type { Location } from '../geo/location.ts';
import { rankRegions, type PlaceContext, type PlacedRegion, type PlaceStep, type Preference } from './place.ts';

/** `bias` is in percent, by the name of a region. */
export type NearestStep = { readonly bias: ReadonlyMap<string, number>; readonly withinKm: number };

/** `detail` of a preference is the biased distance in km. */
export function prepareNearest({ bias, withinKm }: NearestStep, { regions }: PlaceContext): PlaceStep {
  const all = regions.map((_, region) => region);
  return (location) => byDistance(location, regions, all, bias, withinKm);
}

/**
 * Regions by great-circle distance, bias applied as Route 53 documents it. Regions without a
 * place come last, as one group. If the client's place is unknown, all regions are in this group.
 */
export function byDistance(
  location: Location,
  regions: readonly PlacedRegion[],
  among: readonly number[],
  bias: ReadonlyMap<string, number>,
  withinKm: number,
): Preference[] {
  return rankRegions(
    among.map((region) => {
      const { name = '', point } = regions[region] ?? {};
      const km = point
        ? distanceKm(location.latitude, location.longitude, point.latitude, point.longitude)
        : Number.NaN;
      const b = bias.get(name) ?? 0;
      return { region, detail: b >= 0 ? km * (1 - b / 100) : km / (1 + b / 100) };
    }),
    withinKm,
  );
}
