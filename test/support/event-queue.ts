/** Events of a simulation, the earliest first; those of one moment in the order in which they were added. */
export type EventQueue = {
  /** Adds an event. */
  readonly at: (dueMs: number, run: () => void) => void;
  /** Runs what is due until then. */
  readonly runUntil: (untilMs: number) => void;
  readonly now: () => number;
  /** When the next event is due; Infinity without one. */
  readonly nextMs: () => number;
};

type Event = { readonly dueMs: number; readonly order: number; readonly run: () => void };

export function createEventQueue(): EventQueue {
  const heap: Event[] = [];
  let order = 0;
  let nowMs = 0;
  return {
    now: () => nowMs,
    nextMs: () => heap[0]?.dueMs ?? Infinity,
    at: (dueMs, run) => {
      order += 1;
      push(heap, { dueMs: Math.max(nowMs, dueMs), order, run });
    },
    runUntil: (untilMs) => {
      for (let next = heap[0]; next !== undefined && next.dueMs <= untilMs; next = heap[0]) {
        pop(heap);
        nowMs = next.dueMs;
        next.run();
      }
      nowMs = untilMs;
    },
  };
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(event, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = event;
}

/** Takes the first event out: the last one sinks from its place. */
function pop(heap: Event[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  for (let at = 0; ;) {
    const left = heap[at * 2 + 1];
    const right = heap[at * 2 + 2];
    const isRight = left !== undefined && right !== undefined && isBefore(right, left);
    const child = isRight ? right : left;
    if (child === undefined || !isBefore(child, last)) {
      heap[at] = last;
      return;
    }
    heap[at] = child;
    at = at * 2 + (isRight ? 2 : 1);
  }
}
