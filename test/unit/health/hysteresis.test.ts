import { describe, expect, test } from 'vitest';
import {
  contradicting,
  holdSeconds,
  paceMs,
  settle,
  startingState,
  type HealthState,
} from '../../../health/hysteresis.ts';
import { NEVER_SECONDS, PROBED, type Probed } from '../../../health/table.ts';

const { UNKNOWN, UP, DOWN } = PROBED;
const limits = { rise: 2, fall: 3 };
const timing = { ...limits, kind: 'probed', intervalMs: 10_000, fastMs: 1000 } as const;
const letters: Readonly<Record<Probed, string>> = { [UNKNOWN]: '?', [UP]: 'U', [DOWN]: 'D' };

function after(results: string, saved: Probed = UNKNOWN): HealthState {
  return Array.from(results).reduce((state, result) => settle(state, result === '+', limits), startingState(saved));
}

describe('states after each result, with rise 2 and fall 3', () => {
  test.each([
    ['the first result decides: passed', UNKNOWN, '+', 'U'],
    ['the first result decides: failed', UNKNOWN, '-', 'D'],
    ['the first result decides over a saved up', UP, '-', 'D'],
    ['the first result decides over a saved down', DOWN, '+', 'U'],
    ['fall failures in a row take it down', UNKNOWN, '+---', 'UUUD'],
    ['fewer do not', UNKNOWN, '+--+--+', 'UUUUUUU'],
    ['rise passes in a row bring it up', UNKNOWN, '-++', 'DDU'],
    ['fewer do not', UNKNOWN, '-+-+-', 'DDDDD'],
    ['one that agrees begins the count again', UNKNOWN, '+--+---', 'UUUUUUD'],
    ['down and up again', UNKNOWN, '+---++', 'UUUDDU'],
  ])('%s (%#)', (_, saved, results, states) => {
    const seen = Array.from(results, (__, index) => letters[after(results.slice(0, index + 1), saved).probed]);
    expect(seen.join('')).toBe(states);
  });

  test('before the first result the saved state holds', () => {
    expect([startingState().probed, startingState(UP).probed, startingState(DOWN).probed]).toEqual([UNKNOWN, UP, DOWN]);
  });
});

test('for every sequence of up to 9 results and every thresholds up to 4: it flips exactly when enough results in a row say so', () => {
  let sequences = 0;
  for (let rise = 1; rise <= 4; rise += 1) {
    for (let fall = 1; fall <= 4; fall += 1) {
      for (let length = 1; length <= 9; length += 1) {
        for (let bits = 0; bits < 1 << length; bits += 1) {
          const results = Array.from({ length }, (_, index) => ((bits >> index) & 1) === 1);
          let state = startingState();
          for (const passed of results) state = settle(state, passed, { rise, fall });
          expect(state.probed === UP, `${results.join(' ')} rise ${rise} fall ${fall}`).toBe(isUp(results, rise, fall));
          sequences += 1;
        }
      }
    }
  }
  expect(sequences).toBe(16 * 1022);
});

/** The rule said in another way: the last long enough run decides, else the first result. */
function isUp(results: readonly boolean[], rise: number, fall: number): boolean {
  for (let end = results.length; end > 1; end -= 1) {
    const passes = results.slice(Math.max(0, end - rise), end);
    if (passes.length === rise && passes.every(Boolean)) return true;
    const failures = results.slice(Math.max(0, end - fall), end);
    if (failures.length === fall && !failures.some(Boolean)) return false;
  }
  return results[0] === true;
}

describe('pace and hold, with interval 10 s, fast 1 s, rise 2 and fall 3', () => {
  test.each([
    ['not decided: the next result decides', '', UP, 0, 10_000, 0],
    ['up and settled: interval × fall', '+', UNKNOWN, 0, 10_000, 30],
    ['up, one failure: two more, every fast', '+-', UNKNOWN, 1, 1000, 2],
    ['up, two failures: one more', '+--', UNKNOWN, 2, 1000, 1],
    ['up, settled again', '+--+', UNKNOWN, 0, 10_000, 30],
    ['down and settled: interval × rise', '-', UNKNOWN, 0, 10_000, 20],
    ['just gone down: settled', '+---', UNKNOWN, 0, 10_000, 20],
    ['down, one pass: one more', '-+', UNKNOWN, 1, 1000, 1],
  ])('%s', (_, results, saved, against, pace, hold) => {
    const state = after(results, saved);
    expect([contradicting(state), paceMs(state, timing), holdSeconds(state, timing)]).toEqual([against, pace, hold]);
  });

  test.each([
    ['no check', { kind: 'none' }, '+', NEVER_SECONDS],
    ['push, up: as long as a report lasts', { kind: 'push', expiresMs: 30_000 }, '+', 30],
    ['push, down: a report may come at any moment', { kind: 'push', expiresMs: 30_000 }, '-', 0],
    ['fast slower than the interval does not slow it', { ...timing, intervalMs: 500 }, '+--', 0],
  ] as const)('%s', (_, spec, results, hold) => {
    expect(holdSeconds(after(results), spec)).toBe(hold);
  });

  test('the hold never grows while results contradict the state', () => {
    for (const start of ['+', '-']) {
      let last = holdSeconds(after(start), timing);
      for (let count = 1; count < (start === '+' ? limits.fall : limits.rise); count += 1) {
        const hold = holdSeconds(after(start + (start === '+' ? '-' : '+').repeat(count)), timing);
        expect(hold).toBeLessThan(last);
        last = hold;
      }
    }
  });
});
