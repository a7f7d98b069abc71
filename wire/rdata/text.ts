/**
 * Presentation format of record data (RFC 1035 5.1): tokens, quotes, escapes, periods.
 */
import { get8 } from '../octets.ts';

/** One word of presentation text. `text` excludes the quotes around it and includes its escapes. */
export type Token = {
  readonly text: string;
  readonly quoted: boolean;
  /** The offset in the source, from 0. For a quoted word, the offset of the quote. */
  readonly offset: number;
};

/** A mistake in record data. The message is for the operator. `offset` is the offset in the source, from 0. */
export class RdataError extends Error {
  readonly offset: number | undefined;
  constructor(message: string, offset?: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Splits one line of presentation text into tokens. Parentheses have no effect on one line and are skipped. A `;`
 * outside quotes is refused, because it starts a comment in master files. Throws RdataError.
 */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length;) {
    const c = text[at] ?? '';
    if (' \t\r\n()'.includes(c)) {
      at++;
    } else if (c === ';') {
      throw new RdataError('a ";" outside quotes starts a comment: quote the text that contains it', at);
    } else if (c === '"') {
      const end = closingQuote(text, at);
      tokens.push({ text: text.slice(at + 1, end), quoted: true, offset: at });
      at = end + 1;
    } else {
      const start = at;
      while (at < text.length && !' \t\r\n();'.includes(text[at] ?? '')) {
        if (text[at] === '\\') at += 2;
        // RFC 9460 2.1: key="value" is one word.
        else if (text[at] === '"' && text[at - 1] === '=') at = closingQuote(text, at) + 1;
        else at++;
      }
      tokens.push({ text: text.slice(start, at), quoted: false, offset: start });
    }
  }
  return tokens;
}

function closingQuote(text: string, open: number): number {
  let at = open + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  if (at >= text.length) throw new RdataError('the closing quote is missing', open);
  return at;
}

/** Converts raw text to octets in UTF-8, with `\X` and `\DDD` resolved. Throws RdataError. */
export function unescape(text: string, offset?: number): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  if (!text.includes('\\')) return bytes;
  let length = 0; // done in place: escapes only become shorter
  for (let at = 0; at < bytes.length; at++) {
    let octet = get8(bytes, at);
    if (octet === 0x5c) {
      const digits = /^\d{3}/.exec(bytes.toString('latin1', at + 1, at + 4))?.[0];
      if (digits === undefined) {
        const next = bytes[++at];
        if (next === undefined) throw new RdataError(`"${text}" ends in the middle of an escape`, offset);
        octet = next;
      } else {
        octet = Number(digits);
        if (octet > 255) throw new RdataError(`\\${digits} is over \\255, the largest octet`, offset);
        at += 3;
      }
    }
    bytes[length++] = octet;
  }
  return bytes.subarray(0, length);
}

/** Formats octets as quoted text, for `tokenize` and `unescape`. */
export function quote(bytes: Uint8Array): string {
  return `"${escapeInQuotes(bytes)}"`;
}

function escapeInQuotes(bytes: Uint8Array): string {
  let text = '';
  for (const octet of bytes) {
    if (octet < 0x20 || octet >= 0x7f) text += `\\${String(octet).padStart(3, '0')}`;
    else if (octet === 0x22 || octet === 0x5c) text += `\\${String.fromCharCode(octet)}`;
    else text += String.fromCharCode(octet);
  }
  return text;
}

const SECONDS_OF_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Converts `3600`, `1h30m` or `2W` to seconds. Undefined if malformed. The result has no upper limit. */
export function parsePeriod(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  if (!/^(?:\d+[smhdw])+$/i.test(text)) return undefined;
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([a-z])/gi)) {
    seconds += Number(count) * (SECONDS_OF_UNIT[(unit ?? '').toLowerCase()] ?? 0);
  }
  return seconds;
}
