/**
 * Who goes first where an answering thread shares a core with the rest of the server: probes, HTTP, a reload.
 *
 * By fair share (EEVDF, sched(7)) a thread that wakes right after it went to sleep has had a little more than its share;
 * the kernel then lets the other go on, and looks again at its next tick, 4 ms later. So answering threads ask for real
 * time: what wakes them is answered at once. A flood must not take the core from all others, though. A thread that does
 * not get to the end of what has come goes back to fair shares until it does.
 *
 * All of it needs rights that a server may not have, CAP_SYS_NICE or limits (RLIMIT_RTPRIO, RLIMIT_NICE): whatever the
 * kernel refuses is left as it is.
 */
import { memoryAddress, libc, SCHED_OTHER, SCHED_RR } from '../libc.ts';

/** How a thread shares its core. Makes it so; false when the kernel refuses. */
export type Schedule = () => boolean;

/** The lowest: what the machine itself runs in real time goes first. */
const REAL_TIME_PRIORITY = 1;
/** Three times the share of a thread with the usual priority, where both want the same core. */
const NICE = -5;
/** What a batch of queries takes. A shorter turn than the other's may begin before that one's end (Linux 6.12). */
const TURN_NANOSECONDS = 100_000;
/** Rounds with a full batch, one after the other, that mean a flood and no crowd: some 10 ms. */
const ROUNDS_BEHIND = 64;

/**
 * Puts the calling thread first. To be told after every round whether more may have come than it took. Allocates
 * nothing then.
 */
export function takePrecedence(
  realTime: Schedule = realTimeSchedule(),
  fair: readonly Schedule[] = [fairSchedule(NICE), fairSchedule(0)],
): (isBehind: boolean) => void {
  const usual = fair.find((schedule) => schedule());
  // Who has nothing to go back to would keep real time in a flood.
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
  // The view keeps the buffer where it is.
  return () => attributes.byteLength > 0 && calls.sched_setattr(address) === 0;
}
