/**
 * DNS over TCP (RFC 7766) and over TLS (RFC 7858) for all clients in one thread. The memory per client is bounded:
 * queries are answered only as far as the client reads the responses. The longest idle connection is closed first to
 * make room.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { every, systemClock, waitFor, type Clock } from '../../health/clock.ts';
import { formatEndpoint, type Endpoint, type Prefix } from '../../wire/address.ts';
import { TRANSPORT, type Link } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import { ListenError } from '../listen-error.ts';
import { nothingPending } from './frames.ts';
import { descriptorOf } from './pass-descriptors.ts';
import { createProxiedStreams, type ProxiedStreams } from './proxied-streams.ts';
import { isFreebound, openFreebound } from './sockets.ts';
import { clientKey, createClients, type StreamClients, type Connection, type StreamLimits } from './stream-clients.ts';
import {
  createStreamPacket,
  endWhenDone,
  receive,
  send,
  takeTurn,
  unblock,
  wake,
  type StreamContext,
} from './stream-messages.ts';
import type { Security } from './stream-tls.ts';
import { createTurns } from './turns.ts';
import { peerOf, type Peer } from './udp-dgram.ts';

export type StreamServer = {
  /** The endpoints it listens on, with the actual ports in place of 0; TLS endpoints are last. */
  readonly endpoints: readonly Endpoint[];
  /** Descriptors of the listening sockets. */
  readonly descriptors: readonly number[];
  /** Stops accepting, answers queries that were sent, and closes. Resolves when all sockets are closed. */
  close(): Promise<void>;
};

/** The endpoints of TLS, and the certificate. */
export type StreamTls = { readonly endpoints: readonly Endpoint[]; readonly security: Security };

/** On close: queries that arrive within this time are answered. */
const LINGER_MS = 50;
/** On close: time for a recently accepted client to send its first query, including the handshake. */
const FIRST_QUERY_MS = 1000;
/** On close: time for a client to read its last responses. */
const FAREWELL_MS = 1000;
/** Maximum of connections that wait to be accepted (listen(2)). The kernel may have a lower limit. */
const BACKLOG = 1024;

export type StreamServerOptions = {
  readonly tls?: StreamTls | undefined;
  /** Sockets that are open already, by endpoint. */
  readonly inherited?: Readonly<Record<string, number>>;
  readonly clock?: Clock;
};

/** Binds every endpoint and answers queries. Throws ListenError; then nothing stays open. */
export async function serveStreams(
  endpoints: readonly Endpoint[],
  limits: StreamLimits,
  link: Link,
  { tls, inherited = {}, clock = systemClock }: StreamServerOptions = {},
): Promise<StreamServer> {
  const clients = createClients(limits, link.counters, clock);
  const context: StreamContext = {
    clients,
    link,
    clock,
    packet: createStreamPacket(),
    turns: createTurns((connection: Connection) => {
      takeTurn(context, connection);
    }),
  };
  const proxied = createProxiedStreams(clock, limits.clients, link.counters);
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
  const wanted = [
    ...endpoints.map((endpoint) => ({ endpoint, security: undefined })),
    ...(tls?.endpoints ?? []).map((endpoint) => ({ endpoint, security: tls?.security })),
  ];
  try {
    for (const { endpoint, security } of wanted) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        accept(context, socket, { proxy: endpoint.proxy, security, proxied });
      });
      servers.push(server);
      await bindStream(server, endpoint, inherited[formatEndpoint(endpoint)]);
      const address = server.address();
      bound.push({ ...endpoint, port: typeof address === 'object' ? (address?.port ?? 0) : 0 });
    }
  } catch (error) {
    await stopAccepting();
    throw error;
  }
  const stopSweeping = every(clock, Math.max(10, Math.min(1000, limits.idleMs / 10)), clients.sweep);
  return {
    endpoints: bound,
    descriptors: servers.flatMap((server) => descriptorOf(server) ?? []),
    close: async () => {
      const closed = stopAccepting();
      proxied.close();
      const until = clock.now() + FIRST_QUERY_MS;
      do await waitFor(clock, LINGER_MS);
      while (clock.now() < until && isAnyNew(clients, until - FIRST_QUERY_MS));
      stopSweeping();
      for (const connection of clients.all()) endWhenDone(connection);
      const stopFarewell = clock.after(FAREWELL_MS, () => {
        for (const { socket } of clients.all()) socket.destroy();
      });
      await closed;
      stopFarewell();
    },
  };
}

