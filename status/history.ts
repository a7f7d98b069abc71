/**
 * The last day, minute by minute: the worst state of each VIP, and the rates of queries. It is in memory, by the name
 * of the target, so it survives reloads; `keep` and `restore` are for restarts. Minutes are those of a monotonic clock.
 */
import { inTurns } from './assemble-reply.ts';

export const HISTORY_MINUTES = 1440;
/** With more VIPs, the others have no history: this many take 15 MB while few of them change. */
const MAX_HISTORIES = 100_000;
/** Changes of all VIPs together, 8 MB. With more, those that change forget the first half of their day. */
const MAX_CHANGES = 1_000_000;
/** How often the clock is read. */
const LOOK_MS = 5000;

/** The worst has the highest number; 0: the minute was not seen. */
export const SEVERITY = ['none', 'up', 'unknown', 'drain', 'down'] as const;
export type PastState = (typeof SEVERITY)[number];

/** Consecutive minutes with one state, the oldest first. */
export type PastSpan = { readonly state: PastState; readonly minutes: number };

/** By minute, the oldest first. Minutes before the start are left out. */
export type PastTraffic = {
  readonly queries: readonly number[];
  readonly nxdomain: readonly number[];
  readonly servfail: readonly number[];
};

/** A minute that is over, or the last one of a run. */
export type PastMinute = {
  /** How many minutes ago it was. */
  readonly ago: number;
  /** Queries, NXDOMAIN and SERVFAIL per second. */
  readonly rates: readonly number[];
  /** The state of each target as a place in SEVERITY. */
  readonly states: Iterable<readonly [target: string, state: number]>;
};

/** One state of a target as a place in SEVERITY, from `from` minutes ago to `to` minutes ago. */
export type KeptSpan = { readonly from: number; readonly to: number; readonly state: number };

/** What was kept of the day before the start. Minutes are counted back from now. */
export type PastDay = {
  /** Rates of the minutes that were seen. */
  readonly rates: ReadonlyMap<number, readonly number[]>;
  /** By target, the oldest first. */
  readonly spans: ReadonlyMap<string, readonly KeptSpan[]>;
};

type Rates = {
  readonly queriesPerSecond: number;
  readonly nxdomainPerSecond: number;
  readonly servfailPerSecond: number;
};

export type HistorySource = {
  readonly targets: () => readonly string[];
  /** Undefined if the target is not known yet. */
  readonly stateOf: (target: string) => Exclude<PastState, 'none'> | undefined;
  readonly recent: () => Rates;
  /** Keeps a minute over a restart. */
  readonly keep?: (minute: PastMinute) => void;
  /** Monotonic, in milliseconds. */
  readonly nowMs?: () => number;
};

export type History = {
  /** Takes the target's present state into account. Call it when the state has changed. */
  readonly changed: (target: string) => void;
  /** Spans of HISTORY_MINUTES in all. */
  readonly of: (target: string) => readonly PastSpan[];
  readonly traffic: () => PastTraffic;
  /** Looks at all targets. Timers call it once a minute. */
  readonly look: () => Promise<void>;
  /** Adds what was kept before the start. */
  readonly restore: (day: PastDay) => Promise<void>;
  readonly start: () => void;
  readonly stop: () => void;
};

/** The day of a VIP. Most VIPs change rarely, so a change takes a number, and a minute takes nothing. */
type Row = {
  /** The first minute of each span and its state, as one number; the oldest first. */
  readonly changes: number[];
  /** The last minute that was seen. Before the first change, and after this, the state is `none`. */
  lastMinute: number;
};

