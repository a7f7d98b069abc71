/**
 * Record data: presentation text to wire form and back, for every type (RFC 1035 5.1, RFC 3597 5).
 */
import { MAX_RDATA_OCTETS } from './limits.ts';
import type { Name } from './name.ts';
import { get8 } from './octets.ts';
import { type Sink, type Source, fromHex, numberIn, toHex } from './rdata/codec.ts';
import { type Layout, layouts } from './rdata/table.ts';
import { RdataError, type Token, tokenize, unescape } from './rdata/text.ts';
import { TYPE, typeText } from './types.ts';

export { RdataError, type Token } from './rdata/text.ts';

const scratch: Sink = { bytes: new Uint8Array(MAX_RDATA_OCTETS), length: 0 };

/**
 * Converts the words of one record's data to uncompressed wire form. Names without a final dot are relative to
 * `origin`. `end` is the offset after the last word, for errors about missing words. Throws RdataError.
 */
export function parseRdata(type: number, tokens: readonly Token[], origin: Name, end?: number): Uint8Array {
  const source: Source = { type: typeText(type), tokens, next: 0, origin, end };
  const layout = layouts.get(type);
  if (tokens[0]?.text === '\\#' && !tokens[0].quoted) return parseGeneric(source, type, layout);
  if (!layout) {
    throw new RdataError(`${source.type} can only be written as octets: \\# 4 deadbeef`, tokens[0]?.offset ?? end);
  }
  checkShape(source, layout);
  scratch.length = 0;
  for (const field of layout.fields) field.parse(source, scratch);
  const extra = tokens[source.next];
  if (extra)
    throw new RdataError(
      `unexpected "${extra.text}" after the ${source.type} data: write "${layout.example}"`,
      extra.offset,
    );
  const rdata = scratch.bytes.slice(0, scratch.length);
  checkDigest(source, type, rdata);
  return rdata;
}

/**
 * `parseRdata` for one line of text, as in a zone's YAML. Errors carry an offset in that line. A TXT, SPF or AVC that
 * does not start with a quote is one text, blanks included. It is split into strings of 255 octets.
 */
