/**
 * Entries of a cache: files with results that can be computed again. A missing, damaged or foreign entry is a miss, and
 * an entry that cannot be written is not an error. The name of an entry identifies everything that its content depends
 * on.
 *
 *     header    64 octets (entry-header.ts): magic, checksum, number of octets, key
 *     content   as the caller wrote it; it is also in this place in memory
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ENTRY, ENTRY_HEADER_OCTETS, ENTRY_MAGIC, KEY_OCTETS, keyOfEntry } from './entry-header.ts';
import type { Environment } from './environment.ts';
import { makeFolder } from './folder.ts';
import { MAX_DATA_OCTETS } from './limits.ts';

/** As for readRegularFile: a thread on the same core must not wait for one long system call. */
const PIECE_OCTETS = 128 * 1024;
/** In the name of a file that is being written. */
const UNFINISHED = '.tmp-';
/** An unfinished file of a writer that ended is removed after this time. */
const UNFINISHED_MS = 60 * 60_000;
/** A used entry gets a new time at most this often, so that the least recently used ones can be removed. */
const USED_MS = 60 * 60_000;

const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/** Folders of a cache. An entry is taken from the first that has it, and written into the first that takes it. */
export type CacheFolders = { readonly read: readonly string[]; readonly write: readonly string[] };

export const NO_CACHE: CacheFolders = { read: [], write: [] };

/** Entries of one kind: their file names begin with `kind`, and only the `keep` most recently used ones remain. */
export type CacheKind = { readonly kind: string; readonly keep: number };

/**
 * The cache folder of this user: `$XDG_CACHE_HOME/pharos`, or `~/.cache/pharos` (XDG Base Directory Specification: a
 * relative path is ignored). Undefined if the user has no home.
 */
