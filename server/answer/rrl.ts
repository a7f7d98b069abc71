/**
 * Response rate limiting (SPEC 6): so many answers a second to a client network, so that nobody can have somebody else
 * flooded with what he asks under a false address. PACKET PATH: allocates nothing; the table never grows.
 *
 * Each network and kind of answer has a token bucket that holds one second's worth. A set is a cache line of four
 * buckets; the one that was unused for longest gives way. Where a network's buckets lie is random in each thread, so
 * that nobody can aim at the set of another; a network under attack is in use all the time, and stays.
 *
 *     entries    0  octets of the prefix, high 32 bits     +2  time of the last answer, in ms
 *               +1  low 24 bits of it, and the tag         +3  thousandths of a token
 */
import { mix } from '../../steering/sticky-step.ts';
import { ASKS } from '../../wire/query.ts';
import { emptyResponse, type Response } from '../../wire/response.ts';
import { RCODE } from '../../wire/types.ts';
import type { LimitUnverified } from '../transfer/answer-peers.ts';
import type { Answerer } from './answerer.ts';
import type { Packet } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';

/** `limits` of the configuration, for threads. */
export type RrlPayload = {
  /** Answers a second, 1 to 1,000,000. */
  readonly perSecond: number;
  /** Every so many-th limited answer is sent, cut short; 0 for none. */
  readonly slip: number;
};

export type Limiter = RrlPayload & {
  readonly entries: Int32Array;
  /** By entry: limited answers since one was sent. */
  readonly unsent: Uint8Array;
  readonly seedHigh: number;
  readonly seedLow: number;
};

export const VERDICT = { SEND: 0, DROP: 1, SLIP: 2 } as const;

/** Kinds of answer, each with buckets of its own: of 3 bits. */
export const KIND = { DATA: 0, REFERRAL: 1, NODATA: 2, NXDOMAIN: 3, ERROR: 4 } as const;

/** 65,536 buckets are 1 MiB a thread: more networks than reach a thread with an answer each in a second. */
const SETS = 1 << 14;
const WAYS = 4;
const WORDS = 4;
const STAMP = 2;
const TOKENS = 3;
const TOKEN = 1000;
/** In the tag. */
const USED = 0x80;
const IS_IPV6 = 0x40;

/** An empty table; `seeds` are two random numbers of 32 bits. */
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

/** Takes a token for one answer of a KIND to this client; `nowMs` has 32 bits. Returns a VERDICT. */
export function takeAnswerToken(
  limiter: Limiter,
  kind: number,
  peer: Uint8Array,
  peerAt: number,
  peerOctets: 4 | 16,
  nowMs: number,
): number {
  const { entries, unsent, perSecond, slip } = limiter;
  // An IPv4 network has 24 bits, an IPv6 one 56: what one site has.
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
    // Of 31 bits: they are compared alone.
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

/**
 * The limit on a response that is written but for its OPT and header. True when it is to be dropped; else it may have
 * become a short one that says how to get the whole.
 */
export function limitResponse(a: Answerer, limiter: Limiter, packet: Readonly<Packet>): boolean {
  const { query, response, counters } = a;
  const { peer, peerAt, peerOctets } = packet;
  const kind = kindOf(response);
  const verdict = takeAnswerToken(limiter, kind, peer, peerAt, peerOctets, a.clock.ms());
  if (verdict === VERDICT.SEND) return false;
  const givesCookie = (response.gives & ASKS.COOKIE) !== 0;
  // TC would bring nobody to TCP: such a response is short, and sent as it is.
  if (verdict === VERDICT.SLIP && kind === KIND.ERROR && !givesCookie) return false;
  count(counters, COUNTER.RATE_LIMITED);
  if (verdict === VERDICT.DROP) return true;
  emptyResponse(response, query);
  // RFC 7873 5.2.3: who is there comes back with the cookie that this brings; others are told of TCP.
  response.rcode = givesCookie ? RCODE.BADCOOKIE : RCODE.NOERROR;
  response.truncated = !givesCookie;
  if (givesCookie) response.authoritative = false;
  return false;
}

/** The limit on responses that `answer` does not write. Without a limiter all are sent. */
export function limitUnverified({
  limiter,
  clock,
  counters,
}: Pick<Answerer, 'limiter' | 'clock' | 'counters'>): LimitUnverified {
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
