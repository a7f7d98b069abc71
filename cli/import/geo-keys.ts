/**
 * Location codes of other systems as keys of a `geo` step.
 */
import { MAX_WEIGHT } from '../../config/limits.ts';
import { isCountry } from '../../geo/countries.ts';

const CONTINENTS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    AF: 'africa',
    AN: 'antarctica',
    AS: 'asia',
    EU: 'europe',
    NA: 'north-america',
    OC: 'oceania',
    SA: 'south-america',
  }),
);

/** `EU` to `europe`; undefined for a code that is not one of the seven continents. */
export function continentKey(code: string): string | undefined {
  return CONTINENTS.get(code.toUpperCase());
}

/** Reads `NA-US-CA`, `NA-US` and `NA`, the codes of octoDNS. */
export function placeKey(code: string): string | undefined {
  const [continent = '', country, subdivision, more] = code.toUpperCase().split('-');
  if (more !== undefined || continentKey(continent) === undefined) return undefined;
  if (country === undefined) return continentKey(continent);
  if (!isCountry(country)) return undefined;
  if (subdivision === undefined) return country;
  return /^[A-Z0-9]{1,3}$/.test(subdivision) ? `${country}-${subdivision}` : undefined;
}

/** Scales weights down to the limit of zone files, in the same proportions. A weight above 0 stays at least 1. */
export function fitWeights(weights: readonly number[]): number[] {
  const most = Math.max(...weights, 1);
  if (most <= MAX_WEIGHT && weights.every(Number.isInteger)) return [...weights];
  return weights.map((weight) => (weight === 0 ? 0 : Math.max(1, Math.round((weight * MAX_WEIGHT) / most))));
}
