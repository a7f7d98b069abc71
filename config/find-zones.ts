/**
 * Finds the zone files: `zones` names a folder, a file, or a list of both.
 */
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Place, Report } from './diagnostics.ts';
import { lookAt } from './folder.ts';
import { stampOf } from './read-file.ts';
import { codeOf } from './unknown-values.ts';

/** An entry of `zones` and its place; messages show `shown`. */
export type ZonesEntry = { readonly path: string; readonly shown: string; readonly place: Place };

/**
 * The zone files of folders, by path, with the stamp (`stampOf`) that each folder had before it was listed. A folder's
 * times change with every entry that is added, removed or replaced.
 */
export type FolderListings = Map<string, FolderListing>;

export type FolderListing = { readonly stamp: string; readonly files: readonly string[] };

/**
 * `files` are absolute paths, sorted, without duplicates; `folders` are the folders searched. Hidden files and files
 * other than *.yaml and *.yml are skipped. Folders that have not changed since `listings` are not listed again.
 */
export function findZoneFiles(
  entries: readonly ZonesEntry[],
  baseDir: string,
  report: Report,
  listings: FolderListings = new Map(),
): { readonly files: readonly string[]; readonly folders: string[] } {
  const folders: string[] = [];
  const found = new Set<string>();
  for (const { path: named, shown, place } of entries) {
    const path = resolve(baseDir, named);
    const at = lookAt(path);
    if (at.kind === 'refused') {
      report.error('PH030', `cannot look at ${shown} (${at.code})`, place, `looked for ${path}`);
    } else if (at.kind === 'absent') {
      const hint = `looked for ${path}; create it, or name the folder with "zones:" in pharos.yaml`;
      report.error('PH030', `there is no file or folder ${shown}`, place, hint);
    } else if (at.kind === 'folder') {
      folders.push(path);
      const files = filesIn(path, shown, place, report, listings);
      if (files?.length === 0) {
        const hint = `put a zone file there, such as ${join(shown, 'example.com.yaml')}`;
        report.error('PH030', `the folder ${shown} has no zone file (*.yaml or *.yml)`, place, hint);
      }
      if (entries.length === 1) return { files: files ?? [], folders };
      for (const file of files ?? []) found.add(file);
    } else found.add(path);
  }
  return { files: [...found].sort(), folders };
}

/** The zone files of a folder, sorted; undefined if it cannot be listed. */
function filesIn(
  folder: string,
  written: string,
  place: Place,
  report: Report,
  listings: FolderListings,
): readonly string[] | undefined {
  const stamp = stampOf(folder);
  const known = listings.get(folder);
  if (known && stamp !== '' && known.stamp === stamp) return known.files;
  try {
    const entries = readdirSync(folder, { withFileTypes: true }).filter(
      ({ name }) => /\.ya?ml$/.test(name) && !name.startsWith('.'),
    );
    const files = entries
      .map((entry) => ({ path: join(folder, entry.name), isFile: entry.isFile() }))
      .filter(({ path, isFile }) => isFile || lookAt(path).kind !== 'folder')
      .map(({ path }) => path)
      .sort();
    // The file behind a link may change while the folder stays the same.
    if (entries.every((entry) => entry.isFile())) listings.set(folder, { stamp, files });
    else listings.delete(folder);
    return files;
  } catch (error) {
    const code = codeOf(error) || String(error);
    report.error('PH030', `cannot list the folder ${written} (${code})`, place, 'check owner and mode');
    return undefined;
  }
}
