import { expect, test } from 'vitest';
import { MAX_LABEL_OCTETS } from '../../../wire/limits.ts';
import { addLabel, hashFoldedName, hashLabel, hashName, hashSuffix } from '../../../wire/name-hash.ts';
import { canonical, parseName } from '../../../wire/name.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const dice = createDice(printedSeed('name hash'));

test('the hash of every suffix comes from the sums of one pass', () => {
  for (let round = 0; round < 200; round++) {
    const labels = Array.from({ length: dice.below(20) }, () => {
      const octets = 1 + dice.below(MAX_LABEL_OCTETS);
      return [octets, ...Array.from({ length: octets }, () => dice.below(256))];
    });
    const sums = [0];
    for (const label of labels) sums.push(addLabel(sums.at(-1) ?? 0, hashLabel(Uint8Array.from(label), 0)));
    for (let from = 0; from <= labels.length; from++) {
      const suffix = Uint8Array.from([...labels.slice(from).flat(), 0]);
      expect(hashSuffix(sums.at(-1) ?? 0, sums[from] ?? 0, labels.length - from)).toBe(hashName(suffix, 0));
    }
  }
});

test('a name in any case has the hash of its canonical form', () => {
  for (let round = 0; round < 200; round++) {
    const labels = Array.from({ length: dice.below(6) }, () => {
      const octets = 1 + dice.below(MAX_LABEL_OCTETS);
      return [octets, ...Array.from({ length: octets }, () => dice.below(256))];
    });
    const name = Uint8Array.from([...labels.flat(), 0]);
    expect(hashFoldedName(name, 0)).toBe(hashName(canonical(name), 0));
  }
});

// Of 100,000 values drawn from 2^32, 1.2 pairs are expected to be equal; in 2^17 rows, about 35,600 rows stay free.
test('names that differ in a few octets are spread as random numbers would be', () => {
  const names = Array.from({ length: 100_000 }, (_, index) => parseName(`n${index.toString(36)}.example.com.`));
  const hashes = names.map((name) => hashName(name, 0));
  expect(new Set(hashes).size).toBeGreaterThan(names.length - 20);
  const rows = new Set(hashes.map((hash) => hash & 0x1_ffff));
  expect(rows.size).toBeGreaterThan(68_000);
  expect(rows.size).toBeLessThan(72_000);
});
