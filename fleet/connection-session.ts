/**
 * The period of one connection to NATS. A loop that works during the connection pauses here, can be woken, and learns
 * that the connection has ended.
 */
/** From the start to the end of one connection. */
export type ConnectionSession = {
  readonly isOver: () => boolean;
  /** Resolves after `ms`, at the next `wake`, or at the end of the connection. True if `wake` was called. */
  pause(ms: number): Promise<boolean>;
  /** Resolves after `ms`, or at the end of the connection. A `wake` meanwhile ends the next pause. */
  rest(ms: number): Promise<void>;
  wake(): void;
  end(): void;
};

export function createSession(): ConnectionSession {
  let isOver = false;
  let isAwake = false;
  let stop: (() => void) | undefined;
  let wake: (() => void) | undefined;
  const wait = (ms: number, resting: boolean): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop = undefined;
        wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      timer.unref();
      stop = done;
      if (!resting) wake = done;
    });
  return {
    isOver: () => isOver,
    pause: async (ms) => {
      if (!isAwake && !isOver) await wait(ms, false);
      const wasAwake = isAwake;
      isAwake = false;
      return wasAwake;
    },
    rest: async (ms) => {
      if (!isOver) await wait(ms, true);
    },
    wake: () => {
      isAwake = true;
      wake?.();
    },
    end: () => {
      isOver = true;
      stop?.();
    },
  };
}
