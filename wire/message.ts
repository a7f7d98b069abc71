/**
 * Encodes queries and decodes responses as objects, outside the packet path: for explain and the tools.
 */
import { HEADER_OCTETS, MAX_NAME_OCTETS } from './limits.ts';
import { formatName, type Name } from './name.ts';
import { get8 } from './octets.ts';
import { formatRdata } from './rdata.ts';
import { CLASS, OPTION, TYPE, typeText } from './types.ts';

/** A client subnet: the first `bits` of an address of 4 or 16 octets. */
export type Subnet = { readonly bytes: Uint8Array; readonly bits: number };

/** Encodes a query of class IN with EDNS (1232 octets) and, if given, a client subnet (RFC 7871 6). RD is clear. */
export function encodeQuery(name: Name, type: number, subnet?: Subnet, dnssecOk = false): Uint8Array {
  const addressOctets = subnet ? (subnet.bits + 7) >> 3 : 0;
  const option = subnet
    ? [0, OPTION.CLIENT_SUBNET, 0, 4 + addressOctets, 0, subnet.bytes.length === 4 ? 1 : 2, subnet.bits, 0]
    : [];
  const address = subnet ? subnet.bytes.slice(0, addressOctets) : new Uint8Array(0);
  const loose = subnet ? (8 - (subnet.bits & 7)) & 7 : 0;
  if (addressOctets > 0) address[addressOctets - 1] = get8(address, addressOctets - 1) & (0xff << loose);
  return Uint8Array.from([
    ...[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1],
    ...name,
    ...[type >> 8, type & 0xff, 0, CLASS.IN],
    ...[0, 0, TYPE.OPT, 4, 0xd0, 0, 0, dnssecOk ? 0x80 : 0, 0, 0, option.length + addressOctets],
    ...option,
    ...address,
  ]);
}

/** A record as text: `data` in presentation format. */
export type MessageRecord = {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly data: string;
};

export type MessageText = {
  readonly rcode: number;
  readonly isAuthoritative: boolean;
  readonly answer: readonly MessageRecord[];
  readonly authority: readonly MessageRecord[];
  /** Without the OPT record. */
  readonly additional: readonly MessageRecord[];
};

/** Decodes a well-formed response of this server. Throws RangeError if it is malformed. */
export function decodeResponse(message: Uint8Array): MessageText {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = HEADER_OCTETS;
  for (let question = view.getUint16(4); question > 0; question--) at = readName(message, at).end + 4;
  const section = (count: number): MessageRecord[] => {
    const records: MessageRecord[] = [];
    for (let record = 0; record < count; record++) {
      const owner = readName(message, at);
      const type = view.getUint16(owner.end);
      const ttl = view.getUint32(owner.end + 4);
      const dataAt = owner.end + 10;
      const dataOctets = view.getUint16(owner.end + 8);
      at = dataAt + dataOctets;
      if (type === TYPE.OPT) continue;
      const data = formatRdata(type, expand(message, type, dataAt, at));
      records.push({ name: formatName(owner.name), type: typeText(type), ttl, data });
    }
    return records;
  };
  return {
    rcode: view.getUint16(2) & 15,
    isAuthoritative: (view.getUint16(2) & 0x0400) !== 0,
    answer: section(view.getUint16(6)),
    authority: section(view.getUint16(8)),
    additional: section(view.getUint16(10)),
  };
}

/** Reads the name at `start` and follows its pointers. `end` is the offset after the name in the message. */
function readName(message: Uint8Array, start: number): { name: Name; end: number } {
  const octets: number[] = [];
  let end = -1;
  for (let at = start, left = MAX_NAME_OCTETS; ; left--) {
    const length = message[at];
    // Pointers may lead back to themselves.
    if (length === undefined || octets.length > MAX_NAME_OCTETS || left === 0)
      throw new RangeError('a name in this message does not end');
    if (length >= 0xc0) {
      if (end < 0) end = at + 2;
      at = ((length & 0x3f) << 8) | get8(message, at + 1);
      continue;
    }
    for (let i = at; i <= at + length; i++) octets.push(get8(message, i));
    at += length + 1;
    if (length === 0) return { name: Uint8Array.from(octets), end: end < 0 ? at : end };
  }
}

/** Rdata with its names uncompressed. Only types of RFC 1035 have compressed names (RFC 3597 4). */
function expand(message: Uint8Array, type: number, from: number, to: number): Uint8Array {
  switch (type) {
    case TYPE.NS:
    case TYPE.CNAME:
    case TYPE.PTR:
    case TYPE.DNAME:
      return readName(message, from).name;
    case TYPE.MX:
      return Uint8Array.from([...message.subarray(from, from + 2), ...readName(message, from + 2).name]);
    case TYPE.SOA: {
      const mname = readName(message, from);
      const rname = readName(message, mname.end);
      return Uint8Array.from([...mname.name, ...rname.name, ...message.subarray(rname.end, to)]);
    }
    default:
      return message.subarray(from, to);
  }
}
