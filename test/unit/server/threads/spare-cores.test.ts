import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../../health/clock.ts';
import { coresOfThisThread, type OwnThread } from '../../../../server/threads/own-threads.ts';
import { keepCoresSpare } from '../../../../server/threads/spare-cores.ts';
import { createManualClock } from '../../health/support.ts';

/** A clock with one timer; `second` lets its time pass. */
function createSeconds() {
  let timer: (() => void) | undefined;
  const clock = {
    ...systemClock,
    after: (_: number, run: () => void) => {
      timer = run;
      return () => (timer = undefined);
    },
  };
  return { clock, second: () => timer?.() };
}

/** A process whose threads and cores are invented. `now` tells the cores and the nice value of each thread. */
function begin({ cores, workers, refused = false }: { cores: number[]; workers: number; refused?: boolean }) {
  const names = ['node', 'V8Worker', 'stream', 'udp-0', 'udp-1'].slice(0, 3 + workers);
  const on = new Map<string, readonly number[]>(names.map((name) => [name, cores]));
  const nice = new Map<string, number>(names.map((name) => [name, 0]));
  const listThreads = (): OwnThread[] =>
    names.map((name) => ({
      id: name === 'node' ? process.pid : 0,
      name,
      runOn: (wanted) => {
        on.set(name, wanted);
        return true;
      },
      setNice: (value) => {
        if (!refused || value > (nice.get(name) ?? 0)) nice.set(name, value);
        return !refused;
      },
    }));
  const { clock, second } = createSeconds();
  let total = 0;
  const spare = keepCoresSpare({
    workers,
    queries: () => total,
    readCores: () => on.get('node') ?? [],
    nice: 0,
    listThreads,
    clock,
  });
  return {
    spare,
    on,
    cores: () => Object.fromEntries([...on].map(([name, list]) => [name, list.join(' ')])),
    nice: () => Object.fromEntries(nice),
    setNice: (name: string, value: number) => nice.set(name, value),
    /** Lets seconds pass with this many queries in each. */
    pass: (seconds: number, queries: number) => {
      for (let left = seconds; left > 0; left--) {
        total += queries;
        second();
      }
    },
  };
}

describe('with more cores than answering threads', () => {
  const apart = { node: '0', V8Worker: '0', stream: '0', 'udp-0': '0 1' };
  const together = { node: '0 1', V8Worker: '0 1', stream: '0 1', 'udp-0': '0 1' };

  test('other threads get the first cores while queries come in; answering threads may run anywhere', () => {
    const { cores, pass } = begin({ cores: [0, 1], workers: 1 });
    pass(5, 999);
    expect(cores()).toEqual(together);
    pass(1, 1000);
    expect(cores()).toEqual(apart);
    pass(60, 1000);
    expect(cores()).toEqual(apart);
  });

  test('after ten quiet seconds they may use all cores again', () => {
    const { cores, pass } = begin({ cores: [0, 1], workers: 1 });
    pass(1, 50_000);
    pass(9, 10);
    pass(1, 50_000);
    pass(9, 10);
    expect(cores()).toEqual(apart);
    pass(1, 10);
    expect(cores()).toEqual(together);
    pass(1, 50_000);
    expect(cores()).toEqual(apart);
  });

  test.each([
    { cores: [2, 3, 6, 7], workers: 2, others: '2 3' },
    { cores: [0, 1, 2, 3], workers: 1, others: '0 1 2' },
    { cores: [5, 9], workers: 1, others: '5' },
  ])('only cores that the process may use: $workers of $cores', ({ cores: all, workers, others }) => {
    const { cores, pass } = begin({ cores: all, workers });
    pass(1, 1000 * workers - 1);
    expect(cores()).toMatchObject({ node: all.join(' ') });
    pass(1, 1000 * workers);
    expect(cores()).toMatchObject({ node: others, V8Worker: others, stream: others, 'udp-0': all.join(' ') });
  });

  test('a restarted thread gets all cores; the end gives them to all threads', () => {
    const { spare, on, cores, pass } = begin({ cores: [0, 1], workers: 1 });
    spare.threadStarted();
    expect(cores()).toEqual(together);
    pass(1, 1000);
    on.set('udp-0', [0]);
    spare.threadStarted();
    expect(cores()).toEqual(apart);
    spare.stop();
    expect(cores()).toEqual(together);
    pass(1, 1000);
    expect(cores()).toEqual(together);
  });

  test('cores that an operator sets meanwhile stay', () => {
    const { on, cores, pass } = begin({ cores: [0, 1, 2, 3], workers: 1 });
    pass(1, 1000);
    for (const name of on.keys()) on.set(name, [2, 3]);
    pass(10, 0);
    expect(new Set(Object.values(cores()))).toEqual(new Set(['2 3']));
    pass(1, 1000);
    expect(cores()).toEqual({ node: '2', V8Worker: '2', stream: '2', 'udp-0': '2 3' });
  });

  test('no priority changes', () => {
    const { nice, pass } = begin({ cores: [0, 1], workers: 1 });
    pass(1, 50_000);
    expect(nice()).toEqual({ node: 0, V8Worker: 0, stream: 0, 'udp-0': 0 });
  });
});

