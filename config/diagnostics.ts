/**
 * Diagnostics of the operator's input: one value per mistake, with its place. Plain data: it crosses threads and the
 * API unchanged.
 */
import { plainText } from './plain-text.ts';
import { hideShapes } from './secrets.ts';

/**
 * Line and column count from 1; an unreadable file or a folder has neither. `length` is the number of characters that
 * the carets underline.
 */
export type Place = {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly length?: number;
  /** The whole source line, for the excerpt. */
  readonly excerpt?: string;
  /** A zone names this file: readers of the status must not see its lines. */
  readonly foreign?: true;
};

/** A place within a file. */
export type PlaceInFile = Place & { readonly line: number; readonly column: number };

export type Severity = 'error' | 'warning';

/** `code` is stable (`PH014`); docs/diagnostics.md lists all of them. */
export type Diagnostic = {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly place: Place;
  readonly hint?: string;
};

/** Collects diagnostics. Readers continue after a mistake, so that all are shown at once. */
export type Report = {
  readonly diagnostics: Diagnostic[];
  error(code: string, message: string, place: Place, hint?: string): void;
  warning(code: string, message: string, place: Place, hint?: string): void;
};

export function createReport(): Report {
  const diagnostics: Diagnostic[] = [];
  /** A template is read for each of its services: a mistake in it is told once. */
  const told = new Set<string>();
  const add = (severity: Severity, code: string, message: string, place: Place, hint?: string): void => {
    const once = `${formatPlace(place)} ${code} ${message}`;
    if (told.has(once)) return;
    told.add(once);
    const plain = { code, severity, message: hideShapes(plainText(message)), place: plainPlace(place) };
    diagnostics.push(hint === undefined ? plain : { ...plain, hint: hideShapes(plainText(hint)) });
  };
  return {
    diagnostics,
    error: (code, message, place, hint) => {
      add('error', code, message, place, hint);
    },
    warning: (code, message, place, hint) => {
      add('warning', code, message, place, hint);
    },
  };
}

/** Names and lines of files may have control characters. Returns the same object if nothing changes. */
function plainPlace(place: Place): Place {
  const { file, excerpt } = place;
  const [plainFile, plainExcerpt] = [plainText(file), excerpt === undefined ? undefined : plainText(excerpt)];
  if (plainFile === file && plainExcerpt === excerpt) return place;
  return { ...place, file: plainFile, ...(plainExcerpt === undefined ? {} : { excerpt: plainExcerpt }) };
}

/** For HTTP: without the lines of files other than pharos.yaml and zone files. */
export function withoutForeignLines(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.map((diagnostic) => {
    const { foreign, excerpt, ...place } = diagnostic.place;
    return foreign === undefined || excerpt === undefined ? diagnostic : { ...diagnostic, place };
  });
}

/** Reports that a zone names a file outside its folder (PH385), which `files: anywhere` would allow. */
export function reportOutside(written: string, place: Place, folder: string, report: Report): void {
  const message = `a zone may only name files in its own folder, and ${written} is outside`;
  report.error('PH385', message, place, `move it to ${folder}, or set "files: anywhere" in pharos.yaml`);
}

/** Reports the first mistake of each subject; later ones only raise the number in its message. */
export type ReportOnce = (subject: string, code: string, message: string, place: Place, hint?: string) => void;

/** For misspelt names with many uses: one error, not one per use. */
export function createReportOnce(report: Report): ReportOnce {
  const first = new Map<string, { readonly diagnostic: Diagnostic; count: number }>();
  return (subject, code, message, place, hint) => {
    const known = first.get(subject);
    if (!known) {
      const before = report.diagnostics.length;
      report.error(code, message, place, hint);
      const diagnostic = report.diagnostics[before];
      if (diagnostic) first.set(subject, { diagnostic, count: 1 });
      return;
    }
    known.count++;
    const at = report.diagnostics.findLastIndex(
      (each) => each.code === known.diagnostic.code && each.place === known.diagnostic.place,
    );
    const more = known.count - 1;
    const counted = `${known.diagnostic.message} (and in ${more} more place${more === 1 ? '' : 's'})`;
    if (at >= 0) report.diagnostics[at] = { ...known.diagnostic, message: counted };
  };
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === 'error');
}

/** The logger's method for a diagnostic. */
export function logLevelOf({ severity }: Diagnostic): 'error' | 'warn' {
  return severity === 'error' ? 'error' : 'warn';
}

/**
 * Formats a diagnostic as compilers do:
 *
 *     zones/example.com.yaml:14:13 error PH014: weight must be 0 to 65535, got -3
 *         weight: -3
 *                 ^^ use 0 for standby
 */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { place, severity, code, message, hint } = diagnostic;
  const head = `${formatPlace(place)} ${severity} ${code}: ${message}`;
  const excerpt = place.excerpt?.trim() ?? '';
  if (excerpt === '') return hint === undefined ? head : `${head}\n    ${hint}`;
  const { shown, column: caretAt } = excerptAround(place, excerpt);
  const carets = '^'.repeat(Math.max(1, Math.min(place.length ?? 1, shown.length - caretAt)));
  return `${head}\n    ${shown}\n    ${' '.repeat(caretAt)}${carets}${hint === undefined ? '' : ` ${hint}`}`;
}

/** `zones/example.com.yaml:14:13`, or the file alone. */
export function formatPlace(place: Place): string {
  return place.column === undefined ? fileAndLine(place) : `${fileAndLine(place)}:${place.column}`;
}

/** `zones/example.com.yaml:14`, or the file alone. */
export function fileAndLine({ file, line }: Place): string {
  return line === undefined ? file : `${file}:${line}`;
}

/** Characters shown of a line; in a longer line, characters shown before the mistake. */
const MAX_SHOWN = 160;
const SHOWN_BEFORE = 60;

/**
 * The line without its indentation, or the part of a long line around the mistake; and the column of the first caret.
 */
function excerptAround(place: Place, line: string): { readonly shown: string; readonly column: number } {
  const margin = (place.excerpt ?? '').length - (place.excerpt ?? '').trimStart().length;
  const column = Math.max(0, Math.min((place.column ?? 1) - 1 - margin, line.length));
  const end = column + (place.length ?? 1);
  if (line.length <= MAX_SHOWN) return { shown: line, column };
  const from = end <= MAX_SHOWN ? 0 : Math.max(0, column - SHOWN_BEFORE);
  const before = from === 0 ? '' : '... ';
  const after = from + MAX_SHOWN < line.length ? ' ...' : '';
  return {
    shown: before + line.slice(from, from + MAX_SHOWN) + after,
    column: before.length + column - from,
  };
}
