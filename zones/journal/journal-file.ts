/**
 * The journal of a zone: a file of lines in the state folder, one per update, that is only appended to. A line has the
 * checksum and the length of its JSON, so that a line that a crash cut is not read. A mark follows the updates that are
 * in force: those after the last mark were not answered.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { formatName, parseName, type Name } from '../../wire/name.ts';
import { setKey, type DynamicSet } from './record-set.ts';

/** The dynamic records of a zone, by `setKey`, and its serial where the files state one. */
export type DynamicRecords = {
  readonly sets: ReadonlyMap<string, DynamicSet>;
  /** The serial after the last update. */
  readonly serial: number;
};

/** A line of the journal: the sets that an update changed. A set with `isForgotten` is as the files state it again. */
export type JournalEntry = {
  readonly serial: number;
  readonly sets: readonly (DynamicSet & { readonly isForgotten?: boolean })[];
};

export const NO_RECORDS: DynamicRecords = { sets: new Map(), serial: 0 };

/** Its path in the state folder. */
export function journalPath(stateDir: string, apex: Name): string {
  // A name has octets that a path must not have; `formatName` leaves `/` as it is.
  const name = formatName(apex)
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, (each) => `%${each.charCodeAt(0).toString(16)}`);
  return join(stateDir, 'journal', `${name}.journal`);
}

export type ReadJournal = DynamicRecords & {
  /** The revision of the fleet's order whose records are in force; 0 if there is none. */
  readonly order: number;
  /** The octets of the lines that were read. Those after them were cut by a crash. */
  readonly octets: number;
  /** The updates without a mark; undefined if there are none. */
  readonly tail: JournalTail | undefined;
  /** Why the lines after `octets` cannot be read although they are complete; undefined if all is well. */
  readonly damage: string | undefined;
};

/** Updates that a crash may have kept from being put in force. Their records are those of one batch. */
export type JournalTail = {
  readonly sets: JournalEntry['sets'];
  /** The records without them, and the octets of their lines. */
  readonly before: DynamicRecords & { readonly octets: number };
};

/** Reads a journal. Throws the error of the file system, except for a file that is not there. */
export function readJournal(path: string): ReadJournal {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { ...NO_RECORDS, order: 0, octets: 0, damage: undefined, tail: undefined };
    }
    throw error;
  }
  const sets = new Map<string, DynamicSet>();
  let serial = 0;
  let order = 0;
  let at = 0;
  /** Entries without a mark. */
  let waiting: { readonly entry: JournalEntry; readonly at: number }[] = [];
  const settle = (): void => {
    for (const { entry } of waiting) {
      applyEntry(sets, entry);
      ({ serial } = entry);
    }
    waiting = [];
  };
  for (let line = 1; ; line++) {
    const end = text.indexOf('\n', at);
    // The last line has no end if a crash cut it.
    const parsed = end < 0 ? undefined : parseLine(text.slice(at, end));
    if (!parsed) {
      const isDamaged = end >= 0 && text.indexOf('\n', end + 1) >= 0;
      return withTail({
        sets,
        serial,
        order,
        waiting,
        octets: at,
        damage: isDamaged ? `line ${line} is damaged` : undefined,
      });
    }
    // A batch has one serial, and the next batch a later one.
    if (parsed.kind === 'mark' || waiting.at(-1)?.entry.serial !== parsed.entry.serial) settle();
    if (parsed.kind === 'entry') waiting.push({ entry: parsed.entry, at });
    else order = parsed.order ?? order;
    at = end + 1;
  }
}

function withTail({
  sets,
  serial,
  order,
  waiting,
  octets,
  damage,
}: Omit<ReadJournal, 'tail'> & {
  readonly waiting: readonly { readonly entry: JournalEntry; readonly at: number }[];
}): ReadJournal {
  const [first] = waiting;
  if (!first) return { sets, serial, order, octets, damage, tail: undefined };
  const all = new Map(sets);
  for (const { entry } of waiting) applyEntry(all, entry);
  const tail = { sets: waiting.flatMap(({ entry }) => entry.sets), before: { sets, serial, octets: first.at } };
  return { sets: all, serial: first.entry.serial, order, octets, damage, tail };
}

/** Puts the sets of an entry into those of its zone. */
export function applyEntry(sets: Map<string, DynamicSet>, entry: JournalEntry): void {
  for (const { isForgotten, ...set } of entry.sets) {
    const key = setKey(set.name, set.type);
    if (isForgotten === true) sets.delete(key);
    else sets.set(key, set);
  }
}

/** The line of an entry, with its end. */
export function formatEntry({ serial, sets }: JournalEntry): string {
  return formatLine(JSON.stringify({ serial, sets: sets.map(writeJournalSet) }));
}

/** A set as JSON has it. */
export function writeJournalSet({
  name,
  type,
  base,
  ttlSeconds,
  data,
  isForgotten,
}: JournalEntry['sets'][number]): WrittenSet {
  return {
    name: formatName(name),
    type,
    ...(isForgotten === true
      ? { forgotten: true }
      : { base, ttl: ttlSeconds, data: data.map((each) => Buffer.from(each).toString('base64')) }),
  };
}

/**
 * The line that says that the entries before it are in force. `order`: the revision of the fleet's order that they are,
 * 0 for none, and undefined for that of the mark before.
 */
export function formatMark(order?: number): string {
  return formatLine(JSON.stringify({ done: true, order }));
}

function formatLine(json: string): string {
  return `${checksum(json)} ${json.length} ${json}\n`;
}

export type WrittenSet = {
  readonly name: string;
  readonly type: number;
  readonly base?: string;
  readonly ttl?: number;
  readonly data?: readonly string[];
  readonly forgotten?: boolean;
};

type WrittenLine = { readonly serial: number; readonly sets?: readonly WrittenSet[]; readonly order?: number };

type Line =
  { readonly kind: 'entry'; readonly entry: JournalEntry } | { readonly kind: 'mark'; readonly order?: number };

function parseLine(line: string): Line | undefined {
  const [, sum, length, json] = /^([0-9a-f]{8}) (\d+) (.*)$/.exec(line) ?? [];
  if (json === undefined || json.length !== Number(length) || checksum(json) !== sum) return undefined;
  // The checksum shows that Pharos wrote it.
  const { serial, sets, order } = JSON.parse(json) as WrittenLine;
  if (!sets) return { kind: 'mark', ...(order === undefined ? {} : { order }) };
  return { kind: 'entry', entry: { serial, sets: sets.map(readJournalSet) } };
}

/** Throws if the name cannot be read. */
export function readJournalSet({
  name,
  type,
  base = '',
  ttl = 0,
  data = [],
  forgotten,
}: WrittenSet): JournalEntry['sets'][number] {
  return {
    name: writtenName(name),
    type,
    base,
    ttlSeconds: ttl,
    data: data.map((each) => Uint8Array.from(Buffer.from(each, 'base64'))),
    ...(forgotten === true ? { isForgotten: true } : {}),
  };
}

/** The name that `formatName` has written. Throws if it is not one. */
export function writtenName(text: string): Name {
  return parseName(text.endsWith('.') ? text : `${text}.`);
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}
