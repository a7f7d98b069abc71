/**
 * Reads latency tables: CSV lines `network,region,ms` with measured round-trip times (docs/latency.md#tables). A table
 * may have millions of lines. Lines in the plain form, which are nearly all, are read from the octets. All other lines,
 * including those with mistakes, are read from text.
 */
import type { Place, Report } from '../config/diagnostics.ts';
import { MAX_DATA_OCTETS } from '../config/limits.ts';
import { faultOf, readRegularFile } from '../config/read-file.ts';
import { parsePrefix } from '../wire/address.ts';
import { get8 } from '../wire/octets.ts';
import { isCountry } from './countries.ts';
import { MAX_LATENCY_MS } from './latency-limits.ts';
import { createLatencyBuilder, type LatencyBuilder } from './latency-table.ts';
import { addressWords } from './prefix-table.ts';

/** Mistakes that are reported one by one. A table that is wrong throughout should not fill the screen. */
const MAX_MISTAKES = 20;

/**
 * Reads a table into a builder. `regions` are the names that may occur. A file outside of `below` is refused (PH385).
 * Blank lines, `#` comments and a header `network,region,ms` are skipped. The result is undefined, with errors in
 * `report`, if the file cannot be read (PH410) or a line is wrong: not three fields (PH411), not a network (PH412), an
 * unknown region (PH413), not a time (PH414); PH417 counts the mistakes beyond MAX_MISTAKES. Warnings: a pair measured
 * twice, of which the last counts (PH415); a table without measurements (PH416).
 */
export function readLatencyFile(
  path: string,
  report: Report,
  regions: Iterable<string>,
  below?: string,
): LatencyBuilder | undefined {
  let octets: Buffer;
  try {
    octets = readRegularFile(path, { maxOctets: MAX_DATA_OCTETS, below }).octets;
  } catch (error) {
    const { code, why, hint } = faultOf(error);
    report.error(
      code === 'OUTSIDE' ? 'PH385' : 'PH410',
      `cannot read the latency table ${path}: ${why}`,
      { file: path },
      hint,
    );
    return undefined;
  }
  return parseLatencyTable(octets, path, report, regions);
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const COMMA = 0x2c;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf);

/** A table while it is read. */
type Reading = {
  readonly octets: Buffer;
  readonly file: string;
  readonly report: Report;
  readonly builder: LatencyBuilder;
  /** Region names by region number, as text and as octets. */
  readonly regions: readonly string[];
  readonly names: readonly Buffer[];
  /** Columns of the builder by region number. -1 until the file names the region. */
  readonly columns: Int32Array;
  /** The network of a plain line, for the builder. */
  readonly address: Uint32Array;
  /** The number of the current line, its offset, and the offset of the next line. */
  line: number;
  start: number;
  next: number;
  measured: number;
  repeated: number;
  mistakes: number;
  /** The key, row and region of the lines before: neighbouring lines often share them. */
  lastKey: string | undefined;
  lastRow: number;
  lastRegion: number;
};

/**
 * Reads a table from octets in UTF-8. The result and `report` are those of readLatencyFile; `file` is for diagnostics.
 */
export function parseLatencyTable(
  octets: Buffer,
  file: string,
  report: Report,
  regions: Iterable<string>,
): LatencyBuilder | undefined {
  const reading = startReading(octets, file, report, [...new Set(regions)]);
  for (; reading.start < octets.length; reading.start = reading.next) {
    reading.line++;
    if (!readPlainLine(reading)) readAnyLine(reading);
  }
  const { builder, mistakes, measured } = reading;
  const whole = { file };
  if (mistakes > MAX_MISTAKES) {
    report.error('PH417', `${mistakes - MAX_MISTAKES} more lines of this table have mistakes`, whole);
  }
  if (mistakes > 0) return undefined;
  if (measured === 0) {
    report.warning('PH416', 'the latency table has no measurement', whole, 'every client falls back to nearest');
  }
  return builder;
}

