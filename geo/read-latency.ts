/**
 * Reads files of measured round-trip times: CSV lines `network,region,ms` (SPEC 8), by the million. Lines in the plain
 * form, which is nearly all of them, are read from the octets; the others, and those with mistakes, from text.
 */
import type { Report } from '../config/diagnostics.ts';
import { MAX_DATA_OCTETS } from '../config/limits.ts';
import { faultOf, readRegularFile } from '../config/read-file.ts';
import { parsePrefix } from '../wire/address.ts';
import { isCountry } from './countries.ts';
import { MAX_LATENCY_MS } from './latency-limits.ts';
import { createLatencyBuilder, type LatencyBuilder } from './latency-table.ts';
import { addressWords } from './prefix-table.ts';

/** Mistakes reported one by one; a table that is wrong throughout should not fill the screen. */
const MAX_MISTAKES = 20;

/**
 * Reads a table into a builder. `regions` are the names that may occur; a file outside of `below` is refused (PH385). Blank lines, `#` comments and a header
 * `network,region,ms` are passed over. Undefined, with errors in `report`, when a line is wrong: PH410 the
 * file cannot be read, PH411 not three fields, PH412 no network, PH413 no such region, PH414 no time, PH417
 * there are more mistakes. Warnings: PH415 the same measured twice (the last counts), PH416 no line at all.
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

/** As readLatencyFile, from octets in UTF-8; `file` is for the diagnostics. */
export function parseLatencyTable(
  octets: Buffer,
  file: string,
  report: Report,
  regions: Iterable<string>,
): LatencyBuilder | undefined {
  const builder = createLatencyBuilder();
  const known = [...new Set(regions)];
  const names = known.map((name) => Buffer.from(name));
  /** Columns by number of the region; they are made where the file names the region. */
  const columns = new Int32Array(known.length).fill(-1);
  let mistakes = 0;
  let repeated = 0;
  let measured = 0;
  let line = 0;
  /** Where the line begins, and where the next one does. */
  let start = octets.subarray(0, 3).equals(Buffer.of(0xef, 0xbb, 0xbf)) ? 3 : 0;
  let next = start;
  let lastKey: string | undefined;
  let lastRow = -1;
  let lastRegion = 0;
  const v4 = new Uint32Array(1);

  const measure = (row: number, region: number, ms: number): void => {
    let column = columns[region] ?? -1;
    if (column < 0) columns[region] = column = builder.column(known[region] ?? '');
    measured++;
    // One warning says enough; which of them it was is in its place.
    if (!builder.set(row, column, ms, 0) || ++repeated > 1) return;
    const excerpt = octets.toString('utf8', start, next).trimEnd();
    const key = excerpt.slice(0, excerpt.indexOf(',')).trim();
    const place = { file, line, column: 1, length: Math.max(1, key.length), excerpt, foreign: true } as const;
    report.warning(
      'PH415',
      `${key} to ${known[region] ?? ''} is measured more than once`,
      place,
      'the last one counts',
    );
  };

  /** `192.0.2.0/24,seoul,12.5` without anything else; false for every other line. */
  const plainLine = (): boolean => {
    let at = start;
    let address = 0;
    for (let part = 0; part < 5; part++) {
      const first = at;
      let value = 0;
      for (let digit = (octets[at] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (octets[++at] ?? 0) - ZERO) {
        value = value * 10 + digit;
      }
      // Leading zeros mean octal to some: left to parsePrefix, which refuses them.
      if (at === first || at - first > 3 || (at - first > 1 && octets[first] === ZERO)) return false;
      if (octets[at++] !== (part < 3 ? DOT : part === 3 ? SLASH : COMMA)) return false;
      if (part < 4) {
        if (value > 255) return false;
        address = ((address << 8) | value) >>> 0;
        continue;
      }
      if (value > 32 || (value < 32 && (address << value) >>> 0 !== 0)) return false;
      v4[0] = address;
      const region = regionAt(at);
      if (region < 0) return false;
      at += (names[region]?.length ?? 0) + 1;
      return plainTime(at, value, region);
    }
    return false;
  };
  /** The region whose name and a comma are at `at`, or -1. Lines of a network mostly have regions in the same order. */
  const regionAt = (at: number): number => {
    for (let turn = 0; turn < names.length; turn++) {
      const region = (lastRegion + 1 + turn) % names.length;
      const name = names[region];
      if (!name || octets[at + name.length] !== COMMA) continue;
      let same = 0;
      while (same < name.length && octets[at + same] === name[same]) same++;
      if (same === name.length) return (lastRegion = region);
    }
    return -1;
  };
  const plainTime = (from: number, bits: number, region: number): boolean => {
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
    // Both are exact, so that the quotient is the nearest number there is: what Number() makes of the text.
    const ms = whole / scale;
    if (ms > MAX_LATENCY_MS) return false;
    next = at + 1;
    measure(builder.network(v4, bits), region, ms);
    return true;
  };

  const mistake = (code: string, message: string, excerpt: string, field: string, from: number, hint: string): void => {
    if (++mistakes > MAX_MISTAKES) return;
    const column = Math.max(0, excerpt.indexOf(field, from));
    const place = {
      file,
      line,
      column: column + 1,
      length: Math.max(1, field.length),
      excerpt,
      foreign: true,
    } as const;
    report.error(code, message, place, hint);
  };
  const anyLine = (): void => {
    const newline = octets.indexOf(NEWLINE, start);
    next = newline < 0 ? octets.length : newline + 1;
    const raw = octets.toString('utf8', start, newline < 0 ? octets.length : newline);
    const first = raw.indexOf(',');
    const second = first < 0 ? -1 : raw.indexOf(',', first + 1);
    const key = fieldOf(raw.slice(0, first < 0 ? raw.length : first));
    if (key.startsWith('#') || (key === '' && first < 0)) return;
    const line = raw.trimEnd();
    if (second < 0 || raw.includes(',', second + 1)) {
      const hint = 'write network,region,ms, such as 192.0.2.0/24,seoul,12.5';
      mistake('PH411', 'a line has three fields', line, raw.trim(), 0, hint);
      return;
    }
    const name = fieldOf(raw.slice(first + 1, second));
    const time = fieldOf(raw.slice(second + 1));
    if (measured === 0 && mistakes === 0 && key.toLowerCase() === 'network') return;
    const region = known.indexOf(name);
    const ms = time === '' ? Number.NaN : Number(time);
    if (region < 0) {
      const hint = `known are ${known.join(', ') || 'none'}`;
      mistake('PH413', `there is no region ${name}`, raw, name, first + 1, hint);
    } else if (!(ms >= 0 && ms <= MAX_LATENCY_MS)) {
      const message = `a time is 0 to ${MAX_LATENCY_MS} milliseconds, got ${time}`;
      const hint = 'write a number without a unit; leave the line out if unknown';
      mistake('PH414', message, line, time, second + 1, hint);
    } else {
      // Lines of one network mostly stand together.
      const row = key === lastKey ? lastRow : rowOf(builder, key);
      if (row === undefined) {
        const hint = 'write 192.0.2.0/24 (no bits after the prefix), AS64500 or a country such as KR';
        mistake('PH412', `${key} is not a network, an AS or a country`, line, key, 0, hint);
      } else {
        lastKey = key;
        lastRow = row;
        measure(row, region, ms);
      }
    }
  };

  for (; start < octets.length; start = next) {
    line++;
    if (!plainLine()) anyLine();
  }
  const whole = { file };
  if (mistakes > MAX_MISTAKES) {
    report.error('PH417', `${mistakes - MAX_MISTAKES} more lines of this table are wrong`, whole);
  }
  if (mistakes > 0) return undefined;
  if (measured === 0)
    report.warning('PH416', 'the latency table has no measurement', whole, 'every client falls back to nearest');
  return builder;
}

/** A field without blanks around it, nor quotes, which some programs write around every text (RFC 4180 2). */
function fieldOf(text: string): string {
  const field = text.trim();
  return field.length > 1 && field.startsWith('"') && field.endsWith('"') ? field.slice(1, -1) : field;
}

/** The row of a network, an AS or a country; undefined for what is none of them. */
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
