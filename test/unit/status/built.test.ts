/** The committed parts of the page are what their sources build to, and small; the map is where its projection says. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { geoEqualEarth } from 'd3-geo';
import { expect, it } from 'vitest';
import { builtFiles } from '../../../bin/build-web.ts';
import { MAP_CENTRE, MAP_SCALE, project } from '../../../status/page/equal-earth.ts';

const built = await builtFiles();

it.each([...built])('status/page/built/%s is up to date (npm run build:web)', (name, text) => {
  const committed = readFileSync(new URL(`../../../status/page/built/${name}`, import.meta.url), 'utf8');
  expect(committed === text).toBe(true);
});

it('all of it is below 60 KB compressed, of 150 KB allowed for the page', () => {
  expect(gzipSync([...built.values()].join('')).length).toBeLessThan(60_000);
});

it.each([
  [0, 0],
  [126.98, 37.57],
  [-77.45, 38.95],
  [-70, -56],
  [20, 83.7],
  [180, -40],
])('projects %d, %d as d3-geo does', (longitude, latitude) => {
  const theirs = geoEqualEarth().scale(MAP_SCALE).translate([MAP_CENTRE.x, MAP_CENTRE.y])([longitude, latitude]);
  const [x, y] = project(longitude, latitude);
  expect(x).toBeCloseTo(theirs?.[0] ?? NaN, 6);
  expect(y).toBeCloseTo(theirs?.[1] ?? NaN, 6);
});
