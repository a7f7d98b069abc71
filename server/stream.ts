/**
 * DNS over TCP (RFC 7766) for any number of clients in one thread. A client costs what it keeps waiting and no
 * more: what it sends is answered as far as it reads the responses, and who is idle longest goes first when
 * room is short.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../wire/address.ts';
import { TCP_OCTETS } from '../wire/limits.ts';
import { COUNTER, count, countResponse } from './counters.ts';
import { TRANSPORT } from './exchange.ts';
import { append, discard, eachMessage, LENGTH_OCTETS, nothingPending, type Pending } from './frames.ts';
import { ListenError } from './listen-error.ts';
import type { Link } from './thread.ts';
import { peerOf, type Peer } from './udp-dgram.ts';

export type StreamLimits = {
  /** Connections in all. One client address may hold half of them, so that it alone never shuts out the others. */
  readonly clients: number;
  /** How long a connection may stay without a whole query (RFC 7766 6.2.3). A fifth of it while nearly full. */
  readonly idleMs: number;
};

export type StreamServer = {
  /** Where it listens, with the ports taken for 0. */
  readonly endpoints: readonly Endpoint[];
  /** Stops accepting, answers what has been sent, closes. Resolves when all is closed. */
  close(): Promise<void>;
};

/** Share of the limit from which idle connections are given less time. */
const NEARLY_FULL = 0.75;
const HURRY = 5;
/** On close: what clients have sent already arrives within this time, and is answered. */
const LINGER_MS = 50;
/** On close: how long a client may take to read its last responses. */
const FAREWELL_MS = 1000;
/** What may wait to be accepted (listen(2)); the kernel has its own, lower limit too. */
const BACKLOG = 1024;

type Connection = {
  readonly socket: Socket;
  readonly peer: Peer;
  readonly from: string;
  readonly pending: Pending;
  activeAt: number;
  /** The client reads slower than it asks: what it sends next is not read before it has read. */
  blocked: boolean;
  /** The client has sent all it will send (half-close). */
  ended: boolean;
};

/** Binds every endpoint and answers what comes. Throws ListenError; nothing stays open then. */
export async function serveStreams(
  endpoints: readonly Endpoint[],
  limits: StreamLimits,
  link: Link,
): Promise<StreamServer> {
  // In the order of their last activity: a Set keeps the order in which members were added.
  const connections = new Set<Connection>();
  const held = new Map<string, number>();
  const context: Context = { connections, held, limits, link, tx: new Uint8Array(LENGTH_OCTETS + TCP_OCTETS) };
  // The connections of a thread that died before this one went with it.
  link.counters[COUNTER.TCP_OPEN] = 0;
  const servers: Server[] = [];
  const bound: Endpoint[] = [];
  const stopAccepting = (): Promise<unknown> =>
    Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((closed) =>
            server.close(() => {
              closed();
            }),
          ),
      ),
    );
  try {
    for (const endpoint of endpoints) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        accept(context, socket);
      });
      servers.push(server);
      await bindStream(server, endpoint);
      const address = server.address();
      bound.push({ host: endpoint.host, port: typeof address === 'object' ? (address?.port ?? 0) : 0 });
    }
  } catch (error) {
    await stopAccepting();
    throw error;
  }
  const sweeper = setInterval(
    () => {
      closeIdle(context);
    },
    Math.max(10, Math.min(1000, limits.idleMs / 10)),
  );
  return {
    endpoints: bound,
    close: async () => {
      const closed = stopAccepting();
      await new Promise((passed) => setTimeout(passed, LINGER_MS));
      clearInterval(sweeper);
      for (const { socket } of connections) socket.end();
      const farewell = setTimeout(() => {
        for (const { socket } of connections) socket.destroy();
      }, FAREWELL_MS);
      await closed;
      clearTimeout(farewell);
    },
  };
}

type Context = {
  readonly connections: Set<Connection>;
  /** Connections by client address. */
  readonly held: Map<string, number>;
  readonly limits: StreamLimits;
  readonly link: Link;
  /** Where every response is written before its connection gets a copy. */
  readonly tx: Uint8Array;
};

/** Listens. Throws ListenError. */
export async function bindStream(server: Server, endpoint: Endpoint): Promise<void> {
  await new Promise<void>((listening, fail) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      fail(new ListenError({ endpoint, transport: 'TCP', code: error.code ?? error.message }));
    };
    server.once('error', failed);
    const { host, port } = endpoint;
    server.listen({ host, port, ipv6Only: host.includes(':'), backlog: BACKLOG, exclusive: true }, () => {
      server.off('error', failed);
      // What goes wrong from here on is one client's: the server keeps accepting.
      server.on('error', () => undefined);
      listening();
    });
  });
}

