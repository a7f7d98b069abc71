/** Probabilities instead of draws. */
import { describe, expect, test } from 'vitest';
import { shareOfFirst } from '../../../../server/forecast/expected-shares.ts';
import { LONG_TESTS } from '../../../support/random.ts';

/** Computed over every order of drawing. */
function slowly(weights: readonly number[], places: number): number[] {
  const found = weights.map(() => 0);
  const draw = (left: readonly number[], chance: number, drawn: number): void => {
    if (drawn === places) return;
    const total = left.reduce((sum, index) => sum + (weights[index] ?? 0), 0);
    for (const index of left) {
      const own = (chance * (weights[index] ?? 0)) / total;
      found[index] = (found[index] ?? 0) + own / places;
      draw(
        left.filter((other) => other !== index),
        own,
        drawn + 1,
      );
    }
  };
  draw([...weights.keys()], 1, 0);
  return found;
}

describe('the share of each VIP, if the first few of a weighted draw are served', () => {
  test.each<[weights: number[], places: number]>([
    [[1], 1],
    [[4, 1], 1],
    [[4, 1], 2],
    [[3, 2, 1], 2],
    [[1, 1, 1, 1], 3],
    [[1000, 3, 1], 2],
    [[65_535, 1, 1, 1], 2],
    [[1, 65_535, 65_535], 1],
    [[1, 65_535, 65_535, 40_000], 2],
    [[5, 4, 3, 2, 1], 4],
    [[7, 7, 1, 2, 30, 2], 3],
  ])('weights %j, %i answers', (weights, places) => {
    const expected = slowly(weights, Math.min(places, weights.length));
    shareOfFirst(weights, places).forEach((share, index) => {
      expect(share).toBeCloseTo(expected[index] ?? 0, 7);
    });
  });

  test.runIf(LONG_TESTS)('of 256 equal VIPs, each has the same', () => {
    const shares = shareOfFirst(
      Array.from({ length: 256 }, () => 3),
      8,
    );
    for (const share of shares) expect(share).toBeCloseTo(1 / 256, 9);
  });
});
