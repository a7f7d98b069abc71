/**
 * An AnswererModule for tests. The query's first octet after its header says what to do; a response is
 *
 *     0  the query's header, QR set     15  octets of the client's address
 *    12  generation                     16  that address
 *    13  thread index                   32  the query after its header, as far as there is room
 *    14  transport
 */
import { getHeapStatistics } from 'node:v8';
import { DEFERRED, TRANSPORT, type Answer, type Publication } from '../../../../server/contract.ts';
import { TCP_OCTETS, UDP_OCTETS } from '../../../../wire/limits.ts';

export const DO = {
  ECHO: 'e'.charCodeAt(0),
  STAY_SILENT: 's'.charCodeAt(0),
  THROW: 't'.charCodeAt(0),
  /** Ends the thread. */
  DIE: 'd'.charCodeAt(0),
  /** Blocks the thread for BLOCK_MS. */
  BLOCK: 'b'.charCodeAt(0),
  /** Hands the message over to the control thread. */
  DEFER: 'c'.charCodeAt(0),
  /** 60,000 octets. */
  ANSWER_LONG: 'l'.charCodeAt(0),
  /** Octets that the thread has ever allocated on the heap, as a double from 32; 0 if Node.js does not know. */
  TELL_ALLOCATED: 'h'.charCodeAt(0),
} as const;

export const BLOCK_MS = 2000;
export const LONG_OCTETS = 60_000;

export function createAnswerer(publication: Publication, _counters: Float64Array, threadIndex: number): Answer {
  if (publication.payload === 'refuse') throw new Error('this publication is bad');
  return ({ rx, rxAt, length, peer, peerAt, peerOctets, transport, tx, txAt }) => {
    const what = rx[rxAt + 12];
    if (what === DO.STAY_SILENT) return 0;
    if (what === DO.DEFER) return DEFERRED;
    if (what === DO.THROW) throw new Error('this query is bad');
    if (what === DO.DIE) process.exit(7);
    if (what === DO.BLOCK) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS);
    const room = transport === TRANSPORT.UDP ? UDP_OCTETS : TCP_OCTETS;
    const copied = Math.min(length - 12, room - 32);
    // From the end: the response may lie over its query.
    for (let index = copied - 1; index >= 0; index--) tx[txAt + 32 + index] = rx[rxAt + 12 + index] ?? 0;
    for (let index = 0; index < 12; index++) tx[txAt + index] = rx[rxAt + index] ?? 0;
    tx[txAt + 2] = (tx[txAt + 2] ?? 0) | 0x80;
    tx[txAt + 12] = publication.generation;
    tx[txAt + 13] = threadIndex;
    tx[txAt + 14] = transport;
    tx[txAt + 15] = peerOctets;
    for (let index = 0; index < peerOctets; index++) tx[txAt + 16 + index] = peer[peerAt + index] ?? 0;
    if (what === DO.TELL_ALLOCATED) {
      new DataView(tx.buffer, tx.byteOffset + txAt + 32).setFloat64(0, allocatedOctets());
      return 40;
    }
    if (what === DO.ANSWER_LONG) return LONG_OCTETS;
    return 32 + copied;
  };
}

/** Came with Node.js 25. */
function allocatedOctets(): number {
  const statistics: { total_allocated_bytes?: number } = getHeapStatistics();
  return statistics.total_allocated_bytes ?? 0;
}
