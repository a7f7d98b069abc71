/**
 * Which Pharos this is.
 */
import { readFileSync } from 'node:fs';

/** Of package.json, which stands beside cli/ in a checkout and beside dist/ in the npm package. */
export function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string };
      return version;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
  return 'unknown';
}
