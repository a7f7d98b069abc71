/**
 * Limits the connections of the status server, and chooses the connection to close when a new one needs room. A client
 * that opens connections and sends nothing, sends half a request, or does not read its reply must not lock out others:
 * /readyz, /metrics and control always get a connection.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Alarms } from '../config/alarms.ts';
import { shareDescriptors } from '../config/descriptor-budget.ts';
import { isLoopback, parseAddress } from '../wire/address.ts';

/** A few people and scrapers read. More connections are a leak or an attack, and each costs a file descriptor. */
export const MAX_CONNECTIONS = 256;
/** The part of these reserved for this machine: orchestrators' probes and operators. */
export const LOOPBACK_RESERVE = 32;
/** Per IPv4 address or IPv6 /64. Loopback is exempt: all users of this machine share it. */
export const MAX_PER_CLIENT = 64;
/** How long the alarm stays after the last connection that exceeded the limit. */
const ALARM_MS = 30_000;

export type ConnectionLimits = { readonly total: number; readonly reserve: number; readonly perClient: number };

/** Limited by the descriptors of this process: the status server must leave some for probes. */
function fittedLimits(): ConnectionLimits {
  const total = Math.min(MAX_CONNECTIONS, shareDescriptors().http);
  return { total, reserve: Math.min(LOOPBACK_RESERVE, Math.ceil(total / 2)), perClient: MAX_PER_CLIENT };
}

/** Counts since the start; `open` is the current number. `closed`: to make room. `refused`: all others were busy. */
export type ConnectionStats = { readonly open: number; readonly closed: number; readonly refused: number };

export type Connections = {
  readonly stats: () => ConnectionStats;
  /**
   * Whether the connection may be closed to make room although a request is under way. Its reply, once sent, ends this.
   */
  readonly yields: (socket: Socket, may: boolean) => void;
  /** Clears the alarm. The server closes the connections. */
  readonly stop: () => void;
};

type Connection = {
  readonly client: string;
  readonly local: boolean;
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  yields: boolean;
};

/** Applies the limits to new connections of `server`. */
export function watchConnections(
  server: Server,
  alarms: Pick<Alarms, 'raise' | 'clear'>,
  limits: ConnectionLimits = fittedLimits(),
): Connections {
  /** The connection that has been idle longest comes first. */
  const open = new Map<Socket, Connection>();
  let closed = 0;
  let refused = 0;
  let timer: NodeJS.Timeout | undefined;

  const raise = (): void => {
    const message = `All ${limits.total} HTTP connections of the status server are in use. Idle ones are closed to make room.`;
    alarms.raise('connections_full', message, 'http');
    clearTimeout(timer);
    timer = setTimeout(() => {
      alarms.clear('connections_full', 'http');
    }, ALARM_MS).unref();
  };
  const remove = (socket: Socket): void => {
    open.delete(socket);
    socket.destroy();
  };
  /** Closes one matching connection, idle ones first. False if all of them are busy. */
  const makeRoom = (matches: (one: Connection) => boolean): boolean => {
    const candidates = [...open].filter(([, one]) => matches(one));
    const found = candidates.find(([, one]) => isIdle(one)) ?? candidates.find(([socket]) => socket.writableLength > 0);
    if (found === undefined) return false;
    closed++;
    remove(found[0]);
    return true;
  };
  const count = (matches: (one: Connection) => boolean): number =>
    [...open.values()].reduce((sum, one) => sum + (matches(one) ? 1 : 0), 0);
  /** Whether the connection may be accepted; closes another one for it if needed. */
  const hasRoom = (wanted: Connection): boolean => {
    const same = (one: Connection): boolean => one.client === wanted.client;
    const remote = (one: Connection): boolean => !one.local;
    const all = (): boolean => true;
    if (!wanted.local && count(same) >= limits.perClient && !makeRoom(same)) return false;
    const isFull = wanted.local ? open.size >= limits.total : count(remote) >= limits.total - limits.reserve;
    if (isFull) raise();
    if (isFull && !makeRoom(wanted.local ? all : remote)) return false;
    // Local connections may exceed their reserve.
    return open.size < limits.total || makeRoom(all);
  };

  server.on('connection', (socket: Socket) => {
    const connection: Connection = { ...clientOf(socket), request: undefined, response: undefined, yields: false };
    if (!hasRoom(connection)) {
      refused++;
      socket.destroy();
      return;
    }
    open.set(socket, connection);
    socket.once('close', () => {
      open.delete(socket);
    });
  });
  // With TLS, requests come from another socket object than the connection.
  server.on('secureConnection', (secured: Socket) => {
    const plain = [...open.keys()].find(
      (each) => each.remotePort === secured.remotePort && each.remoteAddress === secured.remoteAddress,
    );
    const connection = plain && open.get(plain);
    if (plain === undefined || connection === undefined) return;
    open.delete(plain);
    open.set(secured, connection);
    secured.once('close', () => {
      open.delete(secured);
    });
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const connection = open.get(socket);
    if (connection === undefined) return;
    connection.request = request;
    connection.response = response;
    response.once('close', () => {
      if (connection.response !== response) return;
      connection.request = undefined;
      connection.response = undefined;
      connection.yields = false;
      // Moves the connection to the end of the idle ones.
      if (open.delete(socket) && !socket.destroyed) open.set(socket, connection);
    });
  });
  return {
    stats: () => ({ open: open.size, closed, refused }),
    yields: (socket, may) => {
      const connection = open.get(socket);
      if (connection !== undefined) connection.yields = may;
    },
    stop: () => {
      clearTimeout(timer);
      alarms.clear('connections_full', 'http');
    },
  };
}

/**
 * Calls `ended` when the client ends its side of the connection before it has its reply: most such clients have left,
 * so work that takes long or has no end is not worth it.
 */
export function whenClientEnds({ socket }: IncomingMessage, response: ServerResponse, ended: () => void): void {
  if (socket.readableEnded) {
    ended();
    return;
  }
  socket.once('end', ended);
  response.once('close', () => socket.off('end', ended));
}

/** Whether no complete request waits for its reply. */
function isIdle({ request, response, yields }: Connection): boolean {
  return yields || response === undefined || request?.complete !== true;
}

function clientOf({ remoteAddress = '' }: Socket): Pick<Connection, 'client' | 'local'> {
  // RFC 4291 2.5.5.2: a socket on :: shows IPv4 peers as mapped addresses.
  const plain = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '');
  const address = parseAddress(plain);
  if (address === undefined) return { client: plain, local: false };
  const client = address.length === 4 ? plain : Buffer.from(address.subarray(0, 8)).toString('hex');
  return { client, local: isLoopback(address) };
}
