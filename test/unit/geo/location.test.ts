import { describe, expect, test } from 'vitest';
import { CONTINENTS } from '../../../config/settings.ts';
import { centroidOf, continentOf, countryCodes, isCountry } from '../../../geo/countries.ts';
import { distanceKm } from '../../../geo/distance.ts';
import { NOTHING, readRecord } from '../../../geo/location.ts';

describe('a record of any known schema', () => {
  test.for([
    [
      'MaxMind city',
      {
        continent: { code: 'NA' },
        country: { iso_code: 'US', names: { en: 'United States' } },
        registered_country: { iso_code: 'DE' },
        subdivisions: [{ iso_code: 'CA' }, { iso_code: '001' }],
        location: { latitude: 37.4, longitude: -122.1, accuracy_radius: 20 },
      },
      { country: 'US', subdivision: 'US-CA', continent: 'north-america', latitude: 37.4, longitude: -122.1 },
    ],
    ['MaxMind and DB-IP country', { country: { iso_code: 'KR' } }, { country: 'KR', continent: 'asia' }],
    ['only a registrant', { registered_country: { iso_code: 'AU' } }, {}],
    ['only a continent', { continent: { code: 'EU' } }, { continent: 'europe' }],
    ['MaxMind AS', { autonomous_system_number: 4766, autonomous_system_organization: 'KT' }, { asn: 4766 }],
    ['MaxMind enterprise', { traits: { autonomous_system_number: 4766 } }, { asn: 4766 }],
    ['ip-location-db country', { country_code: 'de' }, { country: 'DE', continent: 'europe' }],
    [
      'ip-location-db city',
      { country_code: 'US', state1: 'California', latitude: 37.5, longitude: -122.5 },
      { country: 'US', continent: 'north-america', latitude: 37.5, longitude: -122.5 },
    ],
    [
      'a flat subdivision code',
      { country_code: 'CA', state1: 'QC' },
      { country: 'CA', subdivision: 'CA-QC', continent: 'north-america' },
    ],
    [
      'IPinfo lite',
      { country: 'Japan', country_code: 'JP', continent: 'Asia', continent_code: 'AS', asn: 'AS2519' },
      { country: 'JP', continent: 'asia', asn: 2519 },
    ],
    [
      'IPinfo location',
      { country: 'US', region: 'Texas', region_code: 'US-TX', lat: '29.7', lng: '-95.3' },
      { country: 'US', subdivision: 'US-TX', continent: 'north-america', latitude: 29.7, longitude: -95.3 },
    ],
    ['half a point', { country_code: 'KR', latitude: 37 }, { country: 'KR', continent: 'asia' }],
    ['a point off the globe', { latitude: 91, longitude: 0 }, {}],
    ['no existing country', { country_code: 'ZZ' }, {}],
    ['the European Union', { country: { iso_code: 'EU' } }, { area: 'EU' }],
    ['an area, flat', { country_code: 'AP', continent_code: 'AS' }, { area: 'AP', continent: 'asia' }],
    ['a city without a country', { city: 'Atlantis' }, {}],
    [
      'MaxMind city, its name',
      { country: { iso_code: 'KR' }, city: { names: { de: 'Seoul!', en: 'Seoul' } } },
      { country: 'KR', city: 'Seoul', continent: 'asia' },
    ],
    ['a flat city', { country_code: 'KR', city: 'Busan' }, { country: 'KR', city: 'Busan', continent: 'asia' }],
    ['an AS that is not a number', { asn: 'ASx' }, {}],
    ['nothing', null, {}],
    ['text', 'KR', {}],
    ['a list', ['KR'], {}],
  ] as const)('%s', ([, data, expected]) => {
    expect(readRecord(data)).toEqual({ ...NOTHING, ...expected });
  });
});

describe('countries', () => {
  test('every one has a continent and a point on the globe', () => {
    const codes = countryCodes();
    expect(codes).toHaveLength(250);
    for (const code of codes) {
      expect(CONTINENTS, code).toContain(continentOf(code));
      const point = centroidOf(code);
      expect(Math.abs(point?.latitude ?? Number.NaN), code).toBeLessThanOrEqual(90);
      expect(Math.abs(point?.longitude ?? Number.NaN), code).toBeLessThanOrEqual(180);
    }
  });

  test.for([
    ['KR', 'asia', 37, 127.5],
    ['US', 'north-america', 38, -97],
    ['MX', 'north-america', 23, -102],
    ['CW', 'north-america', 12.2, -69],
    ['BR', 'south-america', -10, -55],
    ['IE', 'europe', 53, -8],
    ['CY', 'europe', 35, 33],
    ['RU', 'europe', 60, 100],
    ['TR', 'asia', 39, 35],
    ['ZA', 'africa', -29, 24],
    ['SS', 'africa', 7, 30],
    ['AU', 'oceania', -27, 133],
    ['AQ', 'antarctica', -80, 0],
    ['XK', 'europe', 42.6, 21],
  ] as const)('%s is in %s, near %d, %d', ([code, continent, latitude, longitude]) => {
    expect(continentOf(code)).toBe(continent);
    const point = centroidOf(code) ?? { latitude: Number.NaN, longitude: Number.NaN };
    expect(distanceKm(point.latitude, point.longitude, latitude, longitude)).toBeLessThan(650);
  });

  test.for(['', 'kr', 'ZZ', 'EU', 'AN', 'USA', '__proto__', 'constructor'])('"%s" is not a country', (code) => {
    expect([isCountry(code), continentOf(code), centroidOf(code)]).toEqual([false, '', undefined]);
  });
});

describe('great-circle distance', () => {
  test.for([
    ['the same place', 37.57, 126.98, 37.57, 126.98, 0],
    ['Seoul to Tokyo', 37.5665, 126.978, 35.6762, 139.6503, 1149.4],
    ['London to New York', 51.5074, -0.1278, 40.7128, -74.006, 5570],
    ['across the date line', 0, 179.5, 0, -179.5, 111.2],
    ['pole to pole', 90, 0, -90, 0, 20_015],
    ['antipodes', 40, -4, -40, 176, 20_015],
  ] as const)('%s', ([, latitude1, longitude1, latitude2, longitude2, km]) => {
    expect(Math.abs(distanceKm(latitude1, longitude1, latitude2, longitude2) - km)).toBeLessThanOrEqual(
      km / 1000 + 1e-9,
    );
  });
  test('an unknown point has no distance', () => {
    expect(distanceKm(Number.NaN, 0, 0, 0)).toBeNaN();
  });
});
