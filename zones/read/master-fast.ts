/**
 * The fast path for the common lines of master files, from octets to the store: one record on one line, of the types
 * that are frequent in large zones, without escapes or parentheses. All other lines go to the full reader, which also
 * reports mistakes.
 */
import { MAX_NAME_OCTETS, MAX_TTL_SECONDS } from '../../wire/limits.ts';
import type { Name } from '../../wire/name.ts';
import { put16 } from '../../wire/octets.ts';
import { TYPE } from '../../wire/types.ts';
import { type RecordStore, addRow, isLastOwner, ownerStart, placeOwner, roomFor } from './record-store.ts';

/** The state that the next record depends on. */
export type Position = {
  readonly bytes: Buffer;
  readonly store: RecordStore;
  /** Index into `store.files`. */
  readonly file: number;
  line: number;
  origin: Name;
  /** Octets of the last owner; 0 if there is none yet, -1 if the last one was invalid. */
  ownerOctets: number;
  /** The last owner's place in the store's octets; -1 if it is in `owner`. */
  ownerAt: number;
  readonly owner: Uint8Array;
  readonly ttl: TtlDefaults;
};

/**
 * The TTL of a record without one: that of `$TTL` (RFC 2308 4); as in BIND, the SOA's minimum if the SOA and the lines
 * before it state no TTL; otherwise the last TTL that a record stated (RFC 1035 5.1); before that, the zone's.
 */
export type TtlDefaults = {
  directive: number | undefined;
  last: number | undefined;
  readonly zone: number;
  /** The first row of the top-level file. Until a TTL is stated, all rows from it on have the zone's TTL. */
  readonly firstRow: number;
};

/** The last owner, which must be valid. */
export function lastOwner({ store, owner, ownerAt, ownerOctets }: Position): Name {
  return ownerAt < 0 ? owner.subarray(0, ownerOctets) : store.bytes.subarray(ownerAt, ownerAt + ownerOctets);
}

