/**
 * DNS messages for tests, written and read without the server's code: slow, simple and strict. A message that it does
 * not accept is malformed (RFC 1035 4.1, RFC 6891 6.1.2).
 */
export const T = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  TLSA: 52,
  SVCB: 64,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

export type Option = { readonly code: number; readonly data: Uint8Array };
export type QueryOptions = {
  readonly id?: number;
  /** Third and fourth octet of the header; 0 is a query without RD. */
  readonly flags?: number;
  readonly class?: number;
  readonly edns?: {
    readonly size?: number;
    readonly dnssecOk?: boolean;
    readonly compactOk?: boolean;
    readonly version?: number;
    readonly options?: readonly Option[];
  };
};

/** Labels of `www.example.com` or `www.example.com.`; `\DDD` and `\.` are accepted. */
export function wireName(text: string): Buffer {
  const labels: number[][] = [[]];
  for (let i = 0; i < text.length; i++) {
    const escape = text[i] === '\\' && /^\\(?:(\d{3})|(.))/s.exec(text.slice(i));
    if (escape) {
      labels.at(-1)?.push(escape[1] ? Number(escape[1]) : (escape[2]?.charCodeAt(0) ?? 0));
      i += escape[0].length - 1;
    } else if (text[i] === '.') labels.push([]);
    else labels.at(-1)?.push(text.charCodeAt(i));
  }
  return Buffer.from([...labels.filter((label) => label.length > 0).flatMap((label) => [label.length, ...label]), 0]);
}

export function encodeQuery(name: string | Buffer, type: number, options: QueryOptions = {}): Buffer {
  const { id = 0x1234, flags = 0, edns } = options;
  const parts = [
    words(id, flags, 1, 0, 0, edns ? 1 : 0),
    typeof name === 'string' ? wireName(name) : name,
    words(type, options.class ?? 1),
  ];
  if (edns) {
    const data = Buffer.concat((edns.options ?? []).flatMap(({ code, data }) => [words(code, data.length), data]));
    const fixed = Buffer.of(
      0,
      0,
      41,
      0,
      0,
      0,
      edns.version ?? 0,
      (edns.dnssecOk ? 0x80 : 0) | (edns.compactOk ? 0x40 : 0),
      0,
      0,
      0,
    );
    fixed.writeUInt16BE(edns.size ?? 1232, 3);
    fixed.writeUInt16BE(data.length, 9);
    parts.push(fixed, data);
  }
  return Buffer.concat(parts);
}

/** EDNS Client Subnet (RFC 7871 6) from address octets. */
export function subnetOption(address: Uint8Array, bits: number): Option {
  const octets = Buffer.from(address.subarray(0, (bits + 7) >> 3));
  const loose = (8 - (bits & 7)) & 7;
  if (loose > 0) octets[octets.length - 1] = (octets.at(-1) ?? 0) & (0xff << loose);
  return { code: 8, data: Buffer.concat([words(address.length === 4 ? 1 : 2), Buffer.of(bits, 0), octets]) };
}

export type DecodedRecord = {
  /** Lower case, final dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** Hexadecimal; names in the data of RFC 1035's types are uncompressed and in lower case. */
  readonly data: string;
  /** Where the data is in the message. */
  readonly at: number;
  readonly octets: number;
};

export type DecodedMessage = {
  readonly id: number;
  readonly flags: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly aa: boolean;
  readonly tc: boolean;
  readonly rd: boolean;
  readonly ra: boolean;
  /** With the upper bits of OPT. */
  readonly rcode: number;
  /** The question's octets, undefined if there is none. */
  readonly question: Buffer | undefined;
  readonly answer: readonly DecodedRecord[];
  readonly authority: readonly DecodedRecord[];
  /** Without OPT. */
  readonly additional: readonly DecodedRecord[];
  readonly edns:
    | {
        readonly size: number;
        readonly version: number;
        readonly dnssecOk: boolean;
        readonly compactOk: boolean;
        readonly options: readonly Option[];
        /** SCOPE PREFIX-LENGTH of client subnet; undefined without one. */
        readonly scope: number | undefined;
        /** INFO-CODE of an extended error. */
        readonly error: number | undefined;
      }
    | undefined;
};

/** Reads a whole message. Throws if it is malformed, or has octets that belong to nothing. */
export function decodeMessage(message: Buffer): DecodedMessage {
  const flags = message.readUInt16BE(2);
  const [questions, ...counts] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  let at = 12;
  let question: Buffer | undefined;
  if (questions === 1) {
    const end = readName(message, at).end + 4;
    question = message.subarray(at, end);
    at = end;
  } else if (questions !== 0) throw new Error(`${questions ?? ''} questions`);
  const sections = counts.map((count) => {
    const records: DecodedRecord[] = [];
    for (let left = count; left > 0; left--) {
      const record = readRecord(message, at);
      at = record.at + record.octets;
      records.push(record);
    }
    return records;
  });
  if (at !== message.length) throw new Error(`${message.length - at} octets behind the last record`);
  const [answer = [], authority = [], last = []] = sections;
  const opts = last.filter(({ type }) => type === T.OPT);
  if ([...answer, ...authority].some(({ type }) => type === T.OPT)) throw new Error('OPT outside additional');
  if (opts.length > 1) throw new Error('two OPT records');
  const [opt] = opts;
  return {
    id: message.readUInt16BE(0),
    flags,
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    aa: (flags & 0x400) !== 0,
    tc: (flags & 0x200) !== 0,
    rd: (flags & 0x100) !== 0,
    ra: (flags & 0x80) !== 0,
    rcode: (flags & 15) | (opt ? (opt.ttl >>> 24) << 4 : 0),
    question,
    answer,
    authority,
    additional: last.filter(({ type }) => type !== T.OPT),
    edns: opt && readOpt(message, opt),
  };
}

