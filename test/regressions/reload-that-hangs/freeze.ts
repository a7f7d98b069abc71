/**
 * Loaded before Pharos in every thread (NODE_OPTIONS): a thread that examines a file `frozen.yaml` waits in a system
 * call, as on a file server that does not respond. The file `frozen` shows that a thread waits.
 */
import fs, { type PathLike, type StatOptions } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const { statSync } = fs;

function freezeAt(path: PathLike, options?: StatOptions): unknown {
  const name = path.toString();
  if (name.endsWith('frozen.yaml')) {
    const folder = dirname(dirname(name));
    fs.writeFileSync(join(folder, 'frozen'), '');
    fs.openSync(join(folder, 'pipe'), 'r');
  }
  return statSync(path, options);
}

if (!isMainThread) {
  Object.assign(fs, { statSync: freezeAt });
  syncBuiltinESMExports();
}
