/**
 * The version of this program.
 */
import { readFileSync } from 'node:fs';
import { codeOf } from '../config/unknown-values.ts';

/** From package.json, which is next to cli/ in a checkout and next to dist/ in the npm package. */
export function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string };
      return version;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}
