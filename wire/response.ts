/**
 * A response while it is written: one record that is reused for every packet. Offsets count from the start of the
 * message unless noted, so they can be used as compression pointers.
 */
import { HEADER_OCTETS, PADDED_OCTETS, TCP_OCTETS, UDP_OCTETS, UDP_OCTETS_WITHOUT_EDNS } from './limits.ts';
import { ASKS, type Query } from './query.ts';
import { OPTION, RCODE, TYPE } from './types.ts';

export type Response = {
  tx: Uint8Array;
  /** A view of `tx`, for numbers of several octets. */
  view: DataView;
  /** The offset of the message in `tx`. */
  base: number;
  /** Octets written so far. */
  length: number;
  /** The limit for the sections. The space after it is for OPT. */
  limit: number;
  answers: number;
  authorities: number;
  additionals: number;
  rcode: number;
  authoritative: boolean;
  truncated: boolean;
  /** The CO flag (RFC 9824 5.1). */
  compactOk: boolean;
  /** Extended DNS error (RFC 8914). -1 for none. */
  error: number;
  /** SCOPE PREFIX-LENGTH of the answer (RFC 7871 7.2.1). */
  scopeBits: number;
  /**
   * ASKS bits of the options in the response. Set it before `startResponse`; it keeps its value for the next response.
   */
  gives: number;
  /** The client and server cookie for ASKS.COOKIE (RFC 7873, RFC 9018). */
  readonly cookie: Uint8Array;
  /** The idle timeout for ASKS.KEEPALIVE, in units of 100 ms (RFC 7828 3.1). */
  keepalive: number;
};

/** RFC 9018 4: a client cookie of 8 octets and a server cookie of 16. */
export const COOKIE_OCTETS = 24;

/** Octets of an OPT record without options: root owner, type, class, TTL, RDLENGTH. */
const OPT_OCTETS = 11;
const ERROR_OCTETS = 6;
const KEEPALIVE_OCTETS = 6;
/** The code and length before every option. */
const OPTION_HEAD_OCTETS = 4;

export function createResponse(): Response {
  return {
    tx: new Uint8Array(0),
    view: new DataView(new ArrayBuffer(0)),
    base: 0,
    length: 0,
    limit: 0,
    answers: 0,
    authorities: 0,
    additionals: 0,
    rcode: RCODE.NOERROR,
    authoritative: false,
    truncated: false,
    compactOk: false,
    error: -1,
    scopeBits: 0,
    gives: 0,
    cookie: new Uint8Array(COOKIE_OCTETS),
    keepalive: 0,
  };
}

/** Copies ID and question, byte for byte, and sets the limit for the transport. */
export function startResponse(
  response: Response,
  query: Query,
  rx: Uint8Array,
  rxAt: number,
  tx: Uint8Array,
  txAt: number,
  overTcp: boolean,
  nsid: Uint8Array,
): void {
  // All UDP packets use one buffer.
  if (response.tx !== tx) {
    response.tx = tx;
    response.view = new DataView(tx.buffer, tx.byteOffset, tx.byteLength);
  }
  response.base = txAt;
  response.rcode = RCODE.NOERROR;
  response.authoritative = false;
  response.truncated = false;
  emptyResponse(response, query);
  // Over UDP the response overwrites the query.
  if (tx !== rx || txAt !== rxAt) copyQuestion(query, rx, rxAt, tx, txAt);
  let limit = TCP_OCTETS;
  if (!overTcp) {
    // RFC 6891 6.2.3: a size below 512 counts as 512. RFC 9715: at most 1232, even if the client offers more.
    limit = query.hasEdns
      ? Math.min(Math.max(query.udpOctets, UDP_OCTETS_WITHOUT_EDNS), UDP_OCTETS)
      : UDP_OCTETS_WITHOUT_EDNS;
  }
  response.limit = query.hasEdns ? limit - optOctets(response, query, nsid) : limit;
}

/** Removes everything after the question from a started response. */
export function emptyResponse(response: Response, query: Query): void {
  response.length = query.questionEnd;
  response.answers = 0;
  response.authorities = 0;
  response.additionals = 0;
  response.error = -1;
  response.compactOk = false;
  response.scopeBits = 0;
}

/** Copies the ID and the question. `finishResponse` writes the rest of the header. */
function copyQuestion(query: Query, rx: Uint8Array, rxAt: number, tx: Uint8Array, txAt: number): void {
  tx[txAt] = rx[rxAt] ?? 0;
  tx[txAt + 1] = rx[rxAt + 1] ?? 0;
  for (let i = HEADER_OCTETS; i < query.questionEnd; i++) tx[txAt + i] = rx[rxAt + i] ?? 0;
}

/** Family, prefix lengths and an IPv6 address, after the head of the option (RFC 7871 6). */
const MAX_SUBNET_OCTETS = 4 + 16;

/**
 * The largest RRset in octets that fits into a message whose question has a name of `nameOctets`. All options but NSID
 * are counted: without space for them, a resolver could not get the RRset even over TCP. Only people ask for NSID.
 */
export function mostRrsetOctets(nameOctets: number): number {
  const question = nameOctets + 4;
  const options = OPTION_HEAD_OCTETS + COOKIE_OCTETS + OPTION_HEAD_OCTETS + MAX_SUBNET_OCTETS + KEEPALIVE_OCTETS;
  return TCP_OCTETS - HEADER_OCTETS - question - OPT_OCTETS - options;
}

