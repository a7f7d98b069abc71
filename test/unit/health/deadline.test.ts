import { expect, test } from 'vitest';
import { cancelDeadline, Deadline, startDeadline } from '../../../health/deadline.ts';
import { createDice, printedSeed } from '../../support/random.ts';
import { createManualClock } from './support.ts';

class Noted extends Deadline {
  readonly #expired: (deadline: Noted, lateMs: number) => void;

  constructor(expired: (deadline: Noted, lateMs: number) => void) {
    super();
    this.#expired = expired;
  }

  override expire(lateMs: number): void {
    this.#expired(this, lateMs);
  }
}

test('each expires at its moment unless it was cancelled, whatever starts and ends beside it', async () => {
  const dice = createDice(printedSeed('deadline'));
  const clock = createManualClock();
  const expected = new Map<Noted, number>();
  const wrong: string[] = [];
  const idle: Noted[] = Array.from(
    { length: 20 },
    () =>
      new Noted((deadline, lateMs) => {
        const dueMs = expected.get(deadline);
        if (dueMs !== clock.now() || lateMs !== 0) wrong.push(`due ${dueMs}, at ${clock.now()}, ${lateMs} late`);
        expected.delete(deadline);
        idle.push(deadline);
      }),
  );
  for (let step = 0; step < 500; step += 1) {
    const deadline = dice.below(2) === 0 ? idle.shift() : [...expected.keys()][dice.below(expected.size + 1)];
    if (deadline !== undefined && dice.below(3) > 0) {
      const delayMs = [20, 50, 50, 300][dice.below(4)] ?? 0;
      startDeadline(deadline, clock, delayMs);
      expected.set(deadline, clock.now() + delayMs);
    } else if (deadline !== undefined) {
      cancelDeadline(deadline);
      expected.delete(deadline);
      idle.push(deadline);
    }
    await clock.advance(dice.below(15));
  }
  await clock.advance(300);
  expect([wrong, expected.size, clock.timers()]).toEqual([[], 0, 0]);
});

test('those of one length share a timer, and the last one that is cancelled takes it along', async () => {
  const clock = createManualClock();
  const expired: number[] = [];
  const some = [0, 1, 2].map((index) => new Noted(() => expired.push(index)));
  for (const deadline of some) startDeadline(deadline, clock, 100);
  expect(clock.timers()).toBe(1);
  for (const deadline of some.slice(1)) cancelDeadline(deadline);
  await clock.advance(99);
  expect([expired, clock.timers()]).toEqual([[], 1]);
  await clock.advance(1);
  expect([expired, clock.timers()]).toEqual([[0], 0]);
});

test('one that expires may start again, and may cancel the next', async () => {
  const clock = createManualClock();
  const beganMs = clock.now();
  const expired: number[] = [];
  const second = new Noted(() => expired.push(-1));
  const first = new Noted((deadline) => {
    expired.push(clock.now() - beganMs);
    cancelDeadline(second);
    if (expired.length < 3) startDeadline(deadline, clock, 10);
  });
  startDeadline(first, clock, 10);
  startDeadline(second, clock, 10);
  await clock.advance(100);
  expect([expired, clock.timers()]).toEqual([[10, 20, 30], 0]);
});
