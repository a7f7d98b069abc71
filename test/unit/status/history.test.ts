/** A day of states and rates, minute by minute. */
import { beforeEach, describe, expect, it } from 'vitest';
import { createHistory, HISTORY_MINUTES, type History, type PastState } from '../../../status/history.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const MINUTE = 60_000;
let nowMs: number;
let states: Map<string, Exclude<PastState, 'none'>>;
let history: History;

beforeEach(() => {
  nowMs = 7 * MINUTE;
  states = new Map([['www/a', 'up']]);
  history = createHistory({
    targets: () => [...states.keys()],
    stateOf: (target) => states.get(target),
    recent: () => ({ queriesPerSecond: 5, nxdomainPerSecond: 1, servfailPerSecond: 0 }),
    nowMs: () => nowMs,
  });
});

const shown = (target = 'www/a'): string =>
  history
    .of(target)
    .map(({ state, minutes }) => `${state} ${minutes}`)
    .join(', ');

describe('the history of a VIP', () => {
  it('adds up to a day, also before the first look', () => {
    expect(shown()).toBe(`none ${HISTORY_MINUTES}`);
  });

  it('has the worst state of each minute, however short it was', async () => {
    await history.look();
    states.set('www/a', 'down');
    history.changed('www/a');
    states.set('www/a', 'up');
    history.changed('www/a');
    nowMs += MINUTE;
    await history.look();
    expect(shown()).toBe('none 1438, down 1, up 1');
  });

  it('forgets what is older than a day, and shows minutes that nothing saw as such', async () => {
    states.set('www/a', 'down');
    await history.look();
    nowMs += 2 * MINUTE;
    states.set('www/a', 'up');
    await history.look();
    expect(shown()).toBe('none 1437, down 1, none 1, up 1');
    nowMs += (HISTORY_MINUTES - 1) * MINUTE;
    await history.look();
    expect(shown()).toBe('up 1, none 1438, up 1');
    nowMs += 3 * HISTORY_MINUTES * MINUTE;
    expect(shown()).toBe(`none ${HISTORY_MINUTES}`);
  });

  it('agrees with a list of minutes, whatever happens', async () => {
    const dice = createDice(printedSeed('history'));
    const worst = new Map<number, number>();
    const order = ['none', 'up', 'unknown', 'drain', 'down'] as const;
    for (let step = 0; step < 3000; step += 1) {
      if (dice.below(3) > 0) nowMs += dice.below(dice.below(20) === 0 ? 200 : 3) * MINUTE;
      const severity = 1 + (dice.below(4) === 0 ? dice.below(4) : 0);
      const minute = nowMs / MINUTE;
      states.set('www/a', order[severity] as Exclude<PastState, 'none'>);
      worst.set(minute, Math.max(worst.get(minute) ?? 0, severity));
      if (dice.below(2) === 0) history.changed('www/a');
      else await history.look();
      if (dice.below(30) > 0) continue;
      const expected = Array.from({ length: HISTORY_MINUTES }, (_, at) => order[worst.get(minute - HISTORY_MINUTES + 1 + at) ?? 0]); // prettier-ignore
      const spans = history.of('www/a');
      expect(spans.flatMap(({ state, minutes }) => new Array<PastState>(minutes).fill(state))).toEqual(expected);
      expect(spans.every(({ state }, index) => state !== spans[index + 1]?.state)).toBe(true);
    }
  });

  it('goes by the name, and ends with the VIP', async () => {
    await history.look();
    states = new Map([
      ['www/b', 'drain'],
      ['www/a', 'up'],
    ]);
    await history.look();
    expect([shown('www/a'), shown('www/b')]).toEqual(['none 1439, up 1', 'none 1439, drain 1']);
    states.delete('www/a');
    await history.look();
    expect(shown('www/a')).toBe(`none ${HISTORY_MINUTES}`);
  });
});
