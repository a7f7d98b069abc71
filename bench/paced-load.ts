/**
 * `node bench/paced-load.ts PORT RATE SECONDS PACKETS`: sends at a fixed rate, which does not depend on the answers,
 * and measures the time of each answer. It is a separate process, so nothing of the server or of the benchmark runs in
 * it. The loop is open: a server that stalls does not delay later queries (coordinated omission). A latency starts when
 * the query is sent, and ends when the kernel takes the answer from the server (SO_TIMESTAMPNS, socket(7)), not when
 * this process reads it. How late a query was sent is reported separately. Prints one line of JSON, a LoadReport.
 */
import { readFileSync } from 'node:fs';
import { memoryAddress, ERRNO, libc, MSG_DONTWAIT, NULL, SOL_SOCKET } from '../config/libc.ts';
import {
  BATCH,
  CONTROL_OCTETS,
  createMessages,
  NAME_OCTETS,
  receivedLength,
  rearm,
  reply,
  SLOT_OCTETS,
  type MessageVector,
} from '../server/io/message-vector.ts';
import { openUdpSockets } from '../server/io/sockets.ts';
import { createHistogram, record, toPairs, type Histogram } from './histogram.ts';

export type LoadReport = {
  /** Start of the first slice, since 1970. */
  readonly startMs: number;
  readonly sliceMs: number;
  /** By the time at which the queries were sent. */
  readonly slices: readonly SliceReport[];
  /** Queries for which the generator was too slow. */
  readonly unsent: number;
  /** How late the generator itself sent, as pairs of a histogram. After a delay it sends a burst. */
  readonly lateness: readonly (readonly [number, number])[];
  /** Answers other than NOERROR with a record. */
  readonly wrong: number;
};

export type SliceReport = {
  /** Pairs of a histogram of latencies. */
  readonly latencies: readonly (readonly [number, number])[];
  readonly lost: number;
};

const SLICE_MS = 50;
/** Each socket has 65,536 identifiers: none repeats within 10 s at 50,000 queries per second. */
const SOCKETS = 8;
const IDS = 0x1_0000;
/** How long the last answers may take. */
const LINGER_MS = 2000;
/** How long the loop waits if there is nothing to do, so that it does not occupy a core. */
const NAP_MS = 0.05;

/** socket(7): the value is a struct timespec: seconds and nanoseconds since 1970, 64 bits each. */
const SO_TIMESTAMPNS = 35;
const CMSG_HEADER_OCTETS = 16;
/** Datagrams to itself, to compare the generator's clock with the kernel's. */
const PROBES = 200;

type Generator = {
  readonly fds: readonly number[];
  readonly inbox: MessageVector;
  readonly stamps: DataView;
  readonly outbox: MessageVector;
  readonly packets: readonly Buffer[];
  readonly startMs: number;
  readonly intervalMs: number;
  /** Number of the query that has an identifier, plus one; 0 if none is in flight. */
  readonly pending: Uint32Array;
  readonly nextId: Uint32Array;
  /** By query: when it was sent, by this process's clock. */
  readonly sentMs: Float64Array;
  /** By query: when its answer left the server, by the kernel's clock; 0 if none came. */
  readonly answeredMs: Float64Array;
  readonly lateness: Histogram;
  wrong: number;
};

const [port = 0, rate = 0, seconds = 0] = process.argv.slice(2, 5).map(Number);
console.log(JSON.stringify(run(port, rate, seconds, process.argv[5] ?? '')));

