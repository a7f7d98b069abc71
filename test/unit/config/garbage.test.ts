import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { allowCollecting, heapOctets, shrinkGrownHeap, shrinkIfGrown } from '../../../config/garbage.ts';

const MIB = 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers();
  allowCollecting();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Makes garbage until the heap has grown by this much. */
function fill(octets: number): void {
  const until = heapOctets() + octets;
  const kept: unknown[] = [];
  // Of many small objects, so that they are in the young generation at first.
  while (heapOctets() < until) for (let count = 0; count < 10_000; count++) kept.push([count, kept.length]);
}

test('a heap that has grown is collected, and given back, once', () => {
  shrinkIfGrown();
  vi.runAllTimers();
  const before = heapOctets();
  shrinkIfGrown();
  expect(vi.getTimerCount()).toBe(0);
  fill(24 * MIB);
  shrinkIfGrown();
  shrinkIfGrown();
  expect(vi.getTimerCount()).toBe(1);
  vi.runAllTimers();
  expect(heapOctets()).toBeLessThan(before + 12 * MIB);
  shrinkIfGrown();
  expect(vi.getTimerCount()).toBe(0);
});

test('a heap that has grown much is collected at once, one that was large before is not', () => {
  const before = heapOctets();
  fill(80 * MIB);
  const grown = heapOctets();
  shrinkGrownHeap(grown);
  expect(heapOctets()).toBeGreaterThan(grown - 12 * MIB);
  shrinkGrownHeap(before);
  expect(heapOctets()).toBeLessThan(grown - 12 * MIB);
});
