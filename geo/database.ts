/**
 * Opens an mmdb file: `maxmind` decodes its records, search-tree.ts reads its tree. Faults of the file are reported as
 * diagnostics, not thrown.
 */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Reader, type Response } from 'maxmind';
import type { Place, Report } from '../config/diagnostics.ts';
import { MAX_DATA_OCTETS } from '../config/limits.ts';
import { faultOf, readRegularFile } from '../config/read-file.ts';
import { formatAddress } from '../wire/address.ts';
import { get16 } from '../wire/octets.ts';
import { hasImpossiblePlace, hasPlace, NOTHING, readRecord, type DatabaseRecord } from './location.ts';
import { readSearchTree, TreeError, type SearchTree } from './search-tree.ts';

/** The places of a database, and its tree, whose leaves are their numbers. */
export type DatabaseTree = SearchTree & {
  /** By record number; 0 is NOTHING. Equal records have one number. */
  readonly records: readonly DatabaseRecord[];
};

export type Database = DatabaseTree & { readonly info: DatabaseInfo };

/** The description of a database in `pharos status`. Plain data. */
export type DatabaseInfo = {
  readonly path: string;
  /** File name without folder. */
  readonly name: string;
  /** The type that the file states: `GeoLite2-City`. */
  readonly type: string;
  readonly bundled: boolean;
  /** Milliseconds since 1970. */
  readonly builtAtMs: number;
  readonly ageDays: number;
  readonly ipVersion: number;
  /** The number of distinct places or AS numbers. */
  readonly records: number;
  /** Which kinds of data its records have. */
  readonly has: {
    readonly country: boolean;
    readonly subdivision: boolean;
    readonly city: boolean;
    readonly point: boolean;
    readonly asn: boolean;
  };
};

/** The part of the description that depends only on the content of the file. Plain data. */
export type DatabaseFacts = Pick<DatabaseInfo, 'type' | 'builtAtMs' | 'ipVersion' | 'records' | 'has'> & {
  /** Records that the tree points to, and how many of them cannot be decoded. */
  readonly met: number;
  readonly unreadable: number;
};

export type DatabaseFile = {
  readonly octets: Buffer;
  /** SHA-256. */
  readonly digest: Buffer;
};

export type OpenOptions = {
  /** The place of the setting that names the file, for diagnostics. The default is the file itself. */
  readonly place?: Place;
  readonly bundled?: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs?: number;
};

const DAY_MS = 86_400_000;
/** A database older than this is used with a warning (PH404), because networks change hands all the time. */
const STALE_DAYS = 365;
/**
 * The latest time in 32 bits of seconds, in 2106. The present time is not the limit, because this machine's clock may
 * be wrong.
 */
const MAX_BUILD_EPOCH_MS = 0xffff_ffff * 1000;
/** With a larger share of unreadable records, the readable ones are likely to be damaged too. */
const MAX_UNREADABLE_SHARE = 0.01;
/** Letters of a database type that messages show. */
const MAX_TYPE_LETTERS = 80;
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
/** MaxMind DB File Format: the metadata is in the last 128 KiB. */
const METADATA_OCTETS = 128 * 1024;

/**
 * Opens a database. The result is undefined, with an error in `report`, if the file is not readable (PH400), not an
 * mmdb file (PH401), broken or truncated (PH402), has neither places nor AS numbers (PH403), has an unsupported version
 * (PH405), no build time (PH406), or an impossible place (PH407). Warnings: an old database (PH404), unreadable records
 * (PH408).
 */
export function openDatabase(path: string, report: Report, options: OpenOptions = {}): Database | undefined {
  const file = readDatabaseFile(path, report, options);
  const decoded = file && decodeDatabase(path, file.octets, report, options);
  if (!decoded) return undefined;
  return { ...decoded.tree, info: describeDatabase(path, decoded.facts, report, options) };
}

/** Reads the file (PH400). */
export function readDatabaseFile(path: string, report: Report, { place }: OpenOptions): DatabaseFile | undefined {
  try {
    const { octets } = readRegularFile(path, { maxOctets: MAX_DATA_OCTETS });
    return { octets, digest: createHash('sha256').update(octets).digest() };
  } catch (error) {
    refuseFile(path, error, report, place);
    return undefined;
  }
}

