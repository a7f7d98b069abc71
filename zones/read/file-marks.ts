/**
 * Tells whether files have changed since they were read, so that a reload reads only the changed ones.
 */
import { hash } from 'node:crypto';
import { statSync, type Stats } from 'node:fs';
import { MAX_DATA_OCTETS } from '../../config/limits.ts';
import { observeReads, readRegularFile } from '../../config/read-file.ts';

/** The properties of a file when it was read. */
export type FileMark = {
  readonly path: string;
  readonly mtimeMs: number;
  /** It changes with every change of content, mode or owner, and no program can set it. */
  readonly ctimeMs: number;
  readonly size: number;
  readonly ino: number;
  readonly dev: number;
  /**
   * Whether the times are so old that a later change cannot have the same times. The clock of file systems advances in
   * steps: of 4 ms on Linux, of 2 s on FAT.
   */
  readonly isSettled: boolean;
  /** Of the content. */
  readonly digest: string;
  /** See `stampText`. */
  readonly text: string;
};

/** A text that changes with a file's size, time or identity. */
export function stampText(found: Pick<Stats, 'mtimeMs' | 'size' | 'ino'> | undefined): string {
  return found ? `${found.mtimeMs}/${found.size}/${found.ino}` : '-';
}

const STEP_MS = 2000;

/** Calls `read`, and returns the digests of all files that it read, by path. */
export function digestsOf<Result>(read: () => Result): { result: Result; digests: ReadonlyMap<string, string> } {
  const digests = new Map<string, string>();
  observeReads((path, octets) => {
    digests.set(path, hash('sha1', octets));
  });
  try {
    return { result: read(), digests };
  } finally {
    observeReads(() => undefined);
  }
}

/**
 * The mark of a file; undefined if the file cannot be examined, which its reader reports. Call this before the file is
 * read.
 */
export function markOf(path: string): FileMark | undefined {
  const stats = statsOf(path);
  return stats && marked(path, stats, '');
}

/** Undefined for a file that is not there, or not reachable: links in a circle, a folder that may not be entered. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function marked(path: string, stats: Stats, digest: string): FileMark {
  const { mtimeMs, ctimeMs, size, ino, dev } = stats;
  const isSettled = Date.now() - ctimeMs > STEP_MS;
  return { path, mtimeMs, ctimeMs, size, ino, dev, isSettled, digest, text: stampText(stats) };
}

/**
 * Returns the mark if its file has not changed; another mark if the times changed but not the content; undefined if the
 * content changed, or the file cannot be read. A file with the same times is not read.
 */
export function sameFile(mark: FileMark): FileMark | undefined {
  const { path, digest } = mark;
  const stats = statsOf(path);
  if (stats?.size !== mark.size) return undefined;
  const isSame =
    stats.mtimeMs === mark.mtimeMs &&
    stats.ctimeMs === mark.ctimeMs &&
    stats.ino === mark.ino &&
    stats.dev === mark.dev;
  if (isSame && mark.isSettled) return mark;
  if (digest === '') return undefined;
  try {
    const { octets } = readRegularFile(path, { maxOctets: MAX_DATA_OCTETS });
    return hash('sha1', octets) === digest ? marked(path, stats, digest) : undefined;
  } catch {
    return undefined;
  }
}