export function userCacheFolder(env: Environment): string | undefined {
  const base = env['XDG_CACHE_HOME'];
  if (base !== undefined && isAbsolute(base)) return join(base, 'pharos');
  try {
    const home = env['HOME'] ?? homedir();
    return isAbsolute(home) ? join(home, '.cache', 'pharos') : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The entry with this key (32 octets), header included, in memory from `allocate`. Only an entry that this user wrote
 * is read: its content is trusted once its checksum is right.
 */
export function readCacheEntry<Memory extends ArrayBufferLike>(
  { read }: CacheFolders,
  { kind }: CacheKind,
  key: Uint8Array,
  allocate: (octets: number) => Memory,
): Memory | undefined {
  for (const folder of read) {
    try {
      const found = readFile(join(folder, fileName(kind, key)), key, allocate);
      if (found) return found;
    } catch {
      // Absent or unreadable: a miss.
    }
  }
  return undefined;
}

/** Writes an entry as a whole or not at all, and removes old ones of its kind. Never throws. */
export function writeCacheEntry({ write }: CacheFolders, { kind, keep }: CacheKind, memory: ArrayBufferLike): void {
  new Int32Array(memory, 0, ENTRY.WORDS)[ENTRY.CHECKSUM] = checksumOf(memory);
  const name = fileName(kind, keyOfEntry(memory));
  for (const folder of write) {
    try {
      makeFolder(dirname(folder));
      mkdirSync(folder, { mode: OWNER_ONLY_FOLDER });
    } catch {
      // The folder exists already; if not, the next lines fail.
    }
    try {
      if (!isPrivate(folder)) continue;
      writeFile(folder, name, memory);
      removeOld(folder, kind, keep);
      return;
    } catch {
      // The folder is full, read-only or closed to this user: the next one is tried.
    }
  }
}

/**
 * Whether only this user and root can change what is in the folder, so that a name in it cannot lead elsewhere: its
 * owner and those of all folders above it are this user or root, and no other user may write to them. Throws if it is
 * absent.
 */
export function isPrivate(folder: string): boolean {
  const user = process.geteuid?.();
  if (user === undefined) return true;
  // An ordinary user may have given a group the right to change files. Root's rights come from no group.
  const refused = user === 0 ? GROUP_WRITES | OTHERS_WRITE : OTHERS_WRITE;
  const start = realpathSync(folder);
  for (let at = start, before = ''; at !== before; before = at, at = dirname(at)) {
    const { uid, mode } = statSync(at);
    if (uid !== user && (uid !== 0 || at === start)) return false;
    if ((mode & refused) !== 0 && (at === start || (mode & STICKY) === 0)) return false;
  }
  return true;
}

function fileName(kind: string, key: Uint8Array): string {
  return `${kind}-${Buffer.from(key).toString('hex').slice(0, KEY_OCTETS)}`;
}

/** All octets but the checksum itself. */
function checksumOf(memory: ArrayBufferLike): number {
  const octets = new Uint8Array(memory);
  const at = ENTRY.CHECKSUM * 4;
  return crc32(octets.subarray(at + 4), crc32(octets.subarray(0, at))) | 0;
}

function readFile<Memory extends ArrayBufferLike>(
  path: string,
  key: Uint8Array,
  allocate: (octets: number) => Memory,
): Memory | undefined {
  // Without O_NONBLOCK, opening a pipe waits for a writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const stats = fstatSync(fd);
    if (!isOwn(stats) || stats.size < ENTRY_HEADER_OCTETS || stats.size > MAX_DATA_OCTETS) return undefined;
    const header = new Int32Array(ENTRY.WORDS);
    if (readSync(fd, header, 0, ENTRY_HEADER_OCTETS, 0) !== ENTRY_HEADER_OCTETS) return undefined;
    if (header[ENTRY.MAGIC] !== ENTRY_MAGIC || header[ENTRY.OCTETS] !== stats.size) return undefined;
    if (Buffer.compare(keyOfEntry(header.buffer), key) !== 0) return undefined;
    const memory = allocate(stats.size);
    const octets = new Uint8Array(memory);
    for (let length = 0; length < stats.size;) {
      const read = readSync(fd, octets, length, Math.min(PIECE_OCTETS, stats.size - length), length);
      if (read === 0) return undefined;
      length += read;
    }
    if (new Int32Array(memory, 0, ENTRY.WORDS)[ENTRY.CHECKSUM] !== checksumOf(memory)) return undefined;
    markUsed(path, stats);
    return memory;
  } finally {
    closeSync(fd);
  }
}

/** Whether this user owns the file and no other user may change it. */
function isOwn(stats: Stats): boolean {
  const user = process.geteuid?.();
  if (!stats.isFile()) return false;
  return user === undefined || (stats.uid === user && (stats.mode & (GROUP_WRITES | OTHERS_WRITE)) === 0);
}

function markUsed(path: string, { mtimeMs }: Stats): void {
  const now = Date.now();
  if (Math.abs(now - mtimeMs) < USED_MS) return;
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    futimesSync(fd, now / 1000, now / 1000);
  } finally {
    closeSync(fd);
  }
}

/**
 * A reader sees the whole file or none. The file is not flushed to the disk: after a crash, the checksum reveals
 * missing data.
 */
function writeFile(folder: string, name: string, memory: ArrayBufferLike): void {
  const temporary = join(folder, `${name}${UNFINISHED}${randomBytes(6).toString('hex')}`);
  const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY_FILE);
  try {
    try {
      const octets = new Uint8Array(memory);
      for (let at = 0; at < octets.length;) {
        at += writeSync(fd, octets, at, Math.min(PIECE_OCTETS, octets.length - at));
      }
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, join(folder, name));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Removes all but the `keep` most recently used entries of a kind, and files that were never finished. */
function removeOld(folder: string, kind: string, keep: number): void {
  const found = readdirSync(folder)
    .filter((name) => name.startsWith(`${kind}-`))
    .flatMap((name) => {
      const stats = lstatSync(join(folder, name), { throwIfNoEntry: false });
      return stats?.isFile() ? [{ name, usedMs: stats.mtimeMs }] : [];
    });
  const unfinished = found.filter(({ name }) => name.includes(UNFINISHED));
  const entries = found.filter((each) => !unfinished.includes(each)).sort((a, b) => b.usedMs - a.usedMs);
  const abandoned = unfinished.filter(({ usedMs }) => Date.now() - usedMs > UNFINISHED_MS);
  for (const { name } of [...entries.slice(keep), ...abandoned]) rmSync(join(folder, name), { force: true });
}
