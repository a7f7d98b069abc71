/**
 * Client weights of a service whose clients were sampled by country (client-counts.ts). Pure.
 */
import type { CountedClients } from './client-counts.ts';
import { numberAt } from './numbers.ts';

/** Addresses of one country that get VIPs of one region; each pair has one cell. */
export type Cell = { readonly country: string; readonly region: string; readonly addresses: number };

/**
 * Samples needed to know where a service's clients are: the share of a country is then known with 95 % confidence to
 * within 3 points if it is a half, and to within 2 points if it is a tenth.
 */
export const MIN_SAMPLES = 1000;

const MAX_ROUNDS = 20;
/** The fit has converged when a round moves at most this share of the clients. */
const SETTLED = 1e-6;

/**
 * The number of samples from countries that have addresses. Clients of other countries have no known address.
 */
export function samplesIn(cells: readonly Cell[], { countries, others }: CountedClients): number {
  const inhabited = new Set(cells.filter(({ addresses }) => addresses > 0).map(({ country }) => country));
  return [...countries].reduce((sum, [country, count]) => sum + (inhabited.has(country) ? count : 0), others);
}

/**
 * Clients per address of each cell, in the order of the cells. Each country gets its share of the samples and, as far
 * as these leave it open, each region its share of the answers. Countries that `clients` does not list share the rest
 * in proportion to their addresses.
 *
 * Regions and countries are scaled to their sums in turns, the countries last (iterative proportional fitting, W. E.
 * Deming, F. F. Stephan, 1940). The VIPs of a region are not distinguished: the present weights decide between them.
 *
 * @param served answers by region. They are ignored if a region with addresses has none, for example because it has
 *   just come up: then the answers of the other regions do not show the present distribution
 */
export function scaleCountries(
  cells: readonly Cell[],
  clients: CountedClients,
  served: ReadonlyMap<string, number>,
): readonly number[] {
  const { countries, others } = clients;
  const rows = cells.map(({ country }) => (countries.has(country) ? country : OTHERS));
  const columns = cells.map(({ region }) => region);
  const wanted = new Map([...countries, [OTHERS, others]]);
  const answers = cells.every(({ region, addresses }) => addresses === 0 || (served.get(region) ?? 0) > 0)
    ? served
    : NONE;
  let fitted = cells.map(({ addresses }) => addresses);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = fitted;
    fitted = fit(fit(fitted, columns, answers), rows, wanted);
    const all = fitted.reduce((sum, count) => sum + count, 0);
    const moved = fitted.reduce((sum, count, index) => sum + Math.abs(count - numberAt(before, index)), 0);
    if (moved <= all * SETTLED) break;
  }
  return cells.map(({ addresses }, index) => (addresses === 0 ? 0 : numberAt(fitted, index) / addresses));
}

/** All countries that are not listed; no country has this name. */
const OTHERS = '*';

const NONE: ReadonlyMap<string, number> = new Map();

/** Scales each group of `fitted` to its sum in `wanted`; groups without one stay unchanged. */
function fit(fitted: readonly number[], groups: readonly string[], wanted: ReadonlyMap<string, number>): number[] {
  const now = sums(fitted, groups);
  return fitted.map((count, index) => {
    const group = groups[index] ?? '';
    const sum = now.get(group) ?? 0;
    return sum === 0 ? 0 : (count * (wanted.get(group) ?? sum)) / sum;
  });
}

function sums(fitted: readonly number[], groups: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  fitted.forEach((count, index) => {
    const group = groups[index] ?? '';
    found.set(group, (found.get(group) ?? 0) + count);
  });
  return found;
}
