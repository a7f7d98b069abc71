/**
 * UDP in batches: one recvmmsg takes up to 64 queries, one sendmmsg sends their responses. The thread does nothing else
 * and never returns to the event loop; between batches it checks shared memory for a publication or a stop. The loop
 * allocates nothing: the kernel takes 90% of the CPU time, and garbage collection must not add to it.
 */
import {
  memoryAddress,
  ERRNO,
  libc,
  MSG_DONTWAIT,
  MSG_TRUNC,
  MSG_WAITFORONE,
  NULL,
  POLLIN,
  type Libc,
} from '../../config/libc.ts';
import { HEADER_OCTETS } from '../../wire/limits.ts';
import { deferredOf, DEFERRED, packetOf, TRANSPORT, type Answer, type Link, type Packet } from '../contract.ts';
import { COUNTER, count, countResponse } from '../counters.ts';
import { countAnswerTime } from '../query-types.ts';
import {
  BATCH,
  createMessages,
  peerOctets,
  peerPort,
  peerStart,
  rearm,
  routeOf,
  receivedFlags,
  receivedLength,
  reply,
  SLOT_OCTETS,
  type MessageVector,
} from './message-vector.ts';
import { unwrapDatagram } from './proxy-header.ts';
import type { UdpSocket } from './sockets.ts';

/** Equal to SO_RCVTIMEO of a single socket (sockets.ts). */
const POLL_MS = 50;
/** Consecutive failures after which the socket is considered broken and the thread is restarted. */
const MAX_FAILURES = 1000;
/** On stop, queued queries are still answered, up to this many batches per socket. */
const LAST_BATCHES = 32;

/** The clock is read for one batch in this many, because reading it twice for each would cost some per cent. */
const TIMED_EVERY = 16;

type Loop = {
  readonly libc: Libc;
  readonly link: Link;
  readonly messages: MessageVector;
  readonly packet: Packet;
  readonly address: bigint;
  /** The client's address from a PROXY header. */
  readonly proxied: Uint8Array;
  /** Failed receives since the last successful one. */
  failures: number;
  /** Batches until the next one whose time is measured. */
  untimed: number;
};

/**
 * Answers queries on the sockets until `link.stopping()`. Blocks the thread. Throws Error when a socket is broken.
 */
export function serveUdpBatches(sockets: readonly UdpSocket[], link: Link): void {
  const messages = createMessages();
  const packet = packetOf(messages.buffer, messages.names, TRANSPORT.UDP, messages.buffer);
  const address = messages.addresses[0] ?? NULL;
  const loop: Loop = {
    libc: libc(),
    link,
    messages,
    packet,
    address,
    proxied: new Uint8Array(16),
    failures: 0,
    untimed: TIMED_EVERY,
  };
  const [only] = sockets;
  if (sockets.length === 1 && only) {
    while (!link.stopping()) serveBatch(loop, only, link.news(), MSG_WAITFORONE);
  } else {
    serveReady(loop, sockets);
  }
  for (const socket of sockets) {
    let left = LAST_BATCHES;
    while (left > 0 && serveBatch(loop, socket, link.news(), MSG_DONTWAIT) > 0) left--;
  }
}

/** For several sockets: poll(2) tells which are readable. struct pollfd: int fd, short events, short revents. */
function serveReady(loop: Loop, sockets: readonly UdpSocket[]): void {
  const entries = new Int16Array(new ArrayBuffer(sockets.length * 8));
  const fds = new Int32Array(entries.buffer);
  sockets.forEach(({ fd }, index) => {
    fds[index * 2] = fd;
    entries[index * 4 + 2] = POLLIN;
  });
  const address = memoryAddress(entries.buffer);
  while (!loop.link.stopping()) {
    const answer = loop.link.news();
    const ready = loop.libc.poll(address, sockets.length, POLL_MS);
    if (ready < 0) failed(loop, 'poll');
    for (let index = 0; index < sockets.length && ready > 0; index++) {
      const socket = sockets[index];
      if (!socket || entries[index * 4 + 3] === 0) continue;
      serveBatch(loop, socket, answer, MSG_DONTWAIT);
    }
  }
}

