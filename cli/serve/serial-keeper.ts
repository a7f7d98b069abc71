/**
 * Keeps the serials of the generation in force in `state_dir`, once it is served: a serial that no secondary saw need
 * not be kept.
 */
import { join } from 'node:path';
import type { Alarms } from '../../config/alarms.ts';
import { createWriter } from '../../health/atomic-file.ts';
import { systemClock } from '../../health/clock.ts';
import { tellLost } from '../../health/state-file.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { formatSerials, readSerials, SERIALS_FILE } from '../../zones/serials.ts';

export type SerialKeeper = {
  /** Writes them soon, and again later where that fails. */
  readonly keep: (loaded: LoadedGeneration) => void;
  /** Writes what is waiting. */
  readonly stop: () => Promise<void>;
};

/** Before the first write: keeps a file of serials that cannot be used, and raises `state_lost`. */
export function checkSerials(stateDir: string, alarms: Alarms): void {
  const file = join(stateDir, SERIALS_FILE);
  readSerials(stateDir, (message) => {
    tellLost({ file, alarms }, message);
  });
}

/** `isReleased`: whether the files of the state folder are another server's to write. */
export function createSerialKeeper(stateDir: string, alarms: Alarms, isReleased: () => boolean): SerialKeeper {
  const writer = createWriter(join(stateDir, SERIALS_FILE), {
    clock: systemClock,
    alarms,
    mayWrite: () => !isReleased(),
  });
  return {
    keep: ({ serials }) => {
      void writer.now(() => formatSerials(serials));
    },
    stop: () => writer.close(),
  };
}
