/**
 * How many clients an address stands for at a service whose clients' countries were sampled (client-counts.ts). Pure.
 */
import type { CountedClients } from './client-counts.ts';

/** Addresses of one country that are answered with VIPs of one region; no two cells have the same two. */
export type Cell = { readonly country: string; readonly region: string; readonly addresses: number };

/**
 * Samples before they say where a service's clients are: the share of a country that has half of them is then known to
 * within 3 points, of one that has a tenth to within 2, nineteen times in twenty.
 */
export const MIN_SAMPLES = 1000;

const MAX_ROUNDS = 20;
/** Share of the clients that a round still moves. */
const SETTLED = 1e-6;

/**
 * How many of the samples are of countries that have addresses; the clients of the others are nowhere that is known.
 */
export function samplesIn(cells: readonly Cell[], { countries, others }: CountedClients): number {
  const inhabited = new Set(cells.filter(({ addresses }) => addresses > 0).map(({ country }) => country));
  return [...countries].reduce((sum, [country, count]) => sum + (inhabited.has(country) ? count : 0), others);
}

/**
 * Clients an address of each cell stands for, in the cells' order, so that each country has its part of the samples
 * and, as far as these leave it open, each region its part of the answers counted for it. Countries that `clients` does
 * not tell apart share what is left by addresses.
 *
 * Regions and countries are brought to their sums in turns, the countries last (iterative proportional fitting, W. E.
 * Deming, F. F. Stephan, 1940). The VIPs of a region are one here: weights decide between them, and those of now.
 *
 * @param served answers by region. Where a region has none, as after it came up, those of the others say nothing of now
 *   either, and are not looked at
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
    const moved = fitted.reduce((sum, count, index) => sum + Math.abs(count - (before[index] ?? 0)), 0);
    if (moved <= all * SETTLED) break;
  }
  return cells.map(({ addresses }, index) => (addresses === 0 ? 0 : (fitted[index] ?? 0) / addresses));
}

/** Countries that are not told apart; none has such a name. */
const OTHERS = '*';

const NONE: ReadonlyMap<string, number> = new Map();

/** Each group of `fitted` brought to its sum in `wanted`; those that are not in there stay. */
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
