/**
 * Keeps the history of states in `state_dir` over a restart: one line per minute with the rates, and the states that
 * changed. So a write costs as much as has changed. A file has at most a day; the one before it is kept beside it.
 */
import { readFile, rename } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Alarms } from '../../config/alarms.ts';
import { isRecord, messageOf } from '../../config/unknown-values.ts';
import { appendInTurn, notSaved } from '../../health/atomic-file.ts';
import { HISTORY_MINUTES, SEVERITY, type PastDay, type PastMinute } from '../../status/history.ts';

export type HistoryFile = {
  /** Reads what is kept. Minutes that are kept before that wait. Never rejects. */
  readonly open: () => Promise<PastDay>;
  readonly keep: (minute: PastMinute) => void;
  /** Resolves when all minutes are written, as far as the file takes them. */
  readonly written: () => Promise<void>;
};

export type HistoryFileParts = {
  readonly file: string;
  readonly alarms: Pick<Alarms, 'raise' | 'clear'>;
  /** Whether this process may write the file. */
  readonly mayWrite: () => boolean;
  readonly wallMs?: () => number;
  /** Of one file; with the one before it there are at most twice as many. */
  readonly maxOctets?: number;
};

/** Notes the states, and keeps them in the state folder. */
export type HistoryKeeper = {
  /** Reads what was kept before. Never rejects. */
  readonly start: () => Promise<void>;
  /** Resolves when everything is kept. */
  readonly stop: () => Promise<void>;
};

/** In `state_dir`; the one before it is `history.log.1`. */
export const HISTORY_FILE = 'history.log';

/** If thousands of VIPs change each minute, less than a day is kept. */
const MAX_OCTETS = 16 * 1024 * 1024;
/** Minutes that wait while the file cannot be written. */
const MAX_WAITING = 120;
const NOTHING = { text: '', beginsFile: false };

/** A line. Targets have numbers within the file; `n` gives the numbers of new ones. */
type Line = {
  /** Minutes since 1970. */
  readonly m: number;
  readonly r: readonly number[];
  /** The line has all states: those of earlier lines are over. */
  readonly all?: true;
  readonly n?: Readonly<Record<string, string>>;
  /** Targets by their new state. */
  readonly s?: Readonly<Record<string, readonly number[]>>;
};

export function createHistoryFile(parts: HistoryFileParts): HistoryFile {
  const { file, alarms, mayWrite, wallMs = Date.now, maxOctets = MAX_OCTETS } = parts;
  const minuteNow = (): number => Math.floor(wallMs() / 60_000);
  const lines = createLines(minuteNow);
  let octets = 0;
  /** What the file has when all lines that wait are written. */
  const planned = { octets: 0, lines: 0 };
  let isOpen = false;
  let waiting: { readonly text: string; readonly beginsFile: boolean }[] = [];
  let writing: Promise<void> | undefined;

  const write = async (): Promise<void> => {
    while (isOpen && waiting.length > 0 && mayWrite()) {
      const [line = NOTHING] = waiting;
      const { text, beginsFile } = line;
      if (beginsFile && octets > 0) {
        await rename(file, `${file}.1`);
        octets = 0;
      }
      await appendInTurn(file, octets, text);
      octets += Buffer.byteLength(text);
      waiting = waiting.filter((each) => each !== line);
    }
  };
  const flush = (): Promise<void> =>
    (writing ??= write()
      .then(
        () => {
          alarms.clear('state_not_saved', file);
        },
        (error: unknown) => {
          const next = 'Trying again each minute: the states of minutes before that are lost with a restart.';
          alarms.raise('state_not_saved', notSaved(file, messageOf(error), next), file);
        },
      )
      .finally(() => {
        writing = undefined;
      }));

  return {
    async open() {
      const day = createDay(minuteNow());
      await readInto(day, `${file}.1`);
      const found = await readInto(day, file);
      ({ octets } = found);
      planned.octets = found.octets + waiting.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
      planned.lines = found.lines + waiting.length;
      // Another process may have written since this one did.
      if (waiting.length === 0) lines.anew();
      isOpen = true;
      if (waiting.length > 0) void flush();
      return day.end();
    },
    keep(minute) {
      // Lines that wait are lost together: each needs those before it.
      if (waiting.length >= MAX_WAITING) {
        waiting = [];
        lines.anew();
      }
      const beginsFile = planned.lines >= HISTORY_MINUTES || planned.octets >= maxOctets;
      if (beginsFile) {
        Object.assign(planned, { octets: 0, lines: 0 });
        lines.anew();
      }
      const text = lines.next(minute);
      planned.octets += Buffer.byteLength(text);
      planned.lines++;
      waiting.push({ text, beginsFile });
      void flush();
    },
    async written() {
      await writing;
      await flush();
    },
  };
}

