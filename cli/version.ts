/**
 * The version of this program.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json: above cli/ in a checkout, and above dist/ in the npm package. */
export function programFolder(): string | undefined {
  const folders = ['..', '../..'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  return folders.find((folder) => existsSync(join(folder, 'package.json')));
}

/** The root of a checkout, which has the sources; undefined where npm installed the package. */
export function checkoutRoot(): string | undefined {
  const folder = programFolder();
  return folder !== undefined && existsSync(join(folder, 'cli/main.ts')) ? folder : undefined;
}

export function readVersion(): string {
  const folder = programFolder();
  if (folder === undefined) return 'unknown';
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return version;
}
