/**
 * Prevents the other threads of this process from delaying the answering threads: the control thread (probes, HTTP),
 * the compile thread, the stream thread, the pool of libuv and the helpers of the JavaScript engine.
 *
 * A thread that wakes up does not always get its core at once if another thread is running there: the kernel may let
 * that one run until the next tick, 4 ms later. Therefore, while queries come in, the other threads run only on some
 * cores, if there are more cores than answering threads. Answering threads may run on any core: a fixed core would
 * halve their rate whenever another program uses it. Without spare cores the control thread gets a lower priority
 * while it is on time.
 *
 * Only the return to the usual priority requires a privilege. Answering threads keep the default scheduling policy and
 * nice value, as in other DNS servers. docs/decisions/precedence.md has the measurements.
 */
import { every, systemClock, type Cancel, type Clock } from '../../health/clock.ts';
import { coresOfThisThread, listOwnThreads, niceOfThisThread, NICER, type OwnThread } from './own-threads.ts';
import { isUdpThread, STREAM_THREAD } from './thread.ts';

export type SpareCores = {
  /** Call this when a thread has been restarted: it inherits cores and nice value of the control thread. */
  threadStarted(): void;
  /** Lets all threads run on all cores again. */
  stop(): void;
};

export type SpareCoresOptions = {
  /** Number of answering threads. */
  readonly workers: number;
  /** The number of UDP queries so far. */
  readonly queries: () => number;
  /** The cores that the calling thread may run on. */
  readonly readCores?: () => readonly number[];
  /** The nice value of this process. */
  readonly nice?: number;
  readonly listThreads?: () => readonly OwnThread[];
  readonly clock?: Clock;
};

const LOOK_EVERY_MS = 1000;
/**
 * Queries per second and answering thread, about 1 % of a core. From this rate on, the other threads are limited to
 * some cores. Below it, reading a configuration is faster on all cores, and the threads rarely delay each other.
 */
const BUSY_QUERIES = 1000;
/** Seconds below BUSY_QUERIES, after which all threads may use all cores again. */
const QUIET_SECONDS = 10;

/** How often it is measured how late the control thread is, and from when it counts as late. */
const LATE_LOOK_MS = 100;
const LATE_MS = 50;
/** For how long it must be on time until its priority is lowered again: at first, and at most. */
const FIRST_HOLD_MS = 5000;
const MOST_HOLD_MS = 60_000;
/** Added to the nice value of a control thread that has no right to return to the usual one. */
const NICER_FOR_GOOD = 5;

/** Call this when all threads serve. Does nothing where the cores of a thread are unknown. */
export function keepCoresSpare(options: SpareCoresOptions): SpareCores {
  const { workers, queries, readCores = coresOfThisThread, listThreads = listOwnThreads } = options;
  const { nice = niceOfThisThread(), clock = systemClock } = options;
  const cores = readCores().length;
  if (cores === 0) return { threadStarted: () => undefined, stop: () => undefined };
  return cores > workers
    ? keepApart({ workers, queries, readCores, listThreads, clock })
    : stepBack({ nice, listThreads, clock });
}

/**
 * Without spare cores: lowers the priority of the control thread, except while it is late. Threads that it starts later
 * inherit its nice value.
 */
function stepBack({
  nice,
  listThreads,
  clock,
}: Pick<Required<SpareCoresOptions>, 'nice' | 'listThreads' | 'clock'>): SpareCores {
  const control = listThreads().find(({ id }) => id === process.pid);
  const stopLooking = control ? yieldUnlessLate(control, nice, clock) : () => undefined;
  return {
    threadStarted: () => {
      for (const { name, setNice } of listThreads()) if (isUdpThread(name) || name === STREAM_THREAD) setNice(nice);
    },
    stop: () => {
      stopLooking();
      control?.setNice(nice);
    },
  };
}

/**
 * Gives the control thread a lower priority, and its usual one while its timers are late. Answering threads that are
 * never idle leave a thread of nice 10 a tenth of what they get themselves, so that probes and orders would wait for
 * seconds. Without the right to return to the usual priority, it has one between the two all the time.
 */
function yieldUnlessLate({ setNice }: OwnThread, nice: number, clock: Clock): Cancel {
  const mayReturn = setNice(nice + 1) && setNice(nice);
  if (!mayReturn) {
    setNice(nice + NICER_FOR_GOOD);
    return () => undefined;
  }
  let isLow = setNice(nice + NICER);
  let [lookedAt, lateAt, loweredAt] = [clock.now(), -Infinity, -Infinity];
  let holdMs = FIRST_HOLD_MS;
  return every(clock, LATE_LOOK_MS, () => {
    const now = clock.now();
    if (now - lookedAt >= LATE_LOOK_MS + LATE_MS) lateAt = now;
    lookedAt = now;
    if (isLow && lateAt === now) {
      // Late again soon: the flood is not over.
      holdMs = now - loweredAt < holdMs ? Math.min(holdMs * 2, MOST_HOLD_MS) : FIRST_HOLD_MS;
      isLow = !setNice(nice);
    } else if (!isLow && now - lateAt >= holdMs) {
      loweredAt = now;
      isLow = setNice(nice + NICER);
    }
  });
}

type Apart = Required<Omit<SpareCoresOptions, 'nice'>>;

/**
 * With spare cores: counts queries once per second, and moves the other threads when the server becomes busy or idle.
 */
function keepApart({ workers, queries, readCores, listThreads, clock }: Apart): SpareCores {
  /** While the other threads are limited: the cores of all threads, and those of the other threads. */
  let apart: { readonly all: readonly number[]; readonly others: readonly number[] } | undefined;
  let quietSeconds = 0;
  let counted = queries();

  const place = (others: readonly number[], answering: readonly number[]): void => {
    for (const { name, runOn } of listThreads()) runOn(isUdpThread(name) ? answering : others);
  };
  const moveApart = (): void => {
    // Read each time: an operator may have changed them (taskset, a container's cores).
    const all = readCores();
    // The other threads get the first cores, which usually also run the kernel's work and device interrupts.
    const others = all.slice(0, Math.max(0, all.length - workers));
    if (others.length === 0) return;
    apart = { all, others };
    place(others, all);
  };
  const moveTogether = (): void => {
    if (!apart) return;
    const { all, others } = apart;
    apart = undefined;
    if (String(readCores()) === String(others)) place(all, all);
  };
  const look = (): void => {
    const now = queries();
    const isBusy = now - counted >= BUSY_QUERIES * workers;
    counted = now;
    quietSeconds = isBusy ? 0 : quietSeconds + 1;
    if (isBusy && !apart) moveApart();
    else if (quietSeconds >= QUIET_SECONDS) moveTogether();
  };
  const stopLooking = every(clock, LOOK_EVERY_MS, look);
  return {
    threadStarted: () => {
      if (apart) place(apart.others, apart.all);
    },
    stop: () => {
      stopLooking();
      moveTogether();
    },
  };
}
