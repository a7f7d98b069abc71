/**
 * Counters of the threads. Each thread has one block in shared memory and is its only writer. The control thread reads
 * and adds up all blocks. Answers per VIP are counted in `served` (answer/answer-state.ts).
 */

/** Places in a block. The answerer counts those marked (a); the packet loops count all others. */
export const COUNTER = {
  /** Messages of at least 12 octets that were passed to `Answer`, by transport and the client's address family. */
  QUERIES_UDP4: 0,
  QUERIES_UDP6: 1,
  QUERIES_TCP4: 2,
  QUERIES_TCP6: 3,
  /** Responses by the RCODE in their header: RCODES + 0 to RCODES + 15. */
  RCODES: 4,
  /**
   * (a) Responses whose RCODE has more than 4 bits (RFC 6891 6.1.3), such as BADVERS. RCODES counts their low bits too.
   */
  RCODE_EXTENDED: 20,
  /** Responses with TC set (RFC 1035 4.1.1). */
  TRUNCATED: 21,
  /** Queries without a response from `Answer`. */
  SILENT: 22,
  /** Messages that cannot be answered: shorter than 12 octets, or from port 0. */
  MALFORMED: 23,
  /** Datagrams longer than the EDNS buffer size; their first octets were passed to `Answer`. */
  OVERSIZE: 24,
  /** Queries dropped because `Answer` threw. */
  EXCEPTIONS: 25,
  /** Failed calls to receive, except for EAGAIN and EINTR. */
  RECEIVE_ERRORS: 26,
  /** Responses that could not be sent. */
  SEND_ERRORS: 27,
  /** DNS message octets, without IP, UDP or TCP headers. */
  OCTETS_IN: 28,
  OCTETS_OUT: 29,
  /** Batches of datagrams. QUERIES_UDP* / BATCHES is their mean size. */
  BATCHES: 30,
  /** TCP connections, including TLS: total accepted, open now, closed when idle, closed to make room for another. */
  TCP_ACCEPTED: 31,
  TCP_OPEN: 32,
  TCP_IDLE: 33,
  TCP_EVICTED: 34,
  /** TCP connections closed because of an invalid length prefix (less than 12 octets). */
  TCP_BAD_LENGTH: 35,
  /** Threads that died and were restarted. */
  THREAD_RESTARTS: 36,
  /** (a) Responses that rate limiting dropped or truncated (docs/abuse.md#response-rate-limiting). */
  RATE_LIMITED: 37,
  /** Like QUERIES_TCP*, over TLS. */
  QUERIES_TLS4: 38,
  QUERIES_TLS6: 39,
  /** TLS handshakes: succeeded, succeeded by session resumption, failed, timed out. */
  TLS_HANDSHAKES: 40,
  TLS_RESUMED: 41,
  TLS_FAILED: 42,
  TLS_TIMEOUTS: 43,
  /**
   * A gauge: the current idle timeout of streams, in units of 100 ms (RFC 7828 3.1). Only the stream thread sets it.
   */
  STREAM_IDLE: 44,
  /** (a) Responses to AXFR and IXFR: sent completely, cut because the client disconnected. */
  TRANSFERS_DONE: 45,
  TRANSFERS_CUT: 46,
  /** (a) Query samples dropped because the ring was full (query-samples.ts). */
  SAMPLES_DROPPED: 47,
  /** (a) Client samples dropped because the ring was full (client-samples.ts). */
  CLIENT_SAMPLES_DROPPED: 48,
  /** Turns of the thread's loop, also while it is idle: a thread whose count does not change is blocked. */
  TURNS: 49,
  /** (a) Sets of VIPs whose signatures were not asked for because the ring was full (rare-sets.ts). */
  SETS_DROPPED: 50,
  /** Datagrams dropped and connections closed because of a PROXY header: it is missing, invalid, or not allowed. */
  PROXY_REFUSED: 51,
  /** (a) Signatures that answering threads made, and queries refused because too many were needed (compact.ts). */
  SIGNED_ONLINE: 52,
  SIGNING_REFUSED: 53,
  /** Deferred datagrams dropped because too many waited for the control thread. */
  DEFERRED_DROPPED: 54,
  /** (a) Queries by type: TYPES + 0 to TYPES + 15 (query-types.ts). */
  TYPES: 64,
  /** Queries over UDP by the time until their response was sent, of a sample: ANSWER_TIMES + 0 to ANSWER_TIMES + 11. */
  ANSWER_TIMES: 80,
  /** The sum of these times in milliseconds. */
  ANSWER_MS: 92,
} as const;

/** Number of places in a block: whole cache lines, with room for more counters. */
export const COUNTERS = 96;

/** Creates the block of one thread, all zero. */
export function createCounters(): Float64Array<SharedArrayBuffer> {
  return new Float64Array(new SharedArrayBuffer(COUNTERS * Float64Array.BYTES_PER_ELEMENT));
}

/** Adds up the blocks of all threads, place by place. */
export function sumCounters(blocks: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(COUNTERS);
  for (const block of blocks) {
    for (let place = 0; place < COUNTERS; place++) sum[place] = (sum[place] ?? 0) + (block[place] ?? 0);
  }
  return sum;
}

/** Adds to one place of the calling thread's block. */
export function count(counters: Float64Array, place: number, by = 1): void {
  counters[place] = (counters[place] ?? 0) + by;
}

export function counterAt(counters: Float64Array, place: number): number {
  return counters[place] ?? 0;
}

/** Counts a response for any transport: RCODE, TC, octets. `length` 0 means no response. */
export function countResponse(counters: Float64Array, tx: Uint8Array, txAt: number, length: number): void {
  if (length === 0) {
    count(counters, COUNTER.SILENT);
    return;
  }
  count(counters, COUNTER.RCODES + ((tx[txAt + 3] ?? 0) & 0x0f));
  if (((tx[txAt + 2] ?? 0) & 0x02) !== 0) count(counters, COUNTER.TRUNCATED);
  count(counters, COUNTER.OCTETS_OUT, length);
}
