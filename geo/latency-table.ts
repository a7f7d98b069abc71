/**
 * Measured round-trip times: CSV lines `network,region,ms` (SPEC 8), by the million.
 */
import { readFileSync } from 'node:fs';
import type { Report } from '../config/diagnostics.ts';
import { parsePrefix, type Prefix } from '../wire/address.ts';
import { isCountry } from './countries.ts';

/** Times stand in rows, one number a region, so that a measured network costs its numbers and no more. */
export type LatencyTable = {
  /** The columns of a row. */
  readonly regions: readonly string[];
  /** Every network once, in the file's order. */
  readonly networks: readonly { readonly prefix: Prefix; readonly row: number }[];
  /** AS number to row. */
  readonly asns: ReadonlyMap<number, number>;
  /** ISO 3166-1 alpha-2 to row. */
  readonly countries: ReadonlyMap<string, number>;
  /** Milliseconds by row * regions.length + column; NaN where nothing was measured. */
  readonly ms: Float64Array;
};

/** Milliseconds from a row's clients to a region (its column); undefined when not measured. */
export function latencyOf(table: LatencyTable, row: number, column: number): number | undefined {
  const ms = table.ms[row * table.regions.length + column];
  return ms === undefined || Number.isNaN(ms) ? undefined : ms;
}

/** Mistakes reported one by one; a table that is wrong throughout should not fill the screen. */
const MAX_MISTAKES = 20;
/** Longer than any path on Earth takes, in milliseconds: a larger number is a mistake of unit. */
const MAX_MS = 60_000;

/**
 * Reads a table. `regions` are the names that may occur. Blank lines, `#` comments and a header
 * `network,region,ms` are passed over. Undefined, with errors in `report`, when a line is wrong: PH410 the
 * file cannot be read, PH411 not three fields, PH412 no network, PH413 no such region, PH414 no time, PH417
 * there are more mistakes. Warnings: PH415 the same measured twice (the last counts), PH416 no line at all.
 */
export function readLatencyTable(path: string, report: Report, regions: readonly string[]): LatencyTable | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? (error.message.split(',')[0] ?? '') : String(error);
    report.error('PH410', `cannot read the latency table: ${why}`, { file: path, line: 1, column: 1 });
    return undefined;
  }
  return parseLatencyTable(text, path, report, regions);
}

/** As readLatencyTable, from text; `file` is for the diagnostics. */
export function parseLatencyTable(
  text: string,
  file: string,
  report: Report,
  regions: readonly string[],
): LatencyTable | undefined {
  const columns = new Map(regions.map((region, column) => [region, column]));
  const rows = createRows(regions.length);
  const networks: { prefix: Prefix; row: number }[] = [];
  const networkRows = new Map<number | string, number>();
  const asns = new Map<number, number>();
  const countries = new Map<string, number>();
  let mistakes = 0;
  let repeated = 0;
  let measured = 0;
  let line = 0;

  const mistake = (code: string, message: string, excerpt: string, field: string, from: number, hint: string): void => {
    if (++mistakes > MAX_MISTAKES) return;
    const column = Math.max(0, excerpt.indexOf(field, from));
    const place = { file, line, column: column + 1, length: Math.max(1, field.length), excerpt };
    report.error(code, message, place, hint);
  };

  const rowOf = (key: string): number | undefined => {
    if (/^as\d/i.test(key)) {
      const asn = Number(key.slice(2));
      if (!(asn > 0 && asn <= 0xffff_ffff)) return undefined;
      return getOrAdd(asns, asn, rows.add);
    }
    if (key.length === 2) {
      const country = key.toUpperCase();
      return isCountry(country) ? getOrAdd(countries, country, rows.add) : undefined;
    }
    const prefix = parseV4Prefix(key) ?? parsePrefix(key);
    if (!prefix) return undefined;
    return getOrAdd(networkRows, prefixKey(prefix), () => {
      const row = rows.add();
      networks.push({ prefix, row });
      return row;
    });
  };

  for (let start = text.startsWith('\ufeff') ? 1 : 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    line++;
    const raw = text.slice(start, end);
    start = end + 1;
    const first = raw.indexOf(',');
    const second = first < 0 ? -1 : raw.indexOf(',', first + 1);
    const key = raw.slice(0, first < 0 ? raw.length : first).trim();
    if (key.startsWith('#') || (key === '' && first < 0)) continue;
    if (second < 0 || raw.includes(',', second + 1)) {
      const hint = 'write network,region,ms, such as 192.0.2.0/24,seoul,12.5';
      mistake('PH411', 'a line has three fields', raw.trimEnd(), raw.trim(), 0, hint);
      continue;
    }
    const region = raw.slice(first + 1, second).trim();
    const time = raw.slice(second + 1).trim();
    if (measured === 0 && mistakes === 0 && key.toLowerCase() === 'network') continue;
    const column = columns.get(region);
    const ms = time === '' ? Number.NaN : Number(time);
    if (column === undefined) {
      mistake(
        'PH413',
        `there is no region ${region}`,
        raw,
        region,
        first + 1,
        `known are ${regions.join(', ') || 'none'}`,
      );
    } else if (!(ms >= 0 && ms <= MAX_MS)) {
      const message = `a time is 0 to ${MAX_MS} milliseconds, got ${time}`;
      mistake(
        'PH414',
        message,
        raw.trimEnd(),
        time,
        second + 1,
        'write a number without a unit; leave the line out if unknown',
      );
    } else {
      const row = rowOf(key);
      if (row === undefined) {
        const hint = 'write 192.0.2.0/24 (no bits after the prefix), AS64500 or a country such as KR';
        mistake('PH412', `${key} is not a network, an AS or a country`, raw.trimEnd(), key, 0, hint);
      } else {
        measured++;
        if (rows.set(row, column, ms)) {
          // One warning says enough; which of them it was is in its place.
          if (++repeated === 1) {
            const place = { file, line, column: 1, length: Math.max(1, key.length), excerpt: raw.trimEnd() };
            report.warning('PH415', `${key} to ${region} is measured more than once`, place, 'the last one counts');
          }
        }
      }
    }
  }
  const whole = { file, line: 1, column: 1 };
  if (mistakes > MAX_MISTAKES) {
    report.error('PH417', `${mistakes - MAX_MISTAKES} more lines of this table are wrong`, whole);
  }
  if (mistakes > 0) return undefined;
  if (measured === 0)
    report.warning('PH416', 'the latency table has no measurement', whole, 'every client falls back to nearest');
  return { regions, networks, asns, countries, ms: rows.done() };
}

