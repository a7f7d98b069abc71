import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseName } from '../../../../wire/name.ts';
import { parseRdataText } from '../../../../wire/rdata.ts';
import { TYPE } from '../../../../wire/types.ts';
import {
  dataKey,
  digestOfData,
  digestOfSets,
  markOfSet,
  setKey,
  type DynamicSet,
} from '../../../../zones/journal/record-set.ts';

const APEX = parseName('example.com.');
const data = (type: number, ...texts: string[]): Uint8Array[] => texts.map((text) => parseRdataText(type, text, APEX));
const set = (change: Partial<DynamicSet> = {}): DynamicSet => ({
  ...{ name: parseName('www', APEX), type: TYPE.A, base: '', ttlSeconds: 60, data: data(TYPE.A, '192.0.2.1', '192.0.2.2') },
  ...change,
}); // prettier-ignore

test('names in data are compared without case, and text with it', () => {
  const [lower, upper] = data(TYPE.MX, '10 mail', '10 MAIL');
  const [small, large] = data(TYPE.TXT, 'mail', 'MAIL');
  if (!lower || !upper || !small || !large) throw new Error('no data');
  expect(dataKey(TYPE.MX, upper)).toBe(dataKey(TYPE.MX, lower));
  expect(dataKey(TYPE.TXT, large)).not.toBe(dataKey(TYPE.TXT, small));
});

test('a digest of records does not depend on their order or on the case of names, but on each of them', () => {
  expect(digestOfData(TYPE.A, [])).toBe('');
  const digest = digestOfData(TYPE.MX, data(TYPE.MX, '10 a', '20 b'));
  expect(digest).toMatch(/^[\w-]{22}$/);
  expect(digestOfData(TYPE.MX, data(TYPE.MX, '20 B', '10 A'))).toBe(digest);
  expect(digestOfData(TYPE.MX, data(TYPE.MX, '10 a'))).not.toBe(digest);
  expect(digestOfData(TYPE.MX, data(TYPE.MX, '10 a', '21 b'))).not.toBe(digest);
  // Not the same octets divided in another way.
  expect(digestOfData(TYPE.TXT, [Uint8Array.of(97, 98), Uint8Array.of(99)])).not.toBe(
    digestOfData(TYPE.TXT, [Uint8Array.of(97), Uint8Array.of(98, 99)]),
  );
});

test('a mark is equal for equal sets with an equal past', () => {
  const { name } = set();
  expect(markOfSet(set())).toBe(markOfSet(set({ data: data(TYPE.A, '192.0.2.2', '192.0.2.1') })));
  const others = [
    set({ name: parseName('other', APEX) }),
    set({ type: TYPE.TXT }),
    set({ base: 'x' }),
    set({ ttlSeconds: 61 }),
    set({ data: data(TYPE.A, '192.0.2.1') }),
  ];
  for (const other of others) expect(markOfSet(other)).not.toBe(markOfSet(set()));
  expect(setKey(name, TYPE.A)).not.toBe(setKey(name, TYPE.TXT));
  expect(setKey(parseName('WWW', APEX), TYPE.A)).toBe(setKey(name, TYPE.A));
});

test('a digest of sets does not depend on their order, but on each of them', () => {
  const [one, two, three] = [set(), set({ type: TYPE.TXT }), set({ ttlSeconds: 1 })];
  expect(digestOfSets([])).toBe('');
  expect(digestOfSets([one])).toMatch(/^[0-9a-f]{32}$/);
  expect(digestOfSets([one, two])).toBe(digestOfSets([two, one]));
  // Sets are recognised by what they have.
  expect(digestOfSets([set(), two])).toBe(digestOfSets([one, two]));
  const all = [[one], [two], [three], [one, two], [one, three], [two, three], [one, two, three]].map(digestOfSets);
  expect(new Set(all).size).toBe(all.length);
  // The sums of the first four words of each digest, without carries.
  const words = [one, two].map((each) => createHash('sha256').update(markOfSet(each)).digest());
  const sums = [0, 4, 8, 12].map((at) => words.reduce((sum, word) => sum + word.readUInt32LE(at), 0) % 2 ** 32);
  expect(digestOfSets([one, two])).toBe(sums.map((each) => each.toString(16).padStart(8, '0')).join(''));
});
