/**
 * The projection of the world map: Equal Earth (B. Šavrič, T. Patterson, B. Jenny, 2018), which keeps areas.
 * web/build.ts draws the countries with it, and the page places regions with it.
 */
const [A1, A2, A3, A4] = [1.340264, -0.081106, 0.000893, 0.003796];
const M = Math.sqrt(3) / 2;
const RADIANS = Math.PI / 180;

/** Size of the map. Antarctica is not on it: the map ends at 57° south. */
export const MAP_WIDTH = 960;
export const MAP_HEIGHT = 418;
/** The map's scale, and the place of latitude 0 and longitude 0. */
export const MAP_SCALE = 177;
export const MAP_CENTRE = { x: 480, y: 234 } as const;

/** x and y on the map of a point in degrees. */
export function project(longitude: number, latitude: number): readonly [x: number, y: number] {
  const theta = Math.asin(M * Math.sin(latitude * RADIANS));
  const square = theta * theta;
  const sixth = square * square * square;
  const x = (longitude * RADIANS * Math.cos(theta)) / (M * (A1 + 3 * A2 * square + sixth * (7 * A3 + 9 * A4 * square)));
  const y = theta * (A1 + A2 * square + sixth * (A3 + A4 * square));
  return [MAP_CENTRE.x + MAP_SCALE * x, MAP_CENTRE.y - MAP_SCALE * y];
}
