/**
 * What passes between the code that moves packets and the code that answers them. Both sides know these
 * types and nothing else of each other.
 */

/** How a query came; the number is given to `Answer`. */
export const TRANSPORT = { UDP: 0, TCP: 1 } as const;

/**
 * Answers one query. Returns the octets written to `tx` from `txAt`, 0 to stay silent. Never throws for bad
 * input; allocates nothing. `tx` has room for UDP_OCTETS or TCP_OCTETS (wire/limits.ts) from `txAt`.
 *
 * @param rx holds the query: `length` octets (12 at least) from `rxAt`, valid during the call
 * @param peer holds the client's address in network order from `peerAt`; an IPv4-mapped IPv6 peer has 4 octets
 * @param transport one of TRANSPORT
 */
export type Answer = (
  rx: Uint8Array,
  rxAt: number,
  length: number,
  peer: Uint8Array,
  peerAt: number,
  peerOctets: 4 | 16,
  transport: number,
  tx: Uint8Array,
  txAt: number,
) => number;

/** What a generation is to an answering thread: plain data and shared memory, so that it can be posted. */
export type Publication = { readonly generation: number; readonly payload: unknown };

/**
 * What a module that answers exports. Threads import it by URL, so that tests can give their own.
 * `counters` is the thread's block (server/counters.ts); `threadIndex` counts from 0, the stream thread last.
 * A thread calls `createAnswerer` again for every publication; when it throws, the publication is refused and
 * every thread keeps the one before.
 */
export type AnswererModule = {
  createAnswerer(publication: Publication, counters: Float64Array, threadIndex: number): Answer;
};
