/**
 * One mmdb file: opened and decoded by `maxmind`, its tree read into numbers. What is wrong with a file is
 * reported with a code, a place and a hint; nothing here throws for it.
 */
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Reader, type Response } from 'maxmind';
import type { Place, Report } from '../config/diagnostics.ts';
import { MAX_DATA_OCTETS } from '../config/limits.ts';
import { faultOf, readRegularFile } from '../config/read-file.ts';
import { formatAddress } from '../wire/address.ts';
import { hasImpossiblePlace, hasPlace, NOTHING, readRecord, type DatabaseRecord } from './location.ts';
import { readSearchTree, TreeError, type SearchTree } from './search-tree.ts';

export type Database = SearchTree & {
  readonly info: DatabaseInfo;
  /** By record number; 0 is NOTHING. Equal ones are one. */
  readonly records: readonly DatabaseRecord[];
};

/** What `status` shows of a database. Plain data. */
export type DatabaseInfo = {
  readonly path: string;
  /** File name without folder. */
  readonly name: string;
  /** As the file calls itself: `GeoLite2-City`. */
  readonly type: string;
  readonly bundled: boolean;
  /** Milliseconds since 1970. */
  readonly builtAtMs: number;
  readonly ageDays: number;
  readonly ipVersion: number;
  /** Distinct places or AS numbers in it. */
  readonly records: number;
  /** Which of them it has. */
  readonly has: {
    readonly country: boolean;
    readonly subdivision: boolean;
    readonly point: boolean;
    readonly asn: boolean;
  };
};

export type OpenOptions = {
  /** Where the operator named the file; the file itself when nobody did. */
  readonly place?: Place;
  readonly bundled?: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs?: number;
};

const DAY_MS = 86_400_000;
/** SPEC: a database older than this is still used, and warned about. Networks change hands all the time. */
const STALE_DAYS = 365;
/** What fits into 32 bits of seconds, up to 2106. Not the present time: the clock of this machine may be wrong. */
const MAX_BUILD_EPOCH_MS = 0xffff_ffff * 1000;
/** More unreadable records than this are damage that reaches further than what can be seen of it. */
const MAX_UNREADABLE_SHARE = 0.01;
/** Letters of a type that are shown. */
const MAX_TYPE_LETTERS = 80;
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
/** MaxMind DB File Format: the metadata are within the last 128 KiB. */
const METADATA_OCTETS = 128 * 1024;

/**
 * Opens a database. Undefined, with an error in `report`, when it cannot be used: PH400 not readable,
 * PH401 not an mmdb, PH402 broken or truncated, PH403 says nothing of places or AS numbers, PH405 another
 * version of the format, PH406 no time of its making, PH407 a place that cannot be. PH404 warns of its age, PH408 of
 * records that cannot be read.
 */
export function openDatabase(path: string, report: Report, options: OpenOptions = {}): Database | undefined {
  const place = options.place ?? { file: path };
  let bytes: Buffer;
  try {
    bytes = readRegularFile(path, { maxOctets: MAX_DATA_OCTETS }).octets;
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes, { maxOutputLength: MAX_DATA_OCTETS });
  } catch (error) {
    const { why, hint = 'give the path of an mmdb file' } = faultOf(error);
    report.error('PH400', `cannot read the database ${path}: ${why}`, place, hint);
    return undefined;
  }
  // The last marker counts; `maxmind` would search the whole file for it and then say something obscure.
  if (bytes.subarray(Math.max(0, bytes.length - METADATA_OCTETS)).lastIndexOf(MARKER) < 0) {
    const hint = 'give a file in MaxMind DB format (.mmdb), whole and unpacked; CSV files are not read';
    report.error('PH401', `${path} is not an mmdb file, or its end is missing`, place, hint);
    return undefined;
  }
  try {
    return readDatabase(path, bytes, report, place, options);
  } catch (error) {
    // What a decoder throws speaks of its own buffers, not of the file.
    const what = error instanceof TreeError ? error.message : 'its records cannot be decoded';
    report.error('PH402', `${path} is broken: ${what}`, place, 'download the file again');
    return undefined;
  }
}

