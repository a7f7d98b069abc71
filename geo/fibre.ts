/**
 * Finds impossible round-trip times: shorter than light in fibre needs from the client's place, or than the distance
 * between two regions allows.
 */
import type { At } from '../config/settings.ts';
import { centroidOf } from './countries.ts';
import { distanceKm } from './distance.ts';
import { FIBRE_KM_A_MS, POINT_SLACK_KM } from './latency-limits.ts';
import type { Location } from './location.ts';

/** A point in degrees, and its largest possible error in km. */
export type RoughPlace = { readonly latitude: number; readonly longitude: number; readonly slackKm: number };

/**
 * Distance in km from the centroid of a country (country-locale-map) to the farthest place where people live, rounded
 * up. For countries that are not listed it is at most DEFAULT_REACH_KM.
 */
const REACH_KM: ReadonlyMap<string, number> = new Map([
  ['AR', 2100],
  ['AU', 3000],
  ['BR', 3000],
  ['CA', 4000],
  ['CD', 1500],
  ['CL', 4000],
  ['CN', 3100],
  ['DZ', 1500],
  ['EC', 1500],
  ['ES', 2100],
  ['FM', 1600],
  ['GL', 1800],
  ['ID', 3200],
  ['IN', 2200],
  ['JP', 2300],
  ['KI', 3600],
  ['KZ', 1800],
  ['ML', 1500],
  ['MN', 1500],
  ['MX', 2100],
  ['MY', 2100],
  ['NO', 1900],
  ['NZ', 2700],
  ['PF', 2000],
  ['PT', 2200],
  ['RU', 5600],
  ['SA', 1500],
  ['SC', 1500],
  ['SH', 4000],
  ['UM', 6000],
  ['US', 6500],
  ['ZA', 2500],
]);
const DEFAULT_REACH_KM = 1400;

/** The place of a client. Undefined if unknown. */
export function clientPlace({ country, latitude, longitude }: Location): RoughPlace | undefined {
  if (Number.isNaN(latitude) || Number.isNaN(longitude)) return undefined;
  const middle = centroidOf(country);
  const isMiddle = middle?.latitude === latitude && middle.longitude === longitude;
  return { latitude, longitude, slackKm: isMiddle ? reachOf(country) : POINT_SLACK_KM };
}

/** The place of a region. Undefined if not configured. A configured point is exact. */
export function regionPlace(at: At | undefined): RoughPlace | undefined {
  if (at === undefined) return undefined;
  if (at.kind === 'point') return { latitude: at.latitude, longitude: at.longitude, slackKm: 0 };
  const middle = centroidOf(at.country);
  return middle && { ...middle, slackKm: reachOf(at.country) };
}

function reachOf(country: string): number {
  return REACH_KM.get(country) ?? DEFAULT_REACH_KM;
}

/** The shortest possible round-trip time between two places, in ms. 0 if they may be the same place. */
export function leastMs(one: RoughPlace, other: RoughPlace): number {
  const km = distanceKm(one.latitude, one.longitude, other.latitude, other.longitude);
  return (2 * Math.max(0, km - one.slackKm - other.slackKm)) / FIBRE_KM_A_MS;
}

/**
 * The regions with impossible times. First, those whose time is shorter than light needs from the client. Then, pairs
 * of the other regions: wherever the client is, the path between two regions through the client is at least as long as
 * the direct one. If two times contradict this, both are impossible.
 */
export function impossible(
  samples: ReadonlyMap<string, number>,
  client: RoughPlace | undefined,
  regions: ReadonlyMap<string, RoughPlace>,
): Set<string> {
  const found = new Set<string>();
  const left: { readonly region: string; readonly ms: number; readonly place: RoughPlace }[] = [];
  for (const [region, ms] of samples) {
    const place = regions.get(region);
    if (!place) continue;
    if (client && ms < leastMs(client, place)) found.add(region);
    else left.push({ region, ms, place });
  }
  left.forEach((one, index) => {
    for (const other of left.slice(index + 1)) {
      if (one.ms + other.ms >= leastMs(one.place, other.place)) continue;
      found.add(one.region);
      found.add(other.region);
    }
  });
  return found;
}
