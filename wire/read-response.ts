/**
 * Reads responses of any server: every section in wire form, with uncompressed names, and the options of EDNS that
 * change what an answer means. Strict: a message with octets missing is malformed.
 */
import { HEADER_OCTETS, MAX_NAME_OCTETS } from './limits.ts';
import { nameKey, type Name } from './name.ts';
import { get16 } from './octets.ts';
import { nameFields } from './rdata.ts';
import { OPTION, TYPE } from './types.ts';

export type ResponseRecord = {
  readonly owner: Name;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  /** Uncompressed. */
  readonly rdata: Uint8Array;
};

export type ServerResponse = {
  /** The second word of the header. */
  readonly flags: number;
  /** With the upper bits of OPT (RFC 6891 6.1.3). */
  readonly rcode: number;
  /** The octets of the question section. */
  readonly question: Uint8Array;
  readonly answer: readonly ResponseRecord[];
  readonly authority: readonly ResponseRecord[];
  /** Without OPT and TSIG. */
  readonly additional: readonly ResponseRecord[];
  readonly hasEdns: boolean;
  /** SCOPE PREFIX-LENGTH of the client subnet (RFC 7871 6); undefined without one. */
  readonly scopeBits: number | undefined;
};

export const HEADER_FLAG = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080 } as const;

/** Why a message is malformed. */
export class ResponseError extends Error {}

/** Throws ResponseError if the message is malformed. */
export function readResponse(message: Uint8Array): ServerResponse {
  if (message.length < HEADER_OCTETS) throw new ResponseError('shorter than a header');
  let at = HEADER_OCTETS;
  for (let left = get16(message, 4); left > 0; left--) at = readName(message, at).end + 4;
  const question = message.subarray(HEADER_OCTETS, at);
  let opt: ResponseRecord | undefined;
  const section = (count: number): ResponseRecord[] => {
    const records: ResponseRecord[] = [];
    for (let left = count; left > 0; left--) {
      const { record, end } = readResponseRecord(message, at);
      at = end;
      if (record.type === TYPE.OPT) opt = record;
      else if (record.type !== TYPE.TSIG) records.push(record);
    }
    return records;
  };
  const answer = section(get16(message, 6));
  const authority = section(get16(message, 8));
  const additional = section(get16(message, 10));
  const flags = get16(message, 2);
  return {
    flags,
    rcode: (flags & 15) | (((opt?.ttlSeconds ?? 0) >>> 24) << 4),
    question,
    answer,
    authority,
    additional,
    hasEdns: opt !== undefined,
    scopeBits: opt && scopeOf(opt.rdata),
  };
}

/** Reads the record at `at`, and returns where it ends. */
function readResponseRecord(
  message: Uint8Array,
  at: number,
): { readonly record: ResponseRecord; readonly end: number } {
  const owner = readName(message, at);
  const dataAt = owner.end + 10;
  if (dataAt > message.length) throw new ResponseError('a record is cut');
  const end = dataAt + get16(message, owner.end + 8);
  if (end > message.length) throw new ResponseError('the data of a record is cut');
  const type = get16(message, owner.end);
  const ttlSeconds = get16(message, owner.end + 4) * 0x1_0000 + get16(message, owner.end + 6);
  const rdata = readRdata(message, type, dataAt, end);
  return { record: { owner: owner.name, type, class: get16(message, owner.end + 2), ttlSeconds, rdata }, end };
}

/** A key of owner, type, class and data: equal for records that differ only in TTL or in the case of names. */
export function responseKey({ owner, type, class: klass, rdata }: ResponseRecord): string {
  return `${nameKey(owner)}${String.fromCharCode(type, klass)}${rdataKey(type, rdata)}`;
}

function rdataKey(type: number, rdata: Uint8Array): string {
  const text = Buffer.from(rdata).toString('latin1');
  const names = nameFields(type, rdata, 0);
  if (!names) return text;
  let end = names.at;
  for (let left = names.count; left > 0; left--) end = readName(rdata, end).end;
  return text.slice(0, names.at) + nameKey(rdata.subarray(names.at, end)) + text.slice(end);
}

/** The record of a key, without TTL. */
export function recordOfResponseKey(key: string): ResponseRecord {
  let at = 0;
  while (key.charCodeAt(at) > 0) at += key.charCodeAt(at) + 1;
  const [type, klass] = [key.charCodeAt(at + 1), key.charCodeAt(at + 2)];
  const octets = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
  return { owner: octets(key.slice(0, at + 1)), type, class: klass, ttlSeconds: 0, rdata: octets(key.slice(at + 3)) };
}

/** The name at `start`, with its pointers followed. `end` is the offset after it in the message. */
function readName(message: Uint8Array, start: number): { readonly name: Name; readonly end: number } {
  const name = new Uint8Array(MAX_NAME_OCTETS);
  let length = 0;
  let end = -1;
  for (let at = start; ;) {
    const label = message[at];
    if (label === undefined) throw new ResponseError('a name is cut');
    if (label >= 0xc0) {
      const target = get16(message, at) & 0x3fff;
      if (end < 0) end = at + 2;
      // RFC 1035 4.1.4: to a prior occurrence. So no name is without an end.
      if (target >= at) throw new ResponseError(`a pointer at ${at} leads to ${target}`);
      at = target;
      continue;
    }
    if (label > 63) throw new ResponseError(`a label of type ${label >> 6}`);
    if (length + label + 1 > MAX_NAME_OCTETS) throw new ResponseError(`a name longer than ${MAX_NAME_OCTETS} octets`);
    if (at + label + 1 > message.length) throw new ResponseError('a label is cut');
    name.set(message.subarray(at, at + label + 1), length);
    length += label + 1;
    at += label + 1;
    if (label === 0) return { name: name.slice(0, length), end: end < 0 ? at : end };
  }
}

function readRdata(message: Uint8Array, type: number, from: number, to: number): Uint8Array {
  const names = to > from ? nameFields(type, message, from) : undefined;
  if (!names) return message.slice(from, to);
  const parts = [message.subarray(from, names.at)];
  let at = names.at;
  for (let left = names.count; left > 0; left--) {
    const { name, end } = readName(message, at);
    parts.push(name);
    at = end;
  }
  if (at > to) throw new ResponseError('a name is longer than the data of its record');
  return Uint8Array.from(Buffer.concat([...parts, message.subarray(at, to)]));
}

function scopeOf(options: Uint8Array): number | undefined {
  for (let at = 0; at + 4 <= options.length; at += 4 + get16(options, at + 2)) {
    if (get16(options, at) === OPTION.CLIENT_SUBNET && get16(options, at + 2) >= 4) return options[at + 7];
  }
  return undefined;
}
