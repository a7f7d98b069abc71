import { expect, test } from 'vitest';
import { editDistance, nearestHint, nearestWord } from '../../../config/nearest-word.ts';

const KEYS = ['interval', 'timeout', 'rise', 'fall', 'fast'];

test.each([
  ['intervall', 'interval'],
  ['intervla', 'interval'],
  ['TIMEOUT', 'timeout'],
  ['fal', 'fall'],
  ['banana', undefined],
  ['', undefined],
])('%j means %j', (word, nearest) => {
  expect(nearestWord(word, KEYS)).toBe(nearest);
});

test.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', 'acb', 1],
  ['abc', 'ab', 1],
  ['kitten', 'sitting', 3],
  ['ca', 'abc', 3], // optimal string alignment: no letter is moved twice
])('%j and %j are %d mistakes apart', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test('without a near word the hint lists the known ones', () => {
  expect(nearestHint('banana', KEYS)).toBe('known here: interval, timeout, rise, fall, fast');
  expect(nearestHint('banana', [])).toBe('none is defined');
  expect(nearestHint('intrval', KEYS)).toBe('did you mean "interval"?');
});
