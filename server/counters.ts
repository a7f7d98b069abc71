/**
 * Counters of the threads. Each thread has a block of its own in shared memory and is its only writer; the
 * control thread reads all of them and adds up. What is served per VIP is counted elsewhere.
 */

/** Places in a block. Those marked (a) are counted by the answerer, all others by the packet loops. */
export const COUNTER = {
  /** Messages of 12 octets and more that were given to `Answer`, by transport and the client's family. */
  QUERIES_UDP4: 0,
  QUERIES_UDP6: 1,
  QUERIES_TCP4: 2,
  QUERIES_TCP6: 3,
  /** Responses by the RCODE in their header: RCODES + 0 to RCODES + 15. */
  RCODES: 4,
  /** (a) Responses whose RCODE has more than 4 bits (RFC 6891 6.1.3), BADVERS for one; the low bits are in RCODES too. */
  RCODE_EXTENDED: 20,
  /** Responses with TC set (RFC 1035 4.1.1). */
  TRUNCATED: 21,
  /** Queries that `Answer` left without a response. */
  SILENT: 22,
  /** Messages nobody could answer: under 12 octets, or from port 0. */
  MALFORMED: 23,
  /** Datagrams longer than EDNS lets clients send; their first octets were given to `Answer`. */
  OVERSIZE: 24,
  /** Queries dropped because `Answer` threw. */
  EXCEPTIONS: 25,
  /** Calls to receive that failed for another reason than that nothing was there. */
  RECEIVE_ERRORS: 26,
  /** Responses that could not be sent. */
  SEND_ERRORS: 27,
  /** DNS message octets, without IP, UDP or TCP headers. */
  OCTETS_IN: 28,
  OCTETS_OUT: 29,
  /** Batches of datagrams; QUERIES_UDP* / BATCHES says how full they are. */
  BATCHES: 30,
  /** TCP connections, those with TLS included: accepted in all, open now, closed because idle, closed to make room for another. */
  TCP_ACCEPTED: 31,
  TCP_OPEN: 32,
  TCP_IDLE: 33,
  TCP_EVICTED: 34,
  /** TCP connections closed because of a length that no message has (under 12 octets). */
  TCP_BAD_LENGTH: 35,
  /** Threads that died and were started again. */
  THREAD_RESTARTS: 36,
  /** (a) Responses that rate limiting dropped or cut short (SPEC 6). */
  RATE_LIMITED: 37,
  /** As QUERIES_TCP*, over TLS. */
  QUERIES_TLS4: 38,
  QUERIES_TLS6: 39,
  /** Handshakes that succeeded; those of them that resumed a session; that failed; that took too long. */
  TLS_HANDSHAKES: 40,
  TLS_RESUMED: 41,
  TLS_FAILED: 42,
  TLS_TIMEOUTS: 43,
  /** No count: how long a stream may be idle at the moment, in units of 100 ms (RFC 7828 3.1). Only the stream thread sets it. */
  STREAM_IDLE: 44,
  /** (a) Responses to AXFR and IXFR that were sent to their end; those whose client went before. */
  TRANSFERS_DONE: 45,
  TRANSFERS_CUT: 46,
  /** (a) Queries that were to be logged, and were not since the ring was full (query-samples.ts). */
  SAMPLES_DROPPED: 47,
  /** (a) Clients that were to be counted by country, and were not since the ring was full (client-samples.ts). */
  CLIENT_SAMPLES_DROPPED: 48,
} as const;

/** Places in a block: whole cache lines, with room for what comes. */
export const COUNTERS = 64;

/** A block for one thread, all zero. */
export function createCounters(): Float64Array<SharedArrayBuffer> {
  return new Float64Array(new SharedArrayBuffer(COUNTERS * Float64Array.BYTES_PER_ELEMENT));
}

/** The sum over threads, place by place. */
export function sumCounters(blocks: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(COUNTERS);
  for (const block of blocks) {
    for (let place = 0; place < COUNTERS; place++) sum[place] = (sum[place] ?? 0) + (block[place] ?? 0);
  }
  return sum;
}

/** Adds to one place of the thread's own block. */
export function count(counters: Float64Array, place: number, by = 1): void {
  counters[place] = (counters[place] ?? 0) + by;
}

/** Counts what every transport counts of a response: RCODE, TC, octets. `length` 0 is silence. */
export function countResponse(counters: Float64Array, tx: Uint8Array, txAt: number, length: number): void {
  if (length === 0) {
    count(counters, COUNTER.SILENT);
    return;
  }
  count(counters, COUNTER.RCODES + ((tx[txAt + 3] ?? 0) & 0x0f));
  if (((tx[txAt + 2] ?? 0) & 0x02) !== 0) count(counters, COUNTER.TRUNCATED);
  count(counters, COUNTER.OCTETS_OUT, length);
}
