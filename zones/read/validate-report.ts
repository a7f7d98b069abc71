/**
 * Reports mistakes in a record store at the place where the record was written. The line is read from its file only
 * then.
 */
import { dirname, relative } from 'node:path';
import type { Place, Report, Severity } from '../../config/diagnostics.ts';
import { MAX_DATA_OCTETS } from '../../config/limits.ts';
import { readRegularFile } from '../../config/read-file.ts';
import { formatName } from '../../wire/name.ts';
import { ownerOf, recordFile, recordLine, type RecordStore } from './record-store.ts';

/** The most diagnostics per code: a large file may repeat one mistake a million times. */
const MAX_PER_CODE = 1000;

export type Findings = {
  /** Reports a mistake in a record. The caret points at `word` if it is in the line. */
  row(severity: Severity, code: string, row: number, message: string, hint?: string, word?: string): void;
  /** Reports a mistake at a place that is not a record. */
  place(severity: Severity, code: string, place: Place, message: string, hint?: string): void;
  /** Reports the number of further mistakes of each code. */
  end(): void;
  /** Whether the limit of a code is reached: further mistakes are only counted. */
  isFull(code: string): boolean;
  /** Whether the line of a record contains this text, case folded. */
  isWritten(row: number, text: string): boolean;
  ownerText(row: number): string;
  /** The place of a record, for the message about another one. */
  where(row: number): string;
};

export function createFindings(store: RecordStore, report: Report): Findings {
  const counts = new Map<string, { severity: Severity; count: number; next: Place | undefined }>();
  const files = new Map<number, Reader | undefined>();

  const place = (severity: Severity, code: string, at: () => Place, message: () => string, hint?: string): void => {
    const seen = counts.get(code) ?? { severity, count: 0, next: undefined };
    counts.set(code, seen);
    seen.count++;
    if (seen.count === MAX_PER_CODE + 1) seen.next = at();
    if (seen.count > MAX_PER_CODE) return;
    if (severity === 'error') report.error(code, message(), at(), hint);
    else report.warning(code, message(), at(), hint);
  };
  const excerptOf = (row: number): string | undefined => {
    const index = store.file[row] ?? 0;
    if (!files.has(index)) files.set(index, readOrNothing(store.files[index] ?? ''));
    const reader = files.get(index);
    return reader && lineOf(reader, recordLine(store, row));
  };
  const placeOf = (row: number, word = ''): Place => {
    const place = { file: recordFile(store, row), line: recordLine(store, row) };
    const excerpt = excerptOf(row);
    if (excerpt === undefined) return { ...place, column: 1 };
    // The zone's own file is the first.
    const foreign = store.file[row] === 0 ? {} : { foreign: true as const };
    const at = word === '' ? -1 : excerpt.toLowerCase().indexOf(word.toLowerCase());
    if (at >= 0) return { ...place, column: at + 1, length: word.length, excerpt, ...foreign };
    return { ...place, column: 1, length: Math.max(1, excerpt.trimEnd().length), excerpt, ...foreign };
  };
  return {
    row: (severity, code, row, message, hint, word) => {
      place(
        severity,
        code,
        () => placeOf(row, word),
        () => message,
        hint,
      );
    },
    place: (severity, code, at, message, hint) => {
      place(
        severity,
        code,
        () => at,
        () => message,
        hint,
      );
    },
    end: () => {
      for (const [code, { severity, count, next }] of counts) {
        if (!next) continue;
        const more = count - MAX_PER_CODE;
        report[severity](code, `${more} more mistake${more === 1 ? '' : 's'} of this kind`, next);
      }
    },
    isFull: (code) => (counts.get(code)?.count ?? 0) > MAX_PER_CODE,
    isWritten: (row, text) => excerptOf(row)?.toLowerCase().includes(text.toLowerCase()) ?? false,
    ownerText: (row) => formatName(ownerOf(store, row)),
    where: (row) => whereWritten(store, row),
  };
}

/**
 * `bulk.db:12`: the record's file, relative to the folder of the zone's own file (file 0 of the store), and its line.
 */
export function whereWritten(store: RecordStore, row: number): string {
  const [zone = ''] = store.files;
  return `${relative(dirname(zone), recordFile(store, row))}:${recordLine(store, row)}`;
}

/** A file, and the start of the line that was read last: mistakes come in the order of their lines. */
type Reader = { readonly bytes: Buffer; line: number; at: number };

function readOrNothing(path: string): Reader | undefined {
  try {
    return { bytes: readRegularFile(path, { maxOctets: MAX_DATA_OCTETS }).octets, line: 1, at: 0 };
  } catch {
    return undefined; // the file has disappeared: the mistake is shown without its line
  }
}

function lineOf(reader: Reader, line: number): string | undefined {
  const { bytes } = reader;
  if (line < reader.line) Object.assign(reader, { line: 1, at: 0 });
  for (; reader.line < line; reader.line++) {
    const newline = bytes.indexOf(0x0a, reader.at);
    if (newline < 0) return undefined;
    reader.at = newline + 1;
  }
  const newline = bytes.indexOf(0x0a, reader.at);
  const end = Math.min(newline < 0 ? bytes.length : newline, reader.at + 1000);
  return bytes.toString('utf8', reader.at, end).replace(/\r$/, '');
}
