/**
 * Connections from proxies that put their client's address first (PROXY protocol): each waits here for its header,
 * before TLS and before the first query.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../health/clock.ts';
import { isAmong, type Prefix } from '../../wire/address.ts';
import { COUNTER, count } from '../counters.ts';
import { append, nothingPending } from './frames.ts';
import { PROXY, beginsProxied, copyProxied, proxyOctets } from './proxy-header.ts';
import type { Peer } from './udp-dgram.ts';

export type ProxiedStreams = {
  /**
   * Calls `ready` with the client of a connection: `peer`, or the one that a proxy in `networks` names. Closes the
   * connection if its header is missing, late, invalid, or not allowed. The socket is paused before `ready`.
   */
  meet(socket: Socket, peer: Peer, networks: readonly Prefix[], ready: (client: Peer) => void): void;
  /** Closes all connections that wait. */
  close(): void;
};

/** A proxy sends the header together with its first octets. */
const HEADER_MS = 3000;

/** @param limit connections that may wait at the same time */
export function createProxiedStreams(clock: Clock, limit: number, counters: Float64Array): ProxiedStreams {
  const waiting = new Set<Socket>();
  const refuse = (socket: Socket): void => {
    count(counters, COUNTER.PROXY_REFUSED);
    socket.destroy();
  };
  return {
    meet: (socket, peer, networks, ready) => {
      if (!isAmong(networks, peer.bytes, peer.at, peer.octets)) {
        // Without TLS, this sees the first octets before the code that answers does.
        socket.once('data', (chunk: Uint8Array) => {
          if (beginsProxied(chunk, 0, chunk.length) && chunk.length > 1) refuse(socket);
        });
        ready(peer);
        return;
      }
      if (waiting.size >= limit) {
        refuse(socket);
        return;
      }
      waiting.add(socket);
      const header = nothingPending();
      const cancel = clock.after(HEADER_MS, () => {
        refuse(socket);
      });
      const done = (): void => {
        cancel();
        waiting.delete(socket);
        socket.off('data', read);
        socket.off('close', done);
      };
      const read = (chunk: Uint8Array): void => {
        append(header, chunk, 0);
        const octets = proxyOctets(header.bytes, 0, header.length);
        if (octets === PROXY.PARTIAL) return;
        done();
        if (octets === PROXY.INVALID) {
          refuse(socket);
          return;
        }
        socket.pause();
        if (octets < header.length) socket.unshift(header.bytes.slice(octets, header.length));
        const bytes = new Uint8Array(16);
        const length = copyProxied(header.bytes, 0, bytes);
        ready(length === 0 ? peer : { bytes, at: 0, octets: length });
      };
      socket.on('data', read);
      socket.on('close', done);
      // For example a reset; 'close' follows.
      socket.on('error', () => undefined);
    },
    close: () => {
      for (const socket of waiting) socket.destroy();
    },
  };
}
