/**
 * Service parameters of SVCB and HTTPS (RFC 9460; dohpath RFC 9461, ohttp RFC 9540).
 */
import { formatAddress } from '../address.ts';
import { get16, get8 } from '../octets.ts';
import {
  type Cursor,
  type Source,
  fromBase64,
  numberIn,
  put,
  putBytes,
  restOf,
  take,
  takeBytes,
  toBase64,
} from './codec.ts';
import { type RdataField, addressIn } from './field-kinds.ts';
import { RdataError, type Token, quote, unescape } from './text.ts';

const KEYS = ['mandatory', 'alpn', 'no-default-alpn', 'port', 'ipv4hint', 'ech', 'ipv6hint', 'dohpath', 'ohttp'];
const KEY = {
  mandatory: 0,
  alpn: 1,
  noDefaultAlpn: 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
  ohttp: 8,
};
/** RFC 9460 14.3.2: "invalid key". */
const INVALID_KEY = 65_535;

/** Key and value in wire form. */
type Param = { readonly key: number; readonly value: Uint8Array };

/**
 * SvcParams to the end of the data. Text has them in any order, wire form in the order of their keys (RFC 9460 2.2).
 */
export const svcParams: RdataField = {
  what: 'service parameters',
  least: 0,
  most: Infinity,
  parse: (source, sink) => {
    const alias = sink.bytes[0] === 0 && sink.bytes[1] === 0;
    const params = new Map<number, Param>();
    let offset: number | undefined;
    for (const token of restOf(source)) {
      offset ??= token.offset;
      const param = parseParam(source, token);
      if (params.has(param.key)) throw new RdataError(`${source.type} has ${keyText(param.key)} twice`, token.offset);
      params.set(param.key, param);
    }
    if (alias && params.size > 0) {
      throw new RdataError(`${source.type} with priority 0 is an alias and takes no parameters`, offset);
    }
    const sorted = [...params.values()].sort((a, b) => a.key - b.key);
    const mistake = mistakeIn(sorted);
    if (mistake !== undefined) throw new RdataError(`${source.type}: ${mistake}`, offset);
    for (const { key, value } of sorted) {
      put(sink, key, 2);
      put(sink, value.length, 2);
      putBytes(sink, value);
    }
  },
  format: (cursor) => {
    const params: Param[] = [];
    const alias = take({ bytes: cursor.bytes, at: 0 }, 2) === 0;
    while (cursor.at < cursor.bytes.length) {
      const key = take(cursor, 2);
      if (key <= (params.at(-1)?.key ?? -1)) throw new RdataError('parameters are out of order', cursor.at - 2);
      params.push({ key, value: takeBytes(cursor, take(cursor, 2)) });
    }
    if (alias && params.length > 0) throw new RdataError('an alias takes no parameters');
    const mistake = mistakeIn(params);
    if (mistake !== undefined) throw new RdataError(mistake);
    return params.map(formatParam).join(' ');
  },
};

function keyText(key: number): string {
  return KEYS[key] ?? `key${key}`;
}

function keyNumber(source: Source, token: Token, text: string): number {
  const lower = text.toLowerCase();
  const known = KEYS.indexOf(lower);
  if (known >= 0) return known;
  const generic = /^key(0|[1-9]\d{0,4})$/.exec(lower);
  const key = Number(generic?.[1] ?? INVALID_KEY);
  if (key < INVALID_KEY) return key;
  throw new RdataError(
    `unknown ${source.type} parameter "${text}": use ${KEYS.join(', ')}, or a number such as key65333`,
    token.offset,
  );
}

function parseParam(source: Source, token: Token): Param {
  const equals = token.text.indexOf('=');
  const keyPart = equals < 0 ? token.text : token.text.slice(0, equals);
  const key = keyNumber(source, token, keyPart);
  let raw = equals < 0 ? undefined : token.text.slice(equals + 1);
  if (raw?.startsWith('"') === true) {
    if (raw.length < 2 || !raw.endsWith('"')) {
      throw new RdataError(`${source.type} ${keyPart} must end with its quote`, token.offset);
    }
    raw = raw.slice(1, -1);
  }
  const value = unescape(raw ?? '', token.offset);
  if (keyPart.toLowerCase().startsWith('key')) return { key, value };
  const bare = key === KEY.noDefaultAlpn || key === KEY.ohttp;
  if (bare && value.length > 0) throw new RdataError(`${source.type} ${keyPart} takes no value`, token.offset);
  if (!bare && value.length === 0) throw new RdataError(`${source.type} ${keyPart} lacks its value`, token.offset);
  return { key, value: valueOf(source, token, key, value) };
}

/** Converts the text of a value, in which escapes are resolved, to wire form. */
function valueOf(source: Source, token: Token, key: number, value: Uint8Array): Uint8Array {
  const items = (): string[] => Buffer.from(value).toString('latin1').split(',');
  const what = keyText(key);
  switch (key) {
    case KEY.mandatory: {
      const keys = items().map((item) => keyNumber(source, token, item));
      if (new Set(keys).size < keys.length)
        throw new RdataError(`${source.type} mandatory has a key twice`, token.offset);
      return Uint8Array.from(keys.sort((a, b) => a - b).flatMap((k) => [k >> 8, k & 0xff]));
    }
    case KEY.alpn:
      return alpnList(source, token, value);
    case KEY.port: {
      const port = numberIn(source, token, Buffer.from(value).toString('latin1'), what, 65_535);
      return Uint8Array.of(port >> 8, port & 0xff);
    }
    case KEY.ipv4hint:
      return Buffer.concat(items().map((item) => addressIn(source, token, item, what, 4)));
    case KEY.ipv6hint:
      return Buffer.concat(items().map((item) => addressIn(source, token, item, what, 16)));
    case KEY.ech:
      return fromBase64(source, Buffer.from(value).toString('latin1'), what, token.offset);
    default:
      return value;
  }
}

