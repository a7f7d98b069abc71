/**
 * Requests of peers: detects signed messages and transfer requests, verifies signatures, and checks `transfer.allow`.
 */
import type { AllowedPeer, TransferSettings } from '../../config/settings.ts';
import { inPrefix } from '../../wire/address.ts';
import { HEADER_OCTETS } from '../../wire/limits.ts';
import { skipName } from '../../wire/name.ts';
import { get8, get16, put16 } from '../../wire/octets.ts';
import { createQuery, parseQuery, PARSED, type Query } from '../../wire/query.ts';
import { readTsig, type Tsig } from '../../wire/tsig-record.ts';
import { verifyTsig, type TsigKey, type Verdict } from '../../wire/tsig.ts';
import { OPCODE, TYPE } from '../../wire/types.ts';

/** Bits of the result of `specialsOf`. */
export const SPECIAL = { SIGNED: 1, AXFR: 2, IXFR: 4 } as const;

/** The SPECIAL bits of a message; 0 for responses and malformed messages. PACKET PATH: allocates nothing. */
export function specialsOf(rx: Uint8Array, at: number, length: number): number {
  // RFC 1035 4.1.1: QR clear.
  if (length < HEADER_OCTETS || (get8(rx, at + 2) & 0x80) !== 0) return 0;
  const end = at + length;
  let next = at + HEADER_OCTETS;
  let asked = 0;
  // Whatever its opcode and number of questions: the response to a signed message is signed (RFC 8945 5.3).
  const questions = get16(rx, at + 4);
  const isQuery = questions === 1 && ((get8(rx, at + 2) >> 3) & 15) === OPCODE.QUERY;
  for (let question = 0; question < questions; question++) {
    next = skipName(rx, next, end);
    if (next < 0 || next + 4 > end) return 0;
    const type = get16(rx, next);
    if (isQuery) asked = type === TYPE.AXFR ? SPECIAL.AXFR : type === TYPE.IXFR ? SPECIAL.IXFR : 0;
    next += 4;
  }
  const records = get16(rx, at + 6) + get16(rx, at + 8) + get16(rx, at + 10);
  for (let record = 0; record < records; record++) {
    next = skipName(rx, next, end);
    if (next < 0 || next + 10 > end) return asked;
    if (get16(rx, next) === TYPE.TSIG) return asked | SPECIAL.SIGNED;
    next += 10 + get16(rx, next + 8);
  }
  return asked;
}

/** A parsed request, with a copy of its octets, because the response may overwrite them. */
export type PeerRequest = {
  readonly message: Uint8Array;
  readonly query: Query;
  /** A PARSED number. */
  readonly parsed: number;
  readonly signature: Tsig | undefined;
  /** The result of verifying the signature; undefined when there is none. */
  readonly verdict: Verdict | undefined;
};

export function readPeerRequest(
  rx: Uint8Array,
  rxAt: number,
  length: number,
  keys: readonly TsigKey[],
  nowSeconds: number,
): PeerRequest {
  // `slice` of a Buffer does not copy.
  const message = Uint8Array.from(rx.subarray(rxAt, rxAt + length));
  const query = createQuery();
  const parsed = parseQuery(query, message, 0, length);
  const tsig = parsed === PARSED.DROP ? 'none' : readTsig(message);
  if (tsig === 'none') return { message, query, parsed, signature: undefined, verdict: undefined };
  if (tsig === 'malformed') return { message, query, parsed, signature: undefined, verdict: { kind: 'malformed' } };
  return { message, query, parsed, signature: tsig, verdict: verifyTsig(message, tsig, keys, nowSeconds) };
}

/**
 * The first entry of `allow` for this address that has no key, or the key that signed the request. Undefined: the peer
 * may not transfer zones.
 */
export function allowedPeer(
  { allow }: TransferSettings,
  address: Uint8Array,
  verdict: PeerRequest['verdict'],
): AllowedPeer | undefined {
  // RFC 8945 5.2: an invalid signature is an error, even for an address that needs no key.
  if (verdict && verdict.kind !== 'valid') return undefined;
  return allow.find(({ from, key }) => inPrefix(address, from) && (key === undefined || key === verdict?.key.label));
}

/** Header and question of a response: copies identifier, opcode, RD and the question's octets from the query. */
export function responseHead({ message, query }: PeerRequest, rcode: number, authoritative: boolean): Uint8Array {
  const head = message.slice(0, query.questionEnd);
  put16(head, 2, 0x8000 | (query.flags & 0x7900) | (authoritative ? 0x0400 : 0) | rcode);
  put16(head, 4, query.questionEnd > HEADER_OCTETS ? 1 : 0);
  for (const count of [6, 8, 10]) put16(head, count, 0);
  return head;
}

/** Octets of an OPT record without options. */
const OPT_OCTETS = 11;

/** Number of octets that `putOpt` adds. */
export function optOctets({ query }: PeerRequest): number {
  return query.hasEdns ? OPT_OCTETS : 0;
}

/** RFC 6891 6.1.1: adds an OPT record without options if the query has one. Returns the new length. */
export function putOpt({ query }: PeerRequest, message: Uint8Array, length: number, udpOctets: number): number {
  if (!query.hasEdns) return length;
  message.fill(0, length, length + OPT_OCTETS);
  put16(message, length + 1, TYPE.OPT);
  put16(message, length + 3, udpOctets);
  if (query.dnssecOk) message[length + 7] = 0x80;
  put16(message, 10, get16(message, 10) + 1);
  return length + OPT_OCTETS;
}
