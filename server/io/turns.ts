/**
 * Turns for what would take long in one go: each gets a short one, in the order in which they came, and between rounds
 * the event loop looks at its sockets, so that new clients wait for a round at most.
 */

export type Turns<Of> = {
  /** Puts it behind all that wait. */
  wait(one: Of): void;
  /** The next round is one turn: somebody new is there, and libuv accepts one connection between two rounds. */
  hurry(): void;
};

/** Of all turns between two looks at the sockets. */
const ROUND_MS = 1;

/** `take` is one turn; it may ask for the next. `nowMs` is a clock that never goes back. */
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
    // Who had no turn is before those that ask for another.
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