function startReading(octets: Buffer, file: string, report: Report, regions: readonly string[]): Reading {
  const start = octets.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
  return {
    octets,
    file,
    report,
    builder: createLatencyBuilder(),
    regions,
    names: regions.map((name) => Buffer.from(name)),
    columns: new Int32Array(regions.length).fill(-1),
    address: new Uint32Array(1),
    line: 0,
    start,
    next: start,
    measured: 0,
    repeated: 0,
    mistakes: 0,
    lastKey: undefined,
    lastRow: -1,
    lastRegion: 0,
  };
}

/** Reads a line such as `192.0.2.0/24,seoul,12.5`, without blanks or quotes. False for all other lines. */
function readPlainLine(reading: Reading): boolean {
  const { octets } = reading;
  let at = reading.start;
  let address = 0;
  for (let part = 0; part < 5; part++) {
    const first = at;
    let value = 0;
    for (let digit = get8(octets, at) - ZERO; digit >= 0 && digit <= 9; digit = get8(octets, ++at) - ZERO) {
      value = value * 10 + digit;
    }
    // Some programs take leading zeros for octal. parsePrefix refuses them.
    if (at === first || at - first > 3 || (at - first > 1 && octets[first] === ZERO)) return false;
    if (octets[at++] !== (part < 3 ? DOT : part === 3 ? SLASH : COMMA)) return false;
    if (part < 4) {
      if (value > 255) return false;
      address = ((address << 8) | value) >>> 0;
      continue;
    }
    if (value > 32 || (value < 32 && (address << value) >>> 0 !== 0)) return false;
    reading.address[0] = address;
    const region = regionAt(reading, at);
    if (region < 0) return false;
    at += (reading.names[region]?.length ?? 0) + 1;
    return readPlainTime(reading, at, value, region);
  }
  return false;
}

/** The region whose name and a comma are at `at`, or -1. The lines of most networks have the regions in one order. */
function regionAt(reading: Reading, at: number): number {
  const { octets, names } = reading;
  for (let turn = 0; turn < names.length; turn++) {
    const region = (reading.lastRegion + 1 + turn) % names.length;
    const name = names[region];
    if (!name || octets[at + name.length] !== COMMA) continue;
    let same = 0;
    while (same < name.length && octets[at + same] === name[same]) same++;
    if (same === name.length) return (reading.lastRegion = region);
  }
  return -1;
}

/** Reads the time at `from`, which must end the line, and enters it for the network in `reading.address`. */
function readPlainTime(reading: Reading, from: number, bits: number, region: number): boolean {
  const { octets } = reading;
  let at = from;
  let whole = 0;
  let digits = 0;
  let scale = 1;
  let dot = false;
  for (; digits < 15; at++) {
    const octet = octets[at] ?? NEWLINE;
    if (octet === DOT && !dot && digits > 0) {
      dot = true;
      continue;
    }
    if (octet < ZERO || octet > ZERO + 9) break;
    whole = whole * 10 + octet - ZERO;
    if (dot) scale *= 10;
    digits++;
  }
  if (digits === 0 || octets[at - 1] === DOT) return false;
  if (octets[at] === RETURN) at++;
  if (at < octets.length && octets[at] !== NEWLINE) return false;
  // Both are exact, so the quotient is the nearest double: the same as Number() of the text.
  const ms = whole / scale;
  if (ms > MAX_LATENCY_MS) return false;
  reading.next = at + 1;
  enter(reading, reading.builder.network(reading.address, bits), region, ms);
  return true;
}

