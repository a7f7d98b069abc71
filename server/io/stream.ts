/**
 * DNS over TCP (RFC 7766) and over TLS (RFC 7858) for any number of clients in one thread. A client costs what it
 * keeps waiting and no more: what it sends is answered as far as it reads the responses, and who is idle longest goes
 * first when room is short.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import { COUNTER, count } from '../counters.ts';
import { descriptorOf } from './pass-descriptors.ts';
import { TRANSPORT, type Link } from '../contract.ts';
import { nothingPending } from './frames.ts';
import { ListenError } from '../listen-error.ts';
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
import { peerOf } from './udp-dgram.ts';

export type StreamServer = {
  /** Where it listens, with the ports taken for 0; those of TLS last. */
  readonly endpoints: readonly Endpoint[];
  /** Of the sockets that listen there. */
  readonly descriptors: readonly number[];
  /** Stops accepting, answers what has been sent, closes. Resolves when all is closed. */
  close(): Promise<void>;
};

/** Where TLS is spoken, and by what certificate. */
export type StreamTls = { readonly endpoints: readonly Endpoint[]; readonly security: Security };

/** On close: what clients have sent already arrives within this time, and is answered. */
const LINGER_MS = 50;
/** On close: how long who was accepted shortly before may take to ask, its handshake included. */
const FIRST_QUERY_MS = 1000;
/** On close: how long a client may take to read its last responses. */
const FAREWELL_MS = 1000;
/** What may wait to be accepted (listen(2)); the kernel has its own, lower limit too. */
const BACKLOG = 1024;

/**
 * Binds every endpoint, or listens at the socket that `inherited` has for it, and answers what comes. Throws ListenError;
 * nothing stays open then.
 */
export async function serveStreams(
  endpoints: readonly Endpoint[],
  limits: StreamLimits,
  link: Link,
  tls?: StreamTls,
  inherited: Readonly<Record<string, number>> = {},
): Promise<StreamServer> {
  const clients = createClients(limits, link.counters);
  const context: StreamContext = {
    clients,
    link,
    packet: createStreamPacket(),
    turns: createTurns((connection: Connection) => {
      takeTurn(context, connection);
    }),
  };
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
        accept(context, socket, security);
      });
      servers.push(server);
      await bindStream(server, endpoint, inherited[formatEndpoint(endpoint)]);
      const address = server.address();
      bound.push({ host: endpoint.host, port: typeof address === 'object' ? (address?.port ?? 0) : 0 });
    }
  } catch (error) {
    await stopAccepting();
    throw error;
  }
  const sweeper = setInterval(clients.sweep, Math.max(10, Math.min(1000, limits.idleMs / 10)));
  return {
    endpoints: bound,
    descriptors: servers.flatMap((server) => descriptorOf(server) ?? []),
    close: async () => {
      const closed = stopAccepting();
      const until = performance.now() + FIRST_QUERY_MS;
      do await new Promise((passed) => setTimeout(passed, LINGER_MS));
      while (performance.now() < until && isAnyNew(clients, until - FIRST_QUERY_MS));
      clearInterval(sweeper);
      for (const connection of clients.all()) endWhenDone(connection);
      const farewell = setTimeout(() => {
        for (const { socket } of clients.all()) socket.destroy();
      }, FAREWELL_MS);
      await closed;
      clearTimeout(farewell);
    },
  };
}

/** Whether somebody is about to ask for the first time, who came at most FIRST_QUERY_MS before `sinceMs`. */
function isAnyNew(clients: StreamClients, sinceMs: number): boolean {
  for (const { hasAsked, activeAt } of clients.all()) if (!hasAsked && activeAt > sinceMs - FIRST_QUERY_MS) return true;
  return false;
}

/** Listens, at the socket `fd` where there is one already. Throws ListenError. */
export async function bindStream(server: Server, endpoint: Endpoint, fd?: number): Promise<void> {
  await new Promise<void>((listening, fail) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      fail(new ListenError({ endpoint, transport: 'TCP', code: error.code ?? error.message }));
    };
    server.once('error', failed);
    const { host, port } = endpoint;
    const where = fd === undefined ? { host, port, ipv6Only: host.includes(':'), exclusive: true } : { fd };
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', failed);
      // What goes wrong from here on is one client's: the server keeps accepting.
      server.on('error', () => undefined);
      listening();
    });
  });
}

function accept(context: StreamContext, raw: Socket, security: Security | undefined): void {
  const { clients, link } = context;
  const peer = raw.remoteAddress === undefined ? undefined : peerOf(raw.remoteAddress);
  if (!peer) {
    // It was closed before it was looked at.
    raw.destroy();
    return;
  }
  // Its errors are reported by the socket around it.
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
    activeAt: performance.now(),
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
  // Reset, broken pipe, no TLS and the like: 'close' follows.
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