describe('without spare cores', () => {
  test.each([
    { cores: [0], workers: 1 },
    { cores: [0, 1], workers: 2 },
  ])('the control thread has a lower priority, and no thread moves: $workers on $cores', ({ cores: all, workers }) => {
    const { spare, cores, nice, pass } = begin({ cores: all, workers });
    pass(5, 50_000);
    expect(new Set(Object.values(cores()))).toEqual(new Set([all.join(' ')]));
    expect(nice()).toMatchObject({ node: 10, stream: 0, 'udp-0': 0 });
    spare.stop();
    expect(nice()).toMatchObject({ node: 0 });
  });

  test('a restarted thread returns to the priority of the process, where that is allowed', () => {
    const allowed = begin({ cores: [0], workers: 1 });
    const refused = begin({ cores: [0], workers: 1, refused: true });
    for (const { spare, setNice } of [allowed, refused]) {
      setNice('udp-0', 10);
      setNice('stream', 10);
      spare.threadStarted();
    }
    expect(allowed.nice()).toMatchObject({ node: 10, stream: 0, 'udp-0': 0 });
    expect(refused.nice()).toMatchObject({ stream: 10, 'udp-0': 10 });
  });
});

describe('a control thread without spare cores that is late', () => {
  /** `work` lets time pass; `stall` delays the control thread in between. */
  const beginLate = ({ refused = false } = {}) => {
    const clock = createManualClock();
    let stalledMs = 0;
    let value = 0;
    const control: OwnThread = {
      ...{ id: process.pid, name: 'node', runOn: () => true },
      setNice: (wanted) => {
        if (refused && wanted < value) return false;
        value = wanted;
        return true;
      },
    };
    const spare = keepCoresSpare({
      ...{ workers: 1, queries: () => 0, readCores: () => [0], nice: 0, listThreads: () => [control] },
      clock: { ...clock, now: () => clock.now() + stalledMs },
    });
    return {
      stop: () => {
        spare.stop();
      },
      nice: () => value,
      timers: () => clock.timers(),
      work: (ms: number) => clock.advance(ms),
      stall: async (ms: number) => {
        stalledMs += ms;
        await clock.advance(100);
      },
    };
  };

  test('gets its usual priority at once, until it has been on time for five seconds', async () => {
    const { nice, work, stall } = beginLate();
    await work(10_000);
    await stall(49);
    expect(nice()).toBe(10);
    await stall(50);
    expect(nice()).toBe(0);
    await work(4000);
    await stall(50);
    await work(4900);
    expect(nice()).toBe(0);
    await work(100);
    expect(nice()).toBe(10);
  });

  test('keeps it for longer and longer, at most for a minute, if it is late again soon', async () => {
    const { nice, work, stall } = beginLate();
    const held: number[] = [];
    for (let round = 0; round < 6; round++) {
      await stall(500);
      let ms = 0;
      for (; nice() === 0; ms += 100) await work(100);
      held.push(ms);
    }
    expect(held).toEqual([5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    await work(60_000);
    await stall(500);
    await work(4900);
    expect(nice()).toBe(0);
    await work(100);
    expect(nice()).toBe(10);
  });

  test('keeps a priority between the two where it may not return to the usual one', async () => {
    const { nice, work, stall, timers } = beginLate({ refused: true });
    expect(nice()).toBe(5);
    await stall(500);
    await work(60_000);
    expect(nice()).toBe(5);
    expect(timers()).toBe(0);
  });

  test('has its usual priority at the end', async () => {
    const { stop, nice, work, timers } = beginLate();
    await work(1000);
    stop();
    expect(nice()).toBe(0);
    expect(timers()).toBe(0);
  });
});

test('where the cores of a thread are unknown nothing happens', () => {
  const { spare, cores, nice, pass } = begin({ cores: [], workers: 1 });
  pass(1, 50_000);
  spare.threadStarted();
  spare.stop();
  expect(new Set(Object.values(cores()))).toEqual(new Set(['']));
  expect(new Set(Object.values(nice()))).toEqual(new Set([0]));
});

test.runIf(coresOfThisThread().length > 1)('the kernel moves this thread, and moves it back', () => {
  const before = coresOfThisThread();
  let total = 0;
  const { clock, second } = createSeconds();
  const spare = keepCoresSpare({ workers: before.length - 1, queries: () => total, clock });
  total = 1000 * before.length;
  second();
  expect(coresOfThisThread()).toEqual(before.slice(0, 1));
  // proc_pid_status(5)
  const status = readFileSync('/proc/thread-self/status', 'latin1');
  expect(/^Cpus_allowed_list:\s+(\S+)/m.exec(status)?.[1]).toBe(String(before[0]));
  spare.stop();
  expect(coresOfThisThread()).toEqual(before);
});
