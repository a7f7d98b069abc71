/**
 * Writes log lines at once while the reader of the log keeps up. Otherwise keeps them up to a limit, and drops and
 * counts the rest. Never blocks, so that health checks and the API do not depend on the reader.
 */
import { MAX_LOG_BACKLOG_OCTETS } from '../../config/limits.ts';
import type { TryWrite } from '../../server/io/nonblocking.ts';

/** Called when lines are dropped. */
export type DropListener = {
  readonly dropped: (lines: number) => void;
  /** All waiting lines are written; `lines` were dropped before. */
  readonly caughtUp: (lines: number) => void;
};

export type LogWriter = {
  readonly write: (line: string) => void;
  /** Writes the waiting lines while the reader reads. Blocks: for the end of the process. */
  readonly finish: () => void;
};

/** How soon to try again after the reader was behind. */
const RETRY_MS = 20;
/** At the end of the process: how long the reader may be idle, and the limit in total. */
const FINISH_IDLE_MS = 1000;
const FINISH_MS = 5000;
const FINISH_RETRY_MS = 5;

export function createLogWriter(
  tryWrite: TryWrite,
  listener: DropListener,
  maxOctets = MAX_LOG_BACKLOG_OCTETS,
): LogWriter {
  /** Waiting lines. A part of the first one may be written already. */
  let waiting: Buffer[] = [];
  let waitingOctets = 0;
  /** Lines dropped since the reader last caught up. */
  let droppedNow = 0;
  let timer: NodeJS.Timeout | undefined;

  const drop = (lines: number): void => {
    droppedNow += lines;
    listener.dropped(lines);
  };
  /** Undefined if the reader is gone or the disk is full: the waiting lines are lost then. */
  const attempt = (octets: Buffer): number | undefined => {
    try {
      return tryWrite(octets);
    } catch {
      return undefined;
    }
  };
  /** Writes as much as the reader accepts now. Returns whether it accepted anything. */
  const drain = (): boolean => {
    const before = waitingOctets;
    while (waiting.length > 0) {
      // One call for many lines: a call per line would delay the control thread.
      const batch = waiting.length === 1 ? (waiting[0] ?? Buffer.alloc(0)) : Buffer.concat(waiting);
      const taken = attempt(batch);
      if (taken === undefined) {
        const lost = waiting.length;
        waiting = [];
        waitingOctets = 0;
        drop(lost);
        return false;
      }
      if (taken === 0) break;
      waitingOctets -= taken;
      waiting = restOf(waiting, taken);
    }
    return waitingOctets < before;
  };
  const retry = (): void => {
    timer = undefined;
    drain();
    if (waiting.length > 0) later();
    else if (droppedNow > 0) caughtUp();
  };
  const later = (): void => {
    timer ??= setTimeout(retry, RETRY_MS).unref();
  };
  const caughtUp = (): void => {
    const count = droppedNow;
    droppedNow = 0;
    listener.caughtUp(count);
  };

  return {
    write(line) {
      const octets = Buffer.from(line);
      if (waiting.length === 0) {
        const taken = attempt(octets);
        if (taken === octets.length) {
          if (droppedNow > 0) caughtUp();
          return;
        }
        if (taken === undefined) {
          drop(1);
          return;
        }
        waiting.push(octets.subarray(taken));
        waitingOctets = octets.length - taken;
      } else if (waitingOctets + octets.length > maxOctets) {
        drop(1);
      } else {
        waiting.push(octets);
        waitingOctets += octets.length;
      }
      later();
    },
    finish() {
      const begin = performance.now();
      let movedAt = begin;
      for (;;) {
        if (drain()) movedAt = performance.now();
        if (waiting.length === 0) break;
        const now = performance.now();
        if (now - movedAt > FINISH_IDLE_MS || now - begin > FINISH_MS) break;
        Atomics.wait(SLEEP, 0, 0, FINISH_RETRY_MS);
      }
      if (waiting.length === 0 && droppedNow > 0) caughtUp();
    },
  };
}

const SLEEP = new Int32Array(new SharedArrayBuffer(4));

/** The rest of `lines` after `octets` were written. */
function restOf(lines: readonly Buffer[], octets: number): Buffer[] {
  let left = octets;
  let from = 0;
  while (from < lines.length && left >= (lines[from]?.length ?? 0)) left -= lines[from++]?.length ?? 0;
  const [first, ...rest] = lines.slice(from);
  return first === undefined ? [] : [first.subarray(left), ...rest];
}