function readOpt(message: Buffer, opt: DecodedRecord): DecodedMessage['edns'] {
  if (opt.name !== '.') throw new Error('the owner of OPT is not the root');
  const options: Option[] = [];
  const end = opt.at + opt.octets;
  for (let at = opt.at; at < end;) {
    const octets = message.readUInt16BE(at + 2);
    if (at + 4 + octets > end) throw new Error('an option is longer than OPT');
    options.push({ code: message.readUInt16BE(at), data: message.subarray(at + 4, at + 4 + octets) });
    at += 4 + octets;
  }
  const error = options.find(({ code }) => code === 15)?.data;
  return {
    size: opt.class,
    version: (opt.ttl >>> 16) & 0xff,
    dnssecOk: (opt.ttl & 0x8000) !== 0,
    compactOk: (opt.ttl & 0x4000) !== 0,
    options,
    scope: options.find(({ code }) => code === 8)?.data[3],
    error: error && Buffer.from(error).readUInt16BE(0),
  };
}

function readRecord(message: Buffer, start: number): DecodedRecord {
  const { name, end } = readName(message, start);
  const octets = message.readUInt16BE(end + 8);
  const at = end + 10;
  if (at + octets > message.length) throw new Error('data beyond the end of the message');
  const type = message.readUInt16BE(end);
  return {
    name,
    type,
    class: message.readUInt16BE(end + 2),
    ttl: message.readUInt32BE(end + 4),
    data: readData(message, type, at, at + octets),
    at,
    octets,
  };
}

const NAMES: Readonly<Record<number, readonly [before: number, names: number]>> = {
  2: [0, 1],
  5: [0, 1],
  6: [0, 2],
  12: [0, 1],
  15: [2, 1],
  33: [6, 1],
  39: [0, 1],
};
/** RFC 3597 4: only the types of RFC 1035 may be compressed. */
const MAY_COMPRESS = new Set([2, 5, 6, 12, 15]);

function readData(message: Buffer, type: number, start: number, end: number): string {
  const [before, names] = NAMES[type] ?? [end - start, 0];
  let at = start + before;
  const parts = [message.subarray(start, at)];
  for (let left = names; left > 0; left--) {
    const read = readName(message, at);
    if (read.hops > 0 && !MAY_COMPRESS.has(type)) throw new Error(`compressed name in type ${type}`);
    parts.push(wireName(read.name));
    at = read.end;
  }
  if (at > end) throw new Error('a name runs beyond its record');
  return Buffer.concat([...parts, message.subarray(at, end)]).toString('hex');
}

/** Each octet of a name as text, in lower case. */
const SHOWN = Array.from({ length: 256 }, (_, octet) => {
  const char = String.fromCharCode(octet).toLowerCase();
  return /^[a-z0-9_*-]$/.test(char) ? char : `\\${String(octet).padStart(3, '0')}`;
});

/** The name at `start`, and where it ends there. A pointer must lead back, and to a label, not to a pointer. */
export function readName(message: Buffer, start: number): { name: string; end: number; hops: number } {
  let text = '';
  let at = start;
  let end = -1;
  let octets = 1;
  let hops = 0;
  for (;;) {
    const length = message.readUInt8(at);
    if (length >= 0xc0) {
      const target = message.readUInt16BE(at) & 0x3fff;
      if (target >= at || target < 12) throw new Error(`a pointer at ${at} leads to ${target}`);
      if (message.readUInt8(target) >= 0xc0) throw new Error(`a pointer at ${at} leads to another at ${target}`);
      if (end < 0) end = at + 2;
      at = target;
      hops++;
      continue;
    }
    if (length > 63) throw new Error(`a label type ${length >> 6}`);
    octets += length + (length > 0 ? 1 : 0);
    if (octets > 255) throw new Error('a name longer than 255 octets');
    if (length === 0) return { name: text === '' ? '.' : text, end: end < 0 ? at + 1 : end, hops };
    if (at + 1 + length > message.length) throw new Error('a label beyond the end of the message');
    for (let i = at + 1; i <= at + length; i++) text += SHOWN[message.readUInt8(i)] ?? '';
    text += '.';
    at += 1 + length;
  }
}

function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => buffer.writeUInt16BE(value, index * 2));
  return buffer;
}
