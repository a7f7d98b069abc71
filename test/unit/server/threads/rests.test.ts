import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createJobQueue } from '../../../../server/threads/rests.ts';

/** Jobs that take `jobMs` each; `seen` has the jobs of each turn. */
function begin(jobMs: number) {
  let nowMs = 0;
  const inTurn = createJobQueue(() => nowMs);
  const seen: string[][] = [[]];
  return {
    seen,
    pause: (ms: number) => {
      nowMs += ms;
    },
    add: (name: string, also?: () => void) => {
      inTurn(() => {
        nowMs += jobMs;
        seen.at(-1)?.push(name);
        also?.();
      });
    },
    turns: async (count: number) => {
      for (; count > 0; count--) {
        seen.push([]);
        await nextTurn();
      }
    },
  };
}

const REST: string[][] = Array.from({ length: 7 }, () => []);

test.each([
  { jobMs: 0.1, expected: [['a', 'b', 'c', 'd', 'e']] },
  { jobMs: 1, expected: [['a', 'b'], ...REST, ['c', 'd'], ...REST, ['e']] },
  { jobMs: 50, expected: [['a'], ...REST, ['b'], ...REST, ['c'], ...REST, ['d'], ...REST, ['e']] },
])(
  'jobs of $jobMs ms run in their order, for about two milliseconds in every eighth turn',
  async ({ jobMs, expected }) => {
    const { add, turns, seen } = begin(jobMs);
    for (const name of ['a', 'b', 'c', 'd', 'e']) add(name);
    expect(seen).toEqual([[]]);
    await turns(expected.length);
    expect(seen.slice(1)).toEqual(expected);
  },
);

test('a job that a job adds, and one after a pause, run too', async () => {
  const { add, turns, seen } = begin(50);
  add('first', () => {
    add('second');
  });
  await turns(20);
  add('third');
  await turns(1);
  expect(seen.flat()).toEqual(['first', 'second', 'third']);
  expect(seen.at(-1)).toEqual(['third']);
});

test('the queue does not rest after idle time', async () => {
  const { add, turns, pause, seen } = begin(0.1);
  add('first');
  await turns(2);
  pause(1000);
  for (const name of ['second', 'third', 'fourth']) add(name);
  await turns(1);
  expect(seen.at(-1)).toEqual(['second', 'third', 'fourth']);
});
