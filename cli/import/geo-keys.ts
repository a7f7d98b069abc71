/**
 * Places as other systems name them, as keys of a `geo` step.
 */
import { MAX_WEIGHT } from '../../config/limits.ts';

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

/** `EU` to `europe`; undefined when it is none of the seven. */
export function continentKey(code: string): string | undefined {
  return CONTINENTS.get(code.toUpperCase());
}

/** `NA-US-CA`, `NA-US` and `NA`, as octoDNS writes places. */
export function placeKey(code: string): string | undefined {
  const [continent = '', country, subdivision, more] = code.toUpperCase().split('-');
  if (more !== undefined || continentKey(continent) === undefined) return undefined;
  if (country === undefined) return continentKey(continent);
  if (!/^[A-Z]{2}$/.test(country)) return undefined;
  if (subdivision === undefined) return country;
  return /^[A-Z0-9]{1,3}$/.test(subdivision) ? `${country}-${subdivision}` : undefined;
}

/** Weights that sum up as before, each at least 1 where it was, and none over what a zone file takes. */
export function fitWeights(weights: readonly number[]): number[] {
  const most = Math.max(...weights, 1);
  if (most <= MAX_WEIGHT && weights.every(Number.isInteger)) return [...weights];
  return weights.map((weight) => (weight === 0 ? 0 : Math.max(1, Math.round((weight * MAX_WEIGHT) / most))));
}
