/** Random changes of a map, beside a `Map` that is copied each time. */
import { expect, test } from 'vitest';
import { changedEntries, withEntries } from '../../../zones/layered-map.ts';
import { createDice, printedSeed } from '../../support/random.ts';

type Entry = { readonly number: number };

test('a layered map is the copied one, and knows what changed since any earlier one', () => {
  const dice = createDice(printedSeed('layers'));
  const first = new Map(Array.from({ length: 1500 }, (_, number) => [`k${number}`, { number }] as const));
  const all: { layered: ReadonlyMap<string, Entry>; copied: Map<string, Entry> }[] = [
    { layered: first, copied: first },
  ];
  for (let round = 0; round < 60; round++) {
    const { layered, copied } = all.at(-1) ?? { layered: first, copied: first };
    const entries = new Map<string, Entry>();
    for (let count = dice.below(20); count > 0; count--) entries.set(`k${dice.below(1600)}`, { number: dice.below(9) });
    all.push({ layered: withEntries(layered, entries), copied: new Map([...copied, ...entries]) });
  }
  for (const { layered, copied } of all) {
    expect(new Map(layered)).toEqual(copied);
    expect([layered.size, [...layered.keys()].length]).toEqual([copied.size, copied.size]);
    const heard: string[] = [];
    layered.forEach((_, key) => heard.push(key));
    expect(heard.sort()).toEqual([...copied.keys()].sort());
    for (const key of ['k0', 'k1499', 'k1599', 'none']) {
      expect([layered.get(key), layered.has(key)]).toEqual([copied.get(key), copied.has(key)]);
    }
  }
  for (let round = 0; round < 60; round++) {
    const [from, to] = [dice.below(all.length), dice.below(all.length)].sort((a, b) => a - b);
    const [before, after] = [all[from ?? 0], all[to ?? 0]];
    if (!before || !after) continue;
    const expected = [...after.copied].filter(([key, entry]) => before.copied.get(key) !== entry);
    expect(changedEntries(before.layered, after.layered)).toEqual(new Map(expected));
  }
});

test('no entries are no change, and a few of many are no copy', () => {
  const many = new Map(Array.from({ length: 1000 }, (_, number) => [number, { number }] as const));
  expect(withEntries(many, new Map())).toBe(many);
  expect(withEntries(many, new Map([[1, { number: 7 }]]))).not.toBeInstanceOf(Map);
  const few = withEntries(new Map([[1, 'a']]), new Map([[2, 'b']]));
  expect(few).toEqual(new Map([[1, 'a'], [2, 'b']])); // prettier-ignore
});