function run(port: number, rate: number, seconds: number, file: string): LoadReport {
  const total = Math.floor(rate * seconds);
  const sockets = Array.from({ length: SOCKETS }, openStamped);
  const fds = sockets.map(({ fd }) => fd);
  const inbox = createMessages();
  const stamps = new DataView(inbox.controls.buffer);
  const early = clockOffsetMs(sockets[0] ?? { fd: -1, port: 0 }, inbox, stamps);
  const generator: Generator = {
    fds,
    inbox,
    stamps,
    outbox: addressedTo(port),
    packets: readPackets(file),
    startMs: performance.now() + 20,
    intervalMs: 1000 / rate,
    pending: new Uint32Array(SOCKETS * IDS),
    nextId: new Uint32Array(SOCKETS),
    sentMs: new Float64Array(total),
    answeredMs: new Float64Array(total),
    lateness: createHistogram(),
    wrong: 0,
  };
  const never = new Int32Array(new SharedArrayBuffer(4));
  const lastMs = generator.startMs + seconds * 1000;
  const endMs = lastMs + LINGER_MS;
  let sent = 0;
  let answered = 0;
  let turn = 0;
  while (answered < total) {
    const now = performance.now();
    if (now > endMs) break;
    const due = now > lastMs ? sent : Math.min(total, Math.floor((now - generator.startMs) / generator.intervalMs) + 1);
    let moved = false;
    // A generator that is late reads in between, so that no answer is lost for its own sake.
    for (let batch = 0; sent < due && batch < SOCKETS; batch++) {
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
  const late = clockOffsetMs(sockets[0] ?? { fd: -1, port: 0 }, inbox, stamps);
  return {
    startMs: performance.timeOrigin + generator.startMs,
    sliceMs: SLICE_MS,
    slices: slicesOf(generator, early, late),
    unsent: total - sent,
    lateness: toPairs(generator.lateness),
    wrong: generator.wrong,
  };
}

/** `early` and `late`: how far the kernel's clock was ahead of the generator's, before and after. */
function slicesOf({ startMs, sentMs, answeredMs }: Generator, early: number, late: number): SliceReport[] {
  const lengthMs = performance.now() - startMs;
  const slices = Array.from({ length: Math.ceil(lengthMs / SLICE_MS) }, () => ({
    latencies: createHistogram(),
    lost: 0,
  }));
  sentMs.forEach((sent, query) => {
    if (sent === 0) return;
    const slice = slices[Math.floor((sent - startMs) / SLICE_MS)];
    const answered = answeredMs[query] ?? 0;
    if (!slice) throw new Error(`query ${query} was sent before the start`);
    // The kernel's clock is disciplined during the run, and the generator's is not.
    const offset = early + ((late - early) * (sent - startMs)) / lengthMs;
    if (answered === 0) slice.lost++;
    else record(slice.latencies, (answered - offset - sent) * 1000);
  });
  return slices.map(({ latencies, lost }) => ({ latencies: toPairs(latencies), lost }));
}

function openStamped(): { fd: number; port: number } {
  const { sockets, port } = openUdpSockets({ host: '127.0.0.1', port: 0 }, 1);
  const fd = sockets[0]?.fd ?? -1;
  const on = new Int32Array([1]);
  if (libc().setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, memoryAddress(on.buffer), on.byteLength) < 0) {
    throw new Error(`the kernel does not stamp what comes: errno ${libc().errno()}`);
  }
  return { fd, port };
}

/** When the kernel took the datagram in a slot, in milliseconds since 1970. */
function stampMs(stamps: DataView, index: number): number {
  const at = index * CONTROL_OCTETS + CMSG_HEADER_OCTETS;
  // The lower halves are enough until 2106.
  return stamps.getUint32(at, true) * 1000 + stamps.getUint32(at + 8, true) / 1e6;
}

/** How far the kernel's clock is ahead of `performance.now()`, by the fastest datagram to itself. */
function clockOffsetMs({ fd, port }: { fd: number; port: number }, inbox: MessageVector, stamps: DataView): number {
  const outbox = addressedTo(port);
  reply(outbox, 0, 1);
  let shortest = Infinity;
  let offset = Number.NaN;
  for (let probe = 0; probe < PROBES; probe++) {
    const before = performance.now();
    libc().sendmmsg(fd, outbox.addresses[0] ?? NULL, 1, 0);
    const after = performance.now();
    if (libc().recvmmsg(fd, inbox.addresses[0] ?? NULL, 1, MSG_DONTWAIT, NULL) !== 1) continue;
    const stamp = stampMs(stamps, 0);
    rearm(inbox, 0);
    if (after - before >= shortest) continue;
    shortest = after - before;
    offset = stamp - (before + after) / 2;
  }
  if (Number.isNaN(offset)) throw new Error('no datagram of the generator came back to it');
  return offset;
}

function dueMs({ startMs, intervalMs }: Generator, query: number): number {
  return startMs + query * intervalMs;
}

/** Sends the queries from number `first` on through one socket. */
function sendBatch(generator: Generator, socket: number, first: number, count: number): void {
  const { outbox, packets, pending, nextId, lateness, sentMs } = generator;
  for (let index = 0; index < count; index++) {
    const packet = packets[(first + index) % packets.length];
    if (!packet) throw new Error('there are no packets');
    const id = nextId[socket] ?? 0;
    nextId[socket] = (id + 1) % IDS;
    pending[socket * IDS + id] = first + index + 1;
    const at = index * SLOT_OCTETS;
    outbox.buffer.set(packet, at);
    outbox.buffer[at] = id >> 8;
    outbox.buffer[at + 1] = id & 0xff;
    reply(outbox, index, packet.length);
  }
  const now = performance.now();
  for (let query = first; query < first + count; query++) {
    sentMs[query] = now;
    record(lateness, (now - dueMs(generator, query)) * 1000);
  }
  for (let done = 0; done < count;) {
    const sent = libc().sendmmsg(generator.fds[socket] ?? -1, outbox.addresses[done] ?? NULL, count - done, 0);
    if (sent > 0) done += sent;
    // On loopback, some kernels report a full buffer of the server like this; the query counts as lost.
    else if (libc().errno() !== ERRNO.EINTR) done++;
  }
}

/** Reads what has arrived at one socket. Returns the number of expected answers. */
function receiveBatch(generator: Generator, socket: number): number {
  const { inbox, stamps, pending, answeredMs } = generator;
  let waited = 0;
  for (;;) {
    const received = libc().recvmmsg(
      generator.fds[socket] ?? -1,
      inbox.addresses[0] ?? NULL,
      BATCH,
      MSG_DONTWAIT,
      NULL,
    );
    for (let index = 0; index < received; index++) {
      const at = index * SLOT_OCTETS;
      const place = socket * IDS + (((inbox.buffer[at] ?? 0) << 8) | (inbox.buffer[at + 1] ?? 0));
      const query = (pending[place] ?? 0) - 1;
      if (query < 0) continue;
      pending[place] = 0;
      waited++;
      answeredMs[query] = stampMs(stamps, index);
      const isRight = ((inbox.buffer[at + 3] ?? 0) & 0x0f) === 0 && (inbox.buffer[at + 7] ?? 0) > 0;
      if (!isRight || receivedLength(inbox, index) < 12) generator.wrong++;
    }
    for (let index = 0; index < received; index++) rearm(inbox, index);
    if (received < BATCH) return waited;
  }
}

/** Prepares messages as if each came from the server. server/io/message-vector.ts shows the layout of sockaddr_in. */
function addressedTo(port: number): MessageVector {
  const messages = createMessages();
  for (let index = 0; index < BATCH; index++) {
    messages.names.set([2, 0, port >> 8, port & 0xff, 127, 0, 0, 1], index * NAME_OCTETS);
    messages.headers[index * 16 + 2] = 16;
  }
  return messages;
}

/** Reads a file written by `writePackets`. */
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
