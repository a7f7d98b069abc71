/**
 * Tells whether the files of a generation have changed since it was read.
 */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Settings } from '../../config/settings.ts';
import { statsOf, stampText, type FileMark } from './file-marks.ts';

/** The files of a generation, each with a text that changes with the file's size, time or identity. */
export type FileStamp = { readonly paths: readonly string[]; readonly texts: readonly string[] };

/** Files and folders are stamped now, except for those of zones, whose state when they were read is known. */
export function stampFiles(settings: Settings, zones: readonly Pick<FileMark, 'path' | 'text'>[]): FileStamp {
  const others = [
    ...(settings.file === undefined ? [] : [settings.file]),
    ...new Set(settings.zoneFiles.map((file) => dirname(file))),
    ...settings.geo.databases.map(({ path }) => path),
  ];
  return {
    paths: [...others, ...zones.map(({ path }) => path)],
    texts: [...others.map((path) => stampText(statsOf(path))), ...zones.map(({ text }) => text)],
  };
}

export async function isUnchanged({ paths, texts }: FileStamp): Promise<boolean> {
  // Files are examined one after the other: if a file system hangs, this blocks one thread of libuv, and not all.
  for (const [index, path] of paths.entries()) {
    if (stampText(await stat(path).catch(() => undefined)) !== texts[index]) return false;
  }
  return true;
}