function readDatabase(
  path: string,
  bytes: Buffer,
  report: Report,
  place: Place,
  options: OpenOptions,
): Database | undefined {
  // The cache lets records share what they point to (names, countries), so that it is decoded once.
  const cache = new Map<number | string, unknown>();
  const reader = new Reader<Response>(bytes, {
    cache: { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) },
  });
  const { metadata } = reader;
  const { binaryFormatMajorVersion: major, nodeCount, ipVersion } = metadata;
  if (major !== 2) {
    report.error(
      'PH405',
      `${path} has version ${String(major)} of the format`,
      place,
      'version 2 is read; update the file',
    );
    return undefined;
  }
  if (!Number.isInteger(nodeCount) || nodeCount < 0 || (ipVersion !== 4 && ipVersion !== 6)) {
    throw new TreeError('its metadata make no sense');
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
  /** An address with a place that cannot be. */
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
  if (unreadable > 0) {
    const message = `${basename(path)}: ${unreadable} of ${met} records cannot be read; their addresses have no place`;
    report.warning('PH408', message, place, 'download the file again');
  }
  const has = {
    country: records.some((record) => record.country !== ''),
    subdivision: records.some((record) => record.subdivision !== ''),
    point: records.some((record) => !Number.isNaN(record.latitude)),
    asn: records.some((record) => record.asn !== 0),
  };
  const type = typeText(metadata.databaseType);
  if (!has.asn && !records.some(hasPlace)) {
    const message = `${path} (${type}) has no country, point or AS number in its records`;
    report.error('PH403', message, place, 'use a country, city or ASN database of MaxMind, DB-IP or IPinfo');
    return undefined;
  }
  const ageDays = Math.max(0, Math.floor(((options.nowMs ?? Date.now()) - builtAtMs) / DAY_MS));
  if (ageDays > STALE_DAYS) {
    const hint = options.bundled
      ? 'update the pharos package, or name a newer file in geo.databases'
      : 'download a newer one';
    report.warning('PH404', `${basename(path)} was built ${ageDays} days ago`, place, hint);
  }
  const info = {
    path,
    name: basename(path),
    type,
    bundled: options.bundled ?? false,
    builtAtMs,
    ageDays,
    ipVersion,
    records: records.length - 1,
    has,
  };
  return { ...tree, info, records };
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
 * The format has doubles of 8 octets and floats of 4. `maxmind` reads as many whatever size the file states, so that a
 * damaged one becomes a place somewhere.
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

/** The part of `maxmind`'s decoder that is looked into. */
type Decoder = { decodeByType: (type: number, offset: number, size: number) => unknown };
/** MaxMind DB File Format, "Data Field Format". */
const DOUBLE = 3;
const FLOAT = 15;

/** The type that the file states, as text for messages: it may be anything. */
function typeText(type: unknown): string {
  const text = typeof type === 'string' ? type.replaceAll(/[\p{Cc}\p{Cf}]/gu, '').slice(0, MAX_TYPE_LETTERS) : '';
  return text === '' ? 'of an unknown type' : text;
}

/** Equal records have equal keys. */
export function recordKey(record: DatabaseRecord): string {
  return `${record.country}|${record.subdivision}|${record.continent}|${record.latitude}|${record.longitude}|${record.asn}`;
}

/** As `maxmind` takes it: with all eight groups, for `::1.2.3.4` would mean IPv4 to it. */
function plainText(address: Uint8Array): string {
  if (address.length === 4) return formatAddress(address);
  let text = '';
  for (let at = 0; at < 16; at += 2)
    text += `${at ? ':' : ''}${(((address[at] ?? 0) << 8) | (address[at + 1] ?? 0)).toString(16)}`;
  return text;
}
