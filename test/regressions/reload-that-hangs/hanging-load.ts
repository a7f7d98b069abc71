/** Replaces the compile thread: waits in a system call, as for a file server that does not respond. */
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';

const { cwd } = workerData as { readonly cwd: string };
openSync(join(cwd, 'pipe'), 'r');
