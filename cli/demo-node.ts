/**
 * One node of `pharos demo --fleet`, in a separate process: `demo-fleet.ts` starts it, and it ends with that process.
 * Its environment has the variables of its configuration.
 */
import { exitNow } from '../config/libc.ts';
import { plainLog } from './demo-parts.ts';
import { loadInputFor } from './load-input.ts';
import { EXIT, terminal } from './output.ts';
import { GivenUpError, runServer, type RunningServer } from './serve/run-server.ts';
import { explainFailure } from './serve.ts';

/** Sent once, when the node answers. */
export type NodeReady = { readonly port: number; readonly statusPort: number };

const output = terminal();
const stopped = Promise.withResolvers<undefined>();
process.on('disconnect', () => {
  stopped.resolve(undefined);
});
let server: RunningServer | undefined;
let code: number = EXIT.OK;
try {
  const log = plainLog(output.out);
  server = await runServer(loadInputFor(process.argv[2]), () => Promise.resolve(log), { givenUp: stopped.promise });
  const ready: NodeReady = { port: server.addresses[0]?.port ?? 0, statusPort: server.status?.port ?? 0 };
  process.send?.(ready);
  await stopped.promise;
} catch (error) {
  if (!(error instanceof GivenUpError)) {
    if (!explainFailure(error, output)) throw error;
    code = EXIT.FAILED;
  }
}
await server?.stop();
exitNow(code);
