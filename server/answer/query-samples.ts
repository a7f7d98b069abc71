/**
 * A sample of queries for the log (`log.queries`): an answering thread copies question and response into a ring of its
 * own (ring.ts), the control thread takes them out. A full ring drops, and the thread never waits.
 *
 *     slot     0  f64  time, ms since 1970                      16  address
 *              8  u8   TRANSPORT                                32  query, its first QUERY_OCTETS
 *              9  u8   octets of the address, 4 or 16          512  response, its first RESPONSE_OCTETS
 *             10  u16  octets of the query
 *             12  u16  octets of the response
 */
import { createRandom, next32 } from '../../steering/random.ts';
import { COUNTER, count } from '../counters.ts';
import type { Answer } from '../contract.ts';
import { copyOctets, createRing, nextSlot, putSlot, takeSlots, viewRing } from './ring.ts';

/** What threads are given where queries are logged. */
export type QueryLogPayload = {
  /** Of all queries, over 0 to 1. */
  readonly share: number;
  /** By thread; made by `createQueryRing`. */
  readonly rings: readonly SharedArrayBuffer[];
};

/** A query and its response; octets that had no room are missing, `…Octets` count them too. */
export type QuerySample = {
  readonly timeMs: number;
  /** One of TRANSPORT. */
  readonly transport: number;
  /** In network order, 4 or 16 octets. */
  readonly client: Uint8Array;
  readonly query: Uint8Array;
  readonly queryOctets: number;
  /** Empty where there was none. */
  readonly response: Uint8Array;
  readonly responseOctets: number;
};

/** What waits for the control thread, which looks ten times a second: at most 1280 samples a second and thread. */
const SHAPE = { slots: 128, slotOctets: 2048 } as const;
const ADDRESS_AT = 16;
const QUERY_AT = 32;
const RESPONSE_AT = 512;
const QUERY_OCTETS = RESPONSE_AT - QUERY_AT;
/** More than any response over UDP. */
const RESPONSE_OCTETS = SHAPE.slotOctets - RESPONSE_AT;

/** A ring for one thread, empty. */
export function createQueryRing(): SharedArrayBuffer {
  return createRing(SHAPE);
}

/** `answer`, with a share of its queries put into the ring. PACKET PATH: for the others, a random number more. */
export function sampleQueries(
  answer: Answer,
  share: number,
  memory: SharedArrayBuffer,
  counters: Float64Array,
  seed: number,
): Answer {
  const ring = viewRing(memory, SHAPE);
  const { bytes, view } = ring;
  const random = createRandom(seed);
  const below = share * 2 ** 32;
  return (packet) => {
    if (next32(random) >>> 0 >= below) return answer(packet);
    const at = nextSlot(ring);
    if (at < 0) {
      count(counters, COUNTER.SAMPLES_DROPPED);
      return answer(packet);
    }
    const { rx, rxAt, length, peer, peerAt, peerOctets, transport, tx, txAt } = packet;
    // Before the answer, which may be written over it.
    copyOctets(rx, rxAt, Math.min(length, QUERY_OCTETS), bytes, at + QUERY_AT);
    const written = answer(packet);
    copyOctets(tx, txAt, Math.min(written, RESPONSE_OCTETS), bytes, at + RESPONSE_AT);
    copyOctets(peer, peerAt, peerOctets, bytes, at + ADDRESS_AT);
    view.setFloat64(at, Date.now(), true);
    bytes[at + 8] = transport;
    bytes[at + 9] = peerOctets;
    view.setUint16(at + 10, length, true);
    view.setUint16(at + 12, written, true);
    putSlot(ring);
    return written;
  };
}

/** The samples in the ring, each taken out as it is given. For the control thread alone. */
export function* takeSamples(memory: SharedArrayBuffer): Generator<QuerySample> {
  const ring = viewRing(memory, SHAPE);
  const { bytes, view } = ring;
  for (const at of takeSlots(ring)) {
    const octets = (from: number, length: number): Uint8Array => Uint8Array.from(bytes.subarray(from, from + length));
    const queryOctets = view.getUint16(at + 10, true);
    const responseOctets = view.getUint16(at + 12, true);
    yield {
      timeMs: view.getFloat64(at, true),
      transport: bytes[at + 8] ?? 0,
      client: octets(at + ADDRESS_AT, bytes[at + 9] ?? 0),
      query: octets(at + QUERY_AT, Math.min(queryOctets, QUERY_OCTETS)),
      queryOctets,
      response: octets(at + RESPONSE_AT, Math.min(responseOctets, RESPONSE_OCTETS)),
      responseOctets,
    };
  }
}
