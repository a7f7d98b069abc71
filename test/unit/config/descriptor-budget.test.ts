import { expect, test } from 'vitest';
import { shareDescriptors } from '../../../config/descriptor-budget.ts';

test.each([
  [1024, { watched: 256, probes: 256, http: 128, tcp: 256 }],
  [4096, { watched: 1024, probes: 1024, http: 256, tcp: 1600 }],
  [64, { watched: 16, probes: 16, http: 8, tcp: 16 }],
  [2, { watched: 1, probes: 1, http: 1, tcp: 1 }],
])('of %i files that may be open', (files, expected) => {
  expect(shareDescriptors(files)).toEqual(expected);
});

test('together they never take all', () => {
  for (let files = 16; files < 10_000; files += 37) {
    const { watched, probes, http, tcp } = shareDescriptors(files);
    expect(watched + probes + http + tcp).toBeLessThan(files);
  }
});
