/**
 * Asks one name server many questions: over one UDP socket, with a bound on the questions in flight, again after a
 * time, and over TCP if the response was truncated.
 */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { connect } from 'node:net';
import { messageOf } from '../../config/unknown-values.ts';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import { HEADER_OCTETS } from '../../wire/limits.ts';
import { get16, put16 } from '../../wire/octets.ts';
import { HEADER_FLAG } from '../../wire/read-response.ts';
import { enter, leave, type Gate } from './gate.ts';

export type Reply = { readonly ok: true; readonly message: Uint8Array } | { readonly ok: false; readonly why: string };

export type DnsClient = {
  /** Sends a query; its ID is overwritten. */
  readonly ask: (query: Uint8Array) => Promise<Reply>;
  /** Queries sent so far, repeated ones included. */
  readonly sent: () => number;
  readonly [Symbol.dispose]: () => void;
};

export type ClientOptions = {
  readonly endpoint: Endpoint;
  /** For one try. */
  readonly timeoutMs: number;
};

const TRIES = 3;
/** TCP connections at a time: servers allow a client a few. */
const STREAMS = 4;
/** How often deadlines are looked at: a timer per query would cost more than the query. */
const SWEEP_MS = 50;
/** After the news that nothing listens: a server that is restarted is back soon. */
const REFUSED_MS = 300;
/** What the kernel keeps while this process is busy. */
const RECEIVE_OCTETS = 4 * 1024 * 1024;

type Waiting = {
  readonly query: Uint8Array;
  readonly done: (reply: Reply) => void;
  dueMs: number;
  tries: number;
};

export async function openDnsClient({ endpoint, timeoutMs }: ClientOptions): Promise<DnsClient> {
  const socket = await openSocket(endpoint);
  const waiting = new Map<number, Waiting>();
  const streams: Gate = { free: STREAMS, waiting: [] };
  let sent = 0;
  const end = (id: number, reply: Reply): void => {
    const found = waiting.get(id);
    waiting.delete(id);
    found?.done(reply);
  };
  const send = (entry: Waiting): void => {
    entry.tries++;
    entry.dueMs = performance.now() + timeoutMs;
    sent++;
    // An error is that of the socket, which 'error' reports.
    socket.send(entry.query, () => undefined);
  };
  socket.on('message', (message) => {
    const id = message.length >= HEADER_OCTETS ? get16(message, 0) : -1;
    const entry = waiting.get(id);
    if (!entry || !isResponseTo(message, entry.query)) return;
    if ((get16(message, 2) & HEADER_FLAG.TC) === 0) {
      end(id, { ok: true, message });
      return;
    }
    waiting.delete(id);
    sent++;
    void askOverTcp(endpoint, entry.query, timeoutMs, streams).then(entry.done);
  });
  let fault: string | undefined;
  socket.on('error', (error) => {
    // A connected socket hears that nothing listens there (ICMP). The tries that are left may find a server again.
    fault = messageOf(error);
    const soonMs = performance.now() + REFUSED_MS;
    for (const entry of waiting.values()) entry.dueMs = Math.min(entry.dueMs, soonMs);
  });
  const sweep = setInterval(() => {
    const nowMs = performance.now();
    for (const [id, entry] of waiting) {
      if (entry.dueMs > nowMs) continue;
      if (entry.tries < TRIES) send(entry);
      else end(id, { ok: false, why: fault ?? `no response within ${(timeoutMs * TRIES) / 1000} s` });
    }
  }, SWEEP_MS);
  return {
    ask: (query) =>
      new Promise((done) => {
        let id: number;
        do id = randomInt(0x1_0000);
        while (waiting.has(id));
        const own = Uint8Array.from(query);
        put16(own, 0, id);
        const entry = { query: own, done, dueMs: 0, tries: 0 };
        waiting.set(id, entry);
        send(entry);
      }),
    sent: () => sent,
    [Symbol.dispose]: () => {
      clearInterval(sweep);
      for (const id of [...waiting.keys()]) end(id, { ok: false, why: 'stopped' });
      socket.close();
    },
  };
}

async function openSocket({ host, port }: Endpoint): Promise<Socket> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_OCTETS });
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  socket.once('error', reject);
  // A connected socket receives from this server only.
  socket.connect(port, host, () => {
    resolve(undefined);
  });
  try {
    await promise;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.off('error', reject);
  return socket;
}

/** The question must be the same; the case of its letters may differ. */
function isResponseTo(message: Uint8Array, query: Uint8Array): boolean {
  if ((get16(message, 2) & HEADER_FLAG.QR) === 0) return false;
  // FORMERR and the like may come without the question.
  if (get16(message, 4) === 0) return true;
  const end = questionEnd(query);
  if (message.length < end) return false;
  for (let at = HEADER_OCTETS; at < end; at++) {
    const [one, other] = [message[at] ?? 0, query[at] ?? 0];
    if (one !== other && ((one ^ other) !== 0x20 || (one | 0x20) < 0x61 || (one | 0x20) > 0x7a)) return false;
  }
  return true;
}

/** The offset after the question of a query, whose name is not compressed. */
export function questionEnd(query: Uint8Array): number {
  let at = HEADER_OCTETS;
  while ((query[at] ?? 0) !== 0) at += (query[at] ?? 0) + 1;
  return at + 5;
}

async function askOverTcp(endpoint: Endpoint, query: Uint8Array, timeoutMs: number, streams: Gate): Promise<Reply> {
  await enter(streams);
  try {
    for await (const message of messagesOverTcp(endpoint, query, timeoutMs)) return { ok: true, message };
    return { ok: false, why: 'the connection was closed without a response' };
  } catch (error) {
    return { ok: false, why: messageOf(error) };
  } finally {
    leave(streams);
  }
}

/** Sends one query over TCP, and yields the messages that come back, until the caller stops or the server closes. */
export async function* messagesOverTcp(
  endpoint: Endpoint,
  query: Uint8Array,
  timeoutMs: number,
): AsyncGenerator<Uint8Array> {
  const socket = connect({ host: endpoint.host, port: endpoint.port, noDelay: true });
  socket.setTimeout(timeoutMs * TRIES, () => {
    socket.destroy(new Error(`${formatEndpoint(endpoint)} sent nothing for ${(timeoutMs * TRIES) / 1000} s`));
  });
  try {
    const framed = new Uint8Array(query.length + 2);
    put16(framed, 0, query.length);
    framed.set(query, 2);
    socket.write(framed);
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= 2 && rest.length >= 2 + get16(rest, 0)) {
        const octets = get16(rest, 0);
        const message = rest.subarray(2, 2 + octets);
        rest = rest.subarray(2 + octets);
        yield message;
      }
    }
  } finally {
    socket.destroy();
  }
}
