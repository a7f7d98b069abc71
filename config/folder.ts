/**
 * Inspects paths, and creates folders for files that the server keeps.
 */
import { existsSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** `refused` has the system's error code: ELOOP for circular links, EACCES for a folder without access. */
export type AtPath =
  { readonly kind: 'file' | 'folder' | 'absent' } | { readonly kind: 'refused'; readonly code: string };

/** Never throws: the caller reports a wrong path. A pipe or device counts as a file. */
export function lookAt(path: string): AtPath {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    return { kind: !stats ? 'absent' : stats.isDirectory() ? 'folder' : 'file' };
  } catch (error) {
    return { kind: 'refused', code: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}

/** Whether the path exists. A dangling link counts: it is a mistake to report, not an absent file. */
export function isNamed(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

/**
 * Creates a folder and missing folders above it. Not Node.js's `recursive`: that retries for ever where the system
 * returns ENOENT although the parent exists, as in /proc. Throws the system's error.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const parent = dirname(resolve(path));
    if (code !== 'ENOENT' || existsSync(parent)) throw error;
    makeFolder(parent);
    mkdirSync(path);
  }
}
