/**
 * `soa.serial: auto` (docs/transfer.md#serials): the serial rises with every change of content, never falls, and is the
 * same on every node with the same files. The state folder keeps the last served serial and a digest of its content.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readRegularFile } from '../config/read-file.ts';
import { MAX_STATE_FILE_OCTETS } from '../health/limits.ts';
import { withoutSharedMap } from '../steering/geo-step.ts';
import { traitsOf } from '../steering/steps.ts';
import { nameKey } from '../wire/name.ts';
import { soaSerial } from '../wire/rdata.ts';
import { agreedSerial, type FleetSerials } from './agree-serial.ts';
import { digestOfSets, type DynamicSet } from './journal/record-set.ts';
import { changedEntries } from './layered-map.ts';
import type { ZoneSummary } from './read/model.ts';
import { rdataOf, type RecordStore, findSoaRow } from './read/record-store.ts';

/**
 * By canonical apex (`nameKey`). The digest is empty if the file states the serial, which is kept so that `auto` rises
 * above it.
 */
export type Serials = ReadonlyMap<string, SerialEntry>;

export type SerialEntry = {
  readonly serial: number;
  readonly digest: string;
  /** In a fleet: a digest of the content that is the same on every node. */
  readonly content?: string;
  /** The keys to which the DS at the parent may refer, as `13/12345`. Absent if the zone is not signed. */
  readonly keys?: readonly string[];
  /** Of a zone that dynamic updates may change: the digest of what its files state. */
  readonly files?: string;
};

/** The entry of a zone that is signed with these keys, as `13/12345`; undefined: it is not signed. */
export function entrySignedBy(entry: SerialEntry, keys: readonly string[] | undefined): SerialEntry {
  const { keys: before, ...rest } = entry;
  if (before?.join() === keys?.join()) return entry;
  return keys === undefined ? rest : { ...rest, keys };
}

/** A zone with its records or, for a zone from the cache, with the data that its serial depends on. */
export type ZoneForSerial = ZoneSummary &
  (
    | { readonly records: RecordStore; readonly written?: RecordStore | undefined }
    | { readonly contentDigest: string; readonly stated: number }
  );

/** Serial of the SOA as the file states it. */
export function statedSerial(zone: ZoneForSerial): number {
  if ('stated' in zone) return zone.stated;
  const { records } = zone;
  const row = findSoaRow(records);
  return row < 0 ? 0 : soaSerial(rdataOf(records, row));
}

/**
 * The times of copied files differ by the time that copying takes, so all times within one span give the same serial.
 * As a consequence, only a node with saved state knows which of two changes within one span is newer.
 */
const SPAN_SECONDS = 16;
/**
 * 2000-01-01. Tools for reproducible builds set all file times before it, so such times do not tell which file is
 * newer.
 */
const OLDEST_SECONDS = 946_684_800;

/**
 * The serial of a zone: `epoch` differs if its signatures do; undefined if it is not signed. The serial that a file
 * states is raised where signatures changed, because secondaries would keep the old ones.
 */
export function serialOf(
  zone: ZoneForSerial,
  last: Serials,
  nowSeconds: number,
  epoch: string | undefined,
): SerialEntry {
  if (zone.autoSerial) return nextSerial(zone, last, nowSeconds, epoch);
  const stated = statedSerial(zone);
  if (epoch === undefined) return { serial: stated, digest: '' };
  const digest = signedDigest(String(stated), epoch);
  const before = last.get(nameKey(zone.apex));
  if (before?.digest === digest) return before;
  return { serial: Math.max(stated, before === undefined ? 0 : before.serial + 1) >>> 0, digest };
}

function signedDigest(content: string, epoch: string | undefined): string {
  return epoch === undefined ? content : createHash('sha256').update(`${content} ${epoch}`).digest('hex').slice(0, 32);
}

/**
 * The serial for a zone's content: the last one if nothing changed; otherwise that of its files, or the last plus one
 * if the files' times did not advance.
 */
export function nextSerial(zone: ZoneForSerial, last: Serials, nowSeconds: number, epoch?: string): SerialEntry {
  const ofFiles = digestOfFiles(zone, LOCAL);
  const digest = signedDigest(withSets(ofFiles, zone), epoch);
  const before = last.get(nameKey(zone.apex));
  const files = zone.isUpdated === true ? { files: ofFiles } : {};
  if (before?.digest === digest) return files.files === before.files ? before : { ...before, ...files };
  const serial = Math.max((before?.serial ?? 0) + 1, serialOfFiles(zone, nowSeconds, digestOf(zone, ELSEWHERE)));
  return { serial: serial >>> 0, digest, ...files };
}

