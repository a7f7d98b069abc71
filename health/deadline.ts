/**
 * Deadlines that are rarely reached. Those of one length expire in the order in which they start, so they share one
 * timer of the clock, and starting or cancelling one changes two links of a list. A timer for each would cost a probe
 * more than the rest of its own work.
 */
import type { Cancel, Clock } from './clock.ts';
import { LinkedList, ListEntry } from './linked-list.ts';

/** Deadlines of one length, in the order in which they expire. The timer is due when the first expires, or earlier. */
class Line extends LinkedList<Deadline> {
  readonly clock: Clock;
  readonly delayMs: number;
  cancel: Cancel | undefined = undefined;

  constructor(clock: Clock, delayMs: number) {
    super();
    this.clock = clock;
    this.delayMs = delayMs;
  }
}

/** By length. A line without deadlines is not kept. */
const lines = new WeakMap<Clock, Map<number, Line>>();

/** The deadline of one piece of work. It runs once at a time. */
export abstract class Deadline extends ListEntry<Deadline> {
  /** This file alone writes it. */
  dueMs = 0.5;

  /** The deadline was reached `lateMs` ago. It may be started again. */
  abstract expire(lateMs: number): void;
}

/** Starts the deadline, from the beginning if it runs. It expires in `delayMs`. */
export function startDeadline(deadline: Deadline, clock: Clock, delayMs: number): void {
  cancelDeadline(deadline);
  const line = lineOf(clock, delayMs);
  deadline.dueMs = clock.now() + delayMs;
  line.push(deadline);
  awaitFirst(line, delayMs);
}

/** Does nothing if the deadline does not run. */
export function cancelDeadline(deadline: Deadline): void {
  const { list } = deadline;
  if (!(list instanceof Line)) return;
  list.remove(deadline);
  if (list.size === 0) closeLine(list);
}

function lineOf(clock: Clock, delayMs: number): Line {
  const ofClock = lines.get(clock) ?? new Map<number, Line>();
  lines.set(clock, ofClock);
  let line = ofClock.get(delayMs);
  if (line === undefined) {
    line = new Line(clock, delayMs);
    ofClock.set(delayMs, line);
  }
  return line;
}

function closeLine(line: Line): void {
  const { clock, delayMs } = line;
  line.cancel?.();
  line.cancel = undefined;
  const ofClock = lines.get(clock);
  if (ofClock?.get(delayMs) === line) ofClock.delete(delayMs);
}

function runLine(line: Line): void {
  const { clock } = line;
  line.cancel = undefined;
  const nowMs = clock.now();
  for (let { first } = line; first !== undefined && first.dueMs <= nowMs; { first } = line) {
    line.remove(first);
    first.expire(nowMs - first.dueMs);
  }
  if (line.first === undefined) closeLine(line);
  else awaitFirst(line, line.first.dueMs - nowMs);
}

/** Starts the timer unless it runs. */
function awaitFirst(line: Line, delayMs: number): void {
  line.cancel ??= line.clock.after(delayMs, () => {
    runLine(line);
  });
}
