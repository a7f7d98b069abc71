import { describe, expect, test } from 'vitest';
import { FIRST_ROUND_MS, MIN_GAP_MS } from '../../../health/limits.ts';
import { createScheduler, nextOnGrid, phaseOf, type Pace, type Turn } from '../../../health/scheduler.ts';
import { createManualClock, turns } from './support.ts';

function scheduleMany(count: number, change: { run?: (key: string) => Promise<Pace>; maxInFlight?: number } = {}) {
  const clock = createManualClock();
  const errors: string[] = [];
  const starts: { key: string; atMs: number }[] = [];
  const scheduler = createScheduler({
    clock,
    failed: (key) => errors.push(key),
    ...(change.maxInFlight === undefined ? {} : { maxInFlight: change.maxInFlight }),
  });
  const run = change.run ?? (() => Promise.resolve<Pace>('interval'));
  const add = (key: string): void => {
    scheduler.add({
      key,
      intervalMs: 10_000,
      fastMs: 1000,
      run: (turn) => {
        starts.push({ key, atMs: clock.now() });
        void run(key).then((pace) => {
          turn.end(pace);
          turn.end('fast');
        });
      },
    });
  };
  for (let index = 0; index < count; index += 1) add(`t${index}`);
  const startsOf = (key: string): number[] => starts.filter((start) => start.key === key).map(({ atMs }) => atMs);
  return { clock, scheduler, starts, startsOf, errors, add };
}

describe('places in the interval', () => {
  test.each([1, 2, 3, 4, 5, 7, 8, 13, 100, 1000])('the first %i are spread evenly', (count) => {
    const phases = Array.from({ length: count }, (_, place) => phaseOf(place)).sort((a, b) => a - b);
    const gaps = phases.map((phase, index) => (phases[index + 1] ?? 1 + (phases[0] ?? 0)) - phase);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0.5 / count);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2 / count);
  });

  test.each([
    [0, 10, 0, 0, 10],
    [0, 10, 0.5, 0, 5],
    [0, 10, 0.5, 5, 15],
    [0, 10, 0.5, 4.999, 5],
    [100, 10, 0, 50, 100],
    [100, 10, 0.3, 250, 253],
  ])('origin %d, interval %d, phase %d: after %d comes %d', (origin, interval, phase, after, expected) => {
    expect(nextOnGrid(origin, interval, phase, after)).toBeCloseTo(expected, 9);
  });
});