/** The entry of a zone after an update: `sets` are those of its journal. */
export function updatedEntry(before: SerialEntry, serial: number, sets: Iterable<DynamicSet>): SerialEntry {
  const { files } = before;
  if (files === undefined) return { ...before, serial };
  return { ...before, serial, digest: withSetsDigest(files, digestOfSets(sets)) };
}

export type FleetTime = {
  readonly nowSeconds: number;
  readonly known?: FleetSerials['known'] | undefined;
  /** See `serialOf`. */
  readonly epoch?: string | undefined;
};

/** The serial of a zone's content on a node of a fleet. `last` are the serials that secondaries may have seen. */
export function fleetSerial(zone: ZoneForSerial, last: Serials, { nowSeconds, known, epoch }: FleetTime): SerialEntry {
  const key = nameKey(zone.apex);
  const digest = signedDigest(digestOf(zone, LOCAL), epoch);
  const elsewhere = digestOf(zone, ELSEWHERE);
  const content = signedDigest(elsewhere, epoch).slice(0, CONTENT_DIGITS);
  if (!zone.autoSerial) return { ...serialOf(zone, last, nowSeconds, epoch), content };
  const ofFiles = serialOfFiles(zone, nowSeconds, elsewhere);
  const before = servedBefore(last.get(key), { digest, content });
  return { serial: agreedSerial({ content, before, known: known?.get(key) ?? NOTHING, ofFiles }), digest, content };
}

/**
 * The entry of a zone whose content is in force, after the fleet has agreed on its serial. Returns the same object if
 * nothing changed.
 */
export function agreedEntry(
  key: string,
  entry: SerialEntry,
  last: SerialEntry | undefined,
  known: FleetSerials['known'] | undefined,
): SerialEntry {
  const { content, serial: ofFiles } = entry;
  if (content === undefined || entry.digest === '') return entry;
  const before = servedBefore(last, { digest: entry.digest, content });
  const serial = agreedSerial({ content, before, known: known?.get(key) ?? NOTHING, ofFiles });
  return serial === entry.serial ? entry : { ...entry, serial };
}

const NOTHING: ReadonlyMap<string, number> = new Map();
/** 64 bits. */
const CONTENT_DIGITS = 16;

/** The content and serial that this node served last. Entries of a server without a fleet have no `content`. */
function servedBefore(
  last: SerialEntry | undefined,
  now: { readonly digest: string; readonly content: string },
): { readonly serial: number; readonly content: string } | undefined {
  if (last === undefined) return undefined;
  const content = last.digest === '' ? '' : (last.content ?? (last.digest === now.digest ? now.content : ''));
  return { serial: last.serial, content };
}

/**
 * The newest time of the files, in seconds since 1970, rounded down to the span, plus an offset within the span that
 * depends on the content. It needs no state: equal content and times give equal serials, and newer times give greater
 * ones. An impossible file time counts as now.
 */
function serialOfFiles(zone: ZoneSummary, nowSeconds: number, digest: string): number {
  const newest = newestSeconds(zone);
  const isKnown = newest >= OLDEST_SECONDS && newest <= nowSeconds + SPAN_SECONDS;
  const seconds = isKnown ? newest : nowSeconds;
  const place = Number.parseInt(digest.slice(0, 8), 16) % SPAN_SECONDS;
  return Math.floor(seconds / SPAN_SECONDS) * SPAN_SECONDS + place;
}

/** The newest time of the files with content; latency tables do not count as content. */
function newestSeconds({ files, services }: ZoneSummary): number {
  const tables = new Set(services.flatMap(({ steps }) => steps.flatMap((step) => traitsOf(step).table?.path ?? [])));
  const times = files
    .filter((file) => !tables.has(file))
    .map((file) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) / 1000);
  return Math.floor(Math.max(0, ...times));
}

/** Keys of services that are not content: source places. */
const LOCAL: ReadonlySet<string> = new Set(['place']);
/** Keys that may differ between nodes with the same content: paths, secrets, and where a node probes. */
const ELSEWHERE: ReadonlySet<string> = new Set(['place', 'table', 'check', 'probe']);

/** A digest of all data in the answers of a zone without services. */
export function contentDigest(zone: ZoneForSerial): string {
  return digestOf(zone, LOCAL);
}

function digestOf(zone: ZoneForSerial, without: ReadonlySet<string>): string {
  return withSets(digestOfFiles(zone, without), zone);
}