function refuseFile(path: string, error: unknown, report: Report, place: Place = { file: path }): void {
  const { why, hint = 'give the path of an mmdb file' } = faultOf(error);
  report.error('PH400', `cannot read the database ${path}: ${why}`, place, hint);
}

export type DecodedDatabase = { readonly tree: DatabaseTree; readonly facts: DatabaseFacts };

/** Decodes the octets of a file. Reports why it cannot be used (PH400 if it cannot be unpacked, PH401 to PH407). */
export function decodeDatabase(
  path: string,
  octets: Buffer,
  report: Report,
  options: OpenOptions,
): DecodedDatabase | undefined {
  const place = options.place ?? { file: path };
  let bytes = octets;
  try {
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes, { maxOutputLength: MAX_DATA_OCTETS });
  } catch (error) {
    refuseFile(path, error, report, options.place);
    return undefined;
  }
  // The last marker counts. `maxmind` would search the whole file for it and report an obscure error.
  if (bytes.subarray(Math.max(0, bytes.length - METADATA_OCTETS)).lastIndexOf(MARKER) < 0) {
    const hint = 'give a file in MaxMind DB format (.mmdb), whole and unpacked; CSV files are not read';
    report.error('PH401', `${path} is not an mmdb file, or its end is missing`, place, hint);
    return undefined;
  }
  try {
    return readDatabase(path, bytes, report, place);
  } catch (error) {
    // Errors of the decoder describe its buffers, not the file.
    const what = error instanceof TreeError ? error.message : 'its records cannot be decoded';
    report.error('PH402', `${path} is broken: ${what}`, place, 'download the file again');
    return undefined;
  }
}

/** Describes a database, and warns of an old one (PH404) and of unreadable records (PH408). */
export function describeDatabase(
  path: string,
  facts: DatabaseFacts,
  report: Report,
  { place = { file: path }, bundled = false, nowMs = Date.now() }: OpenOptions,
): DatabaseInfo {
  const { met, unreadable, ...kept } = facts;
  if (unreadable > 0) {
    const message = `${basename(path)}: ${unreadable} of ${met} records cannot be read; their addresses have no place`;
    report.warning('PH408', message, place, 'download the file again');
  }
  const ageDays = Math.max(0, Math.floor((nowMs - kept.builtAtMs) / DAY_MS));
  if (ageDays > STALE_DAYS) {
    const hint = bundled ? 'update the pharos package, or name a newer file in geo.databases' : 'download a newer one';
    report.warning('PH404', `${basename(path)} was built ${ageDays} days ago`, place, hint);
  }
  return { path, name: basename(path), bundled, ageDays, ...kept };
}

