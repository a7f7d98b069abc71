/**
 * Response rate limiting (docs/abuse.md#response-rate-limiting): a limit of answers per second to a client network, so
 * that an attacker cannot flood a victim with responses to queries from a forged address. PACKET PATH: allocates
 * nothing; the table never grows.
 *
 * Each network and kind of answer has a token bucket that holds the tokens of one second. A set is a cache line of four
 * buckets, of which the least recently used is replaced. A random seed per thread chooses a network's set, so that an
 * attacker cannot fill the set of a victim. The bucket of a network under attack is always in use and is not replaced.
 *
 *     entries    0  octets of the prefix, high 32 bits     +2  time of the last answer, in ms
 *               +1  low 24 bits of it, and the tag         +3  thousandths of a token
 */
import { mix } from '../../steering/sticky-step.ts';
import { ASKS, type Query } from '../../wire/query.ts';
import { emptyResponse, type Response } from '../../wire/response.ts';
import { RCODE } from '../../wire/types.ts';
import type { Packet } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import type { LimitUnverified } from '../transfer/answer-peers.ts';
import type { PacketClock } from './packet-time.ts';

/** `limits.rrl` and `limits.slip` of the configuration, posted to the threads. */
export type RrlPayload = {
  /** Answers per second, 1 to 1,000,000. */
  readonly perSecond: number;
  /** Of this many limited answers, one is sent truncated. 0: none. */
  readonly slip: number;
};

export type Limiter = RrlPayload & {
  readonly entries: Int32Array;
  /** By entry: limited answers since the last one that was sent. */
  readonly unsent: Uint8Array;
  readonly seedHigh: number;
  readonly seedLow: number;
};

export const VERDICT = { SEND: 0, DROP: 1, SLIP: 2 } as const;

/** Kinds of answer. Each has separate buckets. 3 bits. */
export const KIND = { DATA: 0, REFERRAL: 1, NODATA: 2, NXDOMAIN: 3, ERROR: 4 } as const;

/** 65,536 buckets take 1 MiB per thread: more networks than query one thread within a second. */
const SETS = 1 << 14;
const WAYS = 4;
const WORDS = 4;
const STAMP = 2;
const TOKENS = 3;
const TOKEN = 1000;
/** Bits of the tag. */
const USED = 0x80;
const IS_IPV6 = 0x40;

/** Creates an empty table. `seeds` holds two random numbers of 32 bits. */
export function createLimiter(payload: RrlPayload, seeds: Int32Array): Limiter {
  return {
    perSecond: payload.perSecond,
    slip: payload.slip,
    entries: new Int32Array(SETS * WAYS * WORDS),
    unsent: new Uint8Array(SETS * WAYS),
    seedHigh: seeds[0] ?? 0,
    seedLow: seeds[1] ?? 0,
  };
}

