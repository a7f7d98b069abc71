/**
 * `pharos serve`: the server, until SIGTERM.
 */
import { ListenError } from '../server/listen-error.ts';
import { TakeoverError } from '../server/threads/takeover.ts';
import { loadInputFor } from './load-input.ts';
import { createLog } from './serve/log.ts';
import { EXIT, showDiagnostics, terminal, type Output } from './output.ts';
import { ConfigurationError, GivenUpError, runServer } from './serve/run-server.ts';

/** For who starts a second server by intent. */
const TAKEOVER =
  '    if a server with this state_dir has it, "pharos serve --takeover" takes its place without losing a query';

/** Runs until it is told to stop, or another server has taken its place. Returns the exit code. */
export async function serve(options: { config: string | undefined; takeover: boolean }): Promise<number> {
  const output = terminal();
  const stopRequested = Promise.withResolvers<NodeJS.Signals>();
  const stop = (signal: NodeJS.Signals): void => {
    stopRequested.resolve(signal);
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  const starting = runServer(loadInputFor(options.config), (settings) => createLog(settings.log.level), {
    takesOver: options.takeover,
    givenUp: stopRequested.promise,
  });
  // Both take effect once the start is through: what was opened must be closed, and files are read anew.
  const reload = (): void => {
    void starting.then(
      (server) => server.reload(),
      () => undefined, // the start failed: that is said below
    );
  };
  process.on('SIGHUP', reload);
  try {
    const server = await starting;
    await Promise.race([stopRequested.promise, server.replaced]);
    await server.stop();
    return EXIT.OK;
  } catch (error) {
    if (error instanceof GivenUpError) return EXIT.OK;
    if (explainFailure(error, output)) {
      if (!options.takeover && error instanceof ListenError && error.failure.code === 'EADDRINUSE')
        output.error(TAKEOVER);
      return EXIT.FAILED;
    }
    throw error;
  } finally {
    process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', reload);
  }
}

/** Says why a start failed, where that is the operator's to mend. False for a fault of this program. */
export function explainFailure(error: unknown, output: Output): boolean {
  if (error instanceof ConfigurationError) {
    showDiagnostics(error.diagnostics, output);
    return true;
  }
  if (error instanceof ListenError) {
    output.error(`pharos: ${error.message}\n    ${error.hint}`);
    return true;
  }
  if (error instanceof TakeoverError) {
    output.error(`pharos: ${error.message}\n    ${error.hint}`);
    return true;
  }
  return false;
}
