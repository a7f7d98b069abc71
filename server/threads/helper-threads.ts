/**
 * Priority of the helper threads of the JavaScript engine. Answering threads (precedence.ts) and the compile thread
 * (load-worker.ts) set their own priority.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * Lowers the priority of the engine's helper threads. They collect garbage and compile code for all threads, including
 * the compile thread, and would compete equally with an answering thread. They keep about a tenth of a contended core,
 * and all of an idle one. Does nothing outside Linux, where a priority applies to the whole process. Needs no
 * privilege.
 */
export function letHelpersStepBack(): void {
  if (process.platform !== 'linux') return;
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      const name = readFileSync(`/proc/self/task/${thread}/comm`, 'latin1');
      if (name.includes('V8Worker')) setPriority(Number(thread), constants.priority.PRIORITY_BELOW_NORMAL);
    } catch {
      // The thread has ended, or the system forbids the change.
    }
  }
}
