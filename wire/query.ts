/**
 * Reads a query into one record that is reused for every packet. PACKET PATH: allocates nothing.
 */
import { HEADER_OCTETS, MAX_LABELS, MAX_LABEL_OCTETS, MAX_NAME_OCTETS } from './limits.ts';
import { addLabel, hashWord } from './name-hash.ts';
import { skipName } from './name.ts';
import { OPCODE, OPTION, TYPE } from './types.ts';

/** Outcomes of `parseQuery`. */
export const PARSED = {
  QUERY: 0,
  /** Too short, or a response. The server never responds to these: two servers would answer each other without end. */
  DROP: 1,
  FORMERR: 2,
  NOTIMP: 3,
  /** A cookie and no question: the client asks for a server cookie (RFC 7873 5.4). */
  COOKIE_ALONE: 4,
} as const;

/** Bits of `Query.asks`: options that are rare, or only for some transports. Other options have their own fields. */
export const ASKS = {
  /** RFC 7873. The cookie is in `cookie` and `cookieOctets`. */
  COOKIE: 1,
  /** RFC 7828, without a timeout, as clients send it. */
  KEEPALIVE: 2,
  /** RFC 7828 with a timeout, which only servers may send. It is a mistake over TCP, and ignored over UDP. */
  KEEPALIVE_WITH_VALUE: 4,
  /** RFC 7830. */
  PADDING: 8,
} as const;

/** RFC 7873 4: octets of a client cookie, and of a client cookie with the longest server cookie. */
export const CLIENT_COOKIE_OCTETS = 8;
const MAX_COOKIE_OCTETS = 40;
/** RFC 7873 4: the shortest option with a server cookie, in octets. */
const WITH_SERVER_COOKIE_OCTETS = 16;

/**
 * RFC 4343: case does not matter. A table avoids a branch that cannot be predicted: some resolvers choose the case at
 * random.
 */
export const LOWER_CASE = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet,
);

/** Lower case for four octets at once. A set high bit marks an octet from A to Z and is shifted to the case bit. */
function lowerCaseWord(word: number): number {
  const low = word & 0x7f7f_7f7f;
  const isLarge = (low + 0x3f3f_3f3f) & ~(low + 0x2525_2525) & ~word & 0x8080_8080;
  return word | (isLarge >>> 2);
}

/** The last word of a name may extend beyond the name. */
const SLACK_OCTETS = 3;
/** Masks for the octets of a word that are in use, by their number. */
const WORD_MASK = Int32Array.of(0, 0xff, 0xffff, 0xff_ffff);

export type Query = {
  /** The buffer that holds the message, and a view of it for numbers of several octets. */
  rx: Uint8Array;
  view: DataView;
  /** Second and third octet of the header. */
  flags: number;
  /** The offset after the question in the message. 12 if the response has no question. */
  questionEnd: number;
  /** QNAME in canonical wire form. A chain of CNAMEs writes the next name here. */
  readonly name: Uint8Array;
  readonly nameView: DataView;
  nameOctets: number;
  /** Offsets of the labels of `name`, leftmost first, then of the root, which `labels` does not count. */
  readonly labelAt: Uint8Array;
  labels: number;
  /** For the hash (name-hash.ts): the sum of all labels, and for each label the sum of those before it. */
  nameSum: number;
  readonly sumBefore: Int32Array;
  type: number;
  class: number;
  hasEdns: boolean;
  ednsVersion: number;
  udpOctets: number;
  dnssecOk: boolean;
  /** RFC 9824 5.1: the client knows NXNAME, so the RCODE of a compact denial may be NXDOMAIN. */
  compactOk: boolean;
  wantsNsid: boolean;
  /** ASKS bits. */
  asks: number;
  /** The client cookie, then the server cookie if there is one. */
  readonly cookie: Uint8Array;
  cookieOctets: number;
  /** EDNS Client Subnet (RFC 7871 6). Family 1 or 2. Family 0 has no address and asks the server to use none. */
  hasSubnet: boolean;
  subnetFamily: number;
  subnetBits: number;
  /** The address of the client subnet, at the full length of its family. Bits after `subnetBits` are 0. */
  readonly subnet: Uint8Array;
};

export function createQuery(): Query {
  const name = new Uint8Array(MAX_NAME_OCTETS + SLACK_OCTETS);
  return {
    rx: new Uint8Array(0),
    view: new DataView(new ArrayBuffer(0)),
    flags: 0,
    questionEnd: HEADER_OCTETS,
    name,
    nameView: new DataView(name.buffer),
    nameOctets: 0,
    labelAt: new Uint8Array(MAX_LABELS + 1),
    labels: 0,
    nameSum: 0,
    sumBefore: new Int32Array(MAX_LABELS + 1),
    type: 0,
    class: 0,
    hasEdns: false,
    ednsVersion: 0,
    udpOctets: 0,
    dnssecOk: false,
    compactOk: false,
    wantsNsid: false,
    asks: 0,
    cookie: new Uint8Array(MAX_COOKIE_OCTETS),
    cookieOctets: 0,
    hasSubnet: false,
    subnetFamily: 0,
    subnetBits: 0,
    subnet: new Uint8Array(16),
  };
}

