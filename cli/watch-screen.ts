/**
 * The full-screen report of `pharos status --watch`: redrawn in place, cut to the size of the terminal, and removed at
 * the end.
 */
import { writeSync } from 'node:fs';
import { plural, type Output } from './output.ts';
import type { StatusLines } from './render-status.ts';

export type Screen = {
  readonly size: () => ScreenSize;
  /** Switches to full screen at the first call. The caller keeps to the columns and rows of `size`. */
  readonly draw: (lines: readonly string[]) => void;
  /** Calls `listener` when the size changes. */
  readonly onResize: (listener: () => void) => void;
  /** Restores the terminal. */
  readonly close: () => void;
};

export type ScreenSize = { readonly columns: number; readonly rows: number };

/** ECMA-48 and xterm: the alternate screen without the cursor; back to the normal one. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
/** Used if the terminal does not report its size. */
const DEFAULT_SIZE: ScreenSize = { columns: 80, rows: 24 };

/** The terminal of this process. It is restored however the process ends, except by SIGKILL. */
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
      // The terminal was closed.
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
 * The lines that fit: alarms first, in at most half of the rows, then services. The last line counts what is left out.
 * `note` follows the head.
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

/** Cuts a line to `columns`, with `…` at the end if it was longer. Colours take no column and end with the line. */
export function cutLine(text: string, columns: number): string {
  let kept = '';
  let width = 0;
  /** The part to keep of a line that is too long; it leaves room for `…`. */
  let short = '';
  let isColoured = false;
  // eslint-disable-next-line no-control-regex -- colours begin with the escape character
  for (const [token] of text.matchAll(/\u001b\[[0-9;]*m|\P{M}\p{M}*|\p{M}+/gu)) {
    if (token.startsWith('\u001b[')) {
      kept += token;
      isColoured = true;
      if (width < columns) short = kept;
      continue;
    }
    // A line feed, or an escape sequence other than a colour, would move the cursor.
    const letter = /^\p{Cc}/u.test(token) ? ' ' : token;
    width += widthOf(letter);
    if (width > columns) return `${short}…${isColoured ? '\u001b[0m' : ''}`;
    kept += letter;
    if (width < columns) short = kept;
  }
  return kept;
}

/** Columns of a grapheme: two for East Asian wide characters and emoji, none for invisible ones. */
function widthOf(letter: string): number {
  if (/^[\p{M}\p{Cf}]/u.test(letter)) return 0;
  return WIDE.test(letter) ? 2 : 1;
}

/** Unicode Standard Annex 11, by blocks. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