/** Whether a client accepted at most FIRST_QUERY_MS before `sinceMs` has not yet sent its first query. */
function isAnyNew(clients: StreamClients, sinceMs: number): boolean {
  for (const { hasAsked, activeAt } of clients.all()) if (!hasAsked && activeAt > sinceMs - FIRST_QUERY_MS) return true;
  return false;
}

/** Listens on the endpoint, or on the open socket `fd`. Throws ListenError. */
export async function bindStream(server: Server, endpoint: Endpoint, fd?: number): Promise<void> {
  const open = fd ?? (isFreebound(endpoint) ? openFreebound(endpoint, 'TCP') : undefined);
  await new Promise<void>((listening, fail) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      fail(new ListenError({ endpoint, transport: 'TCP', code: error.code ?? error.message }));
    };
    server.once('error', failed);
    const { host, port } = endpoint;
    const where = open === undefined ? { host, port, ipv6Only: host.includes(':'), exclusive: true } : { fd: open };
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', failed);
      // Later errors concern single clients: the server keeps accepting.
      server.on('error', () => undefined);
      listening();
    });
  });
}

/** Where a connection arrived. */
type Arrival = {
  readonly proxy: readonly Prefix[] | undefined;
  readonly security: Security | undefined;
  readonly proxied: ProxiedStreams;
};

function accept(context: StreamContext, raw: Socket, { proxy, security, proxied }: Arrival): void {
  const peer = raw.remoteAddress === undefined ? undefined : peerOf(raw.remoteAddress);
  if (!peer) {
    // The connection was closed before it was accepted.
    raw.destroy();
    return;
  }
  if (!proxy) {
    admit(context, raw, peer, security);
    return;
  }
  proxied.meet(raw, peer, proxy, (client) => {
    admit(context, raw, client, security);
    // TLS reads the connection itself.
    if (!security) raw.resume();
  });
}

function admit(context: StreamContext, raw: Socket, peer: Peer, security: Security | undefined): void {
  const { clients, link, clock } = context;
  // The TLS socket reports the errors.
  if (security) raw.on('error', () => undefined);
  const secured = security?.secure(raw);
  const socket = secured ?? raw;
  const connection: Connection = {
    socket,
    client: {
      peer,
      transport: security ? TRANSPORT.TLS : TRANSPORT.TCP,
      send: (message) => send(context, connection, message),
    },
    key: clientKey(peer),
    pending: nothingPending(),
    activeAt: clock.now(),
    hasAsked: false,
    isShaking: security !== undefined,
    isBlocked: false,
    isWaiting: false,
    hasEnded: false,
    isOver: false,
    longAnswers: 0,
    waiting: [],
  };
  clients.admit(connection);
  context.turns.hurry();
  socket.on('data', (chunk: Uint8Array) => {
    receive(context, connection, chunk);
  });
  socket.on('drain', () => {
    unblock(context, connection);
  });
  socket.on('end', () => {
    endWhenDone(connection);
  });
  // For example reset, broken pipe, failed handshake. 'close' follows.
  socket.on('error', () => {
    socket.destroy();
  });
  socket.on('close', () => {
    if (clients.forget(connection) && connection.isShaking) count(link.counters, COUNTER.TLS_FAILED);
    wake(connection);
  });
  secured?.on('secure', () => {
    count(link.counters, COUNTER.TLS_HANDSHAKES);
    if (secured.isSessionReused()) count(link.counters, COUNTER.TLS_RESUMED);
    clients.greet(connection);
  });
}