function readDatabase(path: string, bytes: Buffer, report: Report, place: Place): DecodedDatabase | undefined {
  // With a cache, data that records share (names, countries) is decoded once.
  const cache = new Map<number | string, unknown>();
  const reader = new Reader<Response>(bytes, {
    cache: { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) },
  });
  const { metadata } = reader;
  const { binaryFormatMajorVersion: major, nodeCount, ipVersion } = metadata;
  if (major !== 2) {
    report.error(
      'PH405',
      typeof major === 'number'
        ? `${path} has version ${major} of the mmdb format`
        : `${path} states no version of the mmdb format`,
      place,
      'only version 2 is supported; download a file in version 2',
    );
    return undefined;
  }
  if (!Number.isInteger(nodeCount) || nodeCount < 0 || (ipVersion !== 4 && ipVersion !== 6)) {
    throw new TreeError('its metadata is invalid');
  }
  const builtAtMs = metadata.buildEpoch.getTime();
  if (!(builtAtMs >= 0 && builtAtMs <= MAX_BUILD_EPOCH_MS)) {
    const message = `${path} does not say when it was built: build_epoch is missing or not a time`;
    report.error('PH406', message, place, 'download the file again; build_epoch is in seconds since 1970');
    return undefined;
  }
  refuseOddDoubles(reader);

  let met = 0;
  let unreadable = 0;
  /** An address with an impossible place. */
  let impossible: string | undefined;
  const records: DatabaseRecord[] = [NOTHING];
  const numbers = new Map<string, number>([[recordKey(NOTHING), 0]]);
  const tree = readSearchTree({ bytes, nodeCount, recordBits: metadata.recordSize, ipVersion }, (address) => {
    met += 1;
    const data = readOrDamaged(reader, plainText(address));
    if (data === DAMAGED) {
      unreadable += 1;
      return 0;
    }
    if (hasImpossiblePlace(data)) impossible ??= formatAddress(address);
    const record = readRecord(data);
    const key = recordKey(record);
    let number = numbers.get(key);
    if (number === undefined) {
      number = records.push(record) - 1;
      numbers.set(key, number);
    }
    return number;
  });

  if (impossible !== undefined) {
    const message = `${path} is damaged: the place of ${impossible} is outside of ±90° and ±180°, or not a number`;
    report.error('PH407', message, place, 'download the file again');
    return undefined;
  }
  if (unreadable > met * MAX_UNREADABLE_SHARE) {
    const message = `${path} is broken: ${unreadable} of ${met} records cannot be decoded`;
    report.error('PH402', message, place, 'download the file again');
    return undefined;
  }
  const has = {
    country: records.some((record) => record.country !== ''),
    subdivision: records.some((record) => record.subdivision !== ''),
    city: records.some((record) => record.city !== ''),
    point: records.some((record) => !Number.isNaN(record.latitude)),
    asn: records.some((record) => record.asn !== 0),
  };
  const type = typeText(metadata.databaseType);
  if (!has.asn && !records.some(hasPlace)) {
    const message = `${path} (${type}) has no country, point or AS number in its records`;
    report.error('PH403', message, place, 'use a country, city or ASN database of MaxMind, DB-IP or IPinfo');
    return undefined;
  }
  const facts = { type, builtAtMs, ipVersion, records: records.length - 1, has, met, unreadable };
  return { tree: { ...tree, records }, facts };
}

const DAMAGED = Symbol('damaged');

function readOrDamaged(reader: Reader<Response>, address: string): unknown {
  try {
    return reader.get(address);
  } catch {
    return DAMAGED;
  }
}

/**
 * Refuses doubles that are not 8 octets and floats that are not 4. `maxmind` ignores the size that the file states, so
 * a damaged number would become a wrong place.
 */
function refuseOddDoubles(reader: Reader<Response>): void {
  const decoder = (reader as unknown as { readonly decoder: Decoder }).decoder;
  const decodeByType = decoder.decodeByType.bind(decoder);
  decoder.decodeByType = (type, offset, size) => {
    if ((type === DOUBLE && size !== 8) || (type === FLOAT && size !== 4))
      throw new TreeError(`a number of ${String(size)} octets at octet ${String(offset)}`);
    return decodeByType(type, offset, size);
  };
}

/** The part of `maxmind`'s decoder that is replaced. */
type Decoder = { decodeByType: (type: number, offset: number, size: number) => unknown };
/** MaxMind DB File Format, "Data Field Format". */
const DOUBLE = 3;
const FLOAT = 15;

/** The type that the file states, as text for messages. The file may have any value there. */
function typeText(type: unknown): string {
  const text = typeof type === 'string' ? type.replaceAll(/[\p{Cc}\p{Cf}]/gu, '').slice(0, MAX_TYPE_LETTERS) : '';
  return text === '' ? 'of an unknown type' : text;
}

/** Equal records have equal keys. */
export function recordKey(record: DatabaseRecord): string {
  const { country, subdivision, city, area, continent, latitude, longitude, asn } = record;
  return `${country}|${subdivision}|${area}|${continent}|${latitude}|${longitude}|${asn}|${city}`;
}

/**
 * The address in a form for `maxmind`: with all eight groups, because it would take `::1.2.3.4` for an IPv4 address.
 */
function plainText(address: Uint8Array): string {
  if (address.length === 4) return formatAddress(address);
  let text = '';
  for (let at = 0; at < 16; at += 2) text += `${at ? ':' : ''}${get16(address, at).toString(16)}`;
  return text;
}