/** The digest of a zone by that of its files. */
function withSets(files: string, { dynamic = [] }: ZoneForSerial): string {
  return withSetsDigest(files, digestOfSets(dynamic.flatMap(({ set, state }) => (state === 'used' ? set : []))));
}

function withSetsDigest(files: string, sets: string): string {
  return sets === '' ? files : createHash('sha256').update(`${files} ${sets}`).digest('hex').slice(0, 32);
}

function digestOfFiles(zone: ZoneForSerial, without: ReadonlySet<string>): string {
  if ('contentDigest' in zone) return zone.contentDigest;
  const { services, apex, resolved = [] } = zone;
  const records = zone.written ?? zone.records;
  const hash = createHash('sha256');
  const { count } = records;
  hash.update(apex).update(records.bytes.subarray(0, records.used));
  for (const column of [records.ownerAt, records.type, records.ttlSeconds, records.rdataAt]) {
    hash.update(new Uint8Array(column.buffer, column.byteOffset, count * column.BYTES_PER_ELEMENT));
  }
  const text = JSON.stringify(services, (key, value: unknown) =>
    without.has(key)
      ? undefined
      : value instanceof Map
        ? [...(value as Map<unknown, unknown>)]
        : withoutSharedMap(value),
  );
  // Records of aliases are among the records.
  for (const { kind, path } of resolved) if (kind === 'service') hash.update(` alias ${path.at(-1) ?? ''}`);
  return hash.update(text).digest('hex').slice(0, 32);
}

/** Its name in the state folder. */
export const SERIALS_FILE = 'serials.json';

/** Serials of the last run. None if the file is missing; none, with a warning to `warn`, if it is unreadable. */
export function readSerials(stateDir: string, warn: (message: string) => void): Serials {
  const path = join(stateDir, SERIALS_FILE);
  try {
    const parsed: unknown = JSON.parse(
      readRegularFile(path, { maxOctets: MAX_STATE_FILE_OCTETS }).octets.toString('utf8'),
    );
    if (isSerials(parsed)) return new Map(Object.entries(parsed));
    throw new Error('it does not contain serials');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      warn(`${path} cannot be read, so serials start from the files' times: ${(error as Error).message}`);
    }
    return new Map();
  }
}

function isSerials(value: unknown): value is Readonly<Record<string, SerialEntry>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every(
      (entry: unknown) =>
        typeof entry === 'object' &&
        entry !== null &&
        'serial' in entry &&
        isSerial(entry.serial) &&
        'digest' in entry &&
        typeof entry.digest === 'string' &&
        (!('content' in entry) || typeof entry.content === 'string') &&
        (!('keys' in entry) || (Array.isArray(entry.keys) && entry.keys.every((each) => typeof each === 'string'))),
    )
  );
}

/** RFC 1982 3: 32 bits. */
function isSerial(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

/** The content of the file: JSON with a line per zone. */
export function formatSerials(serials: Serials): string {
  return joined([...serials].map(([key, entry]) => lineOf(key, entry)));
}

function joined(all: readonly string[]): string {
  return all.length === 0 ? '{}\n' : `{\n${all.join(',\n')}\n}\n`;
}

function lineOf(key: string, entry: SerialEntry): string {
  return `${JSON.stringify(key)}: ${JSON.stringify(entry)}`;
}

/**
 * A function that returns what `formatSerials` returns, as octets. It keeps them and replaces changed lines, because
 * ten thousand strings are more garbage than all the rest of a reload.
 */
export function createSerialsText(): (serials: Serials) => Uint8Array {
  let last: Serials | undefined;
  let octets = Buffer.alloc(0);
  /** Where the line of a zone begins, and its octets without the comma. */
  let places = new Map<string, readonly [at: number, octets: number]>();

  const replaceLines = (before: Serials, serials: Serials): boolean => {
    const changed = [...changedEntries(before, serials)].map(([key, entry]) => ({ key, line: lineOf(key, entry) }));
    if (!changed.every(({ key, line }) => places.get(key)?.[1] === Buffer.byteLength(line))) return false;
    for (const { key, line } of changed) octets.write(line, places.get(key)?.[0] ?? 0);
    return true;
  };
  return (serials) => {
    if (!last || last.size !== serials.size || !replaceLines(last, serials)) {
      const lines: string[] = [];
      places = new Map();
      let at = 2;
      for (const [key, entry] of serials) {
        const length = Buffer.byteLength(lines[lines.push(lineOf(key, entry)) - 1] ?? '');
        places.set(key, [at, length]);
        at += length + 2;
      }
      octets = Buffer.from(joined(lines));
    }
    last = serials;
    // A write of the last text may still wait for the disk.
    return Uint8Array.from(octets);
  };
}
