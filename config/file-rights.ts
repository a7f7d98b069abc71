/**
 * Checks whether every user of this machine may read a secret, or change a file that the server reads or runs. Only
 * permission bits count, of the file and of the folders above it: a folder closed to other users protects its content.
 */
import { accessSync, constants, realpathSync, statSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Place, Report } from './diagnostics.ts';
import { codeOf } from './unknown-values.ts';
import { nodePlace, type YamlNode, type YamlScalar } from './yaml.ts';

const READ = 0o004;
const WRITE = 0o002;
const ENTER = 0o001;
/** Of a folder, as of /tmp: every user may add files and remove only their own (inode(7)). */
const STICKY = 0o1000;

/** On other systems the bits have no meaning. */
const HAS_MODES = process.platform !== 'win32';

/** Whether every user may read the file. Never throws. */
export function isReadableByAll(path: string): boolean {
  const real = realPath(path);
  const stats = real === undefined ? undefined : look(real);
  return real !== undefined && stats !== undefined && (stats.mode & READ) !== 0 && mayBeReached(real);
}

/**
 * The path through which every user may change what is at `path`: the file or folder itself, or a folder above it, in
 * which it can be replaced. Undefined if there is none. Never throws.
 */
export function changeableByAll(path: string): string | undefined {
  const real = realPath(path);
  if (real === undefined) return undefined;
  // A symbolic link may be replaced too.
  for (const start of new Set([real, resolve(path)])) {
    for (const each of [start, ...foldersAbove(start)]) {
      const stats = look(each);
      if (!stats || (stats.mode & WRITE) === 0) continue;
      if (each !== start && (stats.mode & STICKY) !== 0) continue;
      if (mayBeReached(each) && !isReadOnly(each)) return each;
    }
  }
  return undefined;
}

/** Reports a private key that every user may read (PH386). */
export function judgeKeyFile(path: string, place: Place, report: Report): void {
  if (!isReadableByAll(path)) return;
  report.warning('PH386', `every user of this machine may read the private key ${path}`, place, `chmod o-r ${path}`);
}

/**
 * Reports a secret that is written in a file that every user may read (PH387). A secret from the environment is not in
 * the file.
 */
export function judgeSecret(node: YamlScalar, name: string, report: Report): void {
  const place = nodePlace(node);
  if (node.written !== undefined || !isReadableByAll(place.file)) return;
  const message = `every user of this machine may read ${name}: it is written in a file with the mode ${modeOf(place.file)}`;
  report.warning('PH387', message, place, `chmod o-r ${place.file}, or take it from the environment: "\${NAME}"`);
}

/** Reports the program of an `exec` check, and files among its arguments, that every user may change (PH388). */
export function judgeCommand(command: readonly string[], node: YamlNode, report: Report): void {
  // Names without a slash are looked up in PATH, whose folders belong to the system.
  for (const word of command) {
    if (!word.startsWith('/') || look(word)?.isFile() !== true) continue;
    if (reportChangeable(word, `runs ${word}`, nodePlace(node), report)) return;
  }
}

/** A path that the server reads, its use, and the place that names it. */
export type UsedPath = { readonly path: string; readonly use: string; readonly place: Place };

/** Reports files and folders that every user may change (PH388), each such path once. */
export function judgeUsed(used: readonly UsedPath[], report: Report): void {
  const told = new Set<string>();
  const known = new Map<string, string | undefined>();
  for (const { path, use, place } of used) {
    if (known.has(path)) continue;
    const changeable = changeableByAll(path);
    known.set(path, changeable);
    if (changeable === undefined || told.has(changeable)) continue;
    told.add(changeable);
    tellChangeable(changeable, use, place, report);
  }
}

function reportChangeable(path: string, use: string, place: Place, report: Report): boolean {
  const changeable = changeableByAll(path);
  if (changeable !== undefined) tellChangeable(changeable, use, place, report);
  return changeable !== undefined;
}

function tellChangeable(path: string, use: string, place: Place, report: Report): void {
  const message = `every user of this machine may change ${path} (mode ${modeOf(path)}), and the server ${use}`;
  report.warning('PH388', message, place, `chmod o-w ${path}`);
}

/** In the notation of chmod: `0644`. */
function modeOf(path: string): string {
  return ((look(path)?.mode ?? 0) & 0o7777).toString(8).padStart(4, '0');
}

function mayBeReached(path: string): boolean {
  return foldersAbove(path).every((folder) => ((look(folder)?.mode ?? 0) & ENTER) !== 0);
}

/** The nearest first, the root last. */
function foldersAbove(path: string): string[] {
  const folders: string[] = [];
  for (let at = dirname(path), before = path; at !== before; before = at, at = dirname(at)) folders.push(at);
  return folders;
}

function look(path: string): Stats | undefined {
  try {
    return HAS_MODES ? statSync(path) : undefined;
  } catch {
    return undefined;
  }
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined; // a missing file has its own message
  }
}

/** Volumes of containers are often mounted read-only, with folders of mode 1777. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return codeOf(error) === 'EROFS';
  }
}
