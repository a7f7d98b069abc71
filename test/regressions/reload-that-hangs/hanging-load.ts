/** Replaces the compile thread: waits in a system call, as for a file server that does not respond. */
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';

const { request } = workerData as { readonly request: { readonly input: { readonly cwd: string } } };
openSync(join(request.input.cwd, 'pipe'), 'r');
