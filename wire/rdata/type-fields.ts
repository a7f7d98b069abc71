/**
 * Fields with record types or times: types, type bitmaps, points in time. Most are fields of DNSSEC types.
 */
import { get8 } from '../octets.ts';
import { typeNumber, typeText } from '../types.ts';
import { type Source, numberIn, put, putBytes, restOf, take, takeBytes } from './codec.ts';
import { type RdataField, word } from './field-kinds.ts';
import { RdataError, type Token } from './text.ts';

/** A record type, by mnemonic, in 16 bits (RFC 4034 3.2). */
export const typeCovered = word(
  'type covered',
  (token, source, sink) => {
    put(sink, typeIn(source, token), 2);
  },
  (cursor) => typeText(take(cursor, 2)),
);

function typeIn(source: Source, token: Token): number {
  const type = typeNumber(token.text);
  if (type !== undefined) return type;
  throw new RdataError(
    `${source.type}: unknown type "${token.text}"; write a type without a mnemonic as TYPE123`,
    token.offset,
  );
}

/** RFC 4034 3.2: `YYYYMMDDHHmmSS` or seconds since 1970, in 32 bits that wrap around. */
export function timeField(what: string): RdataField {
  return word(
    what,
    (token, source, sink) => {
      const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(token.text)?.slice(1).map(Number);
      if (!parts) {
        put(sink, numberIn(source, token, token.text, what, 0xffff_ffff), 4);
        return;
      }
      const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
      const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
      // Date.UTC turns 31 February into a day of March, which formats differently.
      if (stamp(date) !== token.text || year < 1970) {
        throw new RdataError(
          `${source.type} ${what} must be a time (YYYYMMDDHHmmSS), got "${token.text}"`,
          token.offset,
        );
      }
      put(sink, (date.getTime() / 1000) % 2 ** 32, 4);
    },
    (cursor) => stamp(new Date(take(cursor, 4) * 1000)),
  );
}

function stamp(date: Date): string {
  return date.toISOString().replaceAll(/[-:T]|\.\d+Z/g, '');
}

/** RFC 4034 4.1.2: windows of 256 types, one bit per type. */
export const typeBitmap: RdataField = {
  what: 'types',
  least: 0,
  most: Infinity,
  parse: (source, sink) => {
    const types = [...new Set(restOf(source).map((token) => typeIn(source, token)))].sort((a, b) => a - b);
    for (const window of new Set(types.map((type) => type >> 8))) {
      const within = types.filter((type) => type >> 8 === window).map((type) => type & 0xff);
      const bits = new Uint8Array(((within.at(-1) ?? 0) >> 3) + 1);
      for (const type of within) bits[type >> 3] = get8(bits, type >> 3) | (0x80 >> (type & 7));
      put(sink, window, 1);
      put(sink, bits.length, 1);
      putBytes(sink, bits);
    }
  },
  format: (cursor) => {
    const types: string[] = [];
    for (let last = -1; cursor.at < cursor.bytes.length;) {
      const window = take(cursor, 1);
      const bits = takeBytes(cursor, take(cursor, 1));
      if (window <= last || bits.length === 0 || bits.length > 32 || bits.at(-1) === 0) {
        throw new RdataError('the type bitmap is malformed', cursor.at - bits.length - 2);
      }
      last = window;
      for (let i = 0; i < bits.length * 8; i++) {
        if ((get8(bits, i >> 3) & (0x80 >> (i & 7))) !== 0) types.push(typeText(window * 256 + i));
      }
    }
    return types.join(' ');
  },
};
