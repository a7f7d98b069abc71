/**
 * Keeps the serials of the generation in force in `state_dir`, once it is served: a serial that no secondary saw need
 * not be kept.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import { notSaved } from '../../health/atomic-file.ts';
import { SAVE_RETRY_MS } from '../../health/limits.ts';
import { tellLost } from '../../health/state-file.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { readSerials, SERIALS_FILE, writeSerials } from '../../zones/serials.ts';

export type SerialKeeper = {
  /** Writes them now, and again later where that fails. */
  readonly keep: (loaded: LoadedGeneration) => void;
  readonly stop: () => void;
};

/** Before the first write: keeps a file of serials that cannot be used, and raises `state_lost`. */
export function checkSerials(stateDir: string, log: Logger, alarms: Alarms): void {
  const file = join(stateDir, SERIALS_FILE);
  const warn = (message: string): void => {
    log.warn(message);
  };
  readSerials(stateDir, (message) => {
    tellLost({ file, warn, alarms }, message);
  });
}

/** `isReleased`: whether the files of the state folder are another server's to write. */
export function createSerialKeeper(alarms: Alarms, isReleased: () => boolean): SerialKeeper {
  let timer: NodeJS.Timeout | undefined;
  const keep = (loaded: LoadedGeneration): void => {
    clearTimeout(timer);
    if (isReleased()) return;
    const { stateDir } = loaded.settings;
    const file = join(stateDir, SERIALS_FILE);
    try {
      writeSerials(stateDir, loaded.serials);
      alarms.clear('state_not_saved', file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const next = `Trying again every ${String(SAVE_RETRY_MS / 1000)} s.`;
      alarms.raise('state_not_saved', notSaved(file, reason, next), file);
      timer = setTimeout(keep, SAVE_RETRY_MS, loaded).unref();
    }
  };
  return {
    keep,
    stop: () => {
      clearTimeout(timer);
    },
  };
}
