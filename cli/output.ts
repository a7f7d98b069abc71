/**
 * Output of commands: reports to stdout, errors to stderr, colours on terminals.
 */
import { styleText } from 'node:util';
import { formatDiagnostic, type Diagnostic } from '../config/diagnostics.ts';
import { groupThousands } from '../config/units.ts';

/** Exit codes (docs/commands.md#exit-codes). */
export const EXIT = { OK: 0, FAILED: 1, USAGE: 2 } as const;

/** The output of a command; `terminal()` is that of the process. `style` adds colour if the stream shows it. */
export type Output = {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  /** For text that goes to `out`. */
  readonly style: (format: Style, text: string) => string;
  /** For text that goes to `error`. */
  readonly styleError: (format: Style, text: string) => string;
  /**
   * Sets a function that is called before each text, to erase temporary output (progress.ts). Only if stderr is a
   * terminal.
   */
  readonly beforeWriting?: (call: (() => void) | undefined) => void;
};

export type Style = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** stdout and stderr of this process. Colours follow isTTY, NO_COLOR and FORCE_COLOR, for each stream separately. */
export function terminal(): Output {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // A closed pipe (`pharos check | head`) is not an error; a full disk is one.
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.OK);
      if (stream === process.stdout) process.stderr.write(`pharos: cannot write the output: ${error.message}\n`);
      process.exit(EXIT.FAILED);
    });
  }
  let before: (() => void) | undefined;
  const write = (stream: NodeJS.WriteStream, text: string): void => {
    before?.();
    stream.write(`${text}\n`);
  };
  return {
    out: (text) => {
      write(process.stdout, text);
    },
    error: (text) => {
      write(process.stderr, text);
    },
    ...(process.stderr.isTTY
      ? {
          beforeWriting: (call: (() => void) | undefined) => {
            before = call;
          },
        }
      : {}),
    style: (format, text) => styleText(format, text, { stream: process.stdout }),
    styleError: (format, text) => styleText(format, text, { stream: process.stderr }),
  };
}

/** `formatDiagnostic`, with the severity, the caret and the hint in colour. */
export function paintDiagnostic(diagnostic: Diagnostic, style: Output['style']): string {
  const [head = '', ...rest] = formatDiagnostic(diagnostic).split('\n');
  const colour = diagnostic.severity === 'error' ? 'red' : 'yellow';
  const word = ` ${diagnostic.severity} ${diagnostic.code}: `;
  const at = head.indexOf(word);
  const painted =
    at < 0 ? head : `${style('bold', head.slice(0, at))} ${style(colour, word.trim())} ${head.slice(at + word.length)}`;
  const caret = rest.length - 1;
  return [painted, ...rest.map((line, index) => (index === caret ? style(colour, line) : line))].join('\n');
}

/** Prints all to `error`, for commands that end because of them. In `check` they are the report. */
export function showDiagnostics(diagnostics: readonly Diagnostic[], output: Output): void {
  for (const diagnostic of diagnostics) output.error(paintDiagnostic(diagnostic, output.styleError));
}

/** Prints why a command failed, and returns the exit code. */
export function fail(command: string, message: string, code: number, output: Output): number {
  output.error(`pharos ${command}: ${message}`);
  return code;
}

/** `2 errors, 1 warning`; an empty string when there are none. */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error').length;
  const warnings = diagnostics.length - errors;
  return [errors > 0 ? plural(errors, 'error') : '', warnings > 0 ? plural(warnings, 'warning') : '']
    .filter((part) => part !== '')
    .join(', ');
}

/** `1 zone`, `12 records`, `1,000,000 records`. */
export function plural(count: number, noun: string): string {
  return `${groupThousands(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/**
 * Columns are as wide as their widest cell, with two spaces between. `visible` is the width of a cell without colours.
 */
export function table(rows: readonly (readonly string[])[], visible: (cell: string) => number = visibleLength): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, visible(cell))));
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : cell + ' '.repeat((widths[at] ?? 0) - visible(cell))))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function visibleLength(text: string): number {
  // eslint-disable-next-line no-control-regex -- colours begin with the escape character
  return text.replace(/\u001b\[[0-9;]*m/g, '').length;
}
