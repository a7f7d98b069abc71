/**
 * A sample of queries for the log (`log.queries`). An answering thread copies query and response into its ring
 * (ring.ts), and the control thread takes them out. A sample that finds the ring full is dropped; the thread never
 * waits.
 *
 *     slot     0  f64  time, ms since 1970                      16  address
 *              8  u8   TRANSPORT                                32  query, its first QUERY_OCTETS
 *              9  u8   octets of the address, 4 or 16          512  response, its first RESPONSE_OCTETS
 *             10  u16  octets of the query
 *             12  u16  octets of the response
 */
import { createRandom, next32 } from '../../steering/random.ts';
import { copyOctets, get8 } from '../../wire/octets.ts';
import type { Answer } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import { createRing, nextSlot, putSlot, takeSlots, viewRing } from './ring.ts';

/** The part of a publication for `log.queries`. */
export type QueryLogPayload = {
  /** Share of all queries, greater than 0, at most 1. */
  readonly share: number;
  /** One per thread, made by `createQueryRing`. */
  readonly rings: readonly SharedArrayBuffer[];
};

/** A query and its response. Both may be cut to the slot's size; `…Octets` are the full lengths. */
export type QuerySample = {
  readonly timeMs: number;
  /** One of TRANSPORT. */
  readonly transport: number;
  /** In network order, 4 or 16 octets. */
  readonly client: Uint8Array;
  readonly query: Uint8Array;
  readonly queryOctets: number;
  /** Empty where there was no response. */
  readonly response: Uint8Array;
  readonly responseOctets: number;
};

/** The control thread empties the ring ten times per second: at most 1280 samples per second and thread. */
const SHAPE = { slots: 128, slotOctets: 2048 } as const;
const ADDRESS_AT = 16;
const QUERY_AT = 32;
const RESPONSE_AT = 512;
const QUERY_OCTETS = RESPONSE_AT - QUERY_AT;
/** Larger than any response over UDP. */
const RESPONSE_OCTETS = SHAPE.slotOctets - RESPONSE_AT;

/** Creates an empty ring for one thread. */
export function createQueryRing(): SharedArrayBuffer {
  return createRing(SHAPE);
}

/**
 * Wraps `answer` to put a share of its queries into the ring. PACKET PATH: a query that is not sampled costs one random
 * number.
 */
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
    // Before the answer, which may overwrite the query.
    copyOctets(rx, rxAt, Math.min(length, QUERY_OCTETS), bytes, at + QUERY_AT);
    const written = answer(packet);
    copyOctets(tx, txAt, Math.max(0, Math.min(written, RESPONSE_OCTETS)), bytes, at + RESPONSE_AT);
    copyOctets(peer, peerAt, peerOctets, bytes, at + ADDRESS_AT);
    view.setFloat64(at, Date.now(), true);
    bytes[at + 8] = transport;
    bytes[at + 9] = peerOctets;
    view.setUint16(at + 10, length, true);
    view.setUint16(at + 12, Math.max(0, written), true);
    putSlot(ring);
    return written;
  };
}

/** Takes the samples out of the ring. Only for the control thread. */
export function* takeSamples(memory: SharedArrayBuffer): Generator<QuerySample> {
  const ring = viewRing(memory, SHAPE);
  const { bytes, view } = ring;
  for (const at of takeSlots(ring)) {
    const octets = (from: number, length: number): Uint8Array => Uint8Array.from(bytes.subarray(from, from + length));
    const queryOctets = view.getUint16(at + 10, true);
    const responseOctets = view.getUint16(at + 12, true);
    yield {
      timeMs: view.getFloat64(at, true),
      transport: get8(bytes, at + 8),
      client: octets(at + ADDRESS_AT, get8(bytes, at + 9)),
      query: octets(at + QUERY_AT, Math.min(queryOctets, QUERY_OCTETS)),
      queryOctets,
      response: octets(at + RESPONSE_AT, Math.min(responseOctets, RESPONSE_OCTETS)),
      responseOctets,
    };
  }
}
