/** Pharos as bin/pharos runs it where it is installed: from dist/, with what the engine makes of the modules cached. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The module that Node.js is started with. */
export const INSTALLED = fileURLToPath(new URL('../dist/start.js', import.meta.url));

export function installedEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'pharos-compile-cache') };
}
