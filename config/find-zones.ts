/**
 * Finds the zone files: `zones` names a folder, a file, or a list of both.
 */
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Place, Report } from './diagnostics.ts';
import { lookAt } from './folder.ts';
import { codeOf } from './unknown-values.ts';

/** An entry of `zones` and its place; messages show `shown`. */
export type ZonesEntry = { readonly path: string; readonly shown: string; readonly place: Place };

/**
 * `files` are absolute paths, sorted, without duplicates; `folders` are the folders searched. Hidden files and files
 * other than *.yaml and *.yml are skipped.
 */
export function findZoneFiles(
  entries: readonly ZonesEntry[],
  baseDir: string,
  report: Report,
): { readonly files: string[]; readonly folders: string[] } {
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
      const files = filesIn(path, shown, place, report);
      if (files?.length === 0) {
        const hint = `put a zone file there, such as ${join(shown, 'example.com.yaml')}`;
        report.error('PH030', `the folder ${shown} has no zone file (*.yaml or *.yml)`, place, hint);
      }
      for (const file of files ?? []) found.add(file);
    } else found.add(path);
  }
  return { files: [...found].sort(), folders };
}

function filesIn(folder: string, written: string, place: Place, report: Report): string[] | undefined {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(({ name }) => /\.ya?ml$/.test(name) && !name.startsWith('.'))
      .map((entry) => ({ path: join(folder, entry.name), isFile: entry.isFile() }))
      .filter(({ path, isFile }) => isFile || lookAt(path).kind !== 'folder')
      .map(({ path }) => path);
  } catch (error) {
    const code = codeOf(error) || String(error);
    report.error('PH030', `cannot list the folder ${written} (${code})`, place, 'check owner and mode');
    return undefined;
  }
}
