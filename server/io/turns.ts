/**
 * Splits long work into short turns, in order of arrival. Between rounds the event loop handles its sockets, so that a
 * new client waits for at most one round.
 */

export type Turns<Of> = {
  /** Appends an item to the queue. */
  wait(one: Of): void;
  /**
   * Limits the next round to one turn. libuv accepts one connection between two rounds, and more clients may be
   * waiting.
   */
  hurry(): void;
};

/** Length of a round: all turns before the event loop handles its sockets again. */
const ROUND_MS = 1;

/** `take` runs one turn and may call `wait` for the next one. `nowMs` is a monotonic clock. */
export function createTurns<Of>(take: (one: Of) => void, nowMs: () => number = () => performance.now()): Turns<Of> {
  let waiting: Of[] = [];
  let isPlanned = false;
  let isHurried = false;

  const round = (): void => {
    isPlanned = false;
    const untilMs = nowMs() + (isHurried ? 0 : ROUND_MS);
    isHurried = false;
    const these = waiting;
    waiting = [];
    let done = 0;
    while (done < these.length && (done === 0 || nowMs() < untilMs)) {
      const one = these[done++];
      if (one !== undefined) take(one);
    }
    // Items without a turn come before items that wait for another turn.
    if (done < these.length) waiting = [...these.slice(done), ...waiting];
    plan();
  };
  const plan = (): void => {
    if (isPlanned || waiting.length === 0) return;
    isPlanned = true;
    setImmediate(round);
  };

  return {
    wait: (one) => {
      waiting.push(one);
      plan();
    },
    hurry: () => {
      isHurried = true;
    },
  };
}
