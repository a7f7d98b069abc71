/**
 * A report that takes the whole terminal and is drawn again and again, as `pharos status --watch` shows it: cut to the
 * columns and rows that there are, without scrolling, and gone when it ends.
 */
import { writeSync } from 'node:fs';
import { plural, type Output } from './output.ts';
import type { StatusLines } from './render-status.ts';

export type Screen = {
  readonly size: () => ScreenSize;
  /** Takes the terminal at the first call. Each line has at most the columns of `size`, and there are at most its rows. */
  readonly draw: (lines: readonly string[]) => void;
  /** Calls `listener` when the size changes. */
  readonly onResize: (listener: () => void) => void;
  /** Gives the terminal back as it was. */
  readonly close: () => void;
};

export type ScreenSize = { readonly columns: number; readonly rows: number };

/** ECMA-48 and xterm: the alternate screen without the cursor; back to the normal one. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
/** Of a terminal that does not say how large it is. */
const DEFAULT_SIZE: ScreenSize = { columns: 80, rows: 24 };

/** The terminal of this process. Restores it however the process ends, but for SIGKILL. */
export function openScreen(stream: NodeJS.WriteStream & { readonly fd: number }): Screen {
  let isOpen = false;
  let resized: (() => void) | undefined;
  const leave = (): void => {
    if (!isOpen) return;
    isOpen = false;
    try {
      // Synchronous: the process may be about to exit.
      writeSync(stream.fd, LEAVE);
    } catch {
      // The terminal is gone.
    }
  };
  const size = (): ScreenSize => ({
    columns: stream.columns || DEFAULT_SIZE.columns,
    rows: stream.rows || DEFAULT_SIZE.rows,
  });
  return {
    size,
    draw(lines) {
      if (!isOpen) {
        isOpen = true;
        process.on('exit', leave);
        stream.write(ENTER);
      }
      const { rows } = size();
      // Each row is erased before it is written: erased afterwards, a full row would lose its last column.
      const painted = Array.from({ length: rows }, (_, row) => `\u001b[${row + 1};1H\u001b[2K${lines[row] ?? ''}`);
      stream.write(painted.join(''));
    },
    onResize(listener) {
      resized = listener;
      stream.on('resize', listener);
    },
    close() {
      if (resized) stream.off('resize', resized);
      process.off('exit', leave);
      leave();
    },
  };
}

/**
 * The lines that fit: alarms, in half of the rows at most, before services, and in the last line how much is left out.
 * `note` goes below the head.
 */
export function fitLines(
  { head, alarms, services }: StatusLines,
  { columns, rows }: ScreenSize,
  paint: Output['style'],
  note?: string,
): readonly string[] {
  const top = [...head, ...(note === undefined ? [] : [paint('red', note)])];
  const room = Math.max(1, Math.floor(rows / 2));
  const first = alarms.length > room ? alarms.slice(0, room - 1) : alarms;
  const left = alarms.length - first.length;
  const body = services.flatMap((service) => [
    { text: '', vips: 0, services: 0 },
    ...service.head.map((text, index) => ({ text, vips: 0, services: index === 0 ? 1 : 0 })),
    ...service.vips.map((text) => ({ text, vips: 1, services: 0 })),
    ...service.foot.map((text) => ({ text, vips: 0, services: 0 })),
  ]);
  if (body.length === 0)
    body.push(...['', 'No service is steered here.'].map((text) => ({ text, vips: 0, services: 0 })));
  const all = [
    ...top.map((text) => ({ text, alarms: 0, vips: 0, services: 0 })),
    ...first.map((text) => ({ text, alarms: 1, vips: 0, services: 0 })),
    ...(left === 0
      ? []
      : [{ text: paint('dim', `and ${plural(left, 'more alarm')}`), alarms: left, vips: 0, services: 0 }]),
    ...body.map((line) => ({ ...line, alarms: 0 })),
  ];
  const cut = (text: string): string => cutLine(text, columns);
  if (all.length <= rows) return all.map(({ text }) => cut(text));
  const shown = all.slice(0, Math.max(0, rows - 1));
  const rest = all.slice(shown.length);
  const count = (what: 'alarms' | 'services' | 'vips'): number => rest.reduce((sum, line) => sum + line[what], 0);
  const parts = (
    [
      ['alarms', 'alarm'],
      ['services', 'service'],
      ['vips', 'VIP'],
    ] as const
  ).flatMap(([what, noun]) => {
    const more = count(what);
    return more === 0 ? [] : [plural(more, `more ${noun}`)];
  });
  const last = parts.length === 0 ? '...' : `and ${parts.join(', ')}`;
  return [...shown.map(({ text }) => cut(text)), cut(paint('dim', last))];
}

/** Cuts a line to `columns`, with `…` where something is left out. Colours take no column and end with the line. */
export function cutLine(text: string, columns: number): string {
  let kept = '';
  let width = 0;
  /** What of the line is kept if it is too long: there is room for `…` behind it. */
  let short = '';
  let isColoured = false;
  // eslint-disable-next-line no-control-regex -- the escape character is what colours begin with
  for (const [token] of text.matchAll(/\u001b\[[0-9;]*m|\P{M}\p{M}*|\p{M}+/gu)) {
    if (token.startsWith('\u001b[')) {
      kept += token;
      isColoured = true;
      if (width < columns) short = kept;
      continue;
    }
    // A line feed, or the beginning of what is no colour, would move the cursor.
    const letter = /^\p{Cc}/u.test(token) ? ' ' : token;
    width += widthOf(letter);
    if (width > columns) return `${short}…${isColoured ? '\u001b[0m' : ''}`;
    kept += letter;
    if (width < columns) short = kept;
  }
  return kept;
}

/** Columns of a letter with its marks: two for East Asian wide ones and emoji, none for what is not seen. */
function widthOf(letter: string): number {
  if (/^[\p{M}\p{Cf}]/u.test(letter)) return 0;
  return WIDE.test(letter) ? 2 : 1;
}

/** Unicode Standard Annex 11, by blocks. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