/** Reads a line of any form, and reports its mistakes. */
function readAnyLine(reading: Reading): void {
  const { octets, start, regions } = reading;
  const newline = octets.indexOf(NEWLINE, start);
  reading.next = newline < 0 ? octets.length : newline + 1;
  const raw = octets.toString('utf8', start, newline < 0 ? octets.length : newline);
  const first = raw.indexOf(',');
  const second = first < 0 ? -1 : raw.indexOf(',', first + 1);
  const key = fieldOf(raw.slice(0, first < 0 ? raw.length : first));
  if (key.startsWith('#') || (key === '' && first < 0)) return;
  const line = raw.trimEnd();
  if (second < 0 || raw.includes(',', second + 1)) {
    const hint = 'write network,region,ms, such as 192.0.2.0/24,seoul,12.5';
    reportMistake(reading, 'PH411', 'a line must have three fields', line, raw.trim(), 0, hint);
    return;
  }
  const name = fieldOf(raw.slice(first + 1, second));
  const time = fieldOf(raw.slice(second + 1));
  if (reading.measured === 0 && reading.mistakes === 0 && key.toLowerCase() === 'network') return;
  const region = regions.indexOf(name);
  const ms = time === '' ? Number.NaN : Number(time);
  if (region < 0) {
    const hint = `known regions: ${regions.join(', ') || 'none'}`;
    reportMistake(reading, 'PH413', `unknown region ${JSON.stringify(name)}`, raw, name, first + 1, hint);
  } else if (!(ms >= 0 && ms <= MAX_LATENCY_MS)) {
    const message = `the time must be 0 to ${MAX_LATENCY_MS} milliseconds, got ${time}`;
    const hint = 'write a number without a unit; leave the line out if unknown';
    reportMistake(reading, 'PH414', message, line, time, second + 1, hint);
  } else {
    const row = key === reading.lastKey ? reading.lastRow : rowOf(reading.builder, key);
    if (row === undefined) {
      const hint = 'write 192.0.2.0/24 (no bits after the prefix), AS64500 or a country such as KR';
      reportMistake(reading, 'PH412', `${key} is not a network, an AS or a country`, line, key, 0, hint);
    } else {
      reading.lastKey = key;
      reading.lastRow = row;
      enter(reading, row, region, ms);
    }
  }
}

/** Enters one measurement. */
function enter(reading: Reading, row: number, region: number, ms: number): void {
  const { builder, columns, regions } = reading;
  let column = columns[region] ?? -1;
  if (column < 0) columns[region] = column = builder.column(regions[region] ?? '');
  reading.measured++;
  // One warning per table is enough; it shows the first repetition.
  if (!builder.set(row, column, ms, 0) || ++reading.repeated > 1) return;
  const excerpt = reading.octets.toString('utf8', reading.start, reading.next).trimEnd();
  const key = excerpt.slice(0, excerpt.indexOf(',')).trim();
  const message = `${key} to ${regions[region] ?? ''} is measured more than once`;
  reading.report.warning('PH415', message, placeIn(reading, excerpt, 0, key), 'the last one counts');
}

/** Reports a mistake in `field`, which is looked for in the excerpt from the index `from` on. */
function reportMistake(
  reading: Reading,
  code: string,
  message: string,
  excerpt: string,
  field: string,
  from: number,
  hint: string,
): void {
  if (++reading.mistakes > MAX_MISTAKES) return;
  const index = Math.max(0, excerpt.indexOf(field, from));
  reading.report.error(code, message, placeIn(reading, excerpt, index, field), hint);
}

function placeIn({ file, line }: Reading, excerpt: string, index: number, field: string): Place {
  return { file, line, column: index + 1, length: Math.max(1, field.length), excerpt, foreign: true };
}

/**
 * A field without the blanks around it and without the quotes that some programs write around every text (RFC 4180 2).
 */
function fieldOf(text: string): string {
  const field = text.trim();
  return field.length > 1 && field.startsWith('"') && field.endsWith('"') ? field.slice(1, -1) : field;
}

/** The row of a network, an AS or a country; undefined if the key is none of them. */
function rowOf(builder: LatencyBuilder, key: string): number | undefined {
  if (/^as\d/i.test(key)) {
    const asn = Number(key.slice(2));
    return asn > 0 && asn <= 0xffff_ffff ? builder.asn(asn) : undefined;
  }
  if (key.length === 2) {
    const country = key.toUpperCase();
    return isCountry(country) ? builder.country(country) : undefined;
  }
  const prefix = parsePrefix(key);
  return prefix && builder.network(addressWords(prefix.bytes), prefix.bits);
}
