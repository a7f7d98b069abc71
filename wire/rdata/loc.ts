/**
 * LOC (RFC 1876): latitude, longitude and altitude, with sizes as mantissa and exponent.
 */
import { type Cursor, type Source, put, take, nextToken } from './codec.ts';
import type { RdataField } from './field-kinds.ts';
import { RdataError } from './text.ts';

/** RFC 1876 2: the equator and the prime meridian, in thousandths of a second of arc. */
const ZERO_DEGREES = 2 ** 31;
/** RFC 1876 2: altitude is in centimetres from 100 km below the reference spheroid. */
const LOWEST_CENTIMETRES = 10_000_000;
const DEGREE = 3_600_000;

export const LOC_EXAMPLE = '37 33 59.4 N 126 58 40.8 E 38m 10m 100m 10m';

export const location: RdataField = {
  what: 'latitude, longitude and altitude',
  least: 5,
  most: 12,
  parse: (source, sink) => {
    const latitude = parseAngle(source, 'latitude', 90, 'N', 'S');
    const longitude = parseAngle(source, 'longitude', 180, 'E', 'W');
    const altitude = centimetres(source, 'altitude', -LOWEST_CENTIMETRES, 0xffff_ffff - LOWEST_CENTIMETRES);
    // RFC 1876 3: the defaults are a size of 1 m and a precision of 10 km horizontally and 10 m vertically.
    const size = parseSize(source, 'size', 0x12);
    const horizontal = parseSize(source, 'horizontal precision', 0x16);
    const vertical = parseSize(source, 'vertical precision', 0x13);
    for (const octet of [0, size, horizontal, vertical]) put(sink, octet, 1);
    for (const word of [latitude, longitude, altitude + LOWEST_CENTIMETRES]) put(sink, word, 4);
  },
  format: (cursor) => {
    if (take(cursor, 1) !== 0) throw new RdataError('LOC has a version other than 0');
    const sizes = [formatSize(cursor), formatSize(cursor), formatSize(cursor)];
    const latitude = formatAngle(take(cursor, 4), 90, 'N', 'S');
    const longitude = formatAngle(take(cursor, 4), 180, 'E', 'W');
    return [latitude, longitude, metres(take(cursor, 4) - LOWEST_CENTIMETRES), ...sizes].join(' ');
  },
};

function parseAngle(source: Source, what: string, most: number, plus: string, minus: string): number {
  const units = [DEGREE, 60_000, 1000];
  let total = 0;
  for (let i = 0; ; i++) {
    const token = nextToken(source, what);
    const side = token.text.toUpperCase();
    if (i > 0 && (side === plus || side === minus)) {
      if (total > most * DEGREE) throw new RdataError(`LOC ${what} is over ${most} degrees`, token.offset);
      return side === plus ? ZERO_DEGREES + total : ZERO_DEGREES - total;
    }
    const pattern = i === 2 ? /^\d{1,2}(?:\.\d{1,3})?$/ : /^\d{1,3}$/;
    const value = Number(token.text);
    if (i > 2 || !pattern.test(token.text) || (i > 0 && value >= 60)) {
      const expected = `degrees, minutes, seconds and ${plus} or ${minus}`;
      throw new RdataError(
        `LOC ${what} must be ${expected}, got "${token.text}": write "${LOC_EXAMPLE}"`,
        token.offset,
      );
    }
    total += Math.round(value * (units[i] ?? 0));
  }
}

function formatAngle(word: number, most: number, plus: string, minus: string): string {
  const angle = Math.abs(word - ZERO_DEGREES);
  if (angle > most * DEGREE) throw new RdataError(`LOC with more than ${most} degrees`);
  const degrees = Math.floor(angle / DEGREE);
  const minutes = Math.floor((angle % DEGREE) / 60_000);
  const seconds = ((angle % 60_000) / 1000).toFixed(3);
  return `${degrees} ${minutes} ${seconds} ${word < ZERO_DEGREES ? minus : plus}`;
}

function centimetres(source: Source, what: string, least: number, most: number): number {
  const token = nextToken(source, what);
  const match = /^(-?)(\d{1,9})(?:\.(\d{1,2}))?m?$/i.exec(token.text);
  const [, sign = '', whole = '', part = ''] = match ?? [];
  const value = (sign === '-' ? -1 : 1) * (Number(whole) * 100 + Number(part.padEnd(2, '0')));
  if (!match || value < least || value > most) {
    const range = `${least / 100} to ${most / 100} metres`;
    throw new RdataError(`LOC ${what} must be ${range}, such as 38m, got "${token.text}"`, token.offset);
  }
  return value;
}

function metres(value: number): string {
  return `${(value / 100).toFixed(2)}m`;
}

/** RFC 1876 2: centimetres as mantissa and power of ten, one digit each. */
function parseSize(source: Source, what: string, missing: number): number {
  if (source.next >= source.tokens.length) return missing;
  let mantissa = centimetres(source, what, 0, 9e9);
  let exponent = 0;
  while (mantissa > 9) {
    mantissa = Math.floor(mantissa / 10);
    exponent++;
  }
  return mantissa * 16 + exponent;
}

function formatSize(cursor: Cursor): string {
  const octet = take(cursor, 1);
  const mantissa = octet >> 4;
  const exponent = octet & 15;
  // Text cannot express 0 with a power of ten.
  if (mantissa > 9 || exponent > 9 || (mantissa === 0 && exponent > 0))
    throw new RdataError('LOC with a malformed size');
  return metres(mantissa * 10 ** exponent);
}