export function createHistory(source: HistorySource): History {
  const { nowMs = () => performance.now() } = source;
  // The day before the start has minutes too.
  const minuteNow = (): number => Math.floor(nowMs() / 60_000) + HISTORY_MINUTES;
  /** The first minute with rates. */
  let first = minuteNow();
  const rows = new Map<string, Row>();
  let changes = 0;
  const rates = [0, 1, 2].map(() => new Float32Array(HISTORY_MINUTES));
  let ratedMinute = first - 1;
  let lookedMinute = -1;
  let timer: NodeJS.Timeout | undefined;

  const changed = (target: string): void => {
    const state = source.stateOf(target);
    if (state === undefined) return;
    const minute = minuteNow();
    const row = rows.get(target) ?? { changes: [], lastMinute: minute - 1 };
    if (!rows.has(target)) {
      if (rows.size >= MAX_HISTORIES) return;
      rows.set(target, row);
    }
    changes -= row.changes.length;
    note(row, minute, SEVERITY.indexOf(state));
    if (changes > MAX_CHANGES) row.changes.splice(0, row.changes.length >> 1);
    changes += row.changes.length;
  };
  const rate = (): void => {
    const minute = minuteNow();
    const { queriesPerSecond, nxdomainPerSecond, servfailPerSecond } = source.recent();
    for (const [index, value] of [queriesPerSecond, nxdomainPerSecond, servfailPerSecond].entries()) {
      const ring = rates[index];
      if (ring === undefined) continue;
      forget(ring, ratedMinute, minute);
      ring[minute % HISTORY_MINUTES] = value;
    }
    ratedMinute = minute;
  };
  const keep = (minute: number): void => {
    source.keep?.({
      ago: minuteNow() - minute,
      rates: rates.map((ring) => (ratedMinute >= minute ? (ring[minute % HISTORY_MINUTES] ?? 0) : 0)),
      states: Array.from(rows, ([target, row]) => [target, severityIn(row, minute)] as const),
    });
  };
  const look = async (): Promise<void> => {
    if (lookedMinute >= 0 && lookedMinute < minuteNow()) keep(lookedMinute);
    lookedMinute = minuteNow();
    const targets = source.targets();
    const present = new Set(targets);
    for (const [target, row] of rows) {
      if (present.has(target)) continue;
      rows.delete(target);
      changes -= row.changes.length;
    }
    await inTurns(targets, changed);
  };

  return {
    changed,
    look,
    of(target) {
      return spansOf(rows.get(target), minuteNow());
    },
    traffic() {
      const from = Math.max(first, ratedMinute - HISTORY_MINUTES + 1);
      const list = (index: number): number[] =>
        Array.from({ length: Math.max(0, ratedMinute - from + 1) }, (_, at) => {
          return Math.round((rates[index]?.[(from + at) % HISTORY_MINUTES] ?? 0) * 1000) / 1000;
        });
      return { queries: list(0), nxdomain: list(1), servfail: list(2) };
    },
    async restore(day) {
      const minute = minuteNow();
      restoreRates(day.rates, { rates, minute, first });
      first = Math.min(first, ...Array.from(day.rates.keys(), (ago) => minute - Math.min(ago, HISTORY_MINUTES - 1)));
      const seen = seenRanges(day.rates, minute);
      await inTurns([...rows], ([target, row]) => {
        const spans = day.spans.get(target);
        if (spans === undefined || changes > MAX_CHANGES) return;
        changes -= row.changes.length;
        row.changes.splice(0, row.changes.length, ...withPast(row, spans, seen, minute));
        changes += row.changes.length;
      });
    },
    start() {
      void look();
      timer = setInterval(() => {
        rate();
        if (minuteNow() !== lookedMinute) void look();
      }, LOOK_MS).unref();
    },
    stop() {
      clearInterval(timer);
      if (lookedMinute >= 0) keep(minuteNow());
      lookedMinute = -1;
    },
  };
}

function changeAt(minute: number, severity: number): number {
  return minute * SEVERITY.length + severity;
}

function minuteOf(change: number): number {
  return Math.floor(change / SEVERITY.length);
}

function severityOf(change = 0): number {
  return change % SEVERITY.length;
}

/** Notes a state of the minute. The worst of a minute counts. */
function note(row: Row, minute: number, severity: number): void {
  const { changes, lastMinute } = row;
  const isSeen = lastMinute >= minute;
  const worst = Math.max(severity, isSeen ? severityOf(changes.at(-1)) : 0);
  if (lastMinute < minute - 1) change(changes, lastMinute + 1, 0);
  change(changes, minute, worst);
  row.lastMinute = Math.max(lastMinute, minute);
  const gone = changes.findIndex((_, index) => minuteOf(changes[index + 1] ?? Infinity) > minute - HISTORY_MINUTES + 1);
  if (gone > 0) changes.splice(0, gone);
}

