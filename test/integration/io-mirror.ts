/**
 * An AnswererModule that returns every query as its response, which DNS programs read as NOERROR without data.
 */
import type { Answer } from '../../server/contract.ts';

export function createAnswerer(): Answer {
  return ({ rx, rxAt, length, tx, txAt }) => {
    for (let index = 0; index < length; index++) tx[txAt + index] = rx[rxAt + index] ?? 0;
    tx[txAt + 2] = (tx[txAt + 2] ?? 0) | 0x80;
    return length;
  };
}