type Lines = {
  /** The line of a minute. */
  readonly next: (minute: PastMinute) => string;
  /** The next line has all states. */
  readonly anew: () => void;
};

function createLines(minuteNow: () => number): Lines {
  let numbers = new Map<string, { readonly number: number; state: number }>();
  let isFresh = true;
  return {
    anew() {
      isFresh = true;
    },
    next({ ago, rates, states }) {
      const all = isFresh;
      if (all) numbers = new Map();
      isFresh = false;
      const n: Record<string, string> = {};
      const s: Record<string, number[]> = {};
      const gone = new Set(numbers.keys());
      const set = (target: string, state: number): void => {
        let known = numbers.get(target);
        if (known?.state === state || (known === undefined && state === 0)) return;
        if (known === undefined) {
          known = { number: numbers.size, state };
          numbers.set(target, known);
          n[known.number] = target;
        }
        known.state = state;
        (s[SEVERITY[state] ?? ''] ??= []).push(known.number);
      };
      for (const [target, state] of states) {
        gone.delete(target);
        set(target, state);
      }
      for (const target of gone) set(target, 0);
      const line: Line = {
        m: minuteNow() - ago,
        r: rates.map((rate) => Math.round(rate * 1000) / 1000),
        ...(all ? { all } : {}),
        ...(Object.keys(n).length === 0 ? {} : { n }),
        ...(Object.keys(s).length === 0 ? {} : { s }),
      };
      return `${JSON.stringify(line)}\n`;
    },
  };
}

type Day = { readonly add: (line: Line) => void; readonly end: () => PastDay };

/** Puts lines together. A minute without a line was not seen. */
function createDay(now: number): Day {
  const rates = new Map<number, readonly number[]>();
  const spans = new Map<string, { from: number; to: number; state: number }[]>();
  let names = new Map<number, string>();
  const present = new Map<string, { readonly since: number; readonly state: number }>();
  let last = -Infinity;

  /** Ends the present state of a target with the minute `to`. */
  const close = (target: string, to: number): void => {
    const { since, state } = present.get(target) ?? { since: 0, state: 0 };
    present.delete(target);
    if (state === 0 || to < since) return;
    const own = spans.get(target) ?? [];
    own.push({ from: now - since, to: Math.max(0, now - to), state });
    spans.set(target, own);
  };
  return {
    add({ m, r, all, n = {}, s = {} }) {
      // A clock that was set back: what it wrote before is of no known time.
      if (m > now) return;
      if (all) {
        for (const target of [...present.keys()]) close(target, last);
        names = new Map();
      }
      for (const [number, name] of Object.entries(n)) names.set(Number(number), name);
      for (const [state, changed] of Object.entries(s)) {
        const place = (SEVERITY as readonly string[]).indexOf(state);
        for (const number of changed) {
          const target = names.get(number);
          if (target === undefined || place < 0) continue;
          close(target, m - 1);
          present.set(target, { since: m, state: place });
        }
      }
      rates.set(now - m, r);
      last = m;
    },
    end() {
      for (const target of [...present.keys()]) close(target, last);
      return { rates, spans };
    },
  };
}

/** Lines that are read before other work gets a turn. */
const LINES_A_TURN = 100;

/** Adds the lines of a file. Returns its length up to the end of the last whole line. */
async function readInto(day: Day, file: string): Promise<{ readonly octets: number; readonly lines: number }> {
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch {
    // Without the file the history begins now. If it cannot be read, neither can it be written, which is told.
    return { octets: 0, lines: 0 };
  }
  const octets = content.lastIndexOf('\n') + 1;
  const texts = content.toString('utf8', 0, Math.max(0, octets - 1)).split('\n');
  for (const [index, text] of texts.entries()) {
    const line = readLine(text);
    if (line) day.add(line);
    if (index % LINES_A_TURN === LINES_A_TURN - 1) await setImmediate();
  }
  return { octets, lines: octets === 0 ? 0 : texts.length };
}

/** Undefined for a damaged line. */
function readLine(text: string): Line | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(line)) return undefined;
  const { m, r, all, n = {}, s = {} } = line;
  if (typeof m !== 'number' || !Number.isInteger(m) || !isListOf(r, 'number')) return undefined;
  if (!isRecord(n) || !isListOf(Object.values(n), 'string')) return undefined;
  if (!isRecord(s) || !Object.values(s).every((list) => isListOf(list, 'number'))) return undefined;
  return { m, r, ...(all === true ? { all } : {}), n, s } as Line;
}

function isListOf(value: unknown, type: 'number' | 'string'): value is unknown[] {
  return Array.isArray(value) && value.every((each) => typeof each === type);
}
