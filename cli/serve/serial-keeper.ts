/**
 * Saves the serials of the generation in force in `state_dir`, after it is served: before that no secondary has seen
 * them.
 */
import { join } from 'node:path';
import type { Alarms } from '../../config/alarms.ts';
import { createWriter } from '../../health/atomic-file.ts';
import { systemClock } from '../../health/clock.ts';
import { tellLost } from '../../health/state-file.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { createSerialsText, readSerials, SERIALS_FILE } from '../../zones/serials.ts';

export type SerialKeeper = {
  /** Writes them, and tries again later if that fails. */
  readonly keep: (loaded: LoadedGeneration) => void;
  /** Resolves when they are written, or cannot be. */
  readonly flushed: () => Promise<unknown>;
  /** Writes serials that are not saved yet. */
  readonly stop: () => Promise<void>;
};

/** Before the first write: moves an unusable file of serials aside, and raises `state_lost`. */
export function checkSerials(stateDir: string, alarms: Alarms): void {
  const file = join(stateDir, SERIALS_FILE);
  readSerials(stateDir, (message) => {
    tellLost({ file, alarms }, message);
  });
}

/** `isReleased`: whether another server writes the files of the state folder. */
export function createSerialKeeper(stateDir: string, alarms: Alarms, isReleased: () => boolean): SerialKeeper {
  const writer = createWriter(join(stateDir, SERIALS_FILE), {
    clock: systemClock,
    alarms,
    mayWrite: () => !isReleased(),
  });
  const textOf = createSerialsText();
  let written: Promise<unknown> = Promise.resolve();
  return {
    keep: ({ serials }) => {
      written = writer.now(() => textOf(serials));
    },
    flushed: () => written,
    stop: () => writer.close(),
  };
}
