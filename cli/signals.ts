/**
 * The signals of `pharos serve`, from the first moment of the process. Until the server can act on SIGTERM, SIGINT and
 * SIGHUP they are held for it; by default each would end the process. Imports nothing: it runs before all else.
 */

const ACTED_ON = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/**
 * Signals that end a process by default and mean nothing to a server. Node.js itself ignores SIGPIPE, and opens its
 * debugger at SIGUSR1 where nothing listens. SIGQUIT stays as it is: it ends a process that hangs, with a core file.
 */
const IGNORED = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const;

export type Acted = (typeof ACTED_ON)[number];

const held: Acted[] = [];
let act: ((signal: Acted) => void) | undefined;
let holding = false;

/** From now on no signal but SIGKILL and SIGQUIT, and those for faults, ends the process by itself. */
export function holdSignals(): void {
  if (holding) return;
  holding = true;
  for (const signal of ACTED_ON) {
    process.on(signal, () => {
      if (act) act(signal);
      else held.push(signal);
    });
  }
  for (const signal of IGNORED) {
    try {
      process.on(signal, () => undefined);
    } catch {
      // This system does not have it.
    }
  }
}

/** Gives the held signals to `handler`, oldest first, and all that come from now on. For the rest of the process. */
export function receiveSignals(handler: (signal: Acted) => void): void {
  holdSignals();
  act = handler;
  for (const signal of held.splice(0)) handler(signal);
}
