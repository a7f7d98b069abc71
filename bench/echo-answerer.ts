/**
 * The least that can be done with a packet: the query goes back as it came, marked as a response. What the batch I/O
 * reaches with it is the limit for any answer behind the same I/O.
 */
import type { Answer } from '../server/contract.ts';

export function createAnswerer(): Answer {
  return ({ rx, rxAt, length, tx, txAt }) => {
    if (tx !== rx || txAt !== rxAt) for (let i = 0; i < length; i++) tx[txAt + i] = rx[rxAt + i] ?? 0;
    tx[txAt + 2] = 0x84; // QR and AA
    return length;
  };
}