/** A table of numbers that grows by rows. `set` says whether there was one already. */
function createRows(width: number): {
  readonly add: () => number;
  readonly set: (row: number, column: number, ms: number) => boolean;
  readonly done: () => Float64Array;
} {
  let cells = new Float64Array(64 * width).fill(Number.NaN);
  let count = 0;
  return {
    add: () => {
      if ((count + 1) * width > cells.length) {
        const wider = new Float64Array(cells.length * 2).fill(Number.NaN, cells.length);
        wider.set(cells);
        cells = wider;
      }
      return count++;
    },
    set: (row, column, ms) => {
      const at = row * width + column;
      const repeated = !Number.isNaN(cells[at] ?? Number.NaN);
      cells[at] = ms;
      return repeated;
    },
    done: () => cells.slice(0, count * width),
  };
}

function getOrAdd<K>(map: Map<K, number>, key: K, add: () => number): number {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = add()));
  return value;
}

/** Equal for equal networks: a number for IPv4, text for IPv6. */
function prefixKey({ bytes, bits }: Prefix): number | string {
  if (bytes.length !== 4) return `${Buffer.from(bytes).toString('latin1')}/${bits}`;
  const address = (((bytes[0] ?? 0) * 256 + (bytes[1] ?? 0)) * 256 + (bytes[2] ?? 0)) * 256 + (bytes[3] ?? 0);
  return address * 64 + bits;
}

/** `192.0.2.0/24` several times quicker than parsePrefix; undefined for all that is not plainly that. */
function parseV4Prefix(text: string): Prefix | undefined {
  const bytes = new Uint8Array(4);
  let octet = 0;
  let value = 0;
  let digits = 0;
  let slash = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) {
      // Leading zeros mean octal to some: left to parsePrefix, which refuses them.
      if (++digits > 3 || (digits > 1 && value === 0)) return undefined;
      value = value * 10 + code - 0x30;
      continue;
    }
    if (digits === 0 || value > 255 || slash) return undefined;
    if (code === 0x2e && octet < 3) bytes[octet++] = value;
    else if (code === 0x2f && octet === 3) {
      bytes[octet] = value;
      slash = true;
    } else return undefined;
    value = 0;
    digits = 0;
  }
  if (!slash || digits === 0 || value > 32) return undefined;
  const address = (((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)) >>> 0;
  return value < 32 && (address << value) >>> 0 !== 0 ? undefined : { bytes, bits: value };
}