/** RFC 9460 A.1: commas separate the ids. `\,` and `\\` are escapes of the list, resolved after those of the string. */
function alpnList(source: Source, token: Token, value: Uint8Array): Uint8Array {
  const ids: number[][] = [[]];
  for (let at = 0; at < value.length; at++) {
    const octet = get8(value, at);
    if (octet === 0x2c) {
      ids.push([]);
    } else if (octet === 0x5c) {
      const next = value[++at];
      if (next !== 0x2c && next !== 0x5c) {
        throw new RdataError(`${source.type} alpn: only a comma or a backslash can be escaped in a list`, token.offset);
      }
      ids.at(-1)?.push(next);
    } else {
      ids.at(-1)?.push(octet);
    }
  }
  if (ids.some((id) => id.length === 0 || id.length > 255)) {
    throw new RdataError(`${source.type} alpn has an id that is empty or longer than 255 octets`, token.offset);
  }
  return Uint8Array.from(ids.flatMap((id) => [id.length, ...id]));
}

/** The first violation of RFC 9460 in sorted parameters in wire form. Undefined if there is none. */
function mistakeIn(params: readonly Param[]): string | undefined {
  const keys = new Set(params.map((param) => param.key));
  for (const { key, value } of params) {
    const mistake = mistakeInValue(key, value, keys);
    if (mistake !== undefined) return `${keyText(key)} ${mistake}`;
  }
  return keys.has(INVALID_KEY) ? 'key65535 is reserved' : undefined;
}

function mistakeInValue(key: number, value: Uint8Array, keys: ReadonlySet<number>): string | undefined {
  switch (key) {
    case KEY.mandatory: {
      if (value.length === 0 || value.length % 2 !== 0) return 'must list keys';
      let last = 0; // 0 also excludes mandatory itself (RFC 9460 8)
      for (let at = 0; at < value.length; at += 2) {
        const listed = get16(value, at);
        if (listed <= last) return 'must list each key once, and not itself';
        if (!keys.has(listed)) return `lists ${keyText(listed)}, which the record does not have`;
        last = listed;
      }
      return undefined;
    }
    case KEY.alpn: {
      let at = 0;
      while (at < value.length) {
        if (value[at] === 0) return 'has an empty id';
        at += get8(value, at) + 1;
      }
      return at === 0 || at !== value.length ? 'is malformed' : undefined;
    }
    case KEY.noDefaultAlpn:
      if (value.length > 0) return 'takes no value';
      return keys.has(KEY.alpn) ? undefined : 'needs alpn too';
    case KEY.port:
      return value.length === 2 ? undefined : 'must have two octets';
    case KEY.ipv4hint:
      return value.length > 0 && value.length % 4 === 0 ? undefined : 'must be a list of IPv4 addresses';
    case KEY.ipv6hint:
      return value.length > 0 && value.length % 16 === 0 ? undefined : 'must be a list of IPv6 addresses';
    case KEY.ech:
      return value.length > 0 ? undefined : 'cannot be empty';
    case KEY.dohpath:
      // RFC 9461 5: a URI template with the variable "dns".
      return /\{[^}]*\bdns\b[^}]*\}/.test(Buffer.from(value).toString('latin1'))
        ? undefined
        : 'must have the variable dns, as in /dns-query{?dns}';
    case KEY.ohttp:
      return value.length === 0 ? undefined : 'takes no value';
    default:
      return undefined;
  }
}

function formatParam({ key, value }: Param): string {
  const what = keyText(key);
  if (value.length === 0) return what;
  const cursor: Cursor = { bytes: value, at: 0 };
  const list = (item: () => string): string => {
    const items: string[] = [];
    while (cursor.at < value.length) items.push(item());
    return `${what}=${items.join(',')}`;
  };
  switch (key) {
    case KEY.mandatory:
      return list(() => keyText(take(cursor, 2)));
    case KEY.alpn: {
      const ids: number[] = [];
      while (cursor.at < value.length) {
        if (cursor.at > 0) ids.push(0x2c);
        for (const octet of takeBytes(cursor, take(cursor, 1))) {
          if (octet === 0x2c || octet === 0x5c) ids.push(0x5c);
          ids.push(octet);
        }
      }
      return `${what}=${quote(Uint8Array.from(ids))}`;
    }
    case KEY.port:
      return `${what}=${take(cursor, 2)}`;
    case KEY.ipv4hint:
      return list(() => formatAddress(takeBytes(cursor, 4)));
    case KEY.ipv6hint:
      return list(() => formatAddress(takeBytes(cursor, 16)));
    case KEY.ech:
      return `${what}=${toBase64(value)}`;
    default:
      return `${what}=${quote(value)}`;
  }
}
