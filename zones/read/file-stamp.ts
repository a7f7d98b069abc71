/**
 * Tells whether the files of a generation have changed since it was read.
 */
import { stat } from 'node:fs/promises';
import { dirname, sep } from 'node:path';
import type { Settings } from '../../config/settings.ts';
import { statsOf, stampText, type FileMark, type MarkTable } from './file-marks.ts';
import type { ZoneReading } from './read-all.ts';

/** The files of a generation, each with a text that changes with the file's size, time or identity. */
export type FileStamp = { readonly paths: readonly string[]; readonly texts: readonly string[] };

/** A stamp to change: that of the same zone files, of which those at `changed` have another reading. */
export type StampBefore = { readonly files: FileStamp; readonly marks: MarkTable; readonly changed: readonly number[] };

/**
 * Files and folders are stamped now, except for those of zones, whose state when they were read is known. `folders` are
 * those of the zone files, `marks` are those of the zones.
 */
export function stampFiles(
  { file, geo }: Settings,
  folders: Iterable<string>,
  zones: readonly Pick<ZoneReading, 'marks'>[],
  marks: MarkTable,
  before?: StampBefore,
): FileStamp {
  const own = [...(file === undefined ? [] : [file]), ...folders, ...geo.databases.map(({ path }) => path)];
  const stamps = own.map((path) => stampText(statsOf(path)));
  // Each zone has the same rows as before.
  if (before && before.marks.first === marks.first) {
    const { paths, texts } = before.files;
    const from = paths.length - marks.paths.length;
    const next = { paths: [...own, ...paths.slice(from)], texts: [...stamps, ...texts.slice(from)] };
    for (const zone of before.changed) {
      for (const [index, { path, text }] of (zones[zone]?.marks ?? []).entries()) {
        const row = own.length + (marks.first[zone] ?? 0) + index;
        next.paths[row] = path;
        next.texts[row] = text;
      }
    }
    return next;
  }
  const add = ({ path, text }: FileMark): void => {
    own.push(path);
    stamps.push(text);
  };
  zones.forEach((zone) => {
    zone.marks.forEach(add);
  });
  return { paths: own, texts: stamps };
}

/** The folders of files, each once. */
export function foldersOf(files: readonly string[]): ReadonlySet<string> {
  const folders = new Set<string>();
  let last = '';
  files.forEach((file) => {
    // Most files are in the folder of the file before.
    if (file.lastIndexOf(sep) === last.length && file.startsWith(last)) return;
    last = dirname(file);
    folders.add(last);
  });
  return folders;
}

export async function isUnchanged({ paths, texts }: FileStamp): Promise<boolean> {
  // Files are examined one after the other: if a file system hangs, this blocks one thread of libuv, and not all.
  for (const [index, path] of paths.entries()) {
    if (stampText(await stat(path).catch(() => undefined)) !== texts[index]) return false;
  }
  return true;
}
