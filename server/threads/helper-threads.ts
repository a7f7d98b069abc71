/**
 * Threads that nobody here started. Answering threads see to their own place (precedence.ts), and so does the compile
 * thread.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * Lets the helpers of the JavaScript engine step back: they collect garbage and compile code for all threads, for the
 * one that reads a million records too, and would take turns with an answering thread as its equals. They keep about
 * a tenth of a core that is contended, and all of one that is not. On Linux a priority is a thread's own; elsewhere
 * nothing is done. Needs no right.
 */
export function letHelpersStepBack(): void {
  if (process.platform !== 'linux') return;
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      const name = readFileSync(`/proc/self/task/${thread}/comm`, 'latin1');
      if (name.includes('V8Worker')) setPriority(Number(thread), constants.priority.PRIORITY_BELOW_NORMAL);
    } catch {
      // It ended meanwhile, or the system forbids it: it stays as it is.
    }
  }
}
