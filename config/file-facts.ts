/**
 * The facts of a file that tell whether it has changed, read without objects: a reload examines each file of ten
 * thousand zones, and as many `Stats` of node:fs are 5 MB of garbage.
 */
import { statSync } from 'node:fs';
import { bindStatx } from './libc.ts';

/** Columns of the result, with the values of `Stats`. */
export const FACT = { MTIME_MS: 0, CTIME_MS: 1, SIZE: 2, INO: 3, DEV: 4, COUNT: 5 } as const;

/** Places in `struct statx` (statx(2)), in words of 32 bits. The same on all machines. */
const STATX = { INO: 8, SIZE: 10, CTIME: 24, MTIME: 28, DEV_MAJOR: 34, DEV_MINOR: 35, OCTETS: 256 } as const;

const facts = new Float64Array(FACT.COUNT);
const words = new Uint32Array(new ArrayBuffer(STATX.OCTETS));
let statx: ReturnType<typeof bindStatx>;
let isBound = false;

/**
 * Examines a file, through links. Undefined if it is not there or not reachable. The result is valid until the next
 * call.
 */
export function factsOf(path: string): Float64Array | undefined {
  if (!isBound) statx = bindStatx(words.buffer);
  isBound = true;
  if (statx?.(path) !== 0) return factsOfStats(path);
  facts[FACT.MTIME_MS] = timeAt(STATX.MTIME);
  facts[FACT.CTIME_MS] = timeAt(STATX.CTIME);
  facts[FACT.SIZE] = longAt(STATX.SIZE);
  facts[FACT.INO] = longAt(STATX.INO);
  facts[FACT.DEV] = deviceNumber(wordAt(STATX.DEV_MAJOR), wordAt(STATX.DEV_MINOR));
  return facts;
}

/** The same by node:fs: without statx, or after it failed, since a sandbox may forbid it. */
export function factsOfStats(path: string): Float64Array | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats) return undefined;
    facts[FACT.MTIME_MS] = stats.mtimeMs;
    facts[FACT.CTIME_MS] = stats.ctimeMs;
    facts[FACT.SIZE] = stats.size;
    facts[FACT.INO] = stats.ino;
    facts[FACT.DEV] = stats.dev;
    return facts;
  } catch {
    return undefined;
  }
}

function wordAt(at: number): number {
  return words[at] ?? 0;
}

function longAt(at: number): number {
  return wordAt(at) + wordAt(at + 1) * 2 ** 32;
}

/** Seconds (signed) and nanoseconds, as milliseconds, rounded as by node:fs. */
function timeAt(at: number): number {
  const seconds = wordAt(at) + (wordAt(at + 1) | 0) * 2 ** 32;
  return seconds * 1000 + wordAt(at + 2) / 1e6;
}

/** makedev(3). */
function deviceNumber(major: number, minor: number): number {
  const low = ((major & 0xfff) << 8) | (minor & 0xff);
  return low + (minor & ~0xff) * 2 ** 12 + (major & ~0xfff) * 2 ** 32;
}
