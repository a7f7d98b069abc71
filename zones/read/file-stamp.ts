/**
 * Tells whether the files of a generation have changed since it was read.
 */
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Settings } from '../../config/settings.ts';
import type { ZoneModel } from './model.ts';

/** `text` changes with the size, time or identity of any file, and with the contents of the folders. */
export type FileStamp = { readonly paths: readonly string[]; readonly text: string };

type Stat = { readonly mtimeMs: number; readonly size: number; readonly ino: number } | undefined;

export function stampFiles(settings: Settings, zones: readonly ZoneModel[]): FileStamp {
  const paths = [
    ...(settings.file === undefined ? [] : [settings.file]),
    ...new Set(settings.zoneFiles.map((file) => dirname(file))),
    ...zones.flatMap(({ files }) => files),
    ...settings.geo.databases.map(({ path }) => path),
  ];
  return { paths, text: textOf(paths.map((path) => statSync(path, { throwIfNoEntry: false }))) };
}

export async function isUnchanged({ paths, text }: FileStamp): Promise<boolean> {
  // One after the other: on a file system that hangs they hold one thread of libuv's, and not all.
  const stats: Stat[] = [];
  for (const path of paths) stats.push(await stat(path).catch(() => undefined));
  return textOf(stats) === text;
}

function textOf(stats: readonly Stat[]): string {
  return stats.map((found) => (found ? `${found.mtimeMs}/${found.size}/${found.ino}` : '-')).join();
}