export function defaultTtl(ttl: TtlDefaults): number {
  return ttl.directive ?? ttl.last ?? ttl.zone;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const QUOTE = 0x22;
const DOT = 0x2e;
const SEMICOLON = 0x3b;
const AT = 0x40;
const BACKSLASH = 0x5c;

/** 1 for octets without a special meaning in a word. */
const PLAIN = new Uint8Array(256);
for (let octet = 0x21; octet < 0x7f; octet++) PLAIN[octet] = '"();\\'.includes(String.fromCharCode(octet)) ? 0 : 1;

/** Value of a hexadecimal digit; 255 for other octets. */
const HEX = new Uint8Array(256).fill(255);
for (const [value, digit] of Array.from('0123456789abcdef').entries()) {
  HEX[digit.charCodeAt(0)] = value;
  HEX[digit.toUpperCase().charCodeAt(0)] = value;
}

/** The most octets of texts that the fast path reads; longer data is rare. */
const MAX_TEXT_OCTETS = 8192;
/** Room for an owner and data: names may be written beyond their limit before they are refused. */
const ROOM_OCTETS = MAX_TEXT_OCTETS + 6 * MAX_NAME_OCTETS;
/** The offset after the last item that was read: the second result of the functions below. */
let after = 0;

/**
 * Adds the record of the line at `at` and returns the start of the next line. Returns -1 and changes nothing otherwise.
 */
export function readPlainLine(position: Position, at: number): number {
  const { bytes, store } = position;
  // Owner and data are written right behind the octets in use. They count only once the row is added.
  const out = roomFor(store, ROOM_OCTETS);
  const { used } = store;
  let ownerOctets = position.ownerOctets;
  let rdataAt = used;
  let octet = bytes[at] ?? 0;
  const named = octet !== 0x20 && octet !== 0x09;
  if (named && PLAIN[octet] === 1) {
    if (octet === 0x24) return -1; // $: a directive
    ownerOctets = plainName(bytes, at, out, used, position.origin);
    if (ownerOctets < 0) return -1;
    rdataAt += ownerOctets;
    at = after;
    octet = bytes[at] ?? 0;
    if (octet !== 0x20 && octet !== 0x09) return -1;
  } else {
    const end = lineEnd(bytes, at);
    if (end >= 0) return end; // only blanks and a comment
    if (named || ownerOctets <= 0) return -1;
  }

  let ttlSeconds = -1;
  let sawClass = false;
  let type = 0;
  while (type === 0) {
    at = skipBlanks(bytes, at);
    octet = bytes[at] ?? 0;
    if (octet >= 0x30 && octet <= 0x39) {
      if (ttlSeconds >= 0) return -1;
      ttlSeconds = decimal(bytes, at, MAX_TTL_SECONDS);
      if (ttlSeconds < 0 || PLAIN[bytes[after] ?? 0] === 1) return -1;
      at = after;
    } else {
      type = typeAt(bytes, at);
      if (type < 0) return -1;
      at = after;
      if (type === 0) {
        if (sawClass) return -1;
        sawClass = true;
      }
    }
  }

  const octets = plainRdata(bytes, skipBlanks(bytes, at), type, position.origin, out, rdataAt);
  if (octets < 0) return -1;
  const next = lineEnd(bytes, after);
  if (next < 0) return -1;

  if (ttlSeconds >= 0) position.ttl.last = ttlSeconds;
  else ttlSeconds = defaultTtl(position.ttl);
  const { count } = store;
  if (named) {
    if (isLastOwner(store, out, used, ownerOctets)) {
      position.ownerAt = ownerStart(store, count - 1);
      out.copyWithin(used, rdataAt, rdataAt + octets);
      rdataAt = used;
    } else position.ownerAt = used;
    position.ownerOctets = ownerOctets;
  } else if (position.ownerAt < 0 || count === 0 || position.ownerAt !== ownerStart(store, count - 1)) {
    // The owner is from the full reader or from before an included file. `out` has room for it behind the data.
    out.copyWithin(used + MAX_NAME_OCTETS, used, used + octets);
    position.ownerAt = placeOwner(store, lastOwner(position));
    rdataAt = store.used;
    out.copyWithin(rdataAt, used + MAX_NAME_OCTETS, used + MAX_NAME_OCTETS + octets);
  }
  store.used = rdataAt + octets;
  addRow(store, position.ownerAt, ownerOctets, type, ttlSeconds, rdataAt, octets, position.file, position.line);
  return next;
}

function skipBlanks(bytes: Buffer, at: number): number {
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at++;
  return at;
}

/** The start of the next line if only blanks and a comment follow on this one; otherwise -1. */
function lineEnd(bytes: Buffer, at: number): number {
  at = skipBlanks(bytes, at);
  if (bytes[at] === RETURN) at++;
  if (bytes[at] === SEMICOLON) at = bytes.indexOf(NEWLINE, at);
  return bytes[at] === NEWLINE ? at + 1 : -1;
}

/** The type of the word at `at`; 0 for the class IN; -1 for any other word. */
function typeAt(bytes: Buffer, at: number): number {
  const start = at;
  let word = 0; // its last four letters in upper case
  while (PLAIN[bytes[at] ?? 0] === 1) word = (word << 8) | ((bytes[at++] ?? 0) & 0xdf);
  after = at;
  switch (at - start) {
    case 1:
      return word === 0x41 ? TYPE.A : -1;
    case 2:
      if (word === 0x494e) return 0;
      if (word === 0x4e53) return TYPE.NS;
      return word === 0x4d58 ? TYPE.MX : -1;
    case 3:
      if (word === 0x54_5854) return TYPE.TXT;
      if (word === 0x50_5452) return TYPE.PTR;
      return word === 0x53_5256 ? TYPE.SRV : -1;
    case 4:
      return word === 0x4141_4141 ? TYPE.AAAA : -1;
    case 5:
      return word === 0x4e41_4d45 && ((bytes[start] ?? 0) & 0xdf) === 0x43 ? TYPE.CNAME : -1;
    default:
      return -1;
  }
}

/** Writes the data of a record to `out[from...]` and returns its number of octets, or -1. */
function plainRdata(bytes: Buffer, at: number, type: number, origin: Name, out: Uint8Array, from: number): number {
  switch (type) {
    case TYPE.A:
      return ipv4(bytes, at, out, from);
    case TYPE.AAAA:
      return ipv6(bytes, at, out, from);
    case TYPE.TXT:
      return strings(bytes, at, out, from);
    case TYPE.MX:
    case TYPE.SRV: {
      const numbers = type === TYPE.MX ? 1 : 3;
      for (let i = 0; i < numbers; i++) {
        const value = decimal(bytes, at, 0xffff);
        if (value < 0 || (bytes[after] !== 0x20 && bytes[after] !== 0x09)) return -1;
        put16(out, from + i * 2, value);
        at = skipBlanks(bytes, after);
      }
      const octets = plainName(bytes, at, out, from + numbers * 2, origin);
      return octets < 0 ? -1 : numbers * 2 + octets;
    }
    default:
      return plainName(bytes, at, out, from, origin);
  }
}

/** Decimal digits to a number of at most `most`, or -1. */
function decimal(bytes: Buffer, at: number, most: number): number {
  const start = at;
  let value = 0;
  for (;;) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    if (value > most) return -1;
    at++;
  }
  after = at;
  return at === start ? -1 : value;
}