export function parseRdataText(type: number, text: string, origin: Name): Uint8Array {
  if (isText(type) && !/^\s*(?:"|\\#(?:\s|$))/.test(text)) return wholeText(text.replace(/\n+$/, '')); // a YAML block ends with a newline
  return parseRdata(type, tokenize(text), origin, text.length);
}

function isText(type: number): boolean {
  return layouts.get(type)?.oneText ?? false;
}

function wholeText(text: string): Uint8Array {
  const octets = unescape(text, 0);
  const strings: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < octets.length; at += 255) {
    const part = octets.subarray(at, at + 255);
    strings.push(Uint8Array.of(part.length), part);
  }
  const rdata = Uint8Array.from(Buffer.concat(strings));
  if (rdata.length > MAX_RDATA_OCTETS) throw new RdataError('the text is longer than one record can hold');
  return rdata;
}

/** The words of TXT data, each split into strings of at most 255 octets (RFC 1035 3.3). */
export function cutTexts(type: number, tokens: readonly Token[]): readonly Token[] {
  if (!isText(type) || tokens.every(({ text }) => text.length <= 63)) return tokens;
  return tokens.flatMap((token) => {
    const pieces: Token[] = [];
    let text = '';
    let octets = 0;
    for (const [sign] of token.text.matchAll(/\\\d{3}|\\?./gsu)) {
      const more = sign.startsWith('\\') ? unescape(sign, token.offset).length : Buffer.byteLength(sign);
      if (octets + more > 255) {
        pieces.push({ ...token, text });
        text = '';
        octets = 0;
      }
      text += sign;
      octets += more;
    }
    return [...pieces, { ...token, text }];
  });
}

/** SOA data ends with five numbers: SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM (RFC 1035 3.3.13). */
export const SOA_NUMBERS_OCTETS = 20;

/** SERIAL of an SOA. */
export function soaSerial(rdata: Uint8Array): number {
  return soaNumber(rdata, 0);
}

/** EXPIRE of an SOA, in seconds. */
export function soaExpire(rdata: Uint8Array): number {
  return soaNumber(rdata, 3);
}

/** MINIMUM of an SOA: the TTL of negative answers in seconds (RFC 2308 4). */
export function soaMinimum(rdata: Uint8Array): number {
  return soaNumber(rdata, 4);
}

function soaNumber(rdata: Uint8Array, index: number): number {
  const at = rdata.byteOffset + rdata.length - SOA_NUMBERS_OCTETS + 4 * index;
  return new DataView(rdata.buffer, at, 4).getUint32(0);
}

/** A copy of SOA data with another SERIAL. */
export function withSoaSerial(rdata: Uint8Array, serial: number): Uint8Array {
  const changed = Uint8Array.from(rdata);
  new DataView(changed.buffer).setUint32(changed.length - SOA_NUMBERS_OCTETS, serial);
  return changed;
}

/**
 * Converts wire form to text from which `parseRdata` makes the same octets. All names are absolute. Data that does not
 * fit the type, and data of types without a text form, becomes `\# 4 DEADBEEF` (RFC 3597 5).
 */
export function formatRdata(type: number, rdata: Uint8Array): string {
  const layout = layouts.get(type);
  return (
    (layout && formatFields(layout, rdata)) ?? `\\# ${rdata.length}${rdata.length === 0 ? '' : ` ${toHex(rdata)}`}`
  );
}

function formatFields(layout: Layout, rdata: Uint8Array): string | undefined {
  const cursor = { bytes: rdata, at: 0 };
  try {
    const words = layout.fields.map((field) => field.format(cursor));
    return cursor.at < rdata.length ? undefined : words.filter((word) => word !== '').join(' ');
  } catch (error) {
    if (error instanceof RdataError) return undefined;
    throw error;
  }
}

/** RFC 3597 5: `\# length hex...`. For a known type, the octets must be valid data of that type. */
function parseGeneric(source: Source, type: number, layout: Layout | undefined): Uint8Array {
  const { tokens } = source;
  const count = tokens[1];
  if (!count) throw new RdataError('\\# needs a length and that many octets: \\# 4 deadbeef', tokens[0]?.offset);
  const length = numberIn(source, count, count.text, 'length', MAX_RDATA_OCTETS);
  const digits = tokens.slice(2).map((token) => token.text);
  const rdata = Uint8Array.from(fromHex(source, digits.join(''), 'data', tokens[2]?.offset));
  if (rdata.length !== length) {
    throw new RdataError(`\\# declares ${length} octets, but ${rdata.length} follow`, count.offset);
  }
  if (layout && formatFields(layout, rdata) === undefined) {
    throw new RdataError(
      `these octets are not valid ${source.type} data (${listOf(layout)}): check them, or write "${layout.example}"`,
      tokens[2]?.offset ?? count.offset,
    );
  }
  checkDigest(source, type, rdata);
  return rdata;
}

function checkShape(source: Source, layout: Layout): void {
  let least = 0;
  let most = 0;
  for (const field of layout.fields) {
    least += field.least;
    most += field.most;
  }
  const count = source.tokens.length;
  if (count >= least && count <= most) return;
  const got = source.tokens.map((token) => (token.quoted ? `"${token.text}"` : token.text)).join(' ');
  const shown = got.length > 60 ? `${got.slice(0, 57)}...` : got;
  throw new RdataError(
    `${source.type} needs ${listOf(layout)}, got ${shown === '' ? 'nothing' : `"${shown}"`}: write "${layout.example}"`,
    count > most ? source.tokens[most]?.offset : (source.tokens[0]?.offset ?? source.end),
  );
}

/** `a preference and a host name`. */
function listOf(layout: Layout): string {
  const whats = layout.fields.map(({ what, most }) => {
    if (most > 1 || layout.fields.length > 3) return what;
    return `${/^(?:[aeio]|NSAP|X\.|ISDN|MX)/i.test(what) ? 'an' : 'a'} ${what}`;
  });
  return whats.length < 2 ? whats.join('') : `${whats.slice(0, -1).join(', ')} and ${whats.at(-1) ?? ''}`;
}

function checkDigest(source: Source, type: number, rdata: Uint8Array): void {
  const rule = layouts.get(type)?.digest;
  const algorithm = rule && rdata[rule.algorithmAt];
  const expected = algorithm === undefined ? undefined : rule?.octets[algorithm];
  const got = rdata.length - (rule?.algorithmAt ?? 0) - 1;
  if (expected === undefined || expected === got) return;
  throw new RdataError(
    `${source.type} with digest type ${algorithm ?? 0} has ${expected * 2} hexadecimal digits, got ${got * 2}`,
    source.tokens.at(-1)?.offset,
  );
}

const NO_NAMES: readonly number[] = [];

/** Offsets of the names in `rdata` (wire form, uncompressed) that a response may compress (RFC 3597 4). */
export function nameOffsets(type: number, rdata: Uint8Array): readonly number[] {
  return layouts.get(type)?.names?.compressed ? namesIn(type, rdata, 0) : NO_NAMES;
}

/** Whether responses copy data of this type unchanged and add no records for it. Its names are not compressed. */
export function isPlainType(type: number): boolean {
  return PLAIN_TYPE[type] === 1 || (type >= PLAIN_TYPE.length && !layouts.has(type));
}

const PLAIN_TYPE = Uint8Array.from({ length: 512 }, (_, type) => {
  const names = layouts.get(type)?.names;
  return names?.compressed || names?.additional ? 0 : 1;
});

/** Offsets in `bytes` of the names in the data that starts at `bytes[at]`. */
export function namesIn(type: number, bytes: Uint8Array, at: number): readonly number[] {
  if (type === TYPE.NAPTR) {
    let replacement = at + 4; // after order and preference: flags, service and regular expression (RFC 3403 4.1)
    for (let strings = 0; strings < 3; strings++) replacement += get8(bytes, replacement) + 1;
    return [replacement];
  }
  const names = layouts.get(type)?.names;
  if (names === undefined) return NO_NAMES;
  const first = at + names.at;
  return names.count === 2 ? [first, first + nameAt(bytes, first).length] : [first];
}

/**
 * Where the names are in the data that starts at `bytes[at]`, compressed or not: the offset of the first, and how many
 * there are. Undefined if the type has none.
 */
export function nameFields(
  type: number,
  bytes: Uint8Array,
  at: number,
): { readonly at: number; readonly count: number } | undefined {
  const names = layouts.get(type)?.names;
  if (type === TYPE.NAPTR) return { at: namesIn(type, bytes, at)[0] ?? at, count: 1 };
  return names && { at: at + names.at, count: names.count };
}

/** The uncompressed name at `bytes[at]`. */
export function nameAt(bytes: Uint8Array, at: number): Name {
  let end = at;
  while (get8(bytes, end) !== 0) end += get8(bytes, end) + 1;
  return bytes.subarray(at, end + 1);
}

/** The offset of the name whose addresses belong in the additional section. Undefined if the type has none. */
export function additionalNameOffset(type: number): number | undefined {
  const names = layouts.get(type)?.names;
  return names?.additional ? names.at : undefined;
}
