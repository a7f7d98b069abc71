/**
 * UDP in batches: one recvmmsg takes up to 64 queries, one sendmmsg sends their responses. The thread does
 * nothing else and has no event loop; between batches it looks at shared memory for news. Nothing is allocated
 * once it runs: the kernel is nine tenths of the cost, and a collector must not become the rest.
 */
import { HEADER_OCTETS } from '../wire/limits.ts';
import { COUNTER, count, countResponse } from './counters.ts';
import { TRANSPORT, type Answer } from './exchange.ts';
import { addressOf, ERRNO, libc, MSG_DONTWAIT, MSG_TRUNC, MSG_WAITFORONE, NULL, POLLIN, type Libc } from './libc.ts';
import {
  addressResponse,
  BATCH,
  CONTROL_OCTETS,
  createInbox,
  createOutbox,
  peerOctets,
  peerPort,
  peerStart,
  rearm,
  receivedFlags,
  receivedLength,
  SLOT_OCTETS,
  type Inbox,
  type MessageVector,
} from './message-vector.ts';
import type { UdpSocket } from './sockets.ts';
import type { Link } from './thread.ts';

/** As SO_RCVTIMEO of a single socket (sockets.ts). */
const POLL_MS = 50;
/** Failures in a row after which the socket is taken for broken, and the thread for better started anew. */
const MAX_FAILURES = 1000;
/** On stop, what is queued is still answered, within this many batches a socket. */
const LAST_BATCHES = 32;

type Loop = {
  readonly libc: Libc;
  readonly link: Link;
  readonly inbox: Inbox;
  readonly inboxAddress: bigint;
  readonly outbox: MessageVector;
  /** Receives that failed since one succeeded. */
  failures: number;
};

/**
 * Answers what comes on the sockets until `link.stopping()`. Blocks the thread. Throws when a socket is broken.
 */
export function serveUdpBatches(sockets: readonly UdpSocket[], link: Link): void {
  const inbox = createInbox();
  const inboxAddress = inbox.addresses[0] ?? NULL;
  const loop: Loop = { libc: libc(), link, inbox, inboxAddress, outbox: createOutbox(), failures: 0 };
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

/** Several sockets: poll(2) says which have something. struct pollfd: int fd, short events, short revents. */
function serveReady(loop: Loop, sockets: readonly UdpSocket[]): void {
  const entries = new Int16Array(new ArrayBuffer(sockets.length * 8));
  const fds = new Int32Array(entries.buffer);
  sockets.forEach(({ fd }, index) => {
    fds[index * 2] = fd;
    entries[index * 4 + 2] = POLLIN;
  });
  const address = addressOf(entries.buffer);
  while (!loop.link.stopping()) {
    const answer = loop.link.news();
    const ready = loop.libc.poll(address, sockets.length, POLL_MS);
    if (ready < 0) failed(loop, 'poll');
    if (ready <= 0) continue;
    for (let index = 0; index < sockets.length; index++) {
      const socket = sockets[index];
      if (socket && entries[index * 4 + 3] !== 0) serveBatch(loop, socket, answer, MSG_DONTWAIT);
    }
  }
}

/** Receives once, answers all of it, sends. Returns the datagrams received. */
function serveBatch(loop: Loop, socket: UdpSocket, answer: Answer, flags: number): number {
  const { inbox, outbox, link } = loop;
  const { counters } = link;
  const controlOctets = socket.wildcard ? CONTROL_OCTETS : 0;
  // With sockets of both kinds, slots may be armed for the other kind; eight octets a slot, cheaper than to know.
  for (let index = 0; index < BATCH; index++) rearm(inbox, index, controlOctets);
  const received = loop.libc.recvmmsg(socket.fd, loop.inboxAddress, BATCH, flags, NULL);
  if (received <= 0) {
    if (received < 0) failed(loop, 'recvmmsg');
    return 0;
  }
  loop.failures = 0;
  count(counters, COUNTER.BATCHES);
  let responses = 0;
  for (let index = 0; index < received; index++) {
    const length = receivedLength(inbox, index);
    // A response to port 0 cannot be sent; such a source is forged.
    if (length < HEADER_OCTETS || peerPort(inbox, index) === 0) {
      count(counters, COUNTER.MALFORMED);
      continue;
    }
    if ((receivedFlags(inbox, index) & MSG_TRUNC) !== 0) count(counters, COUNTER.OVERSIZE);
    const octets = peerOctets(inbox, index);
    count(counters, octets === 4 ? COUNTER.QUERIES_UDP4 : COUNTER.QUERIES_UDP6);
    count(counters, COUNTER.OCTETS_IN, length);
    const rxAt = index * SLOT_OCTETS;
    const txAt = responses * SLOT_OCTETS;
    let written: number;
    try {
      const peerAt = peerStart(inbox, index);
      written = answer(inbox.buffer, rxAt, length, inbox.names, peerAt, octets, TRANSPORT.UDP, outbox.buffer, txAt);
    } catch (error) {
      link.threw(error);
      continue;
    }
    countResponse(counters, outbox.buffer, txAt, written);
    if (written > 0) addressResponse(outbox, responses++, written, inbox, index);
  }
  if (responses > 0) send(loop, socket.fd, responses);
  return received;
}

/** Sends the first `responses` of the outbox; one that cannot be sent is counted and left. */
function send(loop: Loop, fd: number, responses: number): void {
  let sent = 0;
  while (sent < responses) {
    // Never waits: with a full send buffer a response is late already, and the next client must not wait for it.
    const done = loop.libc.sendmmsg(fd, loop.outbox.addresses[sent] ?? NULL, responses - sent, MSG_DONTWAIT);
    if (done > 0) {
      sent += done;
    } else if (loop.libc.errno() !== ERRNO.EINTR) {
      // sendmmsg(2): an error is that of the first message, those before it have been sent.
      count(loop.link.counters, COUNTER.SEND_ERRORS);
      sent++;
    }
  }
}

/** Nothing there is no failure. What fails again and again is thrown, so that the thread is started anew. */
function failed(loop: Loop, call: string): void {
  const errno = loop.libc.errno();
  if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return;
  count(loop.link.counters, COUNTER.RECEIVE_ERRORS);
  if (errno === ERRNO.EBADF || errno === ERRNO.ENOTSOCK || ++loop.failures >= MAX_FAILURES) {
    throw new Error(`${call} fails with errno ${errno}`);
  }
}
