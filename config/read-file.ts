/**
 * The one way in which Pharos reads a file: only a regular file, at most so many octets, in pieces. A pipe or a device
 * never ends, or never begins; a file of many gigabytes fills the memory. So neither can hold up a start or a reload.
 */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, statSync, type Stats } from 'node:fs';
import { relative, isAbsolute, sep } from 'node:path';
import { codeOf } from './unknown-values.ts';

/**
 * What one call reads. A kernel without preemption gives nobody else the core before the call ends: 22 MB in one go
 * took 12 ms, in which a thread that shared the core answered nothing.
 */
const PIECE_OCTETS = 128 * 1024;

/** Why a file was not read, where the system itself would have read it. */
export type FileFault =
  | 'NOT_REGULAR' // a pipe, a device, a socket
  | 'TOO_LARGE'
  | 'OUTSIDE'; // its real path is not below the folder that it has to be in

/** `code` is a FileFault. Errors of the system keep their own class and code. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly code: FileFault;

  constructor(code: FileFault, message: string) {
    super(message);
    this.code = code;
  }
}

export type ReadOptions = {
  /** Larger files are refused. */
  readonly maxOctets: number;
  /** The folder, by its absolute path, that the file must be in, also after every symbolic link is followed. */
  readonly below?: string | undefined;
};

export type FileRead = {
  readonly octets: Buffer;
  /** Permission bits, as chmod takes them. */
  readonly mode: number;
};

let announce: (path: string) => void = () => undefined;

/** Has `tell` called with the path of every file before this thread opens it: a read that hangs can then be named. */
export function announceReads(tell: (path: string) => void): void {
  announce = tell;
}

/** Reads a whole file. Throws FileError, or what the system says. `faultOf` has words for both. */
export function readRegularFile(path: string, { maxOctets, below }: ReadOptions): FileRead {
  announce(path);
  // Before it is opened, since opening some devices does something; and after, since the name may mean another file then.
  mustBeFile(statSync(path), path, below);
  // Without O_NONBLOCK, opening a pipe waits for a writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    mustBeFile(stats, path, below);
    if (stats.size > maxOctets) throw tooLarge(maxOctets);
    return {
      octets: stats.size === 0 ? readToEnd(fd, maxOctets) : readPieces(fd, stats.size),
      mode: stats.mode & 0o7777,
    };
  } finally {
    closeSync(fd);
  }
}

/** Throws for what is not a regular file, or not in its folder. */
function mustBeFile(stats: Stats, path: string, below: string | undefined): void {
  if (below !== undefined && !isBelow(path, stats, below)) {
    throw new FileError('OUTSIDE', `it is not in the folder ${below}`);
  }
  if (stats.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
  if (!stats.isFile()) throw new FileError('NOT_REGULAR', `it is ${kindOf(stats)}, not a regular file`);
}

/** What there was when the file was opened, or less where it shrank meanwhile. */
function readPieces(fd: number, size: number): Buffer {
  const octets = Buffer.allocUnsafeSlow(size);
  let length = 0;
  for (;;) {
    const read = readSync(fd, octets, length, Math.min(PIECE_OCTETS, size - length), null);
    length += read;
    if (read === 0 || length === size) return octets.subarray(0, length);
  }
}

/** Files of /proc have the size 0 and content all the same. */
function readToEnd(fd: number, maxOctets: number): Buffer {
  const pieces: Buffer[] = [];
  let length = 0;
  for (;;) {
    const piece = Buffer.allocUnsafeSlow(PIECE_OCTETS);
    const read = readSync(fd, piece, 0, piece.length, null);
    if (read === 0) return Buffer.concat(pieces, length);
    length += read;
    if (length > maxOctets) throw tooLarge(maxOctets);
    pieces.push(piece.subarray(0, read));
  }
}

/** Whether a file is there and not in the folder, after every symbolic link is followed. Never throws. */
export function isOutside(path: string, folder: string | undefined): boolean {
  try {
    return folder !== undefined && !isInside(realpathSync(path), realpathSync(folder));
  } catch {
    return false; // what is missing or refused has its own message
  }
}

/** Whether the real path leads below the folder, and to the file that was opened: links may change at any time. */
function isBelow(path: string, opened: Stats, folder: string): boolean {
  const real = realpathSync(path);
  const { dev, ino } = statSync(real);
  return isInside(real, realpathSync(folder)) && dev === opened.dev && ino === opened.ino;
}

/** Whether a path is a folder or below it, by the two paths alone. */
export function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isCharacterDevice() || stats.isBlockDevice()) return 'a device';
  return stats.isSocket() ? 'a socket' : 'something else';
}

function tooLarge(maxOctets: number): FileError {
  return new FileError('TOO_LARGE', `it is larger than ${formatOctets(maxOctets)}`);
}

function formatOctets(octets: number): string {
  const [size, unit] = octets >= 2 ** 30 ? [octets / 2 ** 30, 'GiB'] : [octets / 2 ** 20, 'MiB'];
  return `${size} ${unit}`;
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'its name is too long',
  ERR_BUFFER_TOO_LARGE: 'it is too large once it is unpacked',
};

const HINTS: Readonly<Record<string, string>> = {
  EISDIR: 'name the file in it',
  EACCES: 'the user that Pharos runs as must be allowed to read it: check owner and mode',
  EPERM: 'the user that Pharos runs as must be allowed to read it: check owner and mode',
  NOT_REGULAR: 'copy its content to a regular file, and name that',
  OUTSIDE: 'move the file there, or set "files: anywhere" in pharos.yaml',
};

/** Why a file could not be read, for a message that has named the file; and what to do, where that is known. */
export function faultOf(error: unknown): {
  readonly code: string;
  readonly why: string;
  readonly hint: string | undefined;
} {
  const code = codeOf(error);
  const own = error instanceof FileError ? error.message : undefined;
  const why =
    own ??
    WORDS[code] ??
    (code.startsWith('Z_') ? 'it is compressed, and damaged or cut short' : undefined) ??
    (code === '' ? 'it cannot be read' : `it cannot be read (${code})`);
  return { code, why, hint: HINTS[code] };
}
