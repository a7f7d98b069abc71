/**
 * `node bench/paced-load.ts PORT RATE SECONDS PACKETS`: sends at a fixed pace whatever comes back, and tells how long
 * each answer took. A process of its own: nothing of the server or of the bench runs in it.
 *
 * The loop is open and a latency counts from the moment at which the query was due, not from the one at which it was
 * sent: while a server stands still, all that should have been asked meanwhile waits too (coordinated omission).
 * Prints one line of JSON, a LoadReport.
 */
import { readFileSync } from 'node:fs';
import { ERRNO, libc, MSG_DONTWAIT, NULL } from '../server/libc.ts';
import {
  BATCH,
  createMessages,
  NAME_OCTETS,
  receivedLength,
  rearm,
  reply,
  SLOT_OCTETS,
  type MessageVector,
} from '../server/message-vector.ts';
import { openUdpSockets } from '../server/sockets.ts';
import { createHistogram, record, toPairs, type Histogram } from './histogram.ts';

export type LoadReport = {
  /** Of the first slice, since 1970. */
  readonly startMs: number;
  readonly sliceMs: number;
  /** By the time at which the queries were due. */
  readonly slices: readonly SliceReport[];
  /** How late the generator itself sent, as pairs of a histogram. When this is large, so is every latency. */
  readonly lateness: readonly (readonly [number, number])[];
  /** Answers that are not NOERROR with a record. */
  readonly wrong: number;
};

export type SliceReport = {
  /** Pairs of a histogram of latencies. */
  readonly latencies: readonly (readonly [number, number])[];
  readonly lost: number;
};

const SLICE_MS = 50;
/** Each has 65,536 identifiers: none comes round again within 10 s at 50,000 queries a second. */
const SOCKETS = 8;
const IDS = 0x1_0000;
/** How long the last answers may take. */
const LINGER_MS = 2000;
/** What the loop waits when there is nothing to do: it does not take a core for itself. */
const NAP_MS = 0.05;

type Slice = { readonly latencies: Histogram; lost: number };

type Generator = {
  readonly fds: readonly number[];
  readonly inbox: MessageVector;
  readonly outbox: MessageVector;
  readonly packets: readonly Buffer[];
  readonly startMs: number;
  readonly intervalMs: number;
  /** Number of the query that has an identifier, plus one; 0 where none is on its way. */
  readonly pending: Uint32Array;
  readonly nextId: Uint32Array;
  readonly slices: readonly Slice[];
  readonly lateness: Histogram;
  wrong: number;
};

const [port = 0, rate = 0, seconds = 0] = process.argv.slice(2, 5).map(Number);
console.log(JSON.stringify(run(port, rate, seconds, process.argv[5] ?? '')));

function run(port: number, rate: number, seconds: number, file: string): LoadReport {
  const total = Math.floor(rate * seconds);
  const generator: Generator = {
    fds: Array.from({ length: SOCKETS }, () => openUdpSockets({ host: '127.0.0.1', port: 0 }, 1).sockets[0]?.fd ?? -1),
    inbox: createMessages(),
    outbox: addressedTo(port),
    packets: readPackets(file),
    startMs: performance.now() + 20,
    intervalMs: 1000 / rate,
    pending: new Uint32Array(SOCKETS * IDS),
    nextId: new Uint32Array(SOCKETS),
    slices: Array.from({ length: Math.ceil((seconds * 1000) / SLICE_MS) }, () => ({
      latencies: createHistogram(),
      lost: 0,
    })),
    lateness: createHistogram(),
    wrong: 0,
  };
  const never = new Int32Array(new SharedArrayBuffer(4));
  const endMs = generator.startMs + seconds * 1000 + LINGER_MS;
  let sent = 0;
  let answered = 0;
  let turn = 0;
  while (answered < total) {
    const now = performance.now();
    if (now > endMs) break;
    const due = Math.min(total, Math.floor((now - generator.startMs) / generator.intervalMs) + 1);
    let moved = false;
    while (sent < due) {
      const count = Math.min(BATCH, due - sent);
      sendBatch(generator, turn, sent, count);
      sent += count;
      turn = (turn + 1) % SOCKETS;
      moved = true;
    }
    for (let socket = 0; socket < SOCKETS; socket++) {
      const received = receiveBatch(generator, socket);
      answered += received;
      moved ||= received > 0;
    }
    if (!moved) Atomics.wait(never, 0, 0, NAP_MS);
  }
  for (const query of generator.pending) if (query > 0) lose(generator, query - 1);
  return {
    startMs: performance.timeOrigin + generator.startMs,
    sliceMs: SLICE_MS,
    slices: generator.slices.map(({ latencies, lost }) => ({ latencies: toPairs(latencies), lost })),
    lateness: toPairs(generator.lateness),
    wrong: generator.wrong,
  };
}

