/**
 * Reads files: only regular files, up to a limit, in pieces. All files are read here. A pipe or a device may block, and
 * a file of many gigabytes fills the memory; neither may hold up a start or a reload.
 */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, statSync, type Stats } from 'node:fs';
import { relative, isAbsolute, sep } from 'node:path';
import { codeOf } from './unknown-values.ts';

/**
 * Octets per read(2). A kernel without preemption keeps the core until the call ends: 22 MB in one call took 12 ms, in
 * which a thread that shared the core answered nothing.
 */
const PIECE_OCTETS = 128 * 1024;

/** Longer than one step of any file system's times; FAT has steps of 2 s. */
const SETTLED_NS = 3_000_000_000n;

/** Why Pharos refuses a file that the system can read. */
export type FileFault =
  | 'NOT_REGULAR' // a pipe, a device, a socket
  | 'TOO_LARGE'
  | 'OUTSIDE'; // its real path is not below the folder that it has to be in

/** Pharos refused the file. Errors of the system keep their class and code. */
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
  /** Absolute path of the folder that must contain the file, after symbolic links are followed. */
  readonly below?: string | undefined;
};

export type FileRead = {
  readonly octets: Buffer;
  /** Permission bits, as in chmod(2). */
  readonly mode: number;
};

let announce: (path: string) => void = () => undefined;

/** Calls `tell` with the path of every file before this thread opens it, so that a read that hangs can be named. */
export function announceReads(tell: (path: string) => void): void {
  announce = tell;
}

let observe: (path: string, octets: Uint8Array) => void = () => undefined;

/** Calls `tell` with the content of every file that this thread has read, until `tell` is replaced. */
export function observeReads(tell: (path: string, octets: Uint8Array) => void): void {
  observe = tell;
}

/** Reads a whole file. Throws FileError or the system's error; `faultOf` describes both. */
export function readRegularFile(path: string, { maxOctets, below }: ReadOptions): FileRead {
  announce(path);
  // Checked before opening, since opening a device may have effects, and again after, since the path may lead to
  // another file.
  mustBeFile(statSync(path), path, below);
  // Without O_NONBLOCK, opening a pipe waits for a writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    mustBeFile(stats, path, below);
    if (stats.size > maxOctets) throw tooLarge(maxOctets);
    const octets = stats.size === 0 ? readToEnd(fd, maxOctets) : readPieces(fd, stats.size);
    observe(path, octets);
    return { octets, mode: stats.mode & 0o7777 };
  } finally {
    closeSync(fd);
  }
}

/**
 * A text that changes whenever the content of a file may have changed; '' if the file cannot be found. It is also ''
 * for a file that changed within the last moments: the next change may have the same time, since the system's clock for
 * files advances in steps.
 */
export function stampOf(path: string): string {
  announce(path);
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    const isSettled = BigInt(Date.now()) * 1_000_000n - ctimeNs > SETTLED_NS;
    return isSettled ? [dev, ino, size, mtimeNs, ctimeNs].join('/') : '';
  } catch {
    return '';
  }
}

/** The last octets of a regular file, at most as many as wanted. Undefined if it cannot be read. */
export function readTail(path: string, octets: number): Buffer | undefined {
  try {
    mustBeFile(statSync(path), path, undefined);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(fd);
      mustBeFile(stats, path, undefined);
      const tail = Buffer.alloc(Math.min(octets, stats.size));
      return tail.subarray(0, readSync(fd, tail, 0, tail.length, stats.size - tail.length));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

/** Throws unless this is a regular file in its folder. */
function mustBeFile(stats: Stats, path: string, below: string | undefined): void {
  if (below !== undefined && !isBelow(path, stats, below)) {
    throw new FileError('OUTSIDE', `it is not in the folder ${below}`);
  }
  if (stats.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
  if (!stats.isFile()) throw new FileError('NOT_REGULAR', `it is ${kindOf(stats)}, not a regular file`);
}

/** Reads up to the size at opening, or less if the file has shrunk. */
function readPieces(fd: number, size: number): Buffer {
  const octets = Buffer.allocUnsafeSlow(size);
  let length = 0;
  for (;;) {
    const read = readSync(fd, octets, length, Math.min(PIECE_OCTETS, size - length), null);
    length += read;
    if (read === 0 || length === size) return octets.subarray(0, length);
  }
}

/** Files of /proc have content although their size is 0. */
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

/** Whether the file exists outside the folder, after symbolic links are followed. Never throws. */
export function isOutside(path: string, folder: string | undefined): boolean {
  try {
    return folder !== undefined && !isInside(realpathSync(path), realpathSync(folder));
  } catch {
    return false; // a missing or unreadable file has its own message
  }
}

/** Whether the real path is below the folder and still leads to the opened file: links may change at any time. */
function isBelow(path: string, opened: Stats, folder: string): boolean {
  const real = realpathSync(path);
  const { dev, ino } = statSync(real);
  return isInside(real, realpathSync(folder)) && dev === opened.dev && ino === opened.ino;
}

/** Whether a path is the folder or below it. Compares only the text of the paths. */
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
  ELOOP: 'its symbolic links form a loop',
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

/** Why a file could not be read, for a message that names the file, and a hint if one is known. */
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
