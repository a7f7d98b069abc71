/**
 * Master-file syntax (RFC 1035 5.1): splits one entry, which may span several lines in parentheses, into words.
 */
import type { Token } from '../../wire/rdata.ts';

/** The words of one entry. Offsets are octets from the start of the file. */
export type Entry = {
  readonly tokens: readonly Token[];
  /** Whether it starts with a blank: then it has the owner of the previous entry. */
  readonly blank: boolean;
  /** The offset after the last word. */
  readonly end: number;
  /** The offset of the next entry. */
  readonly next: number;
};

/** Text that cannot be split into words. Reading may continue at `next`. */
export class LexError extends Error {
  readonly code: string;
  readonly offset: number;
  readonly next: number;
  readonly hint: string;
  constructor(code: string, message: string, offset: number, next: number, hint: string) {
    super(message);
    this.code = code;
    this.offset = offset;
    this.next = next;
    this.hint = hint;
  }
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/**
 * Reads the entry at `at`. `bytes` must end with a newline. Throws LexError. `quotesSpanLines`: as in gdnsd, quoted
 * text may contain newlines.
 */
export function readEntry(bytes: Buffer, at: number, quotesSpanLines = false): Entry {
  const blank = bytes[at] === SPACE || bytes[at] === TAB;
  const tokens: Token[] = [];
  let open = -1; // offset of the outermost parenthesis
  let depth = 0;
  let end = at;
  while (at < bytes.length) {
    const octet = bytes[at];
    if (octet === NEWLINE && depth === 0) return { tokens, blank, end, next: at + 1 };
    if (octet === NEWLINE || octet === SPACE || octet === TAB || octet === RETURN) {
      at++;
    } else if (octet === SEMICOLON) {
      at = bytes.indexOf(NEWLINE, at);
    } else if (octet === OPEN) {
      if (depth++ === 0) open = at;
      at++;
    } else if (octet === CLOSE) {
      if (--depth < 0) {
        const hint = 'open one with ( before it, or write \\)';
        throw new LexError('PH303', 'a closing parenthesis without an opening one', at, lineAfter(bytes, at), hint);
      }
      end = ++at;
    } else if (octet === QUOTE) {
      end = closingQuote(bytes, at, quotesSpanLines) + 1;
      tokens.push({ text: rawText(bytes, at + 1, end - 1), quoted: true, offset: at });
      at = end;
    } else {
      end = wordEnd(bytes, at);
      tokens.push({ text: rawText(bytes, at, end), quoted: false, offset: at });
      at = end;
    }
  }
  const hint = 'close it with ) after the last word of the record';
  throw new LexError('PH303', 'this parenthesis is not closed', open, lineAfter(bytes, open), hint);
}

/** The start of the line after the one that contains `at`. */
export function lineAfter(bytes: Buffer, at: number): number {
  const newline = bytes.indexOf(NEWLINE, at);
  return newline < 0 ? bytes.length : newline + 1;
}

function wordEnd(bytes: Buffer, at: number): number {
  for (;;) {
    const octet = bytes[at] ?? NEWLINE;
    if (octet <= SPACE && (octet === SPACE || octet === NEWLINE || octet === TAB || octet === RETURN)) return at;
    if (octet === SEMICOLON || octet === OPEN || octet === CLOSE) return at;
    if (octet === BACKSLASH && bytes[at + 1] !== NEWLINE) at += 2;
    // RFC 9460 2.1: key="value" is one word.
    else if (octet === QUOTE && bytes[at - 1] === EQUALS) at = closingQuote(bytes, at) + 1;
    else at++;
  }
}

function closingQuote(bytes: Buffer, open: number, spansLines = false): number {
  let at = open + 1;
  while (bytes[at] !== QUOTE) {
    if (at >= bytes.length || (bytes[at] === NEWLINE && !spansLines)) {
      const hint = 'end it with " on the same line, and write \\" for a quote within';
      throw new LexError('PH304', 'this quote is not closed', open, lineAfter(bytes, open), hint);
    }
    at += bytes[at] === BACKSLASH && bytes[at + 1] !== NEWLINE ? 2 : 1;
  }
  return at;
}

/** Replaces octets outside ASCII by `\DDD`, so that a file in any encoding keeps its octets. */
function rawText(bytes: Buffer, from: number, to: number): string {
  for (let at = from; at < to; at++) {
    const octet = bytes[at] ?? 0;
    if (octet < SPACE || octet > 0x7e) return escaped(bytes.subarray(from, to));
  }
  return bytes.toString('latin1', from, to);
}

function escaped(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; at++) {
    const octet = bytes[at] ?? 0;
    const plain = octet >= SPACE && octet <= 0x7e;
    // A backslash before such an octet means the octet itself.
    if (octet === BACKSLASH && ((bytes[at + 1] ?? 0) > 0x7e || (bytes[at + 1] ?? SPACE) < SPACE)) continue;
    if (octet === BACKSLASH) text += `\\${String.fromCharCode(bytes[++at] ?? BACKSLASH)}`;
    else text += plain ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, '0')}`;
  }
  return text;
}
