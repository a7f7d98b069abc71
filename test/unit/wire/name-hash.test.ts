import { expect, test } from 'vitest';
import { hashName, hashStep, hashSuffix } from '../../../wire/name-hash.ts';
import { parseName } from '../../../wire/name.ts';
import { MAX_NAME_OCTETS } from '../../../wire/limits.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const dice = createDice(printedSeed('name hash'));

test('the hash of every suffix comes from the sums of one pass', () => {
  for (let round = 0; round < 200; round++) {
    const octets = 1 + dice.below(MAX_NAME_OCTETS);
    const name = Uint8Array.from({ length: octets }, () => dice.below(256));
    const sums = [0];
    for (const octet of name) sums.push(hashStep(sums.at(-1) ?? 0, octet));
    for (let at = 0; at < octets; at++) {
      expect(hashSuffix(sums[octets] ?? 0, sums[at] ?? 0, octets - at)).toBe(hashName(name, at, octets - at));
    }
  }
});

// Of 100,000 values drawn from 2^32, 1.2 pairs are expected to be equal; in 2^17 rows, 35,600 rows or so stay free.
test('names that differ in a few octets are spread as random numbers would be', () => {
  const names = Array.from({ length: 100_000 }, (_, index) => parseName(`n${index.toString(36)}.example.com.`));
  const hashes = names.map((name) => hashName(name, 0, name.length));
  expect(new Set(hashes).size).toBeGreaterThan(names.length - 20);
  const rows = new Set(hashes.map((hash) => hash & 0x1_ffff));
  expect(rows.size).toBeGreaterThan(68_000);
  expect(rows.size).toBeLessThan(72_000);
});
