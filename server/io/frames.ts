/**
 * Extracts messages from a TCP stream. A length of two octets precedes each message (RFC 1035 4.2.2). A segment may end
 * anywhere in a message.
 */
import { HEADER_OCTETS, TCP_OCTETS } from '../../wire/limits.ts';
import { get16 } from '../../wire/octets.ts';

/** Received but unanswered octets: a partial message, or messages that wait for the client to read. */
export type Pending = { bytes: Uint8Array; length: number };

/** Octets of the length before each message. */
export const LENGTH_OCTETS = 2;
/** Size of a first buffer: most queries fit. Idle clients have no buffer. */
const FIRST_OCTETS = 512;

/** The initial state, without a buffer. */
export function nothingPending(): Pending {
  return { bytes: new Uint8Array(0), length: 0 };
}

/**
 * Calls `each` with every complete message in `bytes` between `from` and `to`, until it returns false. Returns the
 * position after the last of them, or -1 for an invalid length (less than 12 octets).
 */
export function eachMessage(
  bytes: Uint8Array,
  from: number,
  to: number,
  each: (bytes: Uint8Array, at: number, length: number) => boolean,
): number {
  let at = from;
  while (to - at >= LENGTH_OCTETS) {
    const length = get16(bytes, at);
    if (length < HEADER_OCTETS) return -1;
    if (to - at < LENGTH_OCTETS + length) break;
    at += LENGTH_OCTETS + length;
    if (!each(bytes, at - length, length)) break;
  }
  return at;
}

/** Appends received octets. The buffer grows with the received octets, not with an announced length. */
export function append(pending: Pending, chunk: Uint8Array, from: number): void {
  const needed = pending.length + chunk.length - from;
  if (needed > pending.bytes.length) {
    const grown = new Uint8Array(Math.max(FIRST_OCTETS, needed, Math.min(needed * 2, LENGTH_OCTETS + TCP_OCTETS)));
    grown.set(pending.bytes.subarray(0, pending.length));
    pending.bytes = grown;
  }
  pending.bytes.set(from === 0 ? chunk : chunk.subarray(from), pending.length);
  pending.length = needed;
}

/** Removes the first `octets` pending octets. Releases the buffer when none is left. */
export function discard(pending: Pending, octets: number): void {
  pending.length -= octets;
  if (pending.length === 0) pending.bytes = new Uint8Array(0);
  else pending.bytes.copyWithin(0, octets, octets + pending.length);
}
