/** The keys under which the signatures of a set of VIPs are found. */
import { describe, expect, test } from 'vitest';
import { TYPE } from '../../../../wire/types.ts';
import { pairOf } from '../../../../zones/image/image.ts';
import {
  isPair,
  isSetPair,
  keyOfSet,
  MAX_SET_VIPS,
  NO_KEY,
  setPair,
  STATIC_KEY,
} from '../../../../zones/image/signed-rows.ts';
import { createDice, printedSeed, trials } from '../../../support/random.ts';

const keyOf = (vips: readonly number[], all = 100, size = vips.length): number =>
  keyOfSet(Int32Array.from(vips), size, all);

describe('keys of sets', () => {
  test.each([
    ['the first VIP', [0], 1],
    ['two, in any order', [3, 0], 0b1001],
    ['the last VIP that has a bit', [30], 0x4000_0000],
    ['the first that has none, alone', [31], 0x8000_0000 | 31 | 0],
    ['all that have bits', Array.from({ length: MAX_SET_VIPS }, (_, vip) => vip), 0x7fff_ffff],
  ])('%s', (_, vips, key) => {
    expect(keyOf(vips)).toBe(key);
  });

  test('only the first `size` VIPs count', () => {
    expect(keyOf([2, 5, 40], 100, 2)).toBe(0b10_0100);
    expect(keyOf([2, 40], 100, 1)).toBe(0b100);
    expect(keyOf([40, 2], 100, 1)).toBe(keyOf([40]));
  });

  test('several with a later one have no key, unless they are all', () => {
    expect([keyOf([2, 31], 3), keyOf([31, 2], 3), keyOf([40, 41], 3)]).toEqual([NO_KEY, NO_KEY, NO_KEY]);
    const all = keyOf([2, 31], 2);
    expect(all).not.toBe(NO_KEY);
    expect(keyOf([31, 2], 2)).toBe(all);
    // A single VIP has its own key also if it is the only one.
    expect(keyOf([31], 1)).not.toBe(all);
  });

  test('different sets have different keys, none of them that of `when_all_down`', () => {
    const dice = createDice(printedSeed('keys of sets'));
    const seen = new Map<number, string>();
    for (let trial = trials(5000); trial > 0; trial--) {
      const vips = dice.sample(Array.from({ length: 36 }, (_, vip) => vip), 1 + dice.below(5)).sort((a, b) => a - b); // prettier-ignore
      const key = keyOf(vips);
      expect(key).not.toBe(STATIC_KEY);
      if (key === NO_KEY) continue;
      const before = seen.get(key);
      seen.set(key, vips.join());
      if (before !== undefined) expect(vips.join()).toBe(before);
    }
  });
});

test('the types of rows: RRsets, signatures of a set, and NSECs without a type', () => {
  const rows = [TYPE.A, TYPE.RRSIG, setPair(TYPE.A, 0), setPair(TYPE.TXT, 200), pairOf(TYPE.NSEC, TYPE.A)];
  expect(rows.map(isPair)).toEqual([false, false, true, true, true]);
  expect(rows.map(isSetPair)).toEqual([false, false, true, true, false]);
});
