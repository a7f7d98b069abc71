import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { condense, type ZoneDifference } from '../../../../zones/journal/zone-difference.ts';
import { formatDifference, isTooLong, readHistory, shortened } from '../../../../zones/journal/zone-history.ts';
import { createDice, printedSeed, trials } from '../../../support/random.ts';

const folder = mkdtempSync(join(tmpdir(), 'pharos-history-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const octets = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const texts = (records: readonly Uint8Array[]): string[] => records.map((each) => Buffer.from(each).toString());

function difference(from: number, removed: readonly string[], added: readonly string[], digest = 'd') {
  const records = { removed: removed.map(octets), added: added.map(octets) };
  return {
    from,
    to: from + 1,
    digest,
    soaBefore: octets(`soa ${from}`),
    soaAfter: octets(`soa ${from + 1}`),
    ...records,
  };
}

test('a condensed difference has the same effect as its parts, and no record twice', () => {
  const dice = createDice(printedSeed('condensed differences'));
  for (let trial = trials(500); trial > 0; trial--) {
    const all = Array.from({ length: 12 }, (_, index) => `record ${index}`);
    const zone = new Set(dice.sample(all, dice.below(12)));
    const before = [...zone];
    const parts: ZoneDifference[] = [];
    for (let serial = 1; serial <= 1 + dice.below(8); serial++) {
      const removed = dice.sample([...zone], dice.below(4));
      for (const each of removed) zone.delete(each);
      const added = dice.sample(all.filter((each) => !zone.has(each)), dice.below(4)); // prettier-ignore
      for (const each of added) zone.add(each);
      parts.push(difference(serial, removed, added));
    }
    const joined = condense(parts);
    const [gone, come] = [texts(joined?.removed ?? []), texts(joined?.added ?? [])];
    expect(gone.every((each) => before.includes(each) && !zone.has(each))).toBe(true);
    expect(new Set([...before.filter((each) => !gone.includes(each)), ...come])).toEqual(zone);
    expect(come.some((each) => before.includes(each))).toBe(false);
    expect(joined?.soaAfter).toEqual(parts.at(-1)?.soaAfter);
  }
  expect(condense([])).toBeUndefined();
});

test('the file has the differences that lead to the last one without a gap', () => {
  const path = join(folder, 'history');
  expect(readHistory(path)).toEqual([]);
  const line = (from: number): string => formatDifference(difference(from, ['a'], ['b']));
  writeFileSync(path, line(1) + line(3) + line(4));
  expect(readHistory(path)).toEqual([difference(3, ['a'], ['b']), difference(4, ['a'], ['b'])]);
  appendFileSync(path, line(5).slice(0, 30));
  expect(readHistory(path).at(-1)?.to).toBe(5);
  writeFileSync(path, line(1) + line(2).replace('"from":2', '"from":3') + line(3));
  expect(readHistory(path).map(({ to }) => to)).toEqual([2]);
});

test('a history that is too long loses its older half', () => {
  const many = Array.from({ length: 1001 }, (_, index) => difference(index, [], []));
  expect(isTooLong(many, 0)).toBe(true);
  expect(shortened(many)).toEqual(many.slice(-500));
  const large = Array.from({ length: 20 }, (_, index) => difference(index, [], ['x'.repeat(60_000)]));
  expect(isTooLong(large, 20 * 60_000)).toBe(true);
  expect(shortened(large)).toEqual(large.slice(-8));
});
