/**
 * Many queries on one TCP connection (RFC 7766 6.2.1.1).
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Endpoint } from '../../wire/address.ts';

/** Queries written before the first response is awaited. */
const WINDOW = 64;

/**
 * The responses in the order of the queries, whose identifiers are overwritten. Rejects if the server closes the
 * connection.
 */
export async function askOverTcp({ host, port }: Endpoint, queries: readonly Buffer[]): Promise<Buffer[]> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  const responses: Buffer[] = [];
  let written = 0;
  let done = 0;
  const fill = (): void => {
    for (; written < queries.length && written - done < WINDOW; written++) {
      const query = queries[written] ?? Buffer.alloc(0);
      query.writeUInt16BE(written & 0xffff, 0);
      socket.write(Buffer.concat([Buffer.of(query.length >> 8, query.length & 0xff), query]));
    }
  };
  try {
    if (queries.length === 0) return [];
    fill();
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const end = received.readUInt16BE(0) + 2;
        const message = received.subarray(2, end);
        received = received.subarray(end);
        responses[message.readUInt16BE(0)] = message;
        done++;
      }
      if (done === queries.length) return responses;
      fill();
    }
    throw new Error(`port ${port} closed the connection after ${done} of ${queries.length} responses`);
  } finally {
    socket.destroy();
  }
}