/**
 * Writes the name at `at` in wire form to `out[from...]` and returns its octets, or -1. `out` has room for two names.
 */
function plainName(bytes: Buffer, at: number, out: Uint8Array, from: number, origin: Name): number {
  const start = at;
  let octet = bytes[at] ?? 0;
  if ((octet === AT || octet === DOT) && PLAIN[bytes[at + 1] ?? 0] === 0) {
    after = at + 1;
    if (octet === AT) out.set(origin, from);
    else out[from] = 0;
    return octet === AT ? origin.length : 1;
  }
  let labelAt = from; // reserved for the label's length
  let to = from + 1;
  const limit = from + MAX_NAME_OCTETS;
  while (PLAIN[octet] === 1) {
    if (to > limit) return -1;
    if (octet === DOT) {
      const labelOctets = to - labelAt - 1;
      if (labelOctets === 0 || labelOctets > 63) return -1;
      out[labelAt] = labelOctets;
      labelAt = to++;
    } else {
      out[to++] = octet;
    }
    octet = bytes[++at] ?? 0;
  }
  if (at === start || octet === BACKSLASH || octet === QUOTE || octet > 0x7e) return -1;
  after = at;
  if (labelAt === to - 1) {
    out[labelAt] = 0;
    return to <= limit ? to - from : -1;
  }
  const labelOctets = to - labelAt - 1;
  if (labelOctets > 63 || to + origin.length > limit) return -1;
  out[labelAt] = labelOctets;
  for (let i = 0; i < origin.length; i++) out[to + i] = origin[i] ?? 0;
  return to + origin.length - from;
}

function ipv4(bytes: Buffer, at: number, out: Uint8Array, from: number): number {
  for (let i = 0; i < 4; i++) {
    const start = at;
    const value = decimal(bytes, at, 255);
    if (value < 0 || (after - start > 1 && bytes[start] === 0x30)) return -1; // some programs read 010 as octal
    out[from + i] = value;
    at = after;
    if (i < 3 && bytes[at++] !== DOT) return -1;
  }
  return PLAIN[bytes[after] ?? 0] === 1 ? -1 : 4;
}

/** RFC 4291 2.2, forms 1 and 2. */
function ipv6(bytes: Buffer, at: number, out: Uint8Array, from: number): number {
  let to = 0;
  let gap = -1; // position of ::
  if (bytes[at] === 0x3a) {
    if (bytes[at + 1] !== 0x3a) return -1;
    gap = 0;
    at += 2;
  }
  while (PLAIN[bytes[at] ?? 0] === 1) {
    let value = 0;
    let digits = 0;
    for (;;) {
      const digit = HEX[bytes[at] ?? 0] ?? 255;
      if (digit === 255) break;
      value = (value << 4) | digit;
      digits++;
      at++;
    }
    if (digits === 0 || digits > 4 || to === 16) return -1;
    put16(out, from + to, value);
    to += 2;
    if (PLAIN[bytes[at] ?? 0] === 0) break;
    if (bytes[at++] !== 0x3a) return -1;
    if (bytes[at] === 0x3a) {
      if (gap >= 0) return -1;
      gap = to;
      at++;
    } else if (PLAIN[bytes[at] ?? 0] === 0) {
      return -1; // a colon at the end
    }
  }
  after = at;
  if (gap < 0) return to === 16 ? 16 : -1;
  if (to > 14) return -1;
  out.copyWithin(from + 16 - (to - gap), from + gap, from + to);
  out.fill(0, from + gap, from + 16 - (to - gap));
  return 16;
}

/** Character-strings to the end of the line, quoted or not. */
function strings(bytes: Buffer, at: number, out: Uint8Array, from: number): number {
  let to = 0;
  for (;;) {
    const quoted = bytes[at] === QUOTE;
    if (quoted) at++;
    else if (PLAIN[bytes[at] ?? 0] === 0) break;
    const start = at;
    if (quoted) {
      for (;;) {
        const octet = bytes[at] ?? NEWLINE;
        if (octet === QUOTE) break;
        if (octet === BACKSLASH || octet === NEWLINE) return -1;
        at++;
      }
    } else {
      while (PLAIN[bytes[at] ?? 0] === 1) at++;
    }
    const octets = at - start;
    if (octets > 255 || to + octets > MAX_TEXT_OCTETS) return -1;
    out[from + to++] = octets;
    for (let i = start; i < at; i++) out[from + to++] = bytes[i] ?? 0;
    if (quoted) at++;
    // A word and a quote that touch are left to the full reader.
    else if (bytes[at] === QUOTE || bytes[at] === BACKSLASH || (bytes[at] ?? 0) > 0x7e) return -1;
    at = skipBlanks(bytes, at);
  }
  after = at;
  return to === 0 ? -1 : to;
}
