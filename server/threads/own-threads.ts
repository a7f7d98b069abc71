/**
 * Lists the threads of this process, and changes their cores and nice values.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { readCores, writeCores } from '../../config/libc.ts';

export type OwnThread = {
  /** Its number in the kernel. */
  readonly id: number;
  /** As the kernel stores it: at most 15 octets. */
  readonly name: string;
  /** Sets the cores that it may run on. Returns false if the kernel refuses. */
  readonly runOn: (cores: readonly number[]) => boolean;
  /**
   * Sets its nice value. Returns false if the kernel refuses: a lower value than the present one requires a privilege.
   */
  readonly setNice: (nice: number) => boolean;
};

/** Lists the threads of this process. Empty outside Linux, where threads have neither affinity nor a nice value. */
export function listOwnThreads(): OwnThread[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/task').flatMap((thread) => {
    try {
      const name = readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').trim();
      const id = Number(thread);
      return [{ id, name, runOn: (cores) => writeCores(id, cores), setNice: (nice) => tryPriority(id, nice) }];
    } catch {
      // The thread has ended.
      return [];
    }
  });
}

/** The cores that the calling thread may run on, in order. Empty where that is unknown. */
export function coresOfThisThread(): readonly number[] {
  return readCores();
}

/** Added to the nice value of the process for threads that may wait. */
export const NICER = constants.priority.PRIORITY_BELOW_NORMAL;

/** The nice value of the calling thread. */
export function niceOfThisThread(): number {
  return getPriority();
}

function tryPriority(id: number, nice: number): boolean {
  try {
    setPriority(id, nice);
    return true;
  } catch {
    return false;
  }
}
