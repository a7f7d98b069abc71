/**
 * The kinds of fields in record data. `table.ts` lists the fields of each type.
 */
import { formatAddress, parseAddress } from '../address.ts';
import { NameError, parseName } from '../name.ts';
import {
  type Cursor,
  type Sink,
  type Source,
  fromBase32Hex,
  fromBase64,
  fromHex,
  numberIn,
  put,
  putBytes,
  restOf,
  take,
  takeBytes,
  takeName,
  takeRest,
  nextToken,
  toBase32Hex,
  toBase64,
  toHex,
} from './codec.ts';
import { RdataError, type Token, parsePeriod, quote, unescape } from './text.ts';

/** A field of record data. `parse` converts words to octets, `format` octets to words. Both throw RdataError. */
export type RdataField = {
  /** The name of the field in messages, without an article: `preference`. */
  readonly what: string;
  /** The least and the largest number of words. */
  readonly least: number;
  readonly most: number;
  readonly parse: (source: Source, sink: Sink) => void;
  /** An empty result adds no word to the line. */
  readonly format: (cursor: Cursor) => string;
};

/** A field of one word. */
export function word(
  what: string,
  parse: (token: Token, source: Source, sink: Sink) => void,
  format: RdataField['format'],
): RdataField {
  return {
    what,
    least: 1,
    most: 1,
    parse: (source, sink) => {
      parse(nextToken(source, what), source, sink);
    },
    format,
  };
}

export function numberField(what: string, octets: 1 | 2 | 4): RdataField {
  const most = 256 ** octets - 1;
  return word(
    what,
    (token, source, sink) => {
      put(sink, numberIn(source, token, token.text, what, most), octets);
    },
    (cursor) => String(take(cursor, octets)),
  );
}

/** A number that may also be given by name. It is formatted as a number. */
export function named(what: string, octets: 1 | 2, names: ReadonlyMap<string, number>): RdataField {
  const plain = numberField(what, octets);
  return word(
    what,
    (token, source, sink) => {
      const known = names.get(token.text.toUpperCase());
      put(sink, known ?? numberIn(source, token, token.text, what, 256 ** octets - 1), octets);
    },
    plain.format,
  );
}

/** A 32-bit number of seconds, with or without units: `3600`, `1h`. */
export function period(what: string): RdataField {
  return word(
    what,
    (token, source, sink) => {
      const seconds = parsePeriod(token.text);
      if (seconds === undefined || seconds > 0xffff_ffff) {
        throw new RdataError(
          `${source.type} ${what} must be seconds from 0 to 4294967295, or a period such as 1h30m, got "${token.text}"`,
          token.offset,
        );
      }
      put(sink, seconds, 4);
    },
    numberField(what, 4).format,
  );
}

export function name(what: string): RdataField {
  return word(
    what,
    (token, source, sink) => {
      putName(source, sink, token, what);
    },
    takeName,
  );
}

export function putName(source: Source, sink: Sink, token: Token, what: string): void {
  try {
    putBytes(sink, parseName(token.text, source.origin));
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    throw new RdataError(`${source.type} ${what}: ${error.message}`, token.offset);
  }
}

/** A character-string (RFC 1035 3.3). `check` applies to the octets as characters, one per octet. */
export function string(what: string, check?: { readonly pattern: RegExp; readonly expected: string }): RdataField {
  const fits = (bytes: Uint8Array): boolean => !check || check.pattern.test(Buffer.from(bytes).toString('latin1'));
  return word(
    what,
    (token, source, sink) => {
      const bytes = stringOf(source, token, what);
      if (check && !fits(bytes)) {
        throw new RdataError(`${source.type} ${what} must be ${check.expected}, got "${token.text}"`, token.offset);
      }
      putString(source, sink, bytes, token, what);
    },
    (cursor) => {
      const bytes = takeBytes(cursor, take(cursor, 1));
      if (!fits(bytes)) throw new RdataError(`the ${what} has characters that are not allowed`);
      return quote(bytes);
    },
  );
}

/** Character-strings to the end of the data: `least` to `most` of them. */
export function strings(what: string, least: number, most = Infinity): RdataField {
  return {
    what,
    least,
    most,
    parse: (source, sink) => {
      for (const token of restOf(source)) putString(source, sink, stringOf(source, token, what), token, what);
    },
    format: (cursor) => {
      const texts: string[] = [];
      while (cursor.at < cursor.bytes.length) texts.push(quote(takeBytes(cursor, take(cursor, 1))));
      if (texts.length < least || texts.length > most) throw new RdataError('wrong number of strings');
      return texts.join(' ');
    },
  };
}

/** The rest of the data as one text without a length octet (RFC 8659 4.1, RFC 7553 4.4). */
export function textField(what: string, least: 0 | 1): RdataField {
  return word(
    what,
    (token, source, sink) => {
      const bytes = stringOf(source, token, what);
      if (bytes.length < least) throw new RdataError(`${source.type} ${what} cannot be empty`, token.offset);
      putBytes(sink, bytes);
    },
    (cursor) => {
      const bytes = takeRest(cursor);
      if (bytes.length < least) throw new RdataError('the data ends too early');
      return quote(bytes);
    },
  );
}

