/**
 * Writes the journal of one zone. What it has written is on the disk.
 */
import { copyFile, mkdir, open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  applyEntry,
  formatEntry,
  formatMark,
  readJournal,
  type DynamicRecords,
  type JournalEntry,
  type JournalTail,
} from '../../zones/journal/journal-file.ts';
import type { DynamicSet } from '../../zones/journal/record-set.ts';

export type JournalWriter = {
  readonly records: () => DynamicRecords;
  /** The revision of the fleet's order whose records are in force; 0 if there is none. */
  readonly order: () => number;
  /** Updates of an earlier process that may not be in force; undefined if there are none. */
  readonly tail: () => JournalTail | undefined;
  /** Appends entries and returns how to undo that. Rejects, with nothing appended, if the disk refuses. */
  readonly append: (entries: readonly JournalEntry[]) => Promise<() => Promise<void>>;
  /**
   * Marks the entries as in force. `order`: the revision of the fleet's order that has them, 0 without a fleet;
   * undefined if it stays. A mark that says no new order may be lost: the entries are judged again at the next start.
   */
  readonly mark: (order?: number) => Promise<void>;
  /** Why lines at the end of the file could not be read; undefined if all is well. */
  readonly damage: () => string | undefined;
  /** Copies the damaged file to `to`, and removes the lines that cannot be read. */
  readonly repair: (to: string) => Promise<void>;
  /** Removes the tail. */
  readonly cutTail: () => Promise<void>;
  /** Rewrites the file without replaced sets, if that makes it much smaller. */
  readonly compact: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** Not every user may read the names of a zone. */
const FILE_MODE = 0o640;
/** A smaller file is not compacted. */
const LEAST_OCTETS = 256 * 1024;
const MUCH_SMALLER = 4;

export function openJournal(path: string): JournalWriter {
  const found = readJournal(path);
  let sets = new Map<string, DynamicSet>(found.sets);
  let { serial, order, octets, tail, damage } = found;
  let handle: FileHandle | undefined;

  const openFile = async (): Promise<FileHandle> => {
    if (handle) return handle;
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    const opened = await open(path, 'a', FILE_MODE);
    try {
      // Octets of an update that a crash cut.
      await opened.truncate(octets);
      await opened.sync();
      await syncFolder(path);
    } catch (error) {
      await opened.close();
      throw error;
    }
    return (handle = opened);
  };
  const cut = async (to: number): Promise<void> => {
    await handle?.truncate(to);
    await handle?.sync();
    octets = to;
  };
  return {
    records: () => ({ sets, serial }),
    order: () => order,
    tail: () => tail,
    mark: async (given) => {
      // 0 is said only where it ends an earlier order.
      const text = Buffer.from(formatMark(given === order ? undefined : given), 'latin1');
      const file = await openFile();
      try {
        await file.appendFile(text);
        if (given !== undefined && given !== order) await file.datasync();
      } catch (error) {
        await cut(octets).catch(() => undefined);
        throw error;
      }
      octets += text.length;
      [tail, order] = [undefined, given ?? order];
    },
    damage: () => damage,
    repair: async (to) => {
      await copyFile(path, to);
      await openFile();
      damage = undefined;
    },
    cutTail: async () => {
      if (!tail) return;
      const { before } = tail;
      await openFile();
      await cut(before.octets);
      [sets, serial, tail] = [new Map(before.sets), before.serial, undefined];
    },
    append: async (entries) => {
      const before = { sets, serial, octets };
      const undo = async (): Promise<void> => {
        ({ sets, serial } = before);
        await cut(before.octets);
      };
      const text = Buffer.from(entries.map(formatEntry).join(''), 'latin1');
      try {
        const file = await openFile();
        await file.appendFile(text);
        await file.datasync();
      } catch (error) {
        await undo().catch(() => undefined);
        throw error;
      }
      octets += text.length;
      sets = new Map(sets);
      for (const entry of entries) {
        applyEntry(sets, entry);
        ({ serial } = entry);
      }
      return undo;
    },
    compact: async () => {
      if (octets < LEAST_OCTETS) return;
      const text = Buffer.from(
        formatEntry({ serial, sets: [...sets.values()] }) + formatMark(order > 0 ? order : undefined),
        'latin1',
      );
      if (text.length * MUCH_SMALLER > octets) return;
      await replace(path, text);
      // The next write opens the new file, also if the rest of this fails.
      const replaced = handle;
      [handle, octets] = [undefined, text.length];
      await replaced?.close();
      await syncFolder(path);
    },
    close: async () => {
      await handle?.close();
      handle = undefined;
    },
  };
}

async function replace(path: string, text: Buffer): Promise<void> {
  const next = await open(`${path}.new`, 'w', FILE_MODE);
  try {
    await next.appendFile(text);
    await next.sync();
  } finally {
    await next.close();
  }
  await rename(`${path}.new`, path);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}
