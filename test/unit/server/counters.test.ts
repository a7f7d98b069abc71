import { expect, test } from 'vitest';
import { count, COUNTER, COUNTERS, countResponse, createCounters, sumCounters } from '../../../server/counters.ts';

/** Counters with more than one place. */
const SIZES: Readonly<Record<string, number>> = { RCODES: 16, TYPES: 16, ANSWER_TIMES: 12 };

test('every counter has a separate place, and RCODES has sixteen', () => {
  const places = Object.entries(COUNTER).flatMap(([name, place]) =>
    Array.from({ length: SIZES[name] ?? 1 }, (_, index) => place + index),
  );
  expect(new Set(places).size).toBe(places.length);
  expect(Math.max(...places)).toBeLessThan(COUNTERS);
});

test('blocks are whole cache lines of shared memory, and add up place by place', () => {
  const [one, two] = [createCounters(), createCounters()];
  expect(one.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(one.byteLength % 64).toBe(0);
  count(one, COUNTER.QUERIES_UDP4);
  count(one, COUNTER.OCTETS_IN, 2 ** 40);
  count(two, COUNTER.OCTETS_IN, 5);
  const sum = sumCounters([one, two]);
  expect([sum[COUNTER.QUERIES_UDP4], sum[COUNTER.OCTETS_IN], sum[COUNTER.SILENT]]).toEqual([1, 2 ** 40 + 5, 0]);
});

test.each([
  { flags: [0x84, 0x00], length: 100, counted: { rcode: 0, truncated: 0, octets: 100, silent: 0 } },
  { flags: [0x86, 0x03], length: 12, counted: { rcode: 3, truncated: 1, octets: 12, silent: 0 } },
  { flags: [0x80, 0xf5], length: 12, counted: { rcode: 5, truncated: 0, octets: 12, silent: 0 } },
  { flags: [0x86, 0x03], length: 0, counted: { rcode: undefined, truncated: 0, octets: 0, silent: 1 } },
])('a response with flags $flags and $length octets', ({ flags, length, counted }) => {
  const counters = createCounters();
  countResponse(counters, Uint8Array.of(9, 9, 9, 0, 0, ...flags, 0), 3, length);
  expect([counters[COUNTER.TRUNCATED], counters[COUNTER.OCTETS_OUT], counters[COUNTER.SILENT]]).toEqual([
    counted.truncated,
    counted.octets,
    counted.silent,
  ]);
  const rcodes = [...counters.subarray(COUNTER.RCODES, COUNTER.RCODES + 16)];
  expect(rcodes.reduce((sum, each) => sum + each)).toBe(counted.rcode === undefined ? 0 : 1);
  if (counted.rcode !== undefined) expect(rcodes[counted.rcode]).toBe(1);
});
