/**
 * The module that answering threads import (AnswererModule in server/contract.ts). It builds the state of one
 * generation and puts together the functions that answer its packets.
 */
import { createOnlineSigner, type OnlineSigner, type OnlineZone } from '../../dnssec/online-signer.ts';
import { viewHealthTable } from '../../health/health-table.ts';
import { createDecision } from '../../steering/decision.ts';
import { VIP } from '../../steering/plan.ts';
import { createRandom } from '../../steering/random.ts';
import { MAX_CHAIN_LINKS } from '../../wire/limits.ts';
import { createQuery } from '../../wire/query.ts';
import { createResponse } from '../../wire/response.ts';
import { createSearch, search } from '../../zones/image/find-node.ts';
import { type Image, viewImage, type ImageMemory } from '../../zones/image/image.ts';
import type { Answer, AnswerLong, AskControl, Publication } from '../contract.ts';
import { createCounters } from '../counters.ts';
import { answerPeers } from '../transfer/answer-peers.ts';
import { createTransfers, type TransferPayload } from '../transfer/transfer.ts';
import { deferUpdates } from '../transfer/update-request.ts';
import { zoneOfApex } from '../transfer/zone-messages.ts';
import type { Answerer, Listing } from './answer-state.ts';
import { answer } from './answer.ts';
import { createSampler } from './client-samples.ts';
import { SIGNATURES_PER_SECOND } from './compact.ts';
import { createCookies } from './cookies.ts';
import { createExplainOverUdp, createExplains, startsWithExplain, type ExplainPayload } from './explain-query.ts';
import { createOnlineCache, type Online } from './online-cache.ts';
import { createClock, type PacketClock } from './packet-time.ts';
import { createProofs } from './proofs.ts';
import { sampleQueries, type QueryLogPayload } from './query-samples.ts';
import { viewRareSets, type RareSetMemory } from './rare-sets.ts';
import { createLimiter, limitUnverified, type RrlPayload } from './rrl.ts';

/** The part of a publication that the answerer reads: shared memory and a few octets. */
export type AnswererPayload = {
  readonly image: ImageMemory;
  readonly atlas: SharedArrayBuffer;
  readonly health: SharedArrayBuffer;
  /** One block per thread, with one counter per slot. */
  readonly served: readonly SharedArrayBuffer[];
  /** One block per thread, with one counter per zone. Undefined: nothing reads them. */
  readonly zoneQueries?: readonly SharedArrayBuffer[] | undefined;
  /** One ring per thread, made by `createClientRing`. Without rings, clients are not counted by country. */
  readonly clients?: readonly SharedArrayBuffer[] | undefined;
  readonly nsid: Uint8Array;
  readonly version: Uint8Array;
  /** 16 octets each. The first makes cookies; all verify them. Empty or undefined: cookies are off. */
  readonly cookieSecrets?: readonly Uint8Array[] | undefined;
  /** Undefined: responses are not rate limited. */
  readonly rrl?: RrlPayload | undefined;
  /** Undefined: `_explain` is off. */
  readonly explain?: ExplainPayload | undefined;
  /** Undefined: queries are not logged. */
  readonly queryLog?: QueryLogPayload | undefined;
  /** The zones with compact denial. */
  readonly online?: readonly OnlineZone[] | undefined;
  /** Undefined: no zone with services is signed. */
  readonly rareSets?: RareSetMemory | undefined;
  /** Undefined: `transfer` is not configured. */
  readonly transfer?: TransferPayload | undefined;
};

/** Creates the state of one thread. `seed` seeds its random numbers; `counters` is its block. */
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
      zone: 0,
      head: 0,
      firstService: 0,
      firstAlias: 0,
      node: -1,
      suffixAt: 0,
    },
    visited: new Int32Array(MAX_CHAIN_LINKS + 1),
    visitedAt: new Int32Array(MAX_CHAIN_LINKS + 1),
    proofs: createProofs(MAX_CHAIN_LINKS + 1),
    online: onlineOf(image, payload.online ?? []),
    rareSets: payload.rareSets && viewRareSets(payload.rareSets, thread, counters),
    client: new Uint8Array(16),
    clientBits: 32,
    clientIsSubnet: false,
    isSubnetSetAside: false,
    answersFrom: 0,
    served: new Float64Array(payload.served[thread] ?? new SharedArrayBuffer(slots * 8)),
    zoneQueries: new Float64Array(payload.zoneQueries?.[thread] ?? new SharedArrayBuffer((image.zoneMask + 1) * 8)),
    sampler: ring && createSampler(ring, counters, ~seed),
    nsid: payload.nsid,
    version: payload.version,
    counters,
    clock,
    cookies: cookieSecrets.length === 0 ? undefined : createCookies(cookieSecrets),
    limiter: rrl && createLimiter(rrl, crypto.getRandomValues(new Int32Array(2))),
    listing: listingOf(image, payload.transfer),
  };
}

function listingOf(image: Image, transfer: TransferPayload | undefined): Listing | undefined {
  const { catalog, allow } = transfer?.settings ?? {};
  const zone = catalog && zoneOfApex(image, catalog.name)?.zone;
  return zone === undefined ? undefined : { zone, peers: (allow ?? []).map(({ from }) => from), isOpen: false };
}

/** Undefined if there are no zones with compact denial. */
function onlineOf(image: Image, zones: readonly OnlineZone[]): Online | undefined {
  if (zones.length === 0) return undefined;
  const signers = new Map<number, OnlineSigner>();
  for (const zone of zones) {
    const target = createSearch(zone.apex);
    search(image, target);
    if (target.node >= 0) signers.set(target.zone, createOnlineSigner(zone));
  }
  return { signers, cache: createOnlineCache(), sinceMs: 0, left: SIGNATURES_PER_SECOND };
}

/** See AnswererModule in server/contract.ts. */
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

/** See AnswererModule in server/contract.ts. Serves zone transfers and `_explain`. */
export function createAnswerLong(
  publication: Publication,
  counters: Float64Array,
  _thread: number,
  ask: AskControl,
): AnswerLong {
  const payload = publication.payload as AnswererPayload;
  const image = viewImage(payload.image, payload.atlas);
  const explains = payload.explain && createExplains(image, payload.explain, ask);
  const transfers = payload.transfer && createTransfers(image, payload.transfer, counters, nowSeconds, ask);
  const updates = payload.transfer?.hasUpdates === true ? deferUpdates(ask, payload.transfer, nowSeconds) : undefined;
  return (client, rx, rxAt, length) =>
    updates?.(client, rx, rxAt, length) ??
    explains?.(client, rx, rxAt, length) ??
    transfers?.(client, rx, rxAt, length);
}

/** TSIG signatures carry the time of day (RFC 8945 5.2.3). */
function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
