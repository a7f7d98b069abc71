/**
 * What an answering thread has at hand for one generation: the image, the health table, and the records that
 * each packet uses again.
 */
import { viewHealthTable } from '../../health/health-table.ts';
import { createDecision, type Steerer } from '../../steering/decision.ts';
import { createRandom } from '../../steering/random.ts';
import { VIP } from '../../steering/plan.ts';
import { MAX_CHAIN_LINKS } from '../../wire/limits.ts';
import { createQuery, type Query } from '../../wire/query.ts';
import { createResponse, type Response } from '../../wire/response.ts';
import { viewImage, type Image } from '../../zones/image/image.ts';
import type { Search } from '../../zones/image/find-node.ts';
import { answer } from './answer.ts';
import { answerPeers } from '../transfer/answer-peers.ts';
import { createClock, type PacketClock } from './packet-time.ts';
import { createSampler, type Sampler } from './client-samples.ts';
import { createCookies, type Cookies } from './cookies.ts';
import { createCounters } from '../counters.ts';
import type { Answer, AnswerLong, AskControl, Publication } from '../contract.ts';
import { createExplainOverUdp, createExplains, startsWithExplain, type ExplainPayload } from './explain-query.ts';
import { sampleQueries, type QueryLogPayload } from './query-samples.ts';
import { createLimiter, limitUnverified, type Limiter, type RrlPayload } from './rrl.ts';
import { createTransfers, type TransferPayload } from '../transfer/transfer.ts';

export type Answerer = {
  readonly image: Image;
  readonly steerer: Steerer;
  readonly query: Query;
  readonly response: Response;
  /** The name being looked up: the question's, then where a chain leads. Shares the query's memory. */
  readonly search: Search;
  /** What the chain has come through, as a MARK of sections.ts: a loop ends where it began. */
  readonly visited: Int32Array;
  /** Of links through a DNAME: where the data of the CNAME that it made stand in the message. */
  readonly visitedAt: Int32Array;
  /** The client that steering goes by: the address in network order, and 32 or 128. */
  readonly client: Uint8Array;
  clientBits: number;
  /** Whether it came in EDNS Client Subnet. */
  clientIsSubnet: boolean;
  /** Whether there was such a subnet, and it says nothing about where the client is: the resolver's address counts. */
  isSubnetSetAside: boolean;
  /** The HAS bit of the decision under way. */
  has: number;
  /** Answers that named each VIP, by slot; one writer, this thread. */
  readonly served: Float64Array;
  /** Undefined: clients are not counted by country. */
  readonly sampler: Sampler | undefined;
  readonly nsid: Uint8Array;
  /** TXT data for version.bind in class CH; empty to refuse. */
  readonly version: Uint8Array;
  /** The thread's own block. */
  readonly counters: Float64Array;
  readonly clock: PacketClock;
  /** Undefined: the option is passed over. */
  readonly cookies: Cookies | undefined;
  /** Undefined: there is no limit. */
  readonly limiter: Limiter | undefined;
};

/** What a generation posts to its threads: shared memory and a few octets. */
export type AnswererPayload = {
  readonly image: SharedArrayBuffer;
  readonly atlas: SharedArrayBuffer;
  readonly health: SharedArrayBuffer;
  /** A block of counters by slot for each thread. */
  readonly served: readonly SharedArrayBuffer[];
  /** A ring for each thread, made by `createClientRing`; without them, clients are not counted by country. */
  readonly clients?: readonly SharedArrayBuffer[] | undefined;
  readonly nsid: Uint8Array;
  readonly version: Uint8Array;
  /** Of 16 octets each: the first makes cookies, all verify. Without any, there are no cookies. */
  readonly cookieSecrets?: readonly Uint8Array[] | undefined;
  /** Where responses are limited. */
  readonly rrl?: RrlPayload | undefined;
  /** Where somebody may ask for `_explain`. */
  readonly explain?: ExplainPayload | undefined;
  /** Where a share of the queries is logged. */
  readonly queryLog?: QueryLogPayload | undefined;
  /** Where peers are configured. */
  readonly transfer?: TransferPayload | undefined;
};

/** Views and scratch for one thread; `seed` starts its random numbers, `counters` is its block. */
export function createAnswererState(
  payload: AnswererPayload,
  thread: number,
  seed: number,
  counters: Float64Array = createCounters(),
  clock: PacketClock = createClock(),
): Answerer {
  const { cookieSecrets = [], rrl } = payload;
  const image = viewImage(payload.image, payload.atlas);
  const slots = image.plan.vips.length / VIP.WORDS;
  const ring = payload.clients?.[thread];
  const query = createQuery();
  return {
    image,
    steerer: {
      plan: image.plan,
      health: viewHealthTable(payload.health, slots),
      random: createRandom(seed),
      decision: createDecision(),
      observer: undefined,
    },
    query,
    response: createResponse(),
    search: {
      name: query.name,
      nameView: query.nameView,
      nameOctets: 0,
      labelAt: query.labelAt,
      labels: 0,
      nameSum: 0,
      sumBefore: query.sumBefore,
      node: -1,
      suffixAt: 0,
    },
    visited: new Int32Array(MAX_CHAIN_LINKS + 1),
    visitedAt: new Int32Array(MAX_CHAIN_LINKS + 1),
    client: new Uint8Array(16),
    clientBits: 32,
    clientIsSubnet: false,
    isSubnetSetAside: false,
    has: 0,
    served: new Float64Array(payload.served[thread] ?? new SharedArrayBuffer(slots * 8)),
    sampler: ring && createSampler(ring, counters, ~seed),
    nsid: payload.nsid,
    version: payload.version,
    counters,
    clock,
    cookies: cookieSecrets.length === 0 ? undefined : createCookies(cookieSecrets),
    limiter: rrl && createLimiter(rrl, crypto.getRandomValues(new Int32Array(2))),
  };
}

/** The module contract of server/contract.ts: what threads import. */
export function createAnswerer(publication: Publication, counters: Float64Array, thread: number): Answer {
  const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
  const payload = publication.payload as AnswererPayload;
  const state = createAnswererState(payload, thread, seed, counters);
  const explain = payload.explain && createExplainOverUdp(state.image, payload.explain);
  const answerAll: Answer = (packet) => {
    if (explain !== undefined && startsWithExplain(packet.rx, packet.rxAt)) {
      const written = explain(packet);
      if (written > 0) return written;
    }
    return answer(state, packet);
  };
  const all = payload.transfer
    ? answerPeers(answerAll, state.image, payload.transfer, nowSeconds, limitUnverified(state))
    : answerAll;
  const ring = payload.queryLog?.rings[thread];
  return payload.queryLog && ring ? sampleQueries(all, payload.queryLog.share, ring, counters, seed) : all;
}

/** The other half of that contract: zone transfers, and `_explain`. */
export function createAnswerLong(
  publication: Publication,
  counters: Float64Array,
  _thread: number,
  ask: AskControl,
): AnswerLong {
  const payload = publication.payload as AnswererPayload;
  const image = viewImage(payload.image, payload.atlas);
  const explains = payload.explain && createExplains(image, payload.explain, ask);
  const transfers = payload.transfer && createTransfers(image, payload.transfer, counters, nowSeconds);
  return (client, rx, rxAt, length) => explains?.(client, rx, rxAt, length) ?? transfers?.(client, rx, rxAt, length);
}

/** Signatures go by the time of day (RFC 8945 5.2.3). */
function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
