import { describe, expect, test } from 'vitest';
import { centroidOf } from '../../../geo/countries.ts';
import { clientPlace, impossible, leastMs, regionPlace } from '../../../geo/fibre.ts';
import { NOWHERE } from '../../../geo/location.ts';

const point = (latitude: number, longitude: number) => regionPlace({ kind: 'point', latitude, longitude });
const SEOUL = point(37.57, 126.98);
const TOKYO = point(35.68, 139.69);
const DUBLIN = point(53.35, -6.26);
const VIRGINIA = point(38.95, -77.45);
const REGIONS = new Map(
  Object.entries({ seoul: SEOUL, tokyo: TOKYO, dublin: DUBLIN, virginia: VIRGINIA }).flatMap(([name, place]) =>
    place ? [[name, place] as const] : [],
  ),
);

test.for([
  [SEOUL, TOKYO, 11.6],
  [SEOUL, DUBLIN, 89.6],
  [DUBLIN, VIRGINIA, 54.4],
  [SEOUL, SEOUL, 0],
  [regionPlace({ kind: 'country', country: 'KR' }), TOKYO, 0],
] as const)('light there and back, at two thirds of its speed: %#', ([one, other, ms]) => {
  if (!one || !other) throw new Error('no place');
  expect(leastMs(one, other)).toBeCloseTo(ms, 0);
});

describe('a time is rejected if light in fibre would take longer', () => {
  const korean = { ...NOWHERE, country: 'KR', ...centroidOf('KR') };
  const inSeoul = { ...NOWHERE, country: 'KR', latitude: 37.5, longitude: 127 };
  const american = { ...NOWHERE, country: 'US', ...centroidOf('US') };
  test.for([
    ['a neighbour', inSeoul, { seoul: 0.4, tokyo: 25 }, []],
    ['tokyo cannot be that near', inSeoul, { seoul: 3, tokyo: 8 }, ['tokyo']],
    ['anywhere in Korea: dublin is far from all of it', korean, { dublin: 50, seoul: 60 }, ['dublin']],
    ['the centre of a country says little about its ends', korean, { seoul: 1 }, []],
    ['a client in Virginia, whose country is wide', american, { virginia: 1 }, []],
    ['wherever the client is: not near to both', NOWHERE, { seoul: 5, dublin: 5 }, ['seoul', 'dublin']],
    ['wherever the client is: between the two', NOWHERE, { seoul: 50, dublin: 50 }, []],
    ['a lie that the place shows takes no truth along', inSeoul, { seoul: 2, tokyo: 30, dublin: 1 }, ['dublin']],
    ['one that only the others show does', NOWHERE, { seoul: 2, tokyo: 30, dublin: 1 }, ['dublin', 'seoul', 'tokyo']],
    ['a region without a place', inSeoul, { nowhere: 0, seoul: 1 }, []],
    ['nothing', inSeoul, {}, []],
  ] as const)('%s', ([, location, samples, thrown]) => {
    const found = impossible(new Map(Object.entries(samples)), clientPlace(location), REGIONS);
    expect([...found].sort()).toEqual([...thrown].sort());
  });
});
