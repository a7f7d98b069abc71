/**
 * When each target is probed. Targets of one interval get separate, evenly spread places in it, so that probes never
 * bunch. Each target has its own timer and at most one probe in flight, so a slow target does not delay other targets.
 */
import type { Cancel, Clock } from './clock.ts';
import { FIRST_ROUND_MS, MAX_PROBES_IN_FLIGHT, MAX_STARTS_AT_ONCE, MIN_GAP_MS } from './limits.ts';
import { LinkedList, ListEntry } from './linked-list.ts';

/** When the next run is: at its place in the interval, or `fast` after the start of this one. */
export type Pace = 'interval' | 'fast';

export type Job = {
  readonly key: string;
  readonly intervalMs: number;
  readonly fastMs: number;
  /** One probe, which ends with `turn.end`. What it throws goes to `failed`, and ends the turn as `interval`. */
  run(turn: Turn): void;
};

/** A job's turn. */
export type Turn = {
  /** Ends the turn. Only the first call has an effect. */
  end(pace: Pace): void;
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

class Entry extends ListEntry<Entry> implements Turn {
  readonly job: Job;
  /** 0 to 1: its place in the interval. */
  readonly phase: number;
  readonly place: number;
  startedMs = -Infinity;
  /** With this fraction, V8 changes it in place later. */
  dueMs = 0.5;
  state: 'timer' | 'waiting' | 'running' | 'removed' = 'timer';
  /** A run is in flight, perhaps of an entry that was removed. */
  isRunning = false;
  readonly #state: State;

  constructor(state: State, job: Job, place: number) {
    super();
    this.#state = state;
    this.job = job;
    this.place = place;
    this.phase = Math.floor(phaseOf(place) * TURNS_OF_INTERVAL) / TURNS_OF_INTERVAL;
  }

  end(pace: Pace): void {
    if (this.isRunning) endRun(this.#state, this, pace);
  }
}

/** Entries that are due at one moment: they share a timer. */
class Moment extends LinkedList<Entry> {
  readonly cancel: Cancel;

  constructor(cancel: Cancel) {
    super();
    this.cancel = cancel;
  }
}

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
  /** By their time. */
  readonly moments: Map<number, Moment>;
  /** In the order they came. */
  readonly waiting: LinkedList<Entry>;
  inFlight: number;
  /** Waiting runs are being started: one that ends at once must not start the next inside. */
  isStarting: boolean;
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
    moments: new Map(),
    waiting: new LinkedList(),
    inFlight: 0,
    isStarting: false,
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
  const entry = new Entry(state, job, place);
  state.entries.set(job.key, entry);
  arm(state, entry, state.clock.now() + entry.phase * Math.min(FIRST_ROUND_MS, job.intervalMs));
}

function removeJob(state: State, key: string): void {
  const { entries, places, waiting } = state;
  const entry = entries.get(key);
  if (entry === undefined) return;
  entries.delete(key);
  disarm(state, entry);
  entry.state = 'removed';
  waiting.remove(entry);
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
  momentAt(state, dueMs).push(entry);
}

function momentAt(state: State, dueMs: number): Moment {
  return state.moments.get(dueMs) ?? openMoment(state, dueMs);
}

function openMoment(state: State, dueMs: number): Moment {
  const { clock, moments, waiting } = state;
  const cancel = clock.after(dueMs - clock.now(), () => {
    moments.delete(dueMs);
    for (let entry = moment.shift(); entry !== undefined; entry = moment.shift()) {
      entry.state = 'waiting';
      waiting.push(entry);
    }
    startWaiting(state);
  });
  const moment = new Moment(cancel);
  moments.set(dueMs, moment);
  return moment;
}

function disarm({ moments }: State, entry: Entry): void {
  const { list, dueMs } = entry;
  if (!(list instanceof Moment)) return;
  list.remove(entry);
  if (list.size > 0) return;
  list.cancel();
  moments.delete(dueMs);
}

/** Starts some at a time. In between, the event loop serves the sockets of earlier ones. */
function startWaiting(state: State): void {
  if (state.isStarting) return;
  state.isStarting = true;
  for (let started = 0; state.inFlight < state.maxInFlight && state.resume === undefined; started += 1) {
    if (started === MAX_STARTS_AT_ONCE) {
      startMoreLater(state);
      break;
    }
    const entry = state.waiting.shift();
    if (entry === undefined) break;
    start(state, entry);
  }
  state.isStarting = false;
}

function startMoreLater(state: State): void {
  state.resume = state.clock.after(0, () => {
    state.resume = undefined;
    startWaiting(state);
  });
}

function start(state: State, entry: Entry): void {
  entry.state = 'running';
  entry.isRunning = true;
  entry.startedMs = state.clock.now();
  state.inFlight += 1;
  try {
    entry.job.run(entry);
  } catch (error) {
    state.failed(entry.job.key, error);
    entry.end('interval');
  }
}

function endRun(state: State, entry: Entry, pace: Pace): void {
  entry.isRunning = false;
  state.inFlight -= 1;
  if (entry.state === 'running') arm(state, entry, nextStart(state, entry, pace));
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
