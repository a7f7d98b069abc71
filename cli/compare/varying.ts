/**
 * Whether two servers choose from the same answers, from many answers of each to one question. Pure.
 *
 * A steered answer may differ each time (weights), so one answer of each says nothing. Compared are the records that
 * each server ever gives, and the shares of the answers in which they are.
 */

/** In place of the key of a record: the answer had none. */
export const EMPTY_ANSWER = '';

/** The answers of one server. */
export type Answers = {
  count: number;
  /** By record: in how many answers it was. */
  readonly records: Map<string, number>;
  /** Different answers, as sets of records. */
  readonly sets: Set<string>;
};

export function noAnswers(): Answers {
  return { count: 0, records: new Map(), sets: new Set() };
}

/** `keys`: the records of one answer, each once, in a fixed order. */
export function tallyAnswer(answers: Answers, keys: readonly string[]): void {
  answers.count++;
  answers.sets.add(keys.join('\0\0'));
  // An answer without records is counted under the key EMPTY_ANSWER.
  for (const key of keys.length === 0 ? [EMPTY_ANSWER] : keys)
    answers.records.set(key, (answers.records.get(key) ?? 0) + 1);
}

/** If both servers gave one answer this often and the two differ, they are different. */
const CONSTANT_ANSWERS = 16;
/**
 * A record that one server gave this often and the other never is not there. If both gave it in the same share, all of
 * these would be on one side by a chance of 2^-20.
 */
const MANY = 20;

export type AnswersVerdict =
  | { readonly kind: 'same' }
  /** More answers are needed. */
  | { readonly kind: 'open' }
  /** Each always gives its own answer. */
  | { readonly kind: 'records' }
  /** Records that one server gave often, and the other never. */
  | { readonly kind: 'choices' };

export function compareAnswers(a: Answers, b: Answers): AnswersVerdict {
  const only = (one: Answers, other: Answers): string[] =>
    [...one.records.keys()].filter((key) => !other.records.has(key));
  const [onlyA, onlyB] = [only(a, b), only(b, a)];
  if (onlyA.length === 0 && onlyB.length === 0) return { kind: 'same' };
  if (a.sets.size === 1 && b.sets.size === 1) {
    return { kind: Math.min(a.count, b.count) >= CONSTANT_ANSWERS ? 'records' : 'open' };
  }
  const isOften = (keys: readonly string[], { records }: Answers): boolean =>
    keys.some((key) => (records.get(key) ?? 0) >= MANY);
  return { kind: isOften(onlyA, a) || isOften(onlyB, b) ? 'choices' : 'open' };
}

/** Standard deviations: a difference by chance is rarer than one in a million. */
const DEVIATIONS = 5;

/** Records whose shares differ by more than chance: the test of two proportions. */
export function differentShares(a: Answers, b: Answers): readonly string[] {
  if (a.count === 0 || b.count === 0) return [];
  return [...new Set([...a.records.keys(), ...b.records.keys()])].filter((key) => {
    const [one, other] = [a.records.get(key) ?? 0, b.records.get(key) ?? 0];
    const share = (one + other) / (a.count + b.count);
    const deviation = Math.sqrt(share * (1 - share) * (1 / a.count + 1 / b.count));
    return Math.abs(one / a.count - other / b.count) > DEVIATIONS * deviation;
  });
}