function accept(context: Context, socket: Socket): void {
  const { connections, held, limits, link } = context;
  const { counters } = link;
  const from = socket.remoteAddress;
  const peer = from === undefined ? undefined : peerOf(from);
  if (from === undefined || !peer) {
    // It was closed before it was looked at.
    socket.destroy();
    return;
  }
  const ofThisClient = held.get(from) ?? 0;
  if (ofThisClient >= Math.max(1, Math.floor(limits.clients / 2))) evict(context, from);
  else if (connections.size >= limits.clients) evict(context, undefined);
  const connection: Connection = {
    socket,
    peer,
    from,
    pending: nothingPending(),
    activeAt: performance.now(),
    blocked: false,
    ended: false,
  };
  connections.add(connection);
  held.set(from, (held.get(from) ?? 0) + 1);
  count(counters, COUNTER.TCP_ACCEPTED);
  count(counters, COUNTER.TCP_OPEN);
  socket.on('data', (chunk: Uint8Array) => {
    receive(context, connection, chunk);
  });
  socket.on('drain', () => {
    unblock(context, connection);
  });
  socket.on('end', () => {
    connection.ended = true;
    if (!connection.blocked) socket.end();
  });
  // Reset, broken pipe and the like: 'close' follows.
  socket.on('error', () => {
    socket.destroy();
  });
  socket.on('close', () => {
    forget(context, connection);
  });
}

function forget({ connections, held, link }: Context, connection: Connection): void {
  if (!connections.delete(connection)) return;
  count(link.counters, COUNTER.TCP_OPEN, -1);
  const left = (held.get(connection.from) ?? 1) - 1;
  if (left === 0) held.delete(connection.from);
  else held.set(connection.from, left);
}

/** Closes the connection that was idle longest: of one client, or of all. */
function evict(context: Context, from: string | undefined): void {
  for (const connection of context.connections) {
    if (from !== undefined && connection.from !== from) continue;
    count(context.link.counters, COUNTER.TCP_EVICTED);
    forget(context, connection);
    connection.socket.destroy();
    return;
  }
}

function closeIdle(context: Context): void {
  const { connections, limits, link } = context;
  const nearlyFull = connections.size >= limits.clients * NEARLY_FULL;
  const before = performance.now() - (nearlyFull ? limits.idleMs / HURRY : limits.idleMs);
  for (const connection of connections) {
    if (connection.activeAt > before) return;
    count(link.counters, COUNTER.TCP_IDLE);
    forget(context, connection);
    connection.socket.destroy();
  }
}

function receive(context: Context, connection: Connection, chunk: Uint8Array): void {
  const { pending } = connection;
  if (pending.length > 0 || connection.blocked) {
    append(pending, chunk, 0);
    answerPending(context, connection);
    return;
  }
  const rest = answerMessages(context, connection, chunk, chunk.length);
  if (rest >= 0 && rest < chunk.length) append(pending, chunk, rest);
}

/** Answers what is pending. False when the client must read first. */
function answerPending(context: Context, connection: Connection): boolean {
  const { pending } = connection;
  if (connection.blocked) return false;
  const rest = answerMessages(context, connection, pending.bytes, pending.length);
  if (rest > 0) discard(pending, rest);
  return !connection.blocked;
}

/** The client has read: goes on where it stopped. */
function unblock(context: Context, connection: Connection): void {
  if (!connection.blocked) return;
  connection.blocked = false;
  touch(context, connection);
  if (!answerPending(context, connection)) return;
  if (connection.ended) connection.socket.end();
  else connection.socket.resume();
}

/** Answers the whole messages in `bytes` up to `to`, as far as the client reads. Returns where the rest starts, -1 when closed. */
function answerMessages(context: Context, connection: Connection, bytes: Uint8Array, to: number): number {
  const { socket } = connection;
  // All responses to one segment leave together.
  socket.cork();
  const rest = eachMessage(bytes, 0, to, (from, at, length) => {
    answerOne(context, connection, from, at, length);
    return !connection.blocked;
  });
  socket.uncork();
  if (rest > 0) touch(context, connection);
  if (rest < 0) {
    count(context.link.counters, COUNTER.TCP_BAD_LENGTH);
    socket.destroy();
  }
  return rest;
}

function answerOne({ link, tx }: Context, connection: Connection, bytes: Uint8Array, at: number, length: number): void {
  const { counters } = link;
  const { peer, socket } = connection;
  count(counters, peer.octets === 4 ? COUNTER.QUERIES_TCP4 : COUNTER.QUERIES_TCP6);
  count(counters, COUNTER.OCTETS_IN, length);
  let written: number;
  try {
    written = link.current()(bytes, at, length, peer.bytes, peer.at, peer.octets, TRANSPORT.TCP, tx, LENGTH_OCTETS);
  } catch (error) {
    link.threw(error);
    return;
  }
  countResponse(counters, tx, LENGTH_OCTETS, written);
  if (written === 0) return;
  if (!socket.writable) {
    count(counters, COUNTER.SEND_ERRORS);
    return;
  }
  tx[0] = written >> 8;
  tx[1] = written & 0xff;
  if (!socket.write(Buffer.from(tx.subarray(0, LENGTH_OCTETS + written)))) {
    connection.blocked = true;
    socket.pause();
  }
}

/** Makes a connection the last of those that go. */
function touch({ connections }: Context, connection: Connection): void {
  if (!connections.delete(connection)) return;
  connection.activeAt = performance.now();
  connections.add(connection);
}
