/**
 * Reads responses fast for comparison: a record becomes one string of its octets, with uncompressed names in lower case
 * (RFC 4343). Independent of the server's code, and strict about compression.
 */

/** One record: `key` contains all of it, as Latin-1 characters. */
export type SeenRecord = {
  readonly key: string;
  /** Canonical wire form of the owner. */
  readonly name: string;
  readonly type: number;
};

export type Seen = {
  /** Octets of the message. */
  readonly length: number;
  /** The header's second word without RCODE and TC. */
  readonly flags: number;
  readonly tc: boolean;
  /** With the upper bits of OPT. */
  readonly rcode: number;
  /** Octets of the question section. */
  readonly question: string;
  /** Sorted by `key`, because RRsets are sets. */
  answer: readonly SeenRecord[];
  authority: readonly SeenRecord[];
  /** Without OPT. */
  additional: readonly SeenRecord[];
  /** Version, and the DO bit; -1 without OPT. */
  readonly edns: number;
};

/** Names in the data, by type: the number of octets before them, and how many names. */
const NAMES: Readonly<Record<number, readonly [before: number, names: number]>> = {
  2: [0, 1],
  3: [0, 1],
  4: [0, 1],
  5: [0, 1],
  6: [0, 2],
  7: [0, 1],
  8: [0, 1],
  9: [0, 1],
  12: [0, 1],
  14: [0, 2],
  15: [2, 1],
  17: [0, 2],
  18: [2, 1],
  21: [2, 1],
  26: [2, 2],
  33: [6, 1],
  35: [4, 1],
  36: [2, 1],
  39: [0, 1],
  47: [0, 1],
  64: [2, 1],
  65: [2, 1],
  107: [2, 1],
};
/** RFC 3597 4: the types of RFC 1035 whose names may be compressed. */
const COMPRESSED: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15]);
const NAPTR = 35;
const OPT = 41;

const scratch = Buffer.alloc(70_000);
let used = 0;
let nameEnd = 0;

/** Reads a message. With `strict`, pointers must lead back, to a label, and be where RFC 3597 4 allows them. */
export function readSeen(message: Buffer, strict: boolean): Seen {
  const word = message.readUInt16BE(2);
  let at = 12;
  for (let left = message.readUInt16BE(4); left > 0; left--) {
    used = 0;
    at = expandName(message, at, strict) + 4;
  }
  const question = message.toString('latin1', 12, at);
  let edns = -1;
  let upper = 0;
  const section = (count: number, last: boolean): SeenRecord[] => {
    const records: SeenRecord[] = [];
    for (let left = count; left > 0; left--) {
      used = 0;
      const fixed = expandName(message, at, strict);
      const nameOctets = used;
      const type = message.readUInt16BE(fixed);
      const end = fixed + 10 + message.readUInt16BE(fixed + 8);
      if (end > message.length) throw new Error('data beyond the end of the message');
      if (type === OPT) {
        if (!last || edns >= 0 || nameOctets !== 1) throw new Error('an OPT that should not be');
        upper = message.readUInt8(fixed + 4);
        edns = message.readUInt8(fixed + 5) * 2 + (message.readUInt8(fixed + 6) >> 7);
      } else {
        message.copy(scratch, used, fixed, fixed + 8);
        used += 8;
        expandData(message, type, fixed + 10, end, strict);
        records.push({
          key: scratch.toString('latin1', 0, used),
          name: scratch.toString('latin1', 0, nameOctets),
          type,
        });
      }
      at = end;
    }
    return records.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  };
  const answer = section(message.readUInt16BE(6), false);
  const authority = section(message.readUInt16BE(8), false);
  const additional = section(message.readUInt16BE(10), true);
  if (strict && at !== message.length) throw new Error(`${message.length - at} octets behind the last record`);
  return {
    length: message.length,
    flags: word & 0xfdf0,
    tc: (word & 0x0200) !== 0,
    rcode: (word & 15) | (upper << 4),
    question,
    answer,
    authority,
    additional,
    edns,
  };
}

function expandData(message: Buffer, type: number, start: number, end: number, strict: boolean): void {
  const [fixed, names] = NAMES[type] ?? [end - start, 0];
  let before = fixed;
  // Order, preference, and three character-strings.
  if (type === NAPTR) for (let string = 0; string < 3; string++) before += message.readUInt8(start + before) + 1;
  let at = start + before;
  message.copy(scratch, used, start, at);
  used += before;
  for (let left = names; left > 0; left--) {
    at = expandName(message, at, strict, !COMPRESSED.has(type));
  }
  if (at > end) throw new Error('a name runs beyond its record');
  message.copy(scratch, used, at, end);
  used += end - at;
}

/** Appends the name at `start` to `scratch` and returns where it ends in the message. */
function expandName(message: Buffer, start: number, strict: boolean, whole = false): number {
  let at = start;
  nameEnd = -1;
  for (let hops = 0; ;) {
    const length = message.readUInt8(at);
    if (length >= 0xc0) {
      const target = message.readUInt16BE(at) & 0x3fff;
      if (strict && (whole || target >= at || target < 12 || message.readUInt8(target) >= 0xc0)) {
        throw new Error(`a pointer at ${at} leads to ${target}`);
      }
      if (++hops > 127) throw new Error('a name without end');
      if (nameEnd < 0) nameEnd = at + 2;
      at = target;
      continue;
    }
    if (length > 63) throw new Error(`a label type ${length >> 6}`);
    scratch[used++] = length;
    if (length === 0) return nameEnd < 0 ? at + 1 : nameEnd;
    for (let i = at + 1; i <= at + length; i++) {
      const octet = message.readUInt8(i);
      scratch[used++] = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
    }
    at += length + 1;
  }
}

/** The same records, in the same sections. */
export function sameRecords(a: readonly SeenRecord[], b: readonly SeenRecord[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i]?.key !== b[i]?.key) return false;
  return true;
}

/** For reports: names with escapes, data in hexadecimal. */
export function showSeen(seen: Seen): string {
  const lines = (records: readonly SeenRecord[]): string =>
    records
      .slice(0, 8)
      .map((record) => `\n      ${showRecord(record)}`)
      .join('') + (records.length > 8 ? `\n      and ${records.length - 8} more` : '');
  return (
    `rcode ${seen.rcode} flags ${seen.flags.toString(16)}${seen.tc ? ' TC' : ''} edns ${seen.edns} octets ${seen.length}` +
    `\n    answer${lines(seen.answer)}\n    authority${lines(seen.authority)}\n    additional${lines(seen.additional)}`
  );
}

function showRecord({ key, name, type }: SeenRecord): string {
  const octets = Buffer.from(key, 'latin1');
  const fixed = name.length;
  return `${showName(name)} ${octets.readUInt32BE(fixed + 4)} ${type} ${octets.toString('hex', fixed + 8).slice(0, 120)}`;
}

/** Wire form as text. */
export function showName(name: string): string {
  let text = '';
  for (let at = 0; at < name.length && name.charCodeAt(at) > 0; at += name.charCodeAt(at) + 1) {
    const label = name.slice(at + 1, at + 1 + name.charCodeAt(at));
    text += `${label.replace(/[^A-Za-z0-9_*-]/g, (c) => `\\${String(c.charCodeAt(0)).padStart(3, '0')}`)}.`;
  }
  return text === '' ? '.' : text;
}
