/**
 * Messages out of a TCP stream: each is preceded by its length in two octets (RFC 1035 4.2.2). Segments may
 * cut anywhere.
 */
import { HEADER_OCTETS, TCP_OCTETS } from '../../wire/limits.ts';

/** What was received and not yet answered: the part of a message, or messages that wait for the client to read. */
export type Pending = { bytes: Uint8Array; length: number };

/** Octets in front of each message. */
export const LENGTH_OCTETS = 2;
/** A first buffer: most queries fit, and a thousand idle clients cost nothing. */
const FIRST_OCTETS = 512;

/** Nothing received yet; no memory taken. */
export function nothingPending(): Pending {
  return { bytes: new Uint8Array(0), length: 0 };
}

/**
 * Calls `each` with every whole message in `bytes` between `from` and `to`, until it says false.
 * Returns where the rest starts, or -1 at a length that no message has (under 12 octets).
 */
export function eachMessage(
  bytes: Uint8Array,
  from: number,
  to: number,
  each: (bytes: Uint8Array, at: number, length: number) => boolean,
): number {
  let at = from;
  while (to - at >= LENGTH_OCTETS) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    if (length < HEADER_OCTETS) return -1;
    if (to - at < LENGTH_OCTETS + length) break;
    at += LENGTH_OCTETS + length;
    if (!each(bytes, at - length, length)) break;
  }
  return at;
}

/** Adds what was received to what is pending. Memory follows what has come, not what a length announces. */
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

/** Takes away the first `octets` of what is pending; gives the memory back when nothing is left. */
export function discard(pending: Pending, octets: number): void {
  pending.length -= octets;
  if (pending.length === 0) pending.bytes = new Uint8Array(0);
  else pending.bytes.copyWithin(0, octets, octets + pending.length);
}