function optOctets({ gives }: Response, query: Query, nsid: Uint8Array): number {
  let octets = OPT_OCTETS;
  if (gives !== 0) {
    if ((gives & ASKS.COOKIE) !== 0) octets += OPTION_HEAD_OCTETS + COOKIE_OCTETS;
    if ((gives & ASKS.KEEPALIVE) !== 0) octets += KEEPALIVE_OCTETS;
  }
  if (query.hasSubnet) octets += 8 + ((query.subnetBits + 7) >> 3);
  if (query.wantsNsid && nsid.length > 0) octets += 4 + nsid.length;
  return octets;
}

/** Adds OPT if the query had one, writes the header, and returns the length of the message. */
export function finishResponse(response: Response, query: Query, nsid: Uint8Array): number {
  const { view, base } = response;
  if (query.hasEdns) writeOpt(response, query, nsid);
  // QR is set, opcode and RD are the query's, and RA, Z, AD and CD are clear.
  const flags =
    0x8000 |
    (query.flags & 0x7900) |
    (response.authoritative ? 0x0400 : 0) |
    (response.truncated ? 0x0200 : 0) |
    (response.rcode & 15);
  view.setUint16(base + 2, flags);
  view.setUint16(base + 4, query.questionEnd > HEADER_OCTETS ? 1 : 0);
  view.setUint16(base + 6, response.answers);
  view.setUint16(base + 8, response.authorities);
  view.setUint16(base + 10, response.additionals);
  return response.length;
}

/** RFC 6891 6.1.2, with NSID (RFC 5001), client subnet (RFC 7871) and extended error (RFC 8914). */
function writeOpt(response: Response, query: Query, nsid: Uint8Array): void {
  const { tx, view, base } = response;
  let at = base + response.length;
  tx[at] = 0;
  view.setUint16(at + 1, TYPE.OPT);
  view.setUint16(at + 3, UDP_OCTETS);
  tx[at + 5] = response.rcode >> 4;
  tx[at + 6] = 0;
  tx[at + 7] = (query.dnssecOk ? 0x80 : 0) | (response.compactOk ? 0x40 : 0);
  tx[at + 8] = 0;
  const lengthAt = at + 9;
  at += OPT_OCTETS;
  if (query.wantsNsid && nsid.length > 0) {
    view.setUint16(at, OPTION.NSID);
    view.setUint16(at + 2, nsid.length);
    at += 4;
    for (let i = 0; i < nsid.length; i++) tx[at++] = nsid[i] ?? 0;
  }
  if (query.hasSubnet) {
    const addressOctets = (query.subnetBits + 7) >> 3;
    view.setUint16(at, OPTION.CLIENT_SUBNET);
    view.setUint16(at + 2, 4 + addressOctets);
    view.setUint16(at + 4, query.subnetFamily);
    tx[at + 6] = query.subnetBits;
    tx[at + 7] = response.scopeBits;
    at += 8;
    for (let i = 0; i < addressOctets; i++) tx[at++] = query.subnet[i] ?? 0;
  }
  // No space is reserved for it: responses with an extended error have little data, and data in a full message matters
  // more.
  if (response.error >= 0 && response.length + ERROR_OCTETS <= response.limit) {
    view.setUint16(at, OPTION.ERROR);
    view.setUint16(at + 2, 2);
    view.setUint16(at + 4, response.error);
    at += ERROR_OCTETS;
  }
  if (response.gives !== 0) at = writeGiven(response, at);
  view.setUint16(lengthAt, at - lengthAt - 2);
  response.length = at - base;
  response.additionals++;
}

/** Writes the options of the ASKS bits from `start` on. Returns the offset after them. */
function writeGiven({ tx, view, base, gives, cookie, keepalive }: Response, start: number): number {
  let at = start;
  if ((gives & ASKS.COOKIE) !== 0) {
    view.setUint16(at, OPTION.COOKIE);
    view.setUint16(at + 2, COOKIE_OCTETS);
    at += OPTION_HEAD_OCTETS;
    for (let i = 0; i < COOKIE_OCTETS; i++) tx[at++] = cookie[i] ?? 0;
  }
  if ((gives & ASKS.KEEPALIVE) !== 0) {
    view.setUint16(at, OPTION.TCP_KEEPALIVE);
    view.setUint16(at + 2, 2);
    view.setUint16(at + 4, keepalive);
    at += KEEPALIVE_OCTETS;
  }
  // RFC 8467 4.1. No space is reserved for padding: a message that is nearly full is padded to its limit.
  const left = TCP_OCTETS - (at - base) - OPTION_HEAD_OCTETS;
  if ((gives & ASKS.PADDING) !== 0 && left >= 0) {
    const over = (at - base + OPTION_HEAD_OCTETS) % PADDED_OCTETS;
    const octets = Math.min(over === 0 ? 0 : PADDED_OCTETS - over, left);
    view.setUint16(at, OPTION.PADDING);
    view.setUint16(at + 2, octets);
    at += OPTION_HEAD_OCTETS;
    tx.fill(0, at, at + octets); // RFC 7830 3: older contents of the buffer must not leak
    at += octets;
  }
  return at;
}
