/**
 * Writes files atomically: a file is written under another name, flushed to the disk, and renamed over the old file.
 */
import { open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Alarms } from '../config/alarms.ts';
import { makeFolder } from '../config/folder.ts';
import { codeOf } from '../config/unknown-values.ts';
import type { Cancel, Clock } from './clock.ts';
import { SAVE_LIMIT_MS, SAVE_RETRY_MS } from './limits.ts';

/** Not every user may read the reasons of operators and the names of targets. */
const STATE_FILE_MODE = 0o640;

/** Text, as such or in UTF-8. */
type Content = string | Uint8Array;

export type Writer = {
  /** Writes after the delay. `text` is called when the write starts. */
  later(delayMs: number, text: () => Content): void;
  /** Writes at once. Resolves when the text is on the disk; with false if it could not be written. */
  now(text: () => Content): Promise<boolean>;
  /** Writes that failed so far. */
  failures(): number;
  /** Makes the write that is still waiting. */
  close(): Promise<void>;
};

/**
 * Options of a writer. The alarm `state_not_saved` is active from a failed write until the next successful one.
 * `mayWrite`: whether this process may still write the file; by default it may.
 */
export type WriterOptions = {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly mayWrite?: () => boolean;
};

/** Creates a writer. It makes one write at a time, with the newest text last, and repeats a failed write. */
export function createWriter(file: string, { clock, alarms, mayWrite = () => true }: WriterOptions): Writer {
  let pending: (() => Content) | undefined;
  let cancel: Cancel | undefined;
  let failures = 0;
  let closed = false;
  let chain: Promise<boolean> = Promise.resolve(true);

  const write = async (): Promise<boolean> => {
    const text = pending;
    pending = undefined;
    cancel?.();
    cancel = undefined;
    if (text === undefined || !mayWrite()) return true;
    try {
      await writeAtomically(file, text());
      alarms.clear('state_not_saved', file);
      return true;
    } catch (error) {
      failures += 1;
      const reason = error instanceof Error ? error.message : String(error);
      const message = notSaved(file, reason, `Trying again every ${String(SAVE_RETRY_MS / 1000)} s.`);
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
      // A write that was already waiting takes this text too. Then this write has nothing left to do.
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

/**
 * The message that a file of the state folder is not saved, with the consequences. `next`: how the server continues.
 */
export function notSaved(file: string, reason: string, next: string): string {
  return `${file} could not be written: ${reason}. ${next} A restart before that uses the file's old content.`;
}

/**
 * The end of the queue of this process's writes. They run one after the other, so that a write that hangs holds only
 * one of libuv's few threads. These threads also look up names.
 */
let turn: Promise<unknown> = Promise.resolve();
/** Writes that took longer than SAVE_LIMIT_MS and have not ended. */
let hanging = 0;

/**
 * Writes a file. Afterwards it has its old content or the new one, even after a crash. Rejects with the system's error,
 * or after SAVE_LIMIT_MS. While a write hangs, it rejects at once.
 */
export function writeAtomically(file: string, text: Content): Promise<void> {
  return inTurn(() => replaceFile(file, text));
}

/**
 * Appends to a file that has `octets`. What it has beyond, such as a part of an earlier text, is cut off. Nothing waits
 * for the disk: a power failure may cut the end. Rejects like `writeAtomically`.
 */
export function appendInTurn(file: string, octets: number, text: string): Promise<void> {
  return inTurn(async () => {
    const handle = await openStateFile(file, 'a');
    try {
      if ((await handle.stat()).size > octets) await handle.truncate(octets);
      await handle.appendFile(text);
    } finally {
      await handle.close();
    }
  });
}

async function inTurn(work: () => Promise<void>): Promise<void> {
  if (hanging > 0) throw new Error(NO_RESPONSE);
  const givenUp = new AbortController();
  const before = turn;
  const written = (async (): Promise<void> => {
    await before;
    if (!givenUp.signal.aborted) await work();
  })();
  turn = written.catch(() => undefined);
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    givenUp.abort();
    hanging += 1;
    void turn.then(() => (hanging -= 1));
    limit.reject(new Error(NO_RESPONSE));
  }, SAVE_LIMIT_MS);
  try {
    await Promise.race([written, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const NO_RESPONSE = `the file system did not respond within ${String(SAVE_LIMIT_MS / 1000)} s`;

async function replaceFile(file: string, text: Content): Promise<void> {
  const directory = dirname(file);
  const temporary = `${file}.tmp`;
  const handle = await openStateFile(temporary, 'w');
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

/**
 * Opens a file of the server's state and creates a missing folder. The folder is not created earlier, because that
 * waits for the disk.
 */
export async function openStateFile(file: string, flags: 'a' | 'w'): Promise<FileHandle> {
  try {
    return await open(file, flags, STATE_FILE_MODE);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    makeFolder(dirname(file));
    return await open(file, flags, STATE_FILE_MODE);
  }
}