describe('the scheduler', () => {
  test('the first round ends within its time, the second is spread over the interval', async () => {
    const { clock, starts } = scheduleMany(40);
    const beganMs = clock.now();
    await clock.advance(FIRST_ROUND_MS);
    expect(new Set(starts.map(({ key }) => key)).size).toBe(40);
    starts.length = 0;
    await clock.advance(30_000);
    expect(starts.length).toBeGreaterThanOrEqual(118);
    // No second holds more than its share, 4, and the one before or after.
    for (let second = 11; second < 29; second += 1) {
      const from = beganMs + second * 1000;
      const inSecond = starts.filter(({ atMs }) => atMs >= from && atMs < from + 1000).length;
      expect(inSecond).toBeGreaterThanOrEqual(3);
      expect(inSecond).toBeLessThanOrEqual(5);
    }
  });

  test('no two starts of one target are further apart than the interval', async () => {
    const { clock, startsOf } = scheduleMany(9);
    await clock.advance(60_000);
    for (let index = 0; index < 9; index += 1) {
      const times = startsOf(`t${index}`);
      const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(10_000 + MIN_GAP_MS);
    }
  });

  test('fast: the next start is one fast after the last start', async () => {
    const { clock, startsOf } = scheduleMany(1, { run: () => Promise.resolve('fast') });
    const beganMs = clock.now();
    await clock.advance(3500);
    expect(startsOf('t0').map((time) => time - beganMs)).toEqual([0, 1000, 2000, 3000]);
  });

  test('one that hangs delays no other and is not started again meanwhile', async () => {
    const { clock, startsOf, scheduler } = scheduleMany(4, {
      run: (key) => (key === 't1' ? new Promise(() => undefined) : Promise.resolve('interval')),
    });
    await clock.advance(35_000);
    expect(startsOf('t1')).toHaveLength(1);
    for (const key of ['t0', 't2', 't3']) expect(startsOf(key).length).toBeGreaterThanOrEqual(4);
    expect(scheduler.load()).toEqual({ inFlight: 1, waiting: 0 });
  });

  test('beyond the limit in flight they wait, and start as others end', async () => {
    const ends: (() => void)[] = [];
    const { clock, starts, scheduler } = scheduleMany(5, {
      maxInFlight: 2,
      run: () =>
        new Promise((resolve) => {
          ends.push(() => {
            resolve('interval');
          });
        }),
    });
    await clock.advance(FIRST_ROUND_MS);
    expect([starts.length, scheduler.load().waiting]).toEqual([2, 3]);
    ends.shift()?.();
    await turns();
    expect([starts.length, scheduler.load().waiting]).toEqual([3, 2]);
  });

  test('one that ends at once starts the next, however many wait', async () => {
    const clock = createManualClock();
    const starts: string[] = [];
    const scheduler = createScheduler({ clock, failed: () => undefined, maxInFlight: 1 });
    const add = (key: string, run: (turn: Turn) => void): void => {
      scheduler.add({ key, intervalMs: 10_000, fastMs: 1000, run });
    };
    let first: Turn | undefined;
    add('first', (turn) => (first = turn));
    for (let index = 0; index < 20_000; index += 1) {
      add(`t${index}`, (turn) => {
        starts.push(`t${index}`);
        turn.end('interval');
      });
    }
    await clock.advance(FIRST_ROUND_MS);
    expect([starts.length, scheduler.load()]).toEqual([0, { inFlight: 1, waiting: 20_000 }]);
    first?.end('interval');
    await clock.advance(1);
    expect([starts.length, new Set(starts).size, scheduler.load()]).toEqual([20_000, 20_000, { inFlight: 0, waiting: 0 }]); // prettier-ignore
  });

  test('a run that throws is reported, and its target is probed again', async () => {
    const { clock, errors, startsOf } = scheduleMany(1, {
      run: () => {
        throw new Error('boom');
      },
    });
    await clock.advance(25_000);
    expect(errors.length).toBe(startsOf('t0').length);
    expect(startsOf('t0').length).toBeGreaterThanOrEqual(3);
  });

  test('hasten starts at once, but no sooner than fast after the last start', async () => {
    const { clock, scheduler, startsOf } = scheduleMany(1);
    const beganMs = clock.now();
    await clock.advance(300);
    scheduler.hasten('t0');
    await clock.advance(3700);
    scheduler.hasten('t0');
    scheduler.hasten('t0');
    await clock.advance(1);
    expect(startsOf('t0').map((time) => time - beganMs)).toEqual([0, 1000, 4000]);
  });

  test('removed: not started again; its place goes to the next', async () => {
    const { clock, scheduler, startsOf, add } = scheduleMany(2);
    await clock.advance(1000);
    scheduler.remove('t1');
    add('t2');
    await clock.advance(30_000);
    expect(startsOf('t1')).toHaveLength(1);
    expect(startsOf('t2')[1]).toBe(1000 + 5000);
  });

  test('stop waits for what is in flight and leaves no timer', async () => {
    let end: (() => void) | undefined;
    const { clock, scheduler } = scheduleMany(2, {
      run: () =>
        new Promise((resolve) => {
          end = () => {
            resolve('interval');
          };
        }),
    });
    await clock.advance(100);
    let stopped = false;
    const stopping = scheduler.stop().then(() => {
      stopped = true;
    });
    await turns();
    expect([stopped, clock.timers()]).toEqual([false, 0]);
    end?.();
    await stopping;
    expect(clock.timers()).toBe(0);
  });
});
