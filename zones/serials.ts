/**
 * `soa.serial: auto`: a serial that rises with every change of content and never falls (SPEC 3), and is the same on every
 * node that has the same files. What was served last, with a digest of its content, is kept in the state folder.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readRegularFile } from '../config/read-file.ts';
import { MAX_STATE_FILE_OCTETS } from '../health/limits.ts';
import { traitsOf } from '../steering/steps.ts';
import { nameKey } from '../wire/name.ts';
import { TYPE } from '../wire/types.ts';
import type { ZoneModel } from './read/model.ts';
import { rdataOf } from './read/record-store.ts';

/** By canonical apex (`nameKey`). The digest is empty where the file states the serial: it is kept so that `auto` rises above it. */
export type Serials = Readonly<Record<string, { readonly serial: number; readonly digest: string }>>;

/** Serial of the SOA as the file states it. */
export function statedSerial(zone: ZoneModel): number {
  const { records } = zone;
  for (let row = 0; row < records.count; row++) {
    if (records.type[row] !== TYPE.SOA) continue;
    const data = rdataOf(records, row);
    return new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(data.length - 20);
  }
  return 0;
}

/**
 * Copies of the same files get times that differ by the time that copying takes. Times within one span give one serial, at
 * the price that of two changes in one span only a node that has its state knows which came later.
 */
const SPAN_SECONDS = 16;
/** 2000-01-01: tools that make builds reproducible give all files a time before it, which says nothing of what is newer. */
const OLDEST_SECONDS = 946_684_800;

/**
 * The serial for a zone's content: the last one where nothing changed, else that of its files, or one more than the last
 * where the files' times stand still or went back.
 */
export function nextSerial(
  zone: ZoneModel,
  last: Serials,
  nowSeconds: number,
): { readonly serial: number; readonly digest: string } {
  const digest = digestOf(zone, LOCAL);
  const before = last[nameKey(zone.apex)];
  if (before?.digest === digest) return before;
  return { serial: Math.max((before?.serial ?? 0) + 1, serialOfFiles(zone, nowSeconds)) >>> 0, digest };
}

/**
 * The newest time of the files, in seconds since 1970, to the span; the place in the span is by content. So it needs no
 * state: it is the same wherever content and times are, and rises with the times. A time that no file can have counts as now.
 */
function serialOfFiles(zone: ZoneModel, nowSeconds: number): number {
  const newest = newestSeconds(zone);
  const isKnown = newest >= OLDEST_SECONDS && newest <= nowSeconds + SPAN_SECONDS;
  const seconds = isKnown ? newest : nowSeconds;
  const place = Number.parseInt(digestOf(zone, ELSEWHERE).slice(0, 8), 16) % SPAN_SECONDS;
  return Math.floor(seconds / SPAN_SECONDS) * SPAN_SECONDS + place;
}

/** Of the files that the content is read from; measured times are no content. */
function newestSeconds({ files, services }: ZoneModel): number {
  const tables = new Set(services.flatMap(({ steps }) => steps.flatMap((step) => traitsOf(step).table?.path ?? [])));
  const times = files
    .filter((file) => !tables.has(file))
    .map((file) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) / 1000);
  return Math.floor(Math.max(0, ...times));
}

/** Keys of services that say nothing about content: where something is written. */
const LOCAL: ReadonlySet<string> = new Set(['place']);
/** On other nodes, paths and secrets may be others for the same content. */
const ELSEWHERE: ReadonlySet<string> = new Set(['place', 'table', 'check']);

function digestOf(zone: ZoneModel, without: ReadonlySet<string>): string {
  const { records, services, apex } = zone;
  const hash = createHash('sha256');
  const { count } = records;
  hash.update(apex).update(records.bytes.subarray(0, records.used));
  for (const column of [records.ownerAt, records.type, records.ttlSeconds, records.rdataAt]) {
    hash.update(new Uint8Array(column.buffer, column.byteOffset, count * column.BYTES_PER_ELEMENT));
  }
  const text = JSON.stringify(services, (key, value: unknown) =>
    without.has(key) ? undefined : value instanceof Map ? [...(value as Map<unknown, unknown>)] : value,
  );
  return hash.update(text).digest('hex').slice(0, 32);
}

/** Its name in the state folder. */
export const SERIALS_FILE = 'serials.json';

/** Serials of the last run; none when the file is missing or unreadable, which `warn` is told of. */
export function readSerials(stateDir: string, warn: (message: string) => void): Serials {
  const path = join(stateDir, SERIALS_FILE);
  try {
    const parsed: unknown = JSON.parse(
      readRegularFile(path, { maxOctets: MAX_STATE_FILE_OCTETS }).octets.toString('utf8'),
    );
    if (isSerials(parsed)) return parsed;
    throw new Error('it does not hold serials');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      warn(`${path} cannot be read, serials start from the files' times: ${(error as Error).message}`);
    }
    return {};
  }
}

function isSerials(value: unknown): value is Serials {
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
        typeof entry.digest === 'string',
    )
  );
}

/** RFC 1982 3: 32 bits. */
function isSerial(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

/** The content of the file. */
export function formatSerials(serials: Serials): string {
  return `${JSON.stringify(serials, undefined, 1)}\n`;
}
