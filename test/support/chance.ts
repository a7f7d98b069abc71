/**
 * Bounds for counts of random draws: so wide that chance alone does not make a run of CI fail, and no wider.
 */
import { expect } from 'vitest';

/**
 * As a power of e: less than 1e-13, because a run makes about a thousand comparisons and may fail by chance less than
 * once in 1e9 runs.
 */
const UNLIKELY = -30;

/**
 * An upper bound for the logarithm of the probability of such counts, or of any that are further off, for these shares.
 * R. Agrawal, "Finite-sample concentration of the multinomial in relative entropy" (2020), theorem 1.2; unlike the
 * quantiles of chi-square, it holds also if few are expected. So a share p of n draws is seen to be wrong if it is off
 * by about √(70 (1 - p) / (n p)) of itself: 8.4 standard deviations, more with more shares.
 */
export function luckOf(counts: readonly number[], shares: readonly number[]): number {
  const n = counts.reduce((a, b) => a + b, 0);
  const total = shares.reduce((a, b) => a + b, 0);
  const free = shares.filter((share) => share > 0).length - 1;
  let far = 0;
  counts.forEach((count, i) => {
    if (count > 0) far += count * Math.log((count * total) / (n * (shares[i] ?? 0)));
  });
  if (far === Infinity) return -Infinity;
  return far <= free ? 0 : free * (1 + Math.log(far / free)) - far;
}

/** Whether chance explains the counts, of draws with these shares; an item without a share must not occur at all. */
export function expectShares(counts: readonly number[], shares: readonly number[], where = ''): void {
  expect(luckOf(counts, shares), `${where} ${counts.join(', ')} for ${shares.join(', ')}`).toBeGreaterThan(UNLIKELY);
}

/** The same for one share of `draws`, also for draws that count in part (W. Hoeffding, 1963, theorem 1). */
export function expectShare(observed: number, expected: number, draws: number, where: string): void {
  const told = `${where}: ${observed}, expected ${expected}`;
  expect(luckOf([observed * draws, (1 - observed) * draws], [expected, 1 - expected]), told).toBeGreaterThan(UNLIKELY);
}
