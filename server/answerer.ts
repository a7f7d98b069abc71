/**
 * What an answering thread has at hand for one generation: the image, the health table, and the records that
 * each packet uses again.
 */
import { viewHealthTable } from '../health/table.ts';
import { createDecision, type Steerer } from '../steering/decision.ts';
import { createRandom } from '../steering/random.ts';
import { VIP } from '../steering/plan.ts';
import { MAX_CHAIN_LINKS } from '../wire/limits.ts';
import { createQuery, type Query } from '../wire/query.ts';
import { createResponse, type Response } from '../wire/response.ts';
import { viewImage, type Image } from '../zones/image.ts';
import type { Search } from '../zones/lookup.ts';
import { answer } from './answer.ts';
import { answerPeers } from './answer-peers.ts';
import type { Answer, AnswerLong, Publication } from './exchange.ts';
import { createTransfers, type TransferPayload } from './transfer.ts';

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
  /** Answers that named each VIP, by slot; one writer, this thread. */
  readonly served: Float64Array;
  readonly nsid: Uint8Array;
  /** TXT data for version.bind in class CH; empty to refuse. */
  readonly version: Uint8Array;
};

/** What a generation posts to its threads: shared memory and a few octets. */
export type AnswererPayload = {
  readonly image: SharedArrayBuffer;
  readonly atlas: SharedArrayBuffer;
  readonly health: SharedArrayBuffer;
  /** A block of counters by slot for each thread. */
  readonly served: readonly SharedArrayBuffer[];
  readonly nsid: Uint8Array;
  readonly version: Uint8Array;
  /** Where peers are configured. */
  readonly transfer?: TransferPayload | undefined;
};

/** Views and scratch for one thread; `seed` starts its random numbers. */
export function createAnswererState(payload: AnswererPayload, thread: number, seed: number): Answerer {
  const image = viewImage(payload.image, payload.atlas);
  const slots = image.plan.vips.length / VIP.WORDS;
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
    served: new Float64Array(payload.served[thread] ?? new SharedArrayBuffer(slots * 8)),
    nsid: payload.nsid,
    version: payload.version,
  };
}

/** The module contract of server/exchange.ts: what threads import. */
export function createAnswerer(publication: Publication, _counters: Float64Array, thread: number): Answer {
  const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
  const payload = publication.payload as AnswererPayload;
  const state = createAnswererState(payload, thread, seed);
  const answerAll: Answer = (rx, rxAt, length, peer, peerAt, peerOctets, transport, tx, txAt) =>
    answer(state, rx, rxAt, length, peer, peerAt, peerOctets, transport, tx, txAt);
  return payload.transfer ? answerPeers(answerAll, state.image, payload.transfer, nowSeconds) : answerAll;
}

/** The other half of that contract: zone transfers. */
export function createAnswerLong(publication: Publication, counters: Float64Array): AnswerLong {
  const { image, atlas, transfer } = publication.payload as AnswererPayload;
  return transfer ? createTransfers(viewImage(image, atlas), transfer, counters, nowSeconds) : () => undefined;
}

/** Signatures go by the time of day (RFC 8945 5.2.3). */
function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
