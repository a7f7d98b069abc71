/**
 * Which Pharos this is.
 */
import { readFileSync } from 'node:fs';
import { codeOf } from '../config/unknown-values.ts';

/** Of package.json, which stands beside cli/ in a checkout and beside dist/ in the npm package. */
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
