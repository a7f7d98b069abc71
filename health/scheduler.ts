/**
 * When each target is probed. Targets of one interval get separate, evenly spread places in it, so that probes never
 * bunch. Each target has its own timer and at most one probe in flight, so a slow target does not delay other targets.
 */
import type { Cancel, Clock } from './clock.ts';
import { FIRST_ROUND_MS, MAX_PROBES_IN_FLIGHT, MAX_STARTS_AT_ONCE, MIN_GAP_MS } from './limits.ts';

/** What a run says about the next one: at its place in the interval, or `fast` after the start of this one. */
export type Pace = 'interval' | 'fast';

export type Job = {
  readonly key: string;
  readonly intervalMs: number;
  readonly fastMs: number;
  /** One probe. A rejection goes to `failed` and counts as `interval`. */
  run(): Promise<Pace>;
};

export type Scheduler = {
  /** Runs it for the first time within FIRST_ROUND_MS. A key that is there already is replaced. */
  add(job: Job): void;
  /** No run starts after this; one in flight ends by itself. */
  remove(key: string): void;
  /** Runs it at once, but no sooner than `fast` after the start of its last run. Does nothing while it is in flight. */
  hasten(key: string): void;
  /** Runs in flight, and those that wait because there are too many. */
  load(): { readonly inFlight: number; readonly waiting: number };
  /** Starts no more; resolves when the runs in flight have ended. */
  stop(): Promise<void>;
};

type Entry = {
  readonly job: Job;
  /** 0 to 1: its place in the interval. */
  readonly phase: number;
  readonly place: number;
  startedMs: number;
  dueMs: number;
  state: 'timer' | 'waiting' | 'running' | 'removed';
  cancel: Cancel | undefined;
};

/**
 * The place of the n-th target, 0 to 1, by van der Corput's sequence (n's bits in reverse, behind the point): the
 * first n places are spread evenly for every n, and a place once given stays as others come and go.
 */
export function phaseOf(place: number): number {
  let phase = 0;
  let weight = 0.5;
  for (let rest = place; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) phase += weight;
    weight /= 2;
  }
  return phase;
}

/** The first moment after `afterMs` that is at the phase of the interval, counted from `originMs`. */
export function nextOnGrid(originMs: number, intervalMs: number, phase: number, afterMs: number): number {
  const firstMs = originMs + phase * intervalMs;
  const rounds = Math.floor((afterMs - firstMs) / intervalMs) + 1;
  return firstMs + Math.max(0, rounds) * intervalMs;
}

export function createScheduler(options: {
  readonly clock: Clock;
  readonly failed: (key: string, error: unknown) => void;
  readonly maxInFlight?: number;
}): Scheduler {
  const { clock, failed, maxInFlight = MAX_PROBES_IN_FLIGHT } = options;
  const originMs = clock.now();
  const entries = new Map<string, Entry>();
  const places = new Map<number, { next: number; free: number[] }>();
  /** In the order they came; a Set, since taking the first out of a long array moves all others. */
  const waiting = new Set<Entry>();
  let inFlight = 0;
  let stopped = false;
  /** Set while a moment passes before more are started. */
  let resume: Cancel | undefined;
  let idle: (() => void) | undefined;

  const takePlace = (intervalMs: number): number => {
    const pool = places.get(intervalMs) ?? { next: 0, free: [] };
    places.set(intervalMs, pool);
    return pool.free.pop() ?? pool.next++;
  };

  const arm = (entry: Entry, dueMs: number): void => {
    entry.cancel?.();
    entry.state = 'timer';
    entry.dueMs = dueMs;
    entry.cancel = clock.after(dueMs - clock.now(), () => {
      entry.state = 'waiting';
      waiting.add(entry);
      startWaiting();
    });
  };

  /** Some at a time: between them the sockets of those before are seen to, and none waits for all that are to start. */
  const startWaiting = (): void => {
    for (let started = 0; inFlight < maxInFlight && resume === undefined; started += 1) {
      if (started === MAX_STARTS_AT_ONCE) {
        resume = clock.after(0, () => {
          resume = undefined;
          startWaiting();
        });
        return;
      }
      const [entry] = waiting;
      if (entry === undefined) return;
      waiting.delete(entry);
      void start(entry);
    }
  };

  const start = async (entry: Entry): Promise<void> => {
    entry.state = 'running';
    entry.startedMs = clock.now();
    inFlight += 1;
    let pace: Pace = 'interval';
    try {
      pace = await entry.job.run();
    } catch (error) {
      failed(entry.job.key, error);
    }
    inFlight -= 1;
    if (isRunning(entry)) arm(entry, nextStart(entry, pace));
    startWaiting();
    if (inFlight === 0) idle?.();
  };

  const nextStart = (entry: Entry, pace: Pace): number => {
    const { intervalMs, fastMs } = entry.job;
    const nowMs = clock.now();
    const gapMs = Math.max(MIN_GAP_MS, Math.min(fastMs, intervalMs));
    if (pace === 'fast') return Math.max(nowMs, entry.startedMs + gapMs);
    // Timers may fire a little early: the moment that this run was for shall not come twice.
    const afterMs = Math.max(nowMs, entry.startedMs + Math.min(MIN_GAP_MS, intervalMs / 2));
    return nextOnGrid(originMs, intervalMs, entry.phase, afterMs);
  };

  const remove = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    entry.cancel?.();
    entry.state = 'removed';
    waiting.delete(entry);
    places.get(entry.job.intervalMs)?.free.push(entry.place);
  };

  return {
    add(job) {
      if (stopped) return;
      remove(job.key);
      const place = takePlace(job.intervalMs);
      const phase = phaseOf(place);
      const nowMs = clock.now();
      const entry: Entry = { job, phase, place, startedMs: -Infinity, dueMs: nowMs, state: 'timer', cancel: undefined };
      entries.set(job.key, entry);
      arm(entry, nowMs + phase * Math.min(FIRST_ROUND_MS, job.intervalMs));
    },
    remove,
    hasten(key) {
      const entry = entries.get(key);
      if (entry?.state !== 'timer') return;
      const dueMs = Math.max(clock.now(), entry.startedMs + Math.max(MIN_GAP_MS, entry.job.fastMs));
      if (dueMs < entry.dueMs) arm(entry, dueMs);
    },
    load: () => ({ inFlight, waiting: waiting.size }),
    stop() {
      stopped = true;
      resume?.();
      for (const key of [...entries.keys()]) remove(key);
      if (inFlight === 0) return Promise.resolve();
      return new Promise((resolve) => {
        idle = resolve;
      });
    },
  };
}

/** Its state can have changed while its run was awaited, which the compiler does not see. */
function isRunning(entry: Entry): boolean {
  return entry.state === 'running';
}
