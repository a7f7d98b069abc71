/**
 * Signals of `pharos serve`, from the start of the process. SIGTERM, SIGINT and SIGHUP are held until the server can
 * act on them; by default each would end the process. Imports nothing, since it runs before all other modules.
 */

const ACTED_ON = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/**
 * Signals that end a process by default and have no meaning for a server. Node.js itself ignores SIGPIPE, and opens its
 * debugger at SIGUSR1 without a listener. SIGQUIT stays as it is: it ends a process that hangs, with a core file.
 */
const IGNORED = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const;

export type Acted = (typeof ACTED_ON)[number];

const held: Acted[] = [];
let act: ((signal: Acted) => void) | undefined;
let holding = false;

/** From now on, only SIGKILL, SIGQUIT and the signals for faults end the process by default. */
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

/** Passes the held signals to `handler`, oldest first, and then all later ones until the process ends. */
export function receiveSignals(handler: (signal: Acted) => void): void {
  holdSignals();
  act = handler;
  for (const signal of held.splice(0)) handler(signal);
}
