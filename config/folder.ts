/**
 * What is at a path; and folders for files that the server keeps.
 */
import { existsSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** `refused` has the system's word: ELOOP for links that lead in a circle, EACCES for a folder that may not be entered. */
export type AtPath =
  { readonly kind: 'file' | 'folder' | 'absent' } | { readonly kind: 'refused'; readonly code: string };

/** Never throws: a path that the operator wrote is his to correct. A pipe or device counts as a file. */
export function lookAt(path: string): AtPath {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    return { kind: !stats ? 'absent' : stats.isDirectory() ? 'folder' : 'file' };
  } catch (error) {
    return { kind: 'refused', code: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}

/** Whether anything has this name, be it a link to nothing: that is a mistake, and no reason to go on without. */
export function isNamed(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

/**
 * Makes a folder and those above it where they are missing. Not Node.js's `recursive`: where the system refuses a
 * folder with ENOENT though its parent exists, as /proc does, that tries for ever. Throws what the system says.
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
