/** Answers that vary by chance: what can be said of them, and how seldom it is wrong. */
import { describe, expect, test } from 'vitest';
import {
  tallyAnswer,
  compareAnswers,
  differentShares,
  noAnswers,
  type Answers,
} from '../../../../cli/compare/varying.ts';
import { createDice, printedSeed, type Dice } from '../../../support/random.ts';

/** Answers of one record each. */
function answers(counts: Readonly<Record<string, number>>): Answers {
  const made = noAnswers();
  for (const [key, count] of Object.entries(counts)) for (let left = count; left > 0; left--) tallyAnswer(made, [key]);
  return made;
}

describe('compareAnswers', () => {
  test.each<[title: string, a: Record<string, number>, b: Record<string, number>, kind: string]>([
    ['one answer each', { x: 1 }, { x: 1 }, 'same'],
    ['other answers: more are needed', { x: 1 }, { y: 1 }, 'open'],
    ['other answers, always', { x: 16 }, { y: 16 }, 'records'],
    ['other counts of the same records', { x: 3, y: 9 }, { x: 9, y: 1 }, 'same'],
    ['a record seen a few times', { x: 30, y: 19 }, { x: 49 }, 'open'],
    ['a record seen often at one server', { x: 30, y: 20 }, { x: 50 }, 'choices'],
    ['the same, at the other', { x: 50 }, { x: 30, y: 20 }, 'choices'],
    ['no records now and then', { x: 30, '': 20 }, { x: 50 }, 'choices'],
  ])('%s', (_title, a, b, kind) => {
    expect(compareAnswers(answers(a), answers(b)).kind).toBe(kind);
  });

  test('the order of records in an answer does not matter to the caller: keys come sorted', () => {
    const one = noAnswers();
    tallyAnswer(one, ['x', 'y']);
    tallyAnswer(one, ['x', 'y']);
    expect(one.sets.size).toBe(1);
    expect([...one.records]).toEqual([['x', 2], ['y', 2]]); // prettier-ignore
  });
});

describe('chance', () => {
  const dice = createDice(printedSeed('varying answers', 20_261_129));
  const draw = (weights: readonly number[], count: number, by: Dice): Answers => {
    const made = noAnswers();
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    for (let left = count; left > 0; left--) {
      let at = by.below(all);
      tallyAnswer(made, [String(weights.findIndex((weight) => (at -= weight) < 0))]);
    }
    return made;
  };

  test('servers with equal weights are never different', () => {
    for (let round = 0; round < 600; round++) {
      const weights = Array.from({ length: 1 + dice.below(8) }, () => 1 + dice.below(dice.pick([2, 10, 100])));
      const count = dice.pick([16, 50, 200]);
      const [a, b] = [draw(weights, count, dice), draw(weights, count, dice)];
      expect(['same', 'open']).toContain(
        // Two servers that each gave one answer 16 times differ by chance if the weights are very uneven only.
        compareAnswers(a, b).kind,
      );
      expect(differentShares(a, b)).toEqual([]);
    }
  });

  test('weights that differ much are seen in 200 answers', () => {
    for (let round = 0; round < 200; round++) {
      expect(differentShares(draw([4, 1], 200, dice), draw([2, 8], 200, dice))).toEqual(expect.arrayContaining(['0']));
    }
  });
});
