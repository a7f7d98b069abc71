/**
 * The AnswererModule of answerer.ts, that besides answers what begins with `L` in its own time: the query's header,
 * and the generation.
 */
import type { AnswerLong, Publication } from '../../server/contract.ts';
export { createAnswerer } from '../unit/server/answer/answerer.ts';

export function createAnswerLong({ generation }: Publication): AnswerLong {
  return (client, rx, rxAt) => {
    if (rx[rxAt + 12] !== 'L'.charCodeAt(0)) return undefined;
    const header = Buffer.from(rx.subarray(rxAt, rxAt + 12));
    return (async () => {
      await new Promise(setImmediate);
      await client.send(Buffer.concat([header, Buffer.of(generation)]));
    })();
  };
}
