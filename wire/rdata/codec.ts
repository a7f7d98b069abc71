/**
 * Encodings of octets in text (hexadecimal, base64, base32hex; RFC 4648), and the buffers that record data is parsed
 * from and written to.
 */
import { MAX_LABEL_OCTETS, MAX_NAME_OCTETS, MAX_RDATA_OCTETS } from '../limits.ts';
import { type Name, formatName } from '../name.ts';
import { RdataError, type Token } from './text.ts';

/**
 * The words of a record and the index of the next one. `type` is the mnemonic, for messages; `end` is the offset after
 * the last word.
 */
export type Source = {
  readonly type: string;
  readonly tokens: readonly Token[];
  next: number;
  readonly origin: Name;
  readonly end: number | undefined;
};

/** Record data while it is written. All calls share one sink, because only one record is parsed at a time. */
export type Sink = { readonly bytes: Uint8Array; length: number };

/** Record data while it is read. */
export type Cursor = { readonly bytes: Uint8Array; at: number };

export function nextToken(source: Source, what: string): Token {
  const token = source.tokens[source.next];
  if (!token) throw new RdataError(`${source.type} lacks its ${what}`, source.end);
  source.next++;
  return token;
}

export function restOf(source: Source): readonly Token[] {
  const rest = source.tokens.slice(source.next);
  source.next = source.tokens.length;
  return rest;
}

export function put(sink: Sink, value: number, octets: number): void {
  if (sink.length + octets > MAX_RDATA_OCTETS) throw tooLong();
  for (let i = octets - 1; i >= 0; i--) {
    sink.bytes[sink.length + i] = value % 256;
    value = Math.floor(value / 256);
  }
  sink.length += octets;
}

export function putBytes(sink: Sink, bytes: Uint8Array): void {
  if (sink.length + bytes.length > MAX_RDATA_OCTETS) throw tooLong();
  sink.bytes.set(bytes, sink.length);
  sink.length += bytes.length;
}

function tooLong(): RdataError {
  return new RdataError(`the data is longer than ${MAX_RDATA_OCTETS} octets, the limit of one record`);
}

export function take(cursor: Cursor, octets: number): number {
  let value = 0;
  for (const octet of takeBytes(cursor, octets)) value = value * 256 + octet;
  return value;
}

export function takeBytes(cursor: Cursor, octets: number): Uint8Array {
  if (cursor.at + octets > cursor.bytes.length) throw new RdataError('the data ends too early', cursor.bytes.length);
  cursor.at += octets;
  return cursor.bytes.subarray(cursor.at - octets, cursor.at);
}

export function takeRest(cursor: Cursor): Uint8Array {
  return takeBytes(cursor, cursor.bytes.length - cursor.at);
}

/** Reads an uncompressed name as absolute text. */
export function takeName(cursor: Cursor): string {
  const start = cursor.at;
  for (;;) {
    const octets = take(cursor, 1);
    if (octets > MAX_LABEL_OCTETS) throw new RdataError('a name in the data is compressed or malformed', cursor.at - 1);
    if (cursor.at + octets - start > MAX_NAME_OCTETS) throw new RdataError('a name in the data is too long', start);
    if (octets === 0) break;
    takeBytes(cursor, octets);
  }
  const text = formatName(cursor.bytes, start);
  return text === '.' ? text : `${text}.`;
}

/** Parses an unsigned decimal number that fits into `octets` octets. */
export function parseNumber(source: Source, what: string, octets: number): number {
  const token = nextToken(source, what);
  return numberIn(source, token, token.text, what, 256 ** octets - 1);
}

/** Parses `text`, which is all or part of `token`, as a decimal number from 0 to `max`. */
export function numberIn(source: Source, token: Token, text: string, what: string, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : -1;
  if (value < 0 || value > max) {
    throw new RdataError(`${source.type} ${what} must be a number from 0 to ${max}, got "${text}"`, token.offset);
  }
  return value;
}

/** Hexadecimal digits of either case. */
export function fromHex(source: Source, text: string, what: string, offset: number | undefined): Uint8Array {
  const wrong = /[^0-9a-fA-F]/.exec(text);
  if (wrong) {
    throw new RdataError(`${source.type} ${what} must be hexadecimal, got ${JSON.stringify(wrong[0])} in it`, offset);
  }
  if (text.length % 2 === 1) {
    throw new RdataError(`${source.type} ${what} has an odd number of hexadecimal digits; each octet has two`, offset);
  }
  return Buffer.from(text, 'hex');
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}

/** RFC 4648 4, padded. */
export function fromBase64(source: Source, text: string, what: string, offset: number | undefined): Uint8Array {
  const wrong = /[^A-Za-z0-9+/=]/.exec(text)?.[0];
  if (wrong !== undefined) {
    throw new RdataError(`${source.type} ${what} must be base64, got ${JSON.stringify(wrong)} in it`, offset);
  }
  if (text.length % 4 !== 0 || !/^[^=]*={0,2}$/.test(text)) {
    throw new RdataError(`${source.type} ${what} is truncated base64: its length must be a multiple of 4`, offset);
  }
  return Buffer.from(text, 'base64');
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

const BASE32HEX = '0123456789ABCDEFGHIJKLMNOPQRSTUV';

/** RFC 4648 7, without padding (RFC 5155 3.3). */
export function fromBase32Hex(source: Source, text: string, what: string, offset: number | undefined): Uint8Array {
  const octets: number[] = [];
  let bits = 0;
  let value = 0;
  for (const c of text.toUpperCase()) {
    const digit = BASE32HEX.indexOf(c);
    if (digit < 0) {
      throw new RdataError(
        `${source.type} ${what} must be base32hex (0-9, A-V), got ${JSON.stringify(c)} in it`,
        offset,
      );
    }
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      octets.push((value >> bits) & 0xff);
    }
  }
  if (bits >= 5) throw new RdataError(`${source.type} ${what} is truncated base32hex`, offset);
  return Uint8Array.from(octets);
}

export function toBase32Hex(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const octet of bytes) {
    value = ((value << 8) | octet) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32HEX[(value >> bits) & 31] ?? '';
    }
  }
  return bits > 0 ? text + (BASE32HEX[(value << (5 - bits)) & 31] ?? '') : text;
}
