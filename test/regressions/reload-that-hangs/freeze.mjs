// Loaded before Pharos in every thread: whoever looks at a file `frozen.yaml` waits in a call to the system, as on a file
// server that does not respond. `frozen` says that a thread waits.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const { statSync } = fs;
if (!isMainThread) {
  fs.statSync = (path, options) => {
    if (String(path).endsWith('frozen.yaml')) {
      const folder = dirname(dirname(String(path)));
      fs.writeFileSync(join(folder, 'frozen'), '');
      fs.openSync(join(folder, 'pipe'), 'r');
    }
    return statSync(path, options);
  };
  syncBuiltinESMExports();
}
