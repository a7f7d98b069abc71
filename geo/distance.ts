/**
 * Distance on the globe.
 */

/** IUGG mean radius. A sphere is within 0.6 % of the ellipsoid, and databases are less accurate than that. */
const EARTH_RADIUS_KM = 6371.0088;
const RADIANS = Math.PI / 180;

/**
 * Great-circle distance in km between two points in degrees, by the haversine formula, which is precise for points that
 * are close together. NaN if an argument is NaN.
 */
export function distanceKm(latitude1: number, longitude1: number, latitude2: number, longitude2: number): number {
  const south = Math.sin(((latitude2 - latitude1) * RADIANS) / 2);
  const east = Math.sin(((longitude2 - longitude1) * RADIANS) / 2);
  const h = south * south + Math.cos(latitude1 * RADIANS) * Math.cos(latitude2 * RADIANS) * east * east;
  // For antipodes, rounding can make h slightly larger than 1.
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, h)));
}