/** Reads the message of `length` octets at `at`. Returns a PARSED number. */
export function parseQuery(query: Query, rx: Uint8Array, at: number, length: number): number {
  // All UDP packets use one buffer.
  if (query.rx !== rx) {
    query.rx = rx;
    query.view = new DataView(rx.buffer, rx.byteOffset, rx.byteLength);
  }
  const { view } = query;
  query.questionEnd = HEADER_OCTETS;
  query.hasEdns = false;
  query.ednsVersion = 0;
  query.dnssecOk = false;
  query.compactOk = false;
  query.wantsNsid = false;
  query.asks = 0;
  query.hasSubnet = false;
  query.subnetFamily = 0;
  query.subnetBits = 0;
  query.type = 0;
  if (length < HEADER_OCTETS) return PARSED.DROP;
  query.flags = view.getUint16(at + 2);
  if ((query.flags & 0x8000) !== 0) return PARSED.DROP;
  const opcode = (query.flags >> 11) & 15;
  // RFC 9619 3: exactly one question.
  if (view.getUint16(at + 4) === 1) {
    const end = readName(query, rx, at + HEADER_OCTETS, at + length);
    if (end < 0) return opcode === OPCODE.QUERY ? PARSED.FORMERR : PARSED.NOTIMP;
    query.type = view.getUint16(end);
    query.class = view.getUint16(end + 2);
    query.questionEnd = end + 4 - at;
    const records = readRecords(query, rx, at, length, end + 4);
    return opcode === OPCODE.QUERY ? records : PARSED.NOTIMP;
  }
  return parseWithoutQuestion(query, rx, at, length, opcode);
}

/**
 * A query with no question or several: the response has none. RFC 6891 6.1.1: a query with OPT always gets OPT back.
 */
function parseWithoutQuestion(query: Query, rx: Uint8Array, at: number, length: number, opcode: number): number {
  const questions = query.view.getUint16(at + 4);
  const end = at + length;
  let next = at + HEADER_OCTETS;
  for (let question = 0; question < questions && next >= 0; question++) {
    next = skipName(rx, next, end);
    if (next >= 0) next += 4;
  }
  const read = next < 0 ? PARSED.FORMERR : readRecords(query, rx, at, length, next);
  if (opcode !== OPCODE.QUERY) return PARSED.NOTIMP;
  return questions === 0 && read === PARSED.QUERY && (query.asks & ASKS.COOKIE) !== 0
    ? PARSED.COOKIE_ALONE
    : PARSED.FORMERR;
}

/**
 * Reads an uncompressed name into canonical form, four octets at a time. A name in the question has no earlier name to
 * point to (RFC 1035 4.1.4). Returns the offset after the name, or -1 if the message ends before name, type and class.
 */
function readName(query: Query, rx: Uint8Array, start: number, end: number): number {
  const { view, name, nameView, labelAt, sumBefore } = query;
  let at = start;
  let sum = 0;
  let octets = 0;
  let labels = 0;
  for (;;) {
    // After every label come a root, a type and a class, so the label's last word is within the message.
    if (at + 5 > end) return -1;
    const labelOctets = rx[at] ?? 0;
    labelAt[labels] = octets;
    sumBefore[labels] = sum;
    if (labelOctets === 0) break;
    const next = octets + labelOctets + 1;
    if (labelOctets > MAX_LABEL_OCTETS || next >= MAX_NAME_OCTETS || at + labelOctets + 6 > end) return -1;
    labels++;
    let hash = 0;
    for (; octets + 4 <= next; octets += 4, at += 4) {
      const word = lowerCaseWord(view.getUint32(at, true));
      nameView.setUint32(octets, word, true);
      hash = hashWord(hash, word);
    }
    const rest = next - octets;
    if (rest > 0) {
      const word = lowerCaseWord(view.getUint32(at, true) & (WORD_MASK[rest] ?? 0));
      nameView.setUint32(octets, word, true);
      hash = hashWord(hash, word);
      octets = next;
      at += rest;
    }
    sum = addLabel(sum, hash);
  }
  name[octets] = 0;
  query.nameOctets = octets + 1;
  query.labels = labels;
  query.nameSum = sum;
  return at + 1;
}

