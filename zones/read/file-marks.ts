/**
 * Tells whether files have changed since they were read, so that a reload reads only the changed ones.
 */
import { hash } from 'node:crypto';
import { statSync, type Stats } from 'node:fs';
import { FACT, factsOf } from '../../config/file-facts.ts';
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
  /** Permission bits, and who owns it: a private key that others may read is refused. */
  readonly rights: string;
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

/**
 * The marks of all zones in rows of numbers. Ten thousand objects are scattered over the heap, so that a look at each
 * takes longer than the examination of its file.
 */
export type MarkTable = {
  /** By zone: its first row. One more entry at the end. */
  readonly first: Int32Array;
  readonly paths: readonly string[];
  /** FACT.COUNT per row. */
  readonly facts: Float64Array;
};

/** `changed`: the zones whose marks are not those of `before`; undefined: it may be any. */
export function markTable(
  zones: readonly { readonly marks: readonly FileMark[] }[],
  before?: MarkTable,
  changed?: readonly number[],
): MarkTable {
  const marksAt = (zone: number): readonly FileMark[] => zones[zone]?.marks ?? [];
  const rowsAt = ({ first }: MarkTable, zone: number): number => (first[zone + 1] ?? 0) - (first[zone] ?? 0);
  if (before && changed?.every((zone) => marksAt(zone).length === rowsAt(before, zone)) === true) {
    const table = { first: before.first, paths: before.paths.slice(), facts: before.facts.slice() };
    for (const zone of changed) setMarks(table, zone, marksAt(zone));
    return table;
  }
  const first = new Int32Array(zones.length + 1);
  for (const [zone, { marks }] of zones.entries()) first[zone + 1] = (first[zone] ?? 0) + marks.length;
  const table = { first, paths: new Array<string>(), facts: new Float64Array((first.at(-1) ?? 0) * FACT.COUNT) };
  for (const [zone, { marks }] of zones.entries()) setMarks(table, zone, marks);
  return table;
}

function setMarks(
  { first, paths, facts }: { first: Int32Array; paths: string[]; facts: Float64Array },
  zone: number,
  marks: readonly FileMark[],
): void {
  for (const [index, { path, mtimeMs, ctimeMs, size, ino, dev, isSettled }] of marks.entries()) {
    const row = (first[zone] ?? 0) + index;
    paths[row] = path;
    // NaN is different from all sizes.
    facts.set([mtimeMs, ctimeMs, isSettled ? size : Number.NaN, ino, dev], row * FACT.COUNT);
  }
}

/** Whether no file of a zone has changed. False if that is not certain without reading them. */
export function isUnchangedZone({ first, paths, facts }: MarkTable, zone: number): boolean {
  const end = first[zone + 1] ?? 0;
  for (let row = first[zone] ?? 0; row < end; row++) {
    const now = factsOf(paths[row] ?? '');
    if (!now) return false;
    for (let at = 0; at < FACT.COUNT; at++) if (now[at] !== facts[row * FACT.COUNT + at]) return false;
  }
  return true;
}

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
  return { path, mtimeMs, ctimeMs, size, ino, dev, rights: rightsOf(stats), isSettled, digest, text: stampText(stats) };
}

function rightsOf({ mode, uid, gid }: Stats): string {
  return `${mode}/${uid}/${gid}`;
}

/**
 * Returns the mark if its file has not changed; another mark if the times changed but neither content nor rights;
 * undefined if these changed, or the file cannot be read. A file with the same times is not read.
 */
export function sameFile(mark: FileMark): FileMark | undefined {
  const { path, digest } = mark;
  const facts = factsOf(path);
  if (facts?.[FACT.SIZE] !== mark.size) return undefined;
  const isSame =
    facts[FACT.MTIME_MS] === mark.mtimeMs &&
    facts[FACT.CTIME_MS] === mark.ctimeMs &&
    facts[FACT.INO] === mark.ino &&
    facts[FACT.DEV] === mark.dev;
  if (isSame && mark.isSettled) return mark;
  if (digest === '') return undefined;
  const stats = statsOf(path);
  if (!stats || rightsOf(stats) !== mark.rights) return undefined;
  try {
    const { octets } = readRegularFile(path, { maxOctets: MAX_DATA_OCTETS });
    return hash('sha1', octets) === digest ? marked(path, stats, digest) : undefined;
  } catch {
    return undefined;
  }
}