/** Receives one batch, answers it in place, and sends the responses. Returns the number of datagrams received. */
function serveBatch(loop: Loop, socket: UdpSocket, answer: Answer, flags: number): number {
  const { messages, packet, proxied, link } = loop;
  const { buffer } = messages;
  const { counters } = link;
  const received = loop.libc.recvmmsg(socket.fd, loop.address, BATCH, flags, NULL);
  if (received <= 0) {
    if (received < 0) failed(loop, 'recvmmsg');
    return 0;
  }
  loop.failures = 0;
  count(counters, COUNTER.BATCHES);
  const isTimed = --loop.untimed === 0;
  const receivedAt = isTimed ? performance.now() : 0;
  // The first slot whose response has not been sent.
  let first = 0;
  for (let index = 0; index < received; index++) {
    const length = receivedLength(messages, index);
    let written = 0;
    // A response to port 0 cannot be sent; such a source port is forged.
    if (length < HEADER_OCTETS || peerPort(messages, index) === 0) {
      count(counters, COUNTER.MALFORMED);
    } else {
      if ((receivedFlags(messages, index) & MSG_TRUNC) !== 0) count(counters, COUNTER.OVERSIZE);
      const at = index * SLOT_OCTETS;
      packet.rxAt = at;
      packet.length = length;
      packet.peer = messages.names;
      packet.peerAt = peerStart(messages, index);
      packet.peerOctets = peerOctets(messages, index);
      packet.txAt = at;
      if (socket.proxy !== undefined && !unwrapDatagram(packet, socket.proxy, proxied)) {
        count(counters, COUNTER.PROXY_REFUSED);
      } else {
        count(counters, packet.peerOctets === 4 ? COUNTER.QUERIES_UDP4 : COUNTER.QUERIES_UDP6);
        count(counters, COUNTER.OCTETS_IN, packet.length);
        try {
          written = answer(packet);
          if (written === DEFERRED) {
            if (link.defers()) {
              const route = { fd: socket.fd, ...routeOf(messages, index) };
              link.send({ kind: 'datagram', question: deferredOf(packet), route });
            }
            written = 0;
          } else countResponse(counters, buffer, at, written);
        } catch (error) {
          link.threw(error);
        }
      }
    }
    if (written > 0) {
      reply(messages, index, written);
    } else {
      send(loop, socket.fd, first, index);
      first = index + 1;
    }
  }
  send(loop, socket.fd, first, received);
  if (isTimed) {
    loop.untimed = TIMED_EVERY;
    countAnswerTime(counters, performance.now() - receivedAt, received);
  }
  for (let index = 0; index < received; index++) rearm(messages, index);
  return received;
}

/** Sends slots `from` to `to` - 1. Counts and skips a response that cannot be sent. */
function send(loop: Loop, fd: number, from: number, to: number): void {
  while (from < to) {
    // Never blocks: with a full send buffer the response is late already, and other clients must not wait for it.
    const done = loop.libc.sendmmsg(fd, loop.messages.addresses[from] ?? NULL, to - from, MSG_DONTWAIT);
    if (done > 0) {
      from += done;
    } else if (loop.libc.errno() !== ERRNO.EINTR) {
      // sendmmsg(2): the error concerns the first message that was not sent.
      count(loop.link.counters, COUNTER.SEND_ERRORS);
      from++;
    }
  }
}

/**
 * Counts a failed call. EAGAIN and EINTR are not failures. Throws after repeated failures, so that the thread is
 * restarted.
 */
function failed(loop: Loop, call: string): void {
  const errno = loop.libc.errno();
  if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return;
  count(loop.link.counters, COUNTER.RECEIVE_ERRORS);
  if (errno === ERRNO.EBADF || errno === ERRNO.ENOTSOCK || ++loop.failures >= MAX_FAILURES) {
    throw new Error(`${call} failed with errno ${errno}`);
  }
}