/** The state in a minute, which may be the one before the last. */
function severityIn({ changes, lastMinute }: Row, minute: number): number {
  return lastMinute < minute ? 0 : severityOf(changes.findLast((each) => minuteOf(each) <= minute));
}

/** The state from the minute on. */
function change(changes: number[], minute: number, severity: number): void {
  const last = changes.at(-1);
  if (last !== undefined && minuteOf(last) >= minute) changes.pop();
  if (severityOf(changes.at(-1)) !== severity) changes.push(changeAt(minute, severity));
}

/** A day up to this minute. */
function spansOf(row: Row | undefined, minute: number): readonly PastSpan[] {
  const first = minute - HISTORY_MINUTES + 1;
  const ends = [...(row?.changes ?? []), changeAt((row?.lastMinute ?? minute) + 1, 0)];
  const spans: { state: PastState; minutes: number }[] = [];
  const add = (severity: number, from: number, to: number): void => {
    const minutes = Math.min(to, minute + 1) - Math.max(from, first);
    if (minutes <= 0) return;
    const state = SEVERITY[severity] ?? 'none';
    const last = spans.at(-1);
    if (last?.state === state) last.minutes += minutes;
    else spans.push({ state, minutes });
  };
  add(0, first, minuteOf(ends[0] ?? Infinity));
  for (const [index, start] of ends.entries()) {
    add(severityOf(start), minuteOf(start), minuteOf(ends[index + 1] ?? Infinity));
  }
  return spans;
}

/** Clears the minutes after `last` up to `minute`: the ring has values of the day before there. */
function forget(ring: Float32Array, last: number, minute: number): void {
  for (let at = Math.max(last + 1, minute - HISTORY_MINUTES + 1); at <= minute; at++) ring[at % HISTORY_MINUTES] = 0;
}

function restoreRates(
  past: PastDay['rates'],
  {
    rates,
    minute,
    first,
  }: { readonly rates: readonly Float32Array[]; readonly minute: number; readonly first: number },
): void {
  for (const [ago, values] of past) {
    // The rates of this run are as good.
    if (ago >= HISTORY_MINUTES || minute - ago >= first) continue;
    for (const [index, ring] of rates.entries()) ring[(minute - ago) % HISTORY_MINUTES] = values[index] ?? 0;
  }
}

type Range = { readonly from: number; to: number };

/** The minutes that were seen, the oldest first. */
function seenRanges(past: PastDay['rates'], now: number): readonly Range[] {
  const ranges: Range[] = [];
  for (const ago of [...past.keys()].filter((each) => each < HISTORY_MINUTES).sort((a, b) => b - a)) {
    const last = ranges.at(-1);
    if (last?.to === now - ago - 1) last.to++;
    else ranges.push({ from: now - ago, to: now - ago });
  }
  return ranges;
}

/** The changes of a row, after those that were kept before the start. */
function withPast(row: Row, spans: readonly KeptSpan[], seen: readonly Range[], now: number): readonly number[] {
  const past: Row = { changes: [], lastMinute: 0 };
  const noteRange = (begin: number, to: number, severity: number): void => {
    // After a clock that was set back, minutes come twice.
    const from = Math.max(begin, past.lastMinute);
    if (from > to) return;
    note(past, from, severity);
    if (to === from) return;
    // A minute that two runs share may have been worse.
    change(past.changes, from + 1, severity);
    past.lastMinute = to;
  };
  for (const { from, to, state } of spans) {
    for (const range of seen) noteRange(Math.max(now - from, range.from), Math.min(now - to, range.to), state);
  }
  for (const [index, each] of row.changes.entries()) {
    const end = index + 1 < row.changes.length ? minuteOf(row.changes[index + 1] ?? 0) - 1 : row.lastMinute;
    noteRange(minuteOf(each), end, severityOf(each));
  }
  return past.changes;
}
