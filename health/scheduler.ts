/**
 * When each target is probed. Targets of one interval get separate, evenly spread places in it, so that probes never
 * bunch. Each target has its own timer and at most one probe in flight, so a slow target does not delay other targets.
 */
import type { Cancel, Clock } from './clock.ts';
import { FIRST_ROUND_MS, MAX_PROBES_IN_FLIGHT, MAX_STARTS_AT_ONCE, MIN_GAP_MS } from './limits.ts';

/** When the next run is: at its place in the interval, or `fast` after the start of this one. */
export type Pace = 'interval' | 'fast';

export type Job = {
  readonly key: string;
  readonly intervalMs: number;
  readonly fastMs: number;
  /** One probe. A rejection goes to `failed` and counts as `interval`. */
  run(): Promise<Pace>;
};

export type Scheduler = {
  /** Runs it for the first time within FIRST_ROUND_MS. It replaces a job with the same key. */
  add(job: Job): void;
  /** No run starts after this; one in flight ends by itself. */
  remove(key: string): void;
  /** Runs it at once, but no sooner than `fast` after the start of its last run. Does nothing while it is in flight. */
  hasten(key: string): void;
  /** Runs in flight, and runs that wait because too many are in flight. */
  load(): { readonly inFlight: number; readonly waiting: number };
  /** Starts no more runs; resolves when those in flight have ended. */
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
};

/** Entries that are due at one moment: they share a timer. */
type Turn = { readonly entries: Set<Entry>; readonly cancel: Cancel };

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

export type SchedulerOptions = {
  readonly clock: Clock;
  readonly failed: (key: string, error: unknown) => void;
  readonly maxInFlight?: number;
};

type State = Required<SchedulerOptions> & {
  /** Where the grid of all intervals begins. */
  readonly originMs: number;
  readonly entries: Map<string, Entry>;
  /** By interval: the next place, and those that are free again. */
  readonly places: Map<number, { next: number; readonly free: number[] }>;
  /** By moment. */
  readonly turns: Map<number, Turn>;
  /** In the order they came; a Set, since taking the first out of a long array moves all others. */
  readonly waiting: Set<Entry>;
  inFlight: number;
  stopped: boolean;
  /** Set during the pause before more runs are started. */
  resume: Cancel | undefined;
  /** Called when nothing is in flight. */
  idle: (() => void) | undefined;
};

/**
 * Moments in an interval at which probes start. Those of one moment share a timer, and the turns of the event loop that
 * their connections need: with 3,000 probes a second, separate moments would take a third more CPU time.
 */
const TURNS_OF_INTERVAL = 1000;

export function createScheduler({ clock, failed, maxInFlight = MAX_PROBES_IN_FLIGHT }: SchedulerOptions): Scheduler {
  const state: State = {
    clock,
    failed,
    maxInFlight,
    originMs: clock.now(),
    entries: new Map(),
    places: new Map(),
    turns: new Map(),
    waiting: new Set(),
    inFlight: 0,
    stopped: false,
    resume: undefined,
    idle: undefined,
  };
  return {
    add(job) {
      if (!state.stopped) addJob(state, job);
    },
    remove(key) {
      removeJob(state, key);
    },
    hasten(key) {
      const entry = state.entries.get(key);
      if (entry?.state !== 'timer') return;
      const dueMs = Math.max(clock.now(), entry.startedMs + Math.max(MIN_GAP_MS, entry.job.fastMs));
      if (dueMs < entry.dueMs) arm(state, entry, dueMs);
    },
    load: () => ({ inFlight: state.inFlight, waiting: state.waiting.size }),
    stop() {
      state.stopped = true;
      state.resume?.();
      for (const key of [...state.entries.keys()]) removeJob(state, key);
      if (state.inFlight === 0) return Promise.resolve();
      return new Promise((resolve) => {
        state.idle = resolve;
      });
    },
  };
}

