/**
 * Reads TSIG records from messages, appends them, and makes the variables that a MAC covers (RFC 8945 4.2).
 */
import { HEADER_OCTETS, MAX_NAME_OCTETS } from './limits.ts';
import { canonical, skipName, type Name } from './name.ts';
import { get8, get16, put16 } from './octets.ts';
import { CLASS, TYPE } from './types.ts';

/** The TSIG record of a received message. */
export type Tsig = {
  /** The offset of the record, which is the last of the message. */
  readonly at: number;
  /** Canonical. */
  readonly name: Name;
  /** Canonical: `hmac-sha256.` in wire form. */
  readonly algorithm: Name;
  /** Seconds since 1970. */
  readonly timeSigned: number;
  readonly fudgeSeconds: number;
  readonly mac: Uint8Array;
  readonly originalId: number;
  readonly error: number;
  readonly other: Uint8Array;
};

/** A record before its MAC is known. */
export type UnsignedTsig = Omit<Tsig, 'at' | 'mac'>;

/**
 * Octets beside MAC and other data: owner, type, class, TTL, RDLENGTH; algorithm, time, fudge, MAC size, original ID,
 * error, other length.
 */
export function tsigFixedOctets(nameOctets: number, algorithmOctets: number): number {
  return nameOctets + 10 + algorithmOctets + 16;
}

/**
 * The TSIG of a message (a view that starts with its header). `none` if there is no TSIG or the message is too broken
 * to find one. `malformed` if RFC 8945 5.1 requires FORMERR: TSIG is not the last record, there are several, or its
 * data is malformed.
 */
export function readTsig(message: Uint8Array): Tsig | 'none' | 'malformed' {
  let at = HEADER_OCTETS;
  for (let question = get16(message, 4); question > 0; question--) {
    at = skipName(message, at) + 4;
    if (at < HEADER_OCTETS || at > message.length) return 'none';
  }
  const beforeAdditional = get16(message, 6) + get16(message, 8);
  const records = beforeAdditional + get16(message, 10);
  for (let record = 0; record < records; record++) {
    const start = at;
    at = skipName(message, at);
    if (at < 0 || at + 10 > message.length) return 'none';
    const type = get16(message, at);
    const end = at + 10 + get16(message, at + 8);
    if (end > message.length) return 'none';
    if (type === TYPE.TSIG) {
      return record === records - 1 && record >= beforeAdditional ? readRecord(message, start, at, end) : 'malformed';
    }
    at = end;
  }
  return 'none';
}

function readRecord(message: Uint8Array, start: number, fixedAt: number, end: number): Tsig | 'malformed' {
  const name = expandName(message, start);
  const dataAt = fixedAt + 10;
  const algorithm = expandName(message, dataAt);
  const fieldsAt = skipName(message, dataAt);
  if (!name || !algorithm || get16(message, fixedAt + 2) !== CLASS.ANY) return 'malformed';
  if (get16(message, fixedAt + 4) !== 0 || get16(message, fixedAt + 6) !== 0) return 'malformed';
  if (fieldsAt + 10 > end) return 'malformed';
  const macAt = fieldsAt + 10;
  const afterMac = macAt + get16(message, fieldsAt + 8);
  if (afterMac + 6 > end) return 'malformed';
  const otherAt = afterMac + 6;
  if (otherAt + get16(message, afterMac + 4) !== end) return 'malformed';
  return {
    at: start,
    name,
    algorithm,
    timeSigned:
      get16(message, fieldsAt) * 2 ** 32 + get16(message, fieldsAt + 2) * 2 ** 16 + get16(message, fieldsAt + 4),
    fudgeSeconds: get16(message, fieldsAt + 6),
    mac: Uint8Array.from(message.subarray(macAt, afterMac)),
    originalId: get16(message, afterMac),
    error: get16(message, afterMac + 2),
    other: Uint8Array.from(message.subarray(otherAt, end)),
  };
}

/** Appends a record to the `length` octets of a message, counts it in the header, and returns the new length. */
export function appendTsig(message: Uint8Array, length: number, record: UnsignedTsig, mac: Uint8Array): number {
  message.set(record.name, length);
  let at = length + record.name.length;
  put16(message, at, TYPE.TSIG);
  put16(message, at + 2, CLASS.ANY);
  put16(message, at + 4, 0);
  put16(message, at + 6, 0);
  put16(message, at + 8, record.algorithm.length + 16 + mac.length + record.other.length);
  at += 10;
  message.set(record.algorithm, at);
  at += record.algorithm.length;
  put48(message, at, record.timeSigned);
  put16(message, at + 6, record.fudgeSeconds);
  put16(message, at + 8, mac.length);
  message.set(mac, at + 10);
  at += 10 + mac.length;
  put16(message, at, record.originalId);
  put16(message, at + 2, record.error);
  put16(message, at + 4, record.other.length);
  message.set(record.other, at + 6);
  put16(message, 10, get16(message, 10) + 1);
  return at + 6 + record.other.length;
}

/** The octets that a MAC covers beside the message (RFC 8945 4.3.3). */
export function tsigVariables(record: UnsignedTsig): Uint8Array {
  const { name, algorithm, other } = record;
  const out = new Uint8Array(name.length + algorithm.length + 18 + other.length);
  out.set(name);
  let at = name.length;
  put16(out, at, CLASS.ANY); // and a TTL of 0
  at += 6;
  out.set(algorithm, at);
  at += algorithm.length;
  out.set(tsigTimers(record), at);
  put16(out, at + 8, record.error);
  put16(out, at + 10, other.length);
  out.set(other, at + 12);
  return out;
}

/** The octets that a MAC covers beside the message, in all messages of a response but the first (RFC 8945 5.3.1). */
export function tsigTimers({ timeSigned, fudgeSeconds }: UnsignedTsig): Uint8Array {
  const out = new Uint8Array(8);
  put48(out, 0, timeSigned);
  put16(out, 6, fudgeSeconds);
  return out;
}

/** Writes the low 48 bits of `value`. */
export function put48(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, Math.floor(value / 2 ** 32));
  put16(bytes, at + 2, Math.floor(value / 2 ** 16) & 0xffff);
  put16(bytes, at + 4, value & 0xffff);
}

/** The name at `start` in canonical form. Pointers must point backwards (RFC 1035 4.1.4). */
function expandName(message: Uint8Array, start: number): Name | undefined {
  const octets: number[] = [];
  let least = start;
  for (let at = start; at < message.length;) {
    const octet = get8(message, at);
    if (octet >= 0xc0) {
      at = ((octet & 0x3f) << 8) | get8(message, at + 1);
      if (at >= least) return undefined;
      least = at;
      continue;
    }
    if (octet > 63 || at + octet >= message.length) return undefined;
    for (let i = at; i <= at + octet; i++) octets.push(get8(message, i));
    if (octets.length > MAX_NAME_OCTETS) return undefined;
    if (octet === 0) return canonical(Uint8Array.from(octets));
    at += octet + 1;
  }
  return undefined;
}
