/**
 * Keeps large zones in the cache in compiled form, so that a start, `check` or `explain` with unchanged files does not
 * read a million lines again (docs/decisions/start-up.md). Two entries per zone:
 *
 *     index   by the zone's file, its content and the settings: the other files that the zone was read from
 *     zone    by the same and the digests of all files: the result of reading, and the part of the image
 *
 * Zones with services are not kept, because checks may contain secrets. Zones with dnssec are not kept either.
 */
import { createHash, hash } from 'node:crypto';
import { dirname } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { readCacheEntry, writeCacheEntry, type CacheFolders, type CacheKind } from '../config/cache-entry.ts';
import { allocateEntry, ENTRY_HEADER_OCTETS } from '../config/entry-header.ts';
import { MAX_DATA_OCTETS } from '../config/limits.ts';
import { readRegularFile } from '../config/read-file.ts';
import type { Settings } from '../config/settings.ts';
import type { ZoneInfo } from './catalog.ts';
import { octetsOfPart, type Part, type PartStore } from './image/part-store.ts';
import { markOf, type FileMark } from './read/file-marks.ts';
import type { ZoneModel } from './read/model.ts';
import type { ZoneReading } from './read/read-all.ts';
import { contentDigest, statedSerial, type ZoneForSerial } from './serials.ts';

/**
 * The format of the content. Raise it whenever the image of a zone or `ZoneReading` changes; the key has the version of
 * Pharos too. A unit test compares the part of an entry with this number.
 */
export const ZONE_FORMAT = 4;

/** A zone takes some 120 octets per record. */
const ZONES: CacheKind = { kind: 'zone', keep: 4 };
const INDEXES: CacheKind = { kind: 'files', keep: 64 };
/** A smaller zone is read as fast as its entry would be. */
export const LEAST_RECORDS = 20_000;

export type CachedZone = {
  readonly reading: ZoneReading;
  readonly info: ZoneInfo;
  readonly content: ZoneForSerial;
  readonly part: Uint8Array;
};

type Told = Pick<CachedZone, 'reading' | 'info'> & { readonly digest: string; readonly stated: number };

/**
 * Finds a zone in the cache. `key` has all inputs of zones other than files. Undefined if one of its files has changed
 * or cannot be read.
 */
export function findCachedZone(
  file: string,
  settings: Settings,
  key: Buffer,
  cache: CacheFolders,
): CachedZone | undefined {
  if (cache.read.length === 0) return undefined;
  try {
    return readZoneEntry(file, settings, key, cache);
  } catch {
    // The usual reading reports unreadable files.
    return undefined;
  }
}

function readZoneEntry(file: string, settings: Settings, key: Buffer, cache: CacheFolders): CachedZone | undefined {
  const folder = dirname(file);
  const below = settings.files === 'anywhere' ? undefined : folder;
  const own = read(file, settings.zoneFolders.includes(folder) ? below : undefined);
  if (!own || !mayBeCached(own.octets)) return undefined;
  const indexKey = keyOfIndex(file, key, own.mark.digest);
  const index = readCacheEntry(cache, INDEXES, indexKey, newMemory);
  if (!index) return undefined;
  const files = deserialize(Buffer.from(index, ENTRY_HEADER_OCTETS)) as readonly string[];
  const marks: FileMark[] = [];
  for (const path of files) {
    const mark = path === file ? own.mark : read(path, below)?.mark;
    if (!mark) return undefined;
    marks.push(mark);
  }
  const entry = readCacheEntry(cache, ZONES, keyOfZone(indexKey, marks), newMemory);
  if (!entry) return undefined;
  const toldOctets = new Int32Array(entry, ENTRY_HEADER_OCTETS, 1)[0] ?? 0;
  const toldAt = ENTRY_HEADER_OCTETS + 4;
  // A copy: names that are deserialized are views of this memory, and would keep all of the entry.
  const told = Buffer.from(new Uint8Array(entry, toldAt, toldOctets));
  const { reading, info, digest, stated } = deserialize(told) as Told;
  return {
    reading: { ...reading, marks },
    info,
    content: { ...reading.summary, contentDigest: digest, stated },
    part: new Uint8Array(entry, toldAt + toldOctets),
  };
}

/** Saves a zone that was read and compiled now, if it is large enough. `key` is as for `findCachedZone`. */
export function cacheZone(
  { reading, info, part }: { readonly reading: ZoneReading; readonly info: ZoneInfo; readonly part: Part },
  model: ZoneModel,
  key: Buffer,
  cache: CacheFolders,
  store: PartStore,
): void {
  const { marks, summary } = reading;
  if (cache.write.length === 0 || info.records < LEAST_RECORDS || summary.services.length > 0 || summary.signing)
    return;
  const own = marks.find(({ path }) => path === summary.file);
  if (!own || marks.some(({ digest }) => digest === '')) return;
  // The file may contain a variable, or have changed meanwhile.
  const now = read(own.path, undefined);
  if (now?.mark.digest !== own.digest || !mayBeCached(now.octets)) return;
  const indexKey = keyOfIndex(own.path, key, own.digest);
  const paths = serialize(marks.map(({ path }) => path));
  const index = allocateEntry(paths.length, indexKey, newMemory);
  new Uint8Array(index, ENTRY_HEADER_OCTETS).set(paths);

  const told = serialize({
    reading: { ...reading, model: undefined },
    info,
    digest: contentDigest(model),
    stated: statedSerial(model),
  } satisfies Told);
  const octets = octetsOfPart(store, part);
  const entry = allocateEntry(4 + told.length + octets.length, keyOfZone(indexKey, marks), newMemory);
  new Int32Array(entry, ENTRY_HEADER_OCTETS, 1)[0] = told.length;
  new Uint8Array(entry, ENTRY_HEADER_OCTETS + 4).set(told);
  new Uint8Array(entry, ENTRY_HEADER_OCTETS + 4 + told.length).set(octets);
  writeCacheEntry(cache, ZONES, entry);
  writeCacheEntry(cache, INDEXES, index);
}

const newMemory = (octets: number): ArrayBuffer => new ArrayBuffer(octets);

/** A large zone has its records in other files. With variables, it depends on more than files. */
function mayBeCached(octets: Buffer): boolean {
  return octets.includes('include') && !octets.includes('${');
}

/** Throws if the file cannot be read; undefined if it is gone. */
function read(path: string, below: string | undefined): { octets: Buffer; mark: FileMark } | undefined {
  const mark = markOf(path);
  if (!mark) return undefined;
  const { octets } = readRegularFile(path, { maxOctets: MAX_DATA_OCTETS, below });
  return { octets, mark: { ...mark, digest: hash('sha1', octets) } };
}

function keyOfIndex(file: string, key: Buffer, digest: string): Buffer {
  return createHash('sha256')
    .update(`${JSON.stringify([ZONE_FORMAT, file, digest])}\n`)
    .update(key)
    .digest();
}

function keyOfZone(indexKey: Buffer, marks: readonly FileMark[]): Buffer {
  const files = marks.map(({ path, digest }) => [path, digest]);
  return createHash('sha256').update(indexKey).update(JSON.stringify(files)).digest();
}