function addJob(state: State, job: Job): void {
  removeJob(state, job.key);
  const place = takePlace(state, job.intervalMs);
  const phase = Math.floor(phaseOf(place) * TURNS_OF_INTERVAL) / TURNS_OF_INTERVAL;
  const nowMs = state.clock.now();
  const entry: Entry = { job, phase, place, startedMs: -Infinity, dueMs: nowMs, state: 'timer' };
  state.entries.set(job.key, entry);
  arm(state, entry, nowMs + phase * Math.min(FIRST_ROUND_MS, job.intervalMs));
}

function removeJob(state: State, key: string): void {
  const { entries, places, waiting } = state;
  const entry = entries.get(key);
  if (entry === undefined) return;
  entries.delete(key);
  disarm(state, entry);
  entry.state = 'removed';
  waiting.delete(entry);
  places.get(entry.job.intervalMs)?.free.push(entry.place);
}

function takePlace({ places }: State, intervalMs: number): number {
  const pool = places.get(intervalMs) ?? { next: 0, free: [] };
  places.set(intervalMs, pool);
  return pool.free.pop() ?? pool.next++;
}

function arm(state: State, entry: Entry, dueMs: number): void {
  disarm(state, entry);
  entry.state = 'timer';
  entry.dueMs = dueMs;
  const turn = state.turns.get(dueMs);
  if (turn === undefined) state.turns.set(dueMs, openTurn(state, entry));
  else turn.entries.add(entry);
}

function openTurn(state: State, first: Entry): Turn {
  const { clock, turns, waiting } = state;
  const { dueMs } = first;
  const entries = new Set([first]);
  const cancel = clock.after(dueMs - clock.now(), () => {
    turns.delete(dueMs);
    for (const entry of entries) {
      entry.state = 'waiting';
      waiting.add(entry);
    }
    startWaiting(state);
  });
  return { entries, cancel };
}

function disarm({ turns }: State, entry: Entry): void {
  const turn = entry.state === 'timer' ? turns.get(entry.dueMs) : undefined;
  if (turn?.entries.delete(entry) !== true || turn.entries.size > 0) return;
  turn.cancel();
  turns.delete(entry.dueMs);
}

/** Starts some at a time. In between, the event loop serves the sockets of earlier ones. */
function startWaiting(state: State): void {
  for (let started = 0; state.inFlight < state.maxInFlight && state.resume === undefined; started += 1) {
    if (started === MAX_STARTS_AT_ONCE) {
      state.resume = state.clock.after(0, () => {
        state.resume = undefined;
        startWaiting(state);
      });
      return;
    }
    const [entry] = state.waiting;
    if (entry === undefined) return;
    state.waiting.delete(entry);
    void start(state, entry);
  }
}

async function start(state: State, entry: Entry): Promise<void> {
  entry.state = 'running';
  entry.startedMs = state.clock.now();
  state.inFlight += 1;
  let pace: Pace = 'interval';
  try {
    pace = await entry.job.run();
  } catch (error) {
    state.failed(entry.job.key, error);
  }
  state.inFlight -= 1;
  if (isRunning(entry)) arm(state, entry, nextStart(state, entry, pace));
  startWaiting(state);
  if (state.inFlight === 0) state.idle?.();
}

function nextStart({ clock, originMs }: State, { job, phase, startedMs }: Entry, pace: Pace): number {
  const { intervalMs, fastMs } = job;
  const nowMs = clock.now();
  const gapMs = Math.max(MIN_GAP_MS, Math.min(fastMs, intervalMs));
  if (pace === 'fast') return Math.max(nowMs, startedMs + gapMs);
  // Timers may fire a little early: the moment that this run was for must not come twice.
  const afterMs = Math.max(nowMs, startedMs + Math.min(MIN_GAP_MS, intervalMs / 2));
  return nextOnGrid(originMs, intervalMs, phase, afterMs);
}

/** The state can have changed while the run was awaited, which the compiler does not see. */
function isRunning(entry: Entry): boolean {
  return entry.state === 'running';
}