function stringOf(source: Source, token: Token, what: string): Uint8Array {
  if (!token.quoted && /^(?:[^\\"]|\\.)*"/.test(token.text)) {
    throw new RdataError(
      `${source.type} ${what} has a quote in the middle: quote the whole text and write \\" inside`,
      token.offset,
    );
  }
  return unescape(token.text, token.offset);
}

function putString(source: Source, sink: Sink, bytes: Uint8Array, token: Token, what: string): void {
  if (bytes.length > 255) {
    throw new RdataError(
      `${source.type} ${what} has ${bytes.length} octets, but one string can have at most 255: split it into several, "..." "..."`,
      token.offset,
    );
  }
  put(sink, bytes.length, 1);
  putBytes(sink, bytes);
}

const tagText = string('tag', { pattern: /^[A-Za-z0-9]+$/, expected: 'letters and digits, such as issue' });

/** RFC 8659 4.1: a tag of letters and digits with a length octet. It is formatted without quotes. */
export const tag: RdataField = { ...tagText, format: (cursor) => tagText.format(cursor).slice(1, -1) };

type Decode = typeof fromHex;

function blob(what: string, least: 0 | 1, decode: Decode, encode: (bytes: Uint8Array) => string): RdataField {
  return {
    what,
    least,
    most: Infinity,
    parse: (source, sink) => {
      const offset = source.tokens[source.next]?.offset ?? source.end;
      const digits = restOf(source)
        .map((token) => token.text)
        .join('');
      const bytes = decode(source, digits, what, offset);
      if (bytes.length < least) throw new RdataError(`${source.type} ${what} cannot be empty`, offset);
      putBytes(sink, bytes);
    },
    format: (cursor) => {
      const bytes = takeRest(cursor);
      if (bytes.length < least) throw new RdataError('the data ends too early');
      return encode(bytes);
    },
  };
}

/** The rest of the data in hexadecimal, in any number of words. */
export function hex(what: string, least: 0 | 1 = 1): RdataField {
  return blob(what, least, fromHex, toHex);
}

/** The rest of the data in base64, in any number of words. */
export function base64(what: string, least: 0 | 1 = 1): RdataField {
  return blob(what, least, fromBase64, toBase64);
}

/** Octets after a length octet, in one word. `-` means no octets, if `empty` allows it (RFC 5155 3.3). */
export function counted(what: string, encoding: 'hex' | 'base32hex', empty: boolean): RdataField {
  const decode = encoding === 'hex' ? fromHex : fromBase32Hex;
  const encode = encoding === 'hex' ? toHex : toBase32Hex;
  return word(
    what,
    (token, source, sink) => {
      const bytes = empty && token.text === '-' ? new Uint8Array(0) : decode(source, token.text, what, token.offset);
      if (bytes.length > 255 || (bytes.length === 0 && !empty)) {
        throw new RdataError(`${source.type} ${what} must have 1 to 255 octets, got ${bytes.length}`, token.offset);
      }
      put(sink, bytes.length, 1);
      putBytes(sink, bytes);
    },
    (cursor) => {
      const bytes = takeBytes(cursor, take(cursor, 1));
      if (bytes.length === 0 && !empty) throw new RdataError(`the ${what} is empty`);
      return bytes.length === 0 ? '-' : encode(bytes);
    },
  );
}

export function addressField(what: string, octets: 4 | 16): RdataField {
  return word(
    what,
    (token, source, sink) => {
      putBytes(sink, addressIn(source, token, token.text, what, octets));
    },
    (cursor) => formatAddress(takeBytes(cursor, octets)),
  );
}

/** Parses `text`, which is all or part of `token`, as an address of 4 or 16 octets. */
export function addressIn(source: Source, token: Token, text: string, what: string, octets: number): Uint8Array {
  const bytes = parseAddress(text);
  if (bytes?.length === octets) return bytes;
  const expected = octets === 4 ? 'an IPv4 address such as 192.0.2.1' : 'an IPv6 address such as 2001:db8::1';
  const other = bytes && /^A(?:AAA)?$/.test(source.type) ? `; write it as ${octets === 4 ? 'AAAA' : 'A'}` : '';
  throw new RdataError(`${source.type} ${what} must be ${expected}, got "${text}"${other}`, token.offset);
}

/** Octets in groups of hexadecimal digits: EUI (RFC 7043), node identifier and locator (RFC 6742). */
export function groups(
  what: string,
  octets: number,
  perGroup: 1 | 2,
  separator: '-' | ':',
  example: string,
): RdataField {
  const digits = perGroup === 1 ? '[0-9a-fA-F]{2}' : '[0-9a-fA-F]{1,4}';
  const count = octets / perGroup;
  const pattern = new RegExp(`^${digits}(?:${separator}${digits}){${count - 1}}$`);
  return word(
    what,
    (token, source, sink) => {
      if (!pattern.test(token.text)) {
        throw new RdataError(`${source.type} ${what} must look like ${example}, got "${token.text}"`, token.offset);
      }
      for (const group of token.text.split(separator)) put(sink, Number.parseInt(group, 16), perGroup);
    },
    (cursor) => {
      const texts: string[] = [];
      for (let i = 0; i < count; i++)
        texts.push(
          take(cursor, perGroup)
            .toString(16)
            .padStart(perGroup * 2, '0'),
        );
      return texts.join(separator);
    },
  );
}

/** RFC 1706: one word of `0x` and hexadecimal digits, with dots at any place. */
export const nsap = word(
  'NSAP address',
  (token, source, sink) => {
    if (!/^0x[.0-9a-f]*[0-9a-f]/i.test(token.text)) {
      throw new RdataError(`NSAP address must start with 0x, got "${token.text}"`, token.offset);
    }
    putBytes(sink, fromHex(source, token.text.slice(2).replaceAll('.', ''), 'address', token.offset));
  },
  (cursor) => {
    const bytes = takeRest(cursor);
    if (bytes.length === 0) throw new RdataError('the address is empty');
    return `0x${toHex(bytes)}`;
  },
);
