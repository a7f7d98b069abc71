/**
 * Scheduling of an answering thread that shares a core with the rest of the server: probes, HTTP, reloads.
 *
 * Under fair-share scheduling (EEVDF, sched(7)), a thread that wakes right after it slept has had slightly more than its
 * share. The kernel then lets the other thread run until the next tick, 4 ms later. Therefore answering threads request
 * real-time scheduling and answer as soon as a packet wakes them. A flood must not take the core from all other threads: a
 * thread that does not empty its queue returns to fair share until it does.
 *
 * This needs privileges that a server may lack: CAP_SYS_NICE, or the limits RLIMIT_RTPRIO and RLIMIT_NICE. Changes that the
 * kernel refuses are skipped.
 */
import { memoryAddress, libc, SCHED_OTHER, SCHED_RR } from '../libc.ts';

/** Applies a scheduling policy to the calling thread. Returns false when the kernel refuses. */
export type Schedule = () => boolean;

/** The lowest real-time priority, below that of the system's real-time threads. */
const REAL_TIME_PRIORITY = 1;
/** About three times the share of a thread with default priority on the same core. */
const NICE = -5;
/** The time for one batch of queries. A thread with a shorter slice may preempt a longer slice (Linux 6.12). */
const TURN_NANOSECONDS = 100_000;
/** Consecutive rounds with a full batch that indicate a flood, not a burst: about 10 ms. */
const ROUNDS_BEHIND = 64;

/**
 * Gives the calling thread precedence. Call the returned function after every round, with whether more packets may be
 * queued. It allocates nothing.
 */
export function takePrecedence(
  realTime: Schedule = realTimeSchedule(),
  fair: readonly Schedule[] = [fairSchedule(NICE), fairSchedule(0)],
): (isBehind: boolean) => void {
  const usual = fair.find((schedule) => schedule());
  // Without a fair-share policy to return to, the thread would keep real time in a flood.
  if (!usual || !realTime()) return () => undefined;
  let behind = 0;
  return (isBehind) => {
    if (isBehind) {
      if (behind < ROUNDS_BEHIND && ++behind === ROUNDS_BEHIND) usual();
    } else {
      if (behind === ROUNDS_BEHIND) realTime();
      behind = 0;
    }
  };
}

function realTimeSchedule(): Schedule {
  return createSchedule(SCHED_RR, 0, REAL_TIME_PRIORITY, 0);
}

function fairSchedule(nice: number): Schedule {
  return createSchedule(SCHED_OTHER, nice, 0, TURN_NANOSECONDS);
}

/** struct sched_attr: u32 size, u32 policy, u64 flags, s32 nice, u32 priority, u64 runtime, deadline, period. */
function createSchedule(policy: number, nice: number, priority: number, turnNanoseconds: number): Schedule {
  const attributes = new DataView(new ArrayBuffer(48));
  attributes.setUint32(0, attributes.byteLength, true);
  attributes.setUint32(4, policy, true);
  attributes.setInt32(16, nice, true);
  attributes.setUint32(20, priority, true);
  attributes.setBigUint64(24, BigInt(turnNanoseconds), true);
  const calls = libc();
  const address = memoryAddress(attributes.buffer);
  // Using the view keeps its buffer, and so the address, alive.
  return () => attributes.byteLength > 0 && calls.sched_setattr(address) === 0;
}