/** Skips the records after the question, from `start`, and reads the OPT record (RFC 6891 6.1). */
function readRecords(query: Query, rx: Uint8Array, at: number, length: number, start: number): number {
  const end = at + length;
  const { view } = query;
  const records = view.getUint16(at + 6) + view.getUint16(at + 8);
  const additional = view.getUint16(at + 10);
  let next = start;
  for (let record = 0; record < records + additional; record++) {
    const owner = next;
    // OPT has the root as its owner, and is mostly the only record.
    next = next < end && rx[next] === 0 ? next + 1 : skipName(rx, next, end);
    if (next < 0 || next + 10 > end) return PARSED.FORMERR;
    const type = view.getUint16(next);
    const dataAt = next + 10;
    const dataOctets = view.getUint16(next + 8);
    if (dataAt + dataOctets > end) return PARSED.FORMERR;
    if (type === TYPE.OPT) {
      // RFC 6891 6.1.1: at most one OPT, in the additional section, with the root as its owner.
      if (record < records || query.hasEdns || rx[owner] !== 0) return PARSED.FORMERR;
      query.hasEdns = true;
      query.udpOctets = view.getUint16(next + 2);
      query.ednsVersion = rx[next + 5] ?? 0;
      query.dnssecOk = ((rx[next + 6] ?? 0) & 0x80) !== 0;
      query.compactOk = ((rx[next + 6] ?? 0) & 0x40) !== 0;
      // The options of another version may have another format.
      if (query.ednsVersion === 0 && !readOptions(query, rx, dataAt, dataOctets)) return PARSED.FORMERR;
    }
    next = dataAt + dataOctets;
  }
  return PARSED.QUERY;
}

function readOptions(query: Query, rx: Uint8Array, start: number, octets: number): boolean {
  const { view } = query;
  const end = start + octets;
  for (let at = start; at < end;) {
    if (at + 4 > end) return false;
    const code = view.getUint16(at);
    const optionOctets = view.getUint16(at + 2);
    at += 4;
    if (at + optionOctets > end) return false;
    if (code === OPTION.CLIENT_SUBNET) {
      // RFC 7871 6 has no rule for two subnets. The first is used.
      if (!query.hasSubnet && !readSubnet(query, rx, at, optionOctets)) return false;
    } else if (code === OPTION.NSID) {
      query.wantsNsid = true;
    } else if (code === OPTION.COOKIE) {
      // RFC 7873 5.2: the first of several cookies is used.
      if ((query.asks & ASKS.COOKIE) === 0 && !readCookie(query, rx, at, optionOctets)) return false;
    } else if (code === OPTION.TCP_KEEPALIVE) {
      query.asks |= optionOctets === 0 ? ASKS.KEEPALIVE : ASKS.KEEPALIVE_WITH_VALUE;
    } else if (code === OPTION.PADDING) {
      query.asks |= ASKS.PADDING;
    }
    at += optionOctets;
  }
  return true;
}

/** RFC 7873 5.2.2: FORMERR unless there is a client cookie, alone or with a server cookie of 8 to 32 octets. */
function readCookie(query: Query, rx: Uint8Array, at: number, octets: number): boolean {
  const hasServerCookie = octets >= WITH_SERVER_COOKIE_OCTETS && octets <= MAX_COOKIE_OCTETS;
  if (octets !== CLIENT_COOKIE_OCTETS && !hasServerCookie) return false;
  // Copied, because the response may overwrite the query.
  for (let i = 0; i < octets; i++) query.cookie[i] = rx[at + i] ?? 0;
  query.cookieOctets = octets;
  query.asks |= ASKS.COOKIE;
  return true;
}

/** RFC 7871 6 and 7.2.1: FORMERR unless family, lengths, scope and padding bits are valid. */
function readSubnet(query: Query, rx: Uint8Array, at: number, octets: number): boolean {
  if (octets < 4) return false;
  const family = query.view.getUint16(at);
  const bits = rx[at + 2] ?? 0;
  const addressOctets = (bits + 7) >> 3;
  // Family 0 has no address: `dig +subnet=0` asks the server with it to use no subnet (RFC 7871 7.1.2).
  const familyBits = family === 0 ? 0 : family === 1 ? 32 : 128;
  if (family > 2 || bits > familyBits || rx[at + 3] !== 0 || octets !== 4 + addressOctets) return false;
  const loose = (8 - (bits & 7)) & 7;
  if (addressOctets > 0 && ((rx[at + 3 + addressOctets] ?? 0) & ((1 << loose) - 1)) !== 0) return false;
  const { subnet } = query;
  for (let i = 0; i < addressOctets; i++) subnet[i] = rx[at + 4 + i] ?? 0;
  for (let i = addressOctets; i < familyBits >> 3; i++) subnet[i] = 0;
  query.hasSubnet = true;
  query.subnetFamily = family;
  query.subnetBits = bits;
  return true;
}
