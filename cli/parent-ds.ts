/**
 * Asks a name server for the DS records of a zone.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { formatEndpoint, parseEndpoint, type Endpoint } from '../wire/address.ts';
import { HEADER_OCTETS } from '../wire/limits.ts';
import { decodeResponse, encodeQuery } from '../wire/message.ts';
import type { Name } from '../wire/name.ts';
import { get16, put16 } from '../wire/octets.ts';
import { TYPE, typeText } from '../wire/types.ts';

/** The key tags of the DS records, and their TTL; 0 without any. */
export type ParentDs = { readonly ttlSeconds: number; readonly tags: readonly number[] };

const TIMEOUT_MS = 3000;
const TRIES = 2;
const RECURSION_DESIRED = 0x01;
const DNS_PORT = 53;

/**
 * The DS records, from `server` (`192.0.2.1` or `192.0.2.1:53`), or else from the resolver of this machine. Rejects if
 * the server returns no usable answer.
 */
export async function askForDs(zone: Name, server: string | undefined): Promise<ParentDs> {
  const at = server ?? getServers()[0] ?? '127.0.0.1';
  const endpoint = parseEndpoint(at, DNS_PORT);
  if (!endpoint) throw new Error(`${at} is not an address of a name server`);
  const query = encodeQuery(zone, TYPE.DS);
  put16(query, 0, randomInt(0x1_0000));
  query[2] = RECURSION_DESIRED;
  for (let left = TRIES; ; left--) {
    try {
      const { rcode, answer } = decodeResponse(await exchange(endpoint, query));
      if (rcode !== 0) throw new Error(`${formatEndpoint(endpoint)} returned RCODE ${rcode}`);
      const records = answer.filter(({ type }) => type === typeText(TYPE.DS));
      return {
        ttlSeconds: Math.max(0, ...records.map(({ ttl }) => ttl)),
        tags: records.map(({ data }) => Number.parseInt(data, 10)),
      };
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
