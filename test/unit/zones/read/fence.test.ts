/**
 * Whether a fence has an effect: compared with the definition, which compares every key with every other.
 */
import { expect, test } from 'vitest';
import { continentOf } from '../../../../geo/countries.ts';
import { identityOf, type GeoEntry, type GeoKey } from '../../../../steering/geo-step.ts';
import { inPrefix, parsePrefix } from '../../../../wire/address.ts';
import { fenceHolds } from '../../../../zones/read/read-geo-map.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../../support/random.ts';

/** A client can match both keys, and the broader has a region that the other lacks. */
function reference(map: readonly GeoEntry[]): boolean {
  return map.some(
    (one) =>
      one.regions.length > 0 &&
      map.some(
        (other) =>
          isBroader(other.key, one.key) &&
          canBothMatch(one.key, other.key) &&
          other.regions.some((name) => !one.regions.includes(name)),
      ),
  );
}

const BROADEST_LAST: readonly GeoKey['kind'][] = [
  ...(['network', 'asn', 'city', 'subdivision', 'country', 'area', 'continent', 'default'] as const),
];

function isBroader(one: GeoKey, than: GeoKey): boolean {
  if (one.kind === 'network' && than.kind === 'network') return one.prefix.bits < than.prefix.bits;
  // US-CA/Los Angeles and US/Los Angeles.
  if (one.kind === 'city' && than.kind === 'city') return one.place.length < than.place.length;
  return BROADEST_LAST.indexOf(one.kind) > BROADEST_LAST.indexOf(than.kind);
}

/** Whether a client can match both keys. Networks and AS numbers may be anywhere. */
function canBothMatch(one: GeoKey, other: GeoKey): boolean {
  if (one.kind === 'network' && other.kind === 'network') {
    return inPrefix(one.prefix.bytes, other.prefix) || inPrefix(other.prefix.bytes, one.prefix);
  }
  if (one.kind === 'city' && other.kind === 'city') {
    return one.city === other.city && one.place.slice(0, 2) === other.place.slice(0, 2);
  }
  if (one.kind === other.kind) return false;
  // A network that has only an area has no country.
  const isArea = one.kind === 'area' || other.kind === 'area';
  const countries = [countryOf(one), countryOf(other)].filter((country) => country !== undefined);
  if (isArea && countries.length > 0) return false;
  if (countries.length === 2) return countries[0] === countries[1];
  const continent = one.kind === 'continent' ? one.continent : other.kind === 'continent' ? other.continent : undefined;
  return countries[0] === undefined || continent === undefined || continentOf(countries[0]) === continent;
}

function countryOf(key: GeoKey): string | undefined {
  if (key.kind === 'city') return key.place.slice(0, 2);
  return key.kind === 'country' ? key.country : key.kind === 'subdivision' ? key.subdivision.slice(0, 2) : undefined;
}

function randomKey(dice: Dice): GeoKey {
  const country = dice.pick(['KR', 'FR']);
  const networks = ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.2.0.0/16', '11.0.0.0/8', '2001:db8::/32', '2001:db8:1::/48']; // prettier-ignore
  const prefix = parsePrefix(dice.pick(networks));
  if (!prefix) throw new Error('not a prefix');
  return dice.pick<GeoKey>([
    { text: '', kind: 'network', prefix },
    { text: '', kind: 'network', prefix },
    { text: '', kind: 'asn', asn: 64_500 + dice.below(3) },
    { text: '', kind: 'subdivision', subdivision: `${country}-${dice.below(3)}` },
    { text: '', kind: 'country', country },
    { text: '', kind: 'area', area: dice.pick(['EU', 'AP']) },
    {
      text: '',
      kind: 'city',
      place: dice.pick([country, `${country}-1`, `${country}-22`]),
      city: dice.pick(['x', 'y']),
    },
    { text: '', kind: 'continent', continent: dice.pick(['asia', 'europe', 'north-america']) },
    { text: '', kind: 'default' },
  ]);
}

test('random maps', () => {
  const dice = createDice(printedSeed('fence'));
  const seen = { holds: 0, not: 0 };
  for (let round = 0; round < trials(4000); round++) {
    const map = Array.from({ length: 1 + dice.below(7) }, (): GeoEntry => ({
      key: randomKey(dice),
      regions: dice.sample(['seoul', 'lima', 'paris'], dice.chance(0.1) ? 0 : dice.chance(0.5) ? 3 : 2),
    }));
    // Equal keys are a mistake (PH213).
    if (new Set(map.map(({ key }) => identityOf(key))).size < map.length) continue;
    const expected = reference(map);
    seen[expected ? 'holds' : 'not']++;
    expect(fenceHolds(map), JSON.stringify(map)).toBe(expected);
  }
  expect(Math.min(seen.holds, seen.not)).toBeGreaterThan(moreThan(100));
});
