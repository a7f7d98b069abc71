/**
 * UDP through node:dgram, for systems where libc cannot be called or lacks recvmmsg. Answers like udp-batch.ts, for
 * about twice the CPU per query. On a wildcard address the system chooses the source address of a response, so a
 * configuration for a machine with several addresses should list each of them.
 */
import { createSocket, type Socket } from 'node:dgram';
import { parseAddress, type Endpoint, type Prefix } from '../../wire/address.ts';
import { HEADER_OCTETS, UDP_OCTETS } from '../../wire/limits.ts';
import { deferredOf, DEFERRED, packetOf, TRANSPORT, type Link } from '../contract.ts';
import { COUNTER, count, countResponse } from '../counters.ts';
import { ListenError } from '../listen-error.ts';
import { unwrapDatagram } from './proxy-header.ts';
import { isFreebound, openFreebound } from './sockets.ts';

/** Maximum of octets queued in libuv. Beyond it, responses are dropped, as with a full send buffer. */
const MAX_QUEUED_OCTETS = 4 * 1024 * 1024;
const BUFFER_OCTETS = 4 * 1024 * 1024;
/** On stop, time to read the queries that the kernel has queued. */
const LINGER_MS = 50;

export type DgramServer = {
  /** The endpoints it listens on, with the actual ports in place of 0. */
  readonly endpoints: readonly Endpoint[];
  /** Always empty: these sockets cannot be handed over. */
  readonly descriptors: readonly number[];
  close(): Promise<void>;
};

/** Binds every endpoint and answers queries. Throws ListenError; then nothing stays open. */
export async function serveUdpDgram(
  endpoints: readonly Endpoint[],
  reusePort: boolean,
  link: Link,
): Promise<DgramServer> {
  const sockets: Socket[] = [];
  const closeAll = async (): Promise<void> => {
    await Promise.all(sockets.map((socket) => new Promise<void>((closed) => socket.close(closed))));
  };
  const bound: Endpoint[] = [];
  try {
    for (const endpoint of endpoints) {
      const socket = await bindDgram(endpoint, reusePort);
      sockets.push(socket);
      bound.push({ ...endpoint, port: socket.address().port });
    }
  } catch (error) {
    await closeAll();
    throw error;
  }
  sockets.forEach((socket, index) => {
    answerOn(socket, endpoints[index]?.proxy, link);
  });
  return {
    endpoints: bound,
    descriptors: [],
    close: async () => {
      await new Promise((passed) => setTimeout(passed, LINGER_MS));
      await closeAll();
    },
  };
}

/** Creates a bound socket. Throws ListenError. */
export async function bindDgram(endpoint: Endpoint, reusePort: boolean): Promise<Socket> {
  const v6 = endpoint.host.includes(':');
  // Node.js before 23.1 does not know reusePort.
  const options = { ipv6Only: v6, ...(reusePort ? { reusePort } : {}) };
  // Such a socket cannot be shared: `io: dgram` with libc exists only in tests.
  const fd = isFreebound(endpoint) && !reusePort ? openFreebound(endpoint, 'UDP') : undefined;
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', ...options });
  await new Promise<void>((bound, fail) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      fail(new ListenError({ endpoint, transport: 'UDP', code: error.code ?? error.message }));
    });
    const where = fd === undefined ? { address: endpoint.host, port: endpoint.port } : { fd };
    socket.bind({ ...where, exclusive: true }, () => {
      socket.removeAllListeners('error');
      bound();
    });
  });
  return socket;
}

function answerOn(socket: Socket, proxy: readonly Prefix[] | undefined, link: Link): void {
  const { counters } = link;
  const tx = new Uint8Array(UDP_OCTETS);
  const packet = packetOf(new Uint8Array(0), new Uint8Array(4), TRANSPORT.UDP, tx);
  const proxied = new Uint8Array(16);
  tryEnlarge(socket);
  socket.on('error', () => {
    count(counters, COUNTER.RECEIVE_ERRORS);
  });
  const sent = (error: Error | null): void => {
    if (error) count(counters, COUNTER.SEND_ERRORS);
  };
  socket.on('message', (query, client) => {
    const peer = peerOf(client.address);
    if (query.length < HEADER_OCTETS || client.port === 0 || !peer) {
      count(counters, COUNTER.MALFORMED);
      return;
    }
    if (query.length > UDP_OCTETS) count(counters, COUNTER.OVERSIZE);
    packet.rx = query;
    packet.length = query.length;
    packet.peer = peer.bytes;
    packet.peerAt = peer.at;
    packet.peerOctets = peer.octets;
    if (proxy && !unwrapDatagram(packet, proxy, proxied)) {
      count(counters, COUNTER.PROXY_REFUSED);
      return;
    }
    count(counters, packet.peerOctets === 4 ? COUNTER.QUERIES_UDP4 : COUNTER.QUERIES_UDP6);
    count(counters, COUNTER.OCTETS_IN, packet.length);
    let written: number;
    try {
      written = link.current()(packet);
    } catch (error) {
      link.threw(error);
      return;
    }
    if (written === DEFERRED) {
      if (!link.defers()) return;
      void link.ask(deferredOf(packet)).then((reply) => {
        link.settled();
        if (!(reply instanceof Uint8Array)) return;
        countResponse(counters, reply, 0, reply.length);
        socket.send(reply, client.port, client.address, sent);
      });
      return;
    }
    countResponse(counters, tx, 0, written);
    if (written === 0) return;
    if (socket.getSendQueueSize() > MAX_QUEUED_OCTETS) {
      count(counters, COUNTER.SEND_ERRORS);
      return;
    }
    try {
      socket.send(Buffer.from(tx.subarray(0, written)), client.port, client.address, sent);
    } catch {
      count(counters, COUNTER.SEND_ERRORS);
    }
  });
}

function tryEnlarge(socket: Socket): void {
  try {
    socket.setRecvBufferSize(BUFFER_OCTETS);
    socket.setSendBufferSize(BUFFER_OCTETS);
  } catch {
    // The system's default size is sufficient.
  }
}

/** A client's address in the form that `Packet` needs. */
export type Peer = { readonly bytes: Uint8Array; readonly at: number; readonly octets: 4 | 16 };

/**
 * Parses the text of a socket's address. Drops a zone (`%eth0`); an IPv4-mapped address has 4 octets (RFC 4291
 * 2.5.5.2).
 */
export function peerOf(text: string): Peer | undefined {
  const percent = text.indexOf('%');
  const bytes = parseAddress(percent < 0 ? text : text.slice(0, percent));
  if (!bytes) return undefined;
  if (bytes.length === 4) return { bytes, at: 0, octets: 4 };
  const mapped = bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((octet) => octet === 0);
  return mapped ? { bytes, at: 12, octets: 4 } : { bytes, at: 0, octets: 16 };
}
