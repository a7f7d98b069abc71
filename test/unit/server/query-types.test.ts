import { expect, it, test } from 'vitest';
import { COUNTER, createCounters } from '../../../server/counters.ts';
import { ANSWER_TIME_BOUNDS, countAnswerTime, COUNTED_TYPES, countType } from '../../../server/query-types.ts';
import { TYPE, typeNumber } from '../../../wire/types.ts';

it.each([...COUNTED_TYPES, 'NAPTR', 'TYPE0', 'TYPE511', 'TYPE512', 'TYPE65535'])('counts %s once', (name) => {
  const counters = createCounters();
  countType(counters, typeNumber(name) ?? TYPE.ANY);
  const place = COUNTED_TYPES.findIndex((each) => each === name);
  const wanted = Array.from({ length: 16 }, (_, index) => (index === (place < 0 ? 15 : place) ? 1 : 0));
  expect([...counters.subarray(COUNTER.TYPES, COUNTER.TYPES + 16)]).toEqual(wanted);
});

test('all queries of a batch have its time', () => {
  const counters = createCounters();
  countAnswerTime(counters, 0.01, 3); // 10 µs, the first bound
  countAnswerTime(counters, 0.02, 1);
  countAnswerTime(counters, 99, 2);
  countAnswerTime(counters, 101, 5);
  const buckets = ANSWER_TIME_BOUNDS.length + 1;
  const counts = [...counters.subarray(COUNTER.ANSWER_TIMES, COUNTER.ANSWER_TIMES + buckets)];
  expect(counts).toEqual([3, 1, ...new Array<number>(buckets - 4).fill(0), 2, 5]);
  expect(counters[COUNTER.ANSWER_MS]).toBeCloseTo(0.03 + 0.02 + 198 + 505);
});
