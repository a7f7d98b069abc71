/**
 * Priority of the helper threads of the JavaScript engine. The compile thread (load-worker.ts) sets its own priority.
 */
import { listOwnThreads, niceOfThisThread, NICER } from './own-threads.ts';

/**
 * Lowers the priority of the engine's helper threads. They collect garbage and compile code for all threads, including
 * the compile thread, and would compete equally with an answering thread. They keep about a tenth of a contended core,
 * and all of an idle one. Does nothing outside Linux, where a priority applies to the whole process. Needs no
 * privilege.
 */
export function letHelpersStepBack(): void {
  const nice = niceOfThisThread() + NICER;
  for (const { name, setNice } of listOwnThreads()) if (name.includes('V8Worker')) setNice(nice);
}
