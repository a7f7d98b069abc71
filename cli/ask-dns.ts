/**
 * Asks a name server over UDP.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { formatEndpoint, type Endpoint } from '../wire/address.ts';
import { HEADER_OCTETS } from '../wire/limits.ts';
import { decodeResponse, encodeQuery, type MessageText } from '../wire/message.ts';
import type { Name } from '../wire/name.ts';
import { get8, get16, put16 } from '../wire/octets.ts';

const TIMEOUT_MS = 3000;
const TRIES = 2;
const RECURSION_DESIRED = 0x01;
const TRUNCATED = 0x02;
const NO_SUCH_NAME = 3;

/** The response; a name that does not exist has none of the records. Rejects without a usable response. */
export async function askDns(
  endpoint: Endpoint,
  { name, type, recursive = false }: { readonly name: Name; readonly type: number; readonly recursive?: boolean },
): Promise<MessageText> {
  const query = encodeQuery(name, type);
  put16(query, 0, randomInt(0x1_0000));
  query[2] = recursive ? RECURSION_DESIRED : 0;
  for (let left = TRIES; ; left--) {
    try {
      const message = await exchange(endpoint, query);
      if ((get8(message, 2) & TRUNCATED) !== 0) throw new Error(`the response of ${formatEndpoint(endpoint)} is cut`);
      const response = decodeResponse(message);
      if (response.rcode !== 0 && response.rcode !== NO_SUCH_NAME) {
        throw new Error(`${formatEndpoint(endpoint)} returned RCODE ${response.rcode}`);
      }
      return response;
    } catch (error) {
      if (left <= 1) throw error;
    }
  }
}

function exchange({ host, port }: Endpoint, query: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const timer = setTimeout(() => {
    reject(new Error(`${formatEndpoint({ host, port })} did not answer within ${TIMEOUT_MS / 1000} s`));
  }, TIMEOUT_MS);
  socket.once('error', reject);
  socket.on('message', (message) => {
    if (message.length >= HEADER_OCTETS && get16(message, 0) === get16(query, 0)) resolve(message);
  });
  // A connected socket receives from this server only.
  socket.connect(port, host, () => {
    socket.send(query);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}
