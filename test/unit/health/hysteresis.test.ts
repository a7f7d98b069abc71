import { describe, expect, test } from 'vitest';
import { NEVER_SECONDS, PROBED, type Probed } from '../../../health/health-table.ts';
import {
  contradicting,
  hold,
  holdSeconds,
  holdSpecOf,
  paceMs,
  settle,
  settleDown,
  startingState,
  undecided,
  type HealthState,
  type Thresholds,
} from '../../../health/hysteresis.ts';
import { expectShare } from '../../support/chance.ts';
import { createDice, printedSeed } from '../../support/random.ts';
import { httpCheck, pushCheck } from './support.ts';

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

/**
 * The rule said in another way, over the whole of the past: what is not believed (`?` and `!` for a pass and a failure)
 * counts towards a run and decides nothing, but that a pass is good news in any case.
 */
function modelOf(results: string, rise: number, fall: number, saved: Probed): Probed {
  let state = saved;
  for (let end = 1; end <= results.length; end += 1) {
    const runOf = (passing: boolean, most: number): boolean => {
      const last = results.slice(Math.max(0, end - most), end);
      return last.length === most && Array.from(last).every((result) => '+?'.includes(result) === passing);
    };
    const believed = '+-'.includes(results[end - 1] ?? '');
    if (!believed) continue;
    const first = !Array.from(results.slice(0, end - 1)).some((result) => '+-'.includes(result));
    if (first) state = results[end - 1] === '+' ? UP : DOWN;
    else if (runOf(true, rise)) state = UP;
    else if (runOf(false, fall)) state = DOWN;
  }
  return state;
}

test('the model and the function agree on every sequence of up to 12 results, for all thresholds up to 4 and every saved state', () => {
  let sequences = 0;
  // Common beginnings are settled once.
  const walk = (state: HealthState, results: string, limit: Thresholds, saved: Probed, left: number): void => {
    if (results !== '') {
      sequences += 1;
      if (state.probed !== modelOf(results, limit.rise, limit.fall, saved)) {
        expect.fail(`${results} rise ${limit.rise} fall ${limit.fall} saved ${saved}: ${state.probed}`);
      }
    }
    if (left === 0) return;
    for (const passed of [true, false]) {
      walk(settle(state, passed, limit), results + (passed ? '+' : '-'), limit, saved, left - 1);
    }
  };
  for (let rise = 1; rise <= 4; rise += 1) {
    for (let fall = 1; fall <= 4; fall += 1) {
      for (const saved of [UNKNOWN, UP, DOWN]) walk(startingState(saved), '', { rise, fall }, saved, 12);
    }
  }
  expect(sequences).toBe(16 * 3 * (2 ** 13 - 2));
});

test('results that are counted but not believed: the model agrees on every sequence of up to 7', () => {
  const walk = (state: HealthState, results: string, limit: Thresholds, left: number): void => {
    const wanted = modelOf(results, limit.rise, limit.fall, UP);
    if (state.probed !== wanted) expect.fail(`${results} rise ${limit.rise} fall ${limit.fall}: ${state.probed}`);
    if (left === 0) return;
    for (const result of '+-?!') {
      const passed = '+?'.includes(result);
      const next = '+-'.includes(result) ? settle(state, passed, limit) : hold(state, passed);
      walk(next, results + result, limit, left - 1);
    }
  };
  for (let rise = 1; rise <= 3; rise += 1) {
    for (let fall = 1; fall <= 3; fall += 1) walk(startingState(UP), '', { rise, fall }, 7);
  }
});

test('undecided: the state holds, and the next result decides whatever was before', () => {
  for (const results of ['+', '-', '+--', '-+', '+---']) {
    const state = undecided(after(results));
    expect([state.probed, contradicting(state), holdSeconds(state, timing)]).toEqual([after(results).probed, 0, 0]);
    for (const passed of [true, false]) expect(settle(state, passed, limits).probed).toBe(passed ? UP : DOWN);
  }
});

test('settleDown: failures that are believed now take it down, and the next pass begins a new count', () => {
  const held = hold(hold(after('+'), false), false);
  expect([held.probed, contradicting(held)]).toEqual([UP, 2]);
  const down = settleDown(held);
  expect([down.probed, contradicting(down), holdSeconds(down, timing)]).toEqual([DOWN, 0, 20]);
  // It is decided: one pass is not enough.
  expect(settle(down, true, limits).probed).toBe(DOWN);
  expect(settle(settle(down, true, limits), true, limits).probed).toBe(UP);
  expect(settle(settleDown(startingState(UP)), true, limits).probed).toBe(DOWN);
});

test('holdSpecOf: the timing of a check, or for how long a report is valid; made once per check', () => {
  const http = httpCheck();
  expect(holdSeconds(after('+'), holdSpecOf(http))).toBe(30);
  expect(holdSeconds(after('+-'), holdSpecOf(http))).toBe(2);
  expect(holdSpecOf(http)).toBe(holdSpecOf(http));
  const push = pushCheck({ expiresMs: 45_000 });
  expect([holdSeconds(after('+'), holdSpecOf(push)), holdSeconds(after('-'), holdSpecOf(push))]).toEqual([45, 0]);
  expect(holdSpecOf(push)).toEqual({ kind: 'push', expiresMs: 45_000 });
});

describe('a flapping target changes state as rarely as its settings promise', () => {
  test.each([
    [2, 3],
    [1, 1],
    [5, 5],
    [1, 4],
  ])('rise %i, fall %i', (rise, fall) => {
    const seed = printedSeed('flapping');
    const dice = createDice(seed);
    for (const share of [0.1, 0.5, 0.9]) {
      let state = startingState();
      let changes = 0;
      /** Results since the last change, and the least that any change took. */
      let since = 0;
      let least = Infinity;
      const results = 40_000;
      for (let count = 0; count < results; count += 1) {
        const next = settle(state, dice.chance(share), { rise, fall });
        since += 1;
        if (next.probed !== state.probed && state.decided) {
          changes += 1;
          least = Math.min(least, since - (next.probed === UP ? rise : fall));
          since = 0;
        }
        state = next;
      }
      // Never before as many results as it needs; and no more often than runs of that length happen.
      expect(least).toBeGreaterThanOrEqual(0);
      expect(changes).toBeLessThanOrEqual((2 * results) / (rise + fall) + 1);
      const cycle = expectedRun(share, rise) + expectedRun(1 - share, fall);
      // Whoever is on the way to a change has less before him than at its beginning, and so whole cycles, of which the
      // first change is none, are more regular than as many independent events. Of 2000, a fifth too many are seen.
      const cycles = Math.max(0, Math.floor((changes - 1) / 2));
      expectShare(Math.max(1 / cycle, cycles / results), 1 / cycle, results, `share ${share}`);
    }
  });

  /** Results until `length` in a row are of a kind that comes with this share: the mean of the geometric run. */
  function expectedRun(share: number, length: number): number {
    return (1 - share ** length) / ((1 - share) * share ** length);
  }

  test('one that passes and fails in turn never changes, but for thresholds of 1', () => {
    let state = settle(startingState(), true, limits);
    for (let count = 0; count < 1000; count += 1) {
      state = settle(state, count % 2 === 1, limits);
      expect(state.probed).toBe(UP);
    }
  });
});

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
