/**
 * Files that are always whole: written beside their place, flushed to the disk, and renamed over the old ones.
 */
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Alarms } from '../config/alarms.ts';
import { makeFolder } from '../config/folder.ts';
import type { Cancel, Clock } from './clock.ts';
import { SAVE_RETRY_MS } from './limits.ts';

export type Writer = {
  /** Soon: `text` is called when it is time. */
  later(delayMs: number, text: () => string): void;
  /** Resolves when it is on the disk, with false when it could not be written. */
  now(text: () => string): Promise<boolean>;
  /** Writes that failed so far. */
  failures(): number;
  /** Writes what is waiting. */
  close(): Promise<void>;
};

/** What a writer needs: `warn` hears the first failure in a row, `alarms` has `state_not_saved` until a write succeeds. */
export type WriterOptions = {
  readonly clock: Clock;
  readonly warn: (message: string) => void;
  readonly alarms: Alarms;
};

/** One write of the file at a time, the newest text last; one that failed is tried again. */
export function createWriter(file: string, { clock, warn, alarms }: WriterOptions): Writer {
  let pending: (() => string) | undefined;
  let cancel: Cancel | undefined;
  let failures = 0;
  let isFailing = false;
  let closed = false;
  let chain: Promise<boolean> = Promise.resolve(true);

  const write = async (): Promise<boolean> => {
    const text = pending;
    pending = undefined;
    cancel?.();
    cancel = undefined;
    if (text === undefined) return true;
    try {
      await writeAtomically(file, text());
      isFailing = false;
      alarms.clear('state_not_saved', file);
      return true;
    } catch (error) {
      failures += 1;
      const reason = error instanceof Error ? error.message : String(error);
      const message = notSaved(file, reason, `Trying again every ${String(SAVE_RETRY_MS / 1000)} s.`);
      if (!isFailing) warn(message);
      isFailing = true;
      alarms.raise('state_not_saved', message, file);
      pending ??= text;
      if (!closed) cancel ??= clock.after(SAVE_RETRY_MS, run);
      return false;
    }
  };
  const run = (): void => {
    cancel = undefined;
    chain = chain.then(write);
  };
  return {
    later(delayMs, text) {
      pending = text;
      cancel ??= clock.after(delayMs, run);
    },
    async now(text) {
      pending = text;
      // A write that was already waiting takes this text along, and then this one finds nothing left to do.
      chain = chain.then(write);
      return (await chain) && pending !== text;
    },
    failures: () => failures,
    async close() {
      closed = true;
      cancel?.();
      cancel = undefined;
      chain = chain.then(write);
      await chain;
    },
  };
}

/** Says that a file of the state folder is not saved, and what follows from that. `next`: what the server does about it. */
export function notSaved(file: string, reason: string, next: string): string {
  return `${file} could not be written: ${reason}. ${next} A restart before that uses the file's old content.`;
}

/** Afterwards the file has the old content or the new, whatever happens in between. Rejects with the system's error. */
export async function writeAtomically(file: string, text: string): Promise<void> {
  const directory = dirname(file);
  makeFolder(directory);
  const temporary = `${file}.tmp`;
  const handle = await open(temporary, 'w', 0o640);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  // The new name is on the disk only when its directory is.
  const parent = await open(directory, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}
