/**
 * Bounds for what is counted in random draws: so wide that luck alone does not make a run of CI fail, and no wider.
 */
import { expect } from 'vitest';

/** Of e: less than 1e-13, for a run makes some thousand comparisons and is to fail by luck less than once in 1e9. */
const UNLIKELY = -30;

/**
 * The logarithm of what the chance of such counts, or of any that are further off, is at most, where these are the
 * shares. R. Agrawal, "Finite-sample concentration of the multinomial in relative entropy" (2020), theorem 1.2; unlike
 * the quantiles of chi-square, it holds also where few are expected. So a share p of n draws is seen to be wrong when
 * it is off by some √(70 (1 - p) / (n p)) of itself: 8.4 standard deviations, some more the more shares there are.
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

/** That luck is enough to explain the counts, of draws with these shares; what has no share may not come at all. */
export function expectShares(counts: readonly number[], shares: readonly number[], where = ''): void {
  expect(luckOf(counts, shares), `${where} ${counts.join(', ')} for ${shares.join(', ')}`).toBeGreaterThan(UNLIKELY);
}

/** The same for one share of `draws`. Of draws that count in part, too (W. Hoeffding, 1963, theorem 1). */
export function expectShare(observed: number, expected: number, draws: number, where: string): void {
  const told = `${where}: ${observed}, expected ${expected}`;
  expect(luckOf([observed * draws, (1 - observed) * draws], [expected, 1 - expected]), told).toBeGreaterThan(UNLIKELY);
}
