/**
 * `pharos serve`: runs the server until SIGTERM.
 */
import { flushCompileCache } from 'node:module';
import { hidePaths } from '../config/environment.ts';
import { exitNow, ignoreRealTimeSignals, skipExitHandlers } from '../config/libc.ts';
import { LeaveRootError } from '../server/io/drop-privileges.ts';
import { connectServiceManager } from '../server/io/service-manager.ts';
import { ListenError } from '../server/listen-error.ts';
import { TakeoverError } from '../server/threads/takeover.ts';
import { loadInputFor } from './load-input.ts';
import { EXIT, showDiagnostics, terminal, type Output } from './output.ts';
import { createLog } from './serve/log.ts';
import { ConfigurationError, GivenUpError, runServer } from './serve/run-server.ts';
import { receiveSignals } from './signals.ts';

/** A hint for operators who start a second server on purpose. */
const TAKEOVER =
  '    if a server with this state_dir uses it, "pharos serve --takeover" takes over from it without losing a query';

/** A stop takes about 5 s in the worst case. After this time the process is ended. */
const STOP_LIMIT_MS = 15_000;
/** The time for remaining work of the process once the server has stopped. */
const LEFT_OVER_MS = 1000;

/** Runs until it is told to stop, or another server has taken over. Returns the exit code. */
export async function serve(options: { config: string | undefined; takeover: boolean }): Promise<number> {
  const output = terminal();
  const stopRequested = Promise.withResolvers<undefined>();
  const hurried = Promise.withResolvers<undefined>();
  const manager = connectServiceManager(process.env, (message) => {
    output.error(`pharos: ${message}`);
  });
  // The commands of `exec` checks must not see them.
  delete process.env.NOTIFY_SOCKET;
  delete process.env.WATCHDOG_USEC;
  delete process.env.WATCHDOG_PID;
  ignoreRealTimeSignals();
  let stops = false;
  const starting = runServer(
    loadInputFor(options.config, { keepsInState: true }),
    ({ log, shownPaths }, drops) => createLog(log.level, drops, (line) => hidePaths(line, shownPaths)),
    {
      takesOver: options.takeover,
      leavesRoot: true,
      givenUp: stopRequested.promise,
      manager,
    },
  );
  receiveSignals((signal) => {
    if (signal === 'SIGHUP') {
      // A reload waits for the end of the start.
      void starting.then(
        (server) => server.reload(),
        () => undefined, // a failed start is reported below
      );
      return;
    }
    // A second SIGTERM changes nothing. A second Ctrl-C does not wait for the end of the grace time.
    if (stops && signal === 'SIGINT') hurried.resolve(undefined);
    stops = true;
    stopRequested.resolve(undefined);
  });
  try {
    const server = await starting;
    process.once('exit', (code) => {
      flushCompileCache();
      skipExitHandlers(code);
    });
    await Promise.race([stopRequested.promise, server.replaced]);
    await server.standDown(hurried.promise);
    const cut = setTimeout(exitNow, STOP_LIMIT_MS, EXIT.FAILED);
    await server.stop();
    clearTimeout(cut);
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
    // A thread or system call that hangs would keep the process alive.
    setTimeout(() => {
      exitNow(Number(process.exitCode ?? EXIT.FAILED));
    }, LEFT_OVER_MS).unref();
  }
}

/** Prints why a start failed if the operator can fix it. Returns false for a fault of this program. */
export function explainFailure(error: unknown, output: Output): boolean {
  if (error instanceof ConfigurationError) {
    showDiagnostics(error.diagnostics, output);
    return true;
  }
  if (error instanceof ListenError) {
    output.error(`pharos: ${error.message}\n    ${error.hint}`);
    return true;
  }
  if (error instanceof TakeoverError || error instanceof LeaveRootError) {
    output.error(`pharos: ${error.message}\n    ${error.hint}`);
    return true;
  }
  return false;
}