function dueMs({ startMs, intervalMs }: Generator, query: number): number {
  return startMs + query * intervalMs;
}

function sliceOf({ slices, intervalMs }: Generator, query: number): Slice | undefined {
  return slices[Math.floor((query * intervalMs) / SLICE_MS)];
}

function lose(generator: Generator, query: number): void {
  const slice = sliceOf(generator, query);
  if (slice) slice.lost++;
}

/** Sends the queries from number `first` on through one socket. */
function sendBatch(generator: Generator, socket: number, first: number, count: number): void {
  const { outbox, packets, pending, nextId, lateness } = generator;
  for (let index = 0; index < count; index++) {
    const packet = packets[(first + index) % packets.length];
    if (!packet) throw new Error('there are no packets');
    const id = nextId[socket] ?? 0;
    nextId[socket] = (id + 1) % IDS;
    const before = pending[socket * IDS + id] ?? 0;
    if (before > 0) lose(generator, before - 1);
    pending[socket * IDS + id] = first + index + 1;
    const at = index * SLOT_OCTETS;
    outbox.buffer.set(packet, at);
    outbox.buffer[at] = id >> 8;
    outbox.buffer[at + 1] = id & 0xff;
    reply(outbox, index, packet.length);
  }
  const now = performance.now();
  for (let index = 0; index < count; index++) record(lateness, (now - dueMs(generator, first + index)) * 1000);
  for (let done = 0; done < count;) {
    const sent = libc().sendmmsg(generator.fds[socket] ?? -1, outbox.addresses[done] ?? NULL, count - done, 0);
    if (sent > 0) done += sent;
    // On loopback this is what the server's full buffer looks like to some kernels; the query counts as lost.
    else if (libc().errno() !== ERRNO.EINTR) done++;
  }
}

/** Takes what has come to one socket; gives how many of them were waited for. */
function receiveBatch(generator: Generator, socket: number): number {
  const { inbox, pending } = generator;
  let waited = 0;
  for (;;) {
    const received = libc().recvmmsg(
      generator.fds[socket] ?? -1,
      inbox.addresses[0] ?? NULL,
      BATCH,
      MSG_DONTWAIT,
      NULL,
    );
    const now = performance.now();
    for (let index = 0; index < received; index++) {
      const at = index * SLOT_OCTETS;
      const place = socket * IDS + (((inbox.buffer[at] ?? 0) << 8) | (inbox.buffer[at + 1] ?? 0));
      const query = (pending[place] ?? 0) - 1;
      if (query < 0) continue;
      pending[place] = 0;
      waited++;
      const slice = sliceOf(generator, query);
      if (slice) record(slice.latencies, (now - dueMs(generator, query)) * 1000);
      const isRight = ((inbox.buffer[at + 3] ?? 0) & 0x0f) === 0 && (inbox.buffer[at + 7] ?? 0) > 0;
      if (!isRight || receivedLength(inbox, index) < 12) generator.wrong++;
    }
    for (let index = 0; index < received; index++) rearm(inbox, index);
    if (received < BATCH) return waited;
  }
}

/** Messages that look as if each came from the server. sockaddr_in is drawn in server/message-vector.ts. */
function addressedTo(port: number): MessageVector {
  const messages = createMessages();
  for (let index = 0; index < BATCH; index++) {
    messages.names.set([2, 0, port >> 8, port & 0xff, 127, 0, 0, 1], index * NAME_OCTETS);
    messages.headers[index * 16 + 2] = 16;
  }
  return messages;
}

/** A file of `writePackets`. */
function readPackets(file: string): Buffer[] {
  const bytes = readFileSync(file);
  const packets: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const octets = bytes.readUInt16BE(at);
    packets.push(bytes.subarray(at + 2, at + 2 + octets));
    at += 2 + octets;
  }
  return packets;
}