/** Takes one token for an answer of a KIND to this client. `nowMs` has 32 bits. Returns a VERDICT. */
export function takeAnswerToken(
  limiter: Limiter,
  kind: number,
  peer: Uint8Array,
  peerAt: number,
  peerOctets: 4 | 16,
  nowMs: number,
): number {
  const { entries, unsent, perSecond, slip } = limiter;
  // The usual size of one site: 24 bits in IPv4, 56 bits in IPv6.
  const isIpv6 = peerOctets === 16;
  const first = ((peer[peerAt] ?? 0) << 16) | ((peer[peerAt + 1] ?? 0) << 8) | (peer[peerAt + 2] ?? 0);
  const high = isIpv6 ? (first << 8) | (peer[peerAt + 3] ?? 0) : first;
  const rest = isIpv6
    ? ((peer[peerAt + 4] ?? 0) << 24) | ((peer[peerAt + 5] ?? 0) << 16) | ((peer[peerAt + 6] ?? 0) << 8) | IS_IPV6
    : 0;
  const low = rest | USED | kind;
  const hash = mix(mix(high ^ limiter.seedHigh) ^ low ^ limiter.seedLow);
  const set = (hash & (SETS - 1)) * WAYS;
  let entry = set;
  let oldest = -1;
  for (let way = set; way < set + WAYS; way++) {
    const at = way * WORDS;
    if (entries[at + 1] === low && entries[at] === high) {
      entry = way;
      oldest = -1;
      break;
    }
    // 31 bits, so that the comparison is unsigned.
    const age = entries[at + 1] === 0 ? 0x7fff_ffff : (nowMs - (entries[at + STAMP] ?? 0)) >>> 1;
    if (age > oldest) {
      oldest = age;
      entry = way;
    }
  }
  const at = entry * WORDS;
  const full = perSecond * TOKEN;
  let tokens = full;
  if (oldest < 0) {
    const elapsedMs = Math.min((nowMs - (entries[at + STAMP] ?? 0)) >>> 0, 1000);
    tokens = Math.min(full, (entries[at + TOKENS] ?? 0) + elapsedMs * perSecond);
  } else {
    entries[at] = high;
    entries[at + 1] = low;
    unsent[entry] = 0;
  }
  entries[at + STAMP] = nowMs;
  if (tokens >= TOKEN) {
    entries[at + TOKENS] = tokens - TOKEN;
    return VERDICT.SEND;
  }
  entries[at + TOKENS] = tokens;
  if (slip === 0) return VERDICT.DROP;
  const limited = (unsent[entry] ?? 0) + 1;
  unsent[entry] = limited < slip ? limited : 0;
  return limited < slip ? VERDICT.DROP : VERDICT.SLIP;
}

/** The part of a thread's state that the limit reads and changes. */
type Limitable = {
  readonly query: Query;
  readonly response: Response;
  readonly counters: Float64Array;
  readonly clock: PacketClock;
};

/**
 * Applies the limit to a response that is complete but for its OPT record and header. Returns true when the response
 * must be dropped. Otherwise the response may have been replaced by a short one that tells the client how to get the
 * answer.
 */
export function limitResponse(a: Limitable, limiter: Limiter, packet: Readonly<Packet>): boolean {
  const { query, response, counters } = a;
  const { peer, peerAt, peerOctets } = packet;
  const kind = kindOf(response);
  const verdict = takeAnswerToken(limiter, kind, peer, peerAt, peerOctets, a.clock.ms());
  if (verdict === VERDICT.SEND) return false;
  const givesCookie = (response.gives & ASKS.COOKIE) !== 0;
  // An error response is short already, and a client does not retry it over TCP.
  if (verdict === VERDICT.SLIP && kind === KIND.ERROR && !givesCookie) return false;
  count(counters, COUNTER.RATE_LIMITED);
  if (verdict === VERDICT.DROP) return true;
  emptyResponse(response, query);
  // RFC 7873 5.2.3: a real client retries with the new cookie; a client without cookies retries over TCP.
  response.rcode = givesCookie ? RCODE.BADCOOKIE : RCODE.NOERROR;
  response.truncated = !givesCookie;
  if (givesCookie) response.authoritative = false;
  return false;
}

/** The limit on responses that `answer` does not write. Without a limiter, all are sent. */
export function limitUnverified({
  limiter,
  clock,
  counters,
}: Pick<Limitable, 'clock' | 'counters'> & { readonly limiter: Limiter | undefined }): LimitUnverified {
  return (isError, { peer, peerAt, peerOctets }) => {
    if (limiter === undefined) return 'send';
    const kind = isError ? KIND.ERROR : KIND.DATA;
    const verdict = takeAnswerToken(limiter, kind, peer, peerAt, peerOctets, clock.ms());
    if (verdict === VERDICT.SEND) return 'send';
    count(counters, COUNTER.RATE_LIMITED);
    return verdict === VERDICT.DROP ? 'drop' : 'cut';
  };
}

function kindOf({ rcode, answers, authorities, authoritative }: Response): number {
  if (rcode === RCODE.NXDOMAIN) return KIND.NXDOMAIN;
  if (rcode !== RCODE.NOERROR) return KIND.ERROR;
  if (answers > 0) return KIND.DATA;
  return authorities > 0 && !authoritative ? KIND.REFERRAL : KIND.NODATA;
}
