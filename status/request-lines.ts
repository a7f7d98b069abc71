/**
 * The order in which requests are served. Each turn of the event loop serves one request of each line, so probes, new
 * connections and requests of other lines never wait for more than that: clients that ask all the time delay only each
 * other.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * `known`: with a valid token or client certificate. `open`: probes of orchestrators. `other`: all others. `frequent`:
 * not known, and on a connection that had a reply less than a second ago.
 */
type LineName = 'known' | 'open' | 'other' | 'frequent';
export type ClientKind = Exclude<LineName, 'frequent'>;

/** Requests that a connection may send before the first of them is answered. Their replies are in this order anyway. */
export const MAX_PIPELINED = 16;
/** From this time after its last reply on, a connection is not `frequent`. */
const FREQUENT_MS = 1000;
/**
 * While new connections arrive, anonymous requests are served only in every eighth turn: Node.js accepts one connection
 * per turn, and an operator may have to wait for hundreds of others.
 */
const TURNS_WHILE_CONNECTING = 8;

export type Serve = (request: IncomingMessage, response: ServerResponse) => void;

type Waiting = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly serve: Serve;
  readonly kind: ClientKind;
};
/** `waiting`: in the order of arrival; the first one is in a line, or is being served. */
type Connection = { readonly waiting: Waiting[]; repliedMs: number };

export type LineOptions = {
  readonly kindOf: (request: IncomingMessage) => ClientKind;
  /** Told whether the connection of an anonymous request may be closed to make room: true while the request waits. */
  readonly yields: (socket: Socket, may: boolean) => void;
  /** A monotonic clock. */
  readonly nowMs?: () => number;
};

export type RequestLines = {
  /** The listener for requests. `serve`: in place of the usual one. */
  readonly receive: (request: IncomingMessage, response: ServerResponse, serve?: Serve) => void;
  /** Call this for each new connection. */
  readonly connected: () => void;
};

/** Calls `usual` for requests in the order of the lines. */
export function createRequestLines(
  usual: Serve,
  { kindOf, yields, nowMs = () => performance.now() }: LineOptions,
): RequestLines {
  const lines: Readonly<Record<LineName, Waiting[]>> = { known: [], open: [], other: [], frequent: [] };
  const connections = new WeakMap<Socket, Connection>();
  let isPlanned = false;
  let isConnecting = false;
  let turns = 0;

  const plan = (): void => {
    if (isPlanned || Object.values(lines).every(({ length }) => length === 0)) return;
    isPlanned = true;
    setImmediate(turn);
  };
  const turn = (): void => {
    serveNext(lines.known);
    serveNext(lines.open);
    if (!isConnecting || turns++ % TURNS_WHILE_CONNECTING === 0) {
      serveNext(lines.other);
      serveNext(lines.frequent);
    }
    [isConnecting, isPlanned] = [false, false];
    plan();
  };
  /** Skips requests whose clients have gone. */
  const serveNext = (line: Waiting[]): void => {
    let next = line.shift();
    while (next?.request.socket.destroyed) next = line.shift();
    if (next === undefined) return;
    const { request, response, serve, kind } = next;
    if (kind === 'other') yields(request.socket, false);
    serve(request, response);
  };
  const enter = ({ waiting, repliedMs }: Connection): void => {
    const [first] = waiting;
    if (first === undefined) return;
    const { request, kind } = first;
    if (kind === 'other') yields(request.socket, true);
    const isFrequent = kind !== 'known' && nowMs() - repliedMs < FREQUENT_MS;
    lines[isFrequent ? 'frequent' : kind].push(first);
    plan();
  };
  return {
    connected: () => {
      isConnecting = true;
    },
    receive: (request, response, serve = usual) => {
      const { socket } = request;
      // Requests that had arrived with the one that was too much.
      if (socket.destroyed) return;
      const connection = connections.get(socket) ?? { waiting: [], repliedMs: -Infinity };
      connections.set(socket, connection);
      const { waiting } = connection;
      if (waiting.length === MAX_PIPELINED) {
        stopReading(socket);
        return;
      }
      response.once('close', () => {
        waiting.shift();
        connection.repliedMs = nowMs();
        enter(connection);
      });
      if (waiting.push({ request, response, serve, kind: kindOf(request) }) === 1) enter(connection);
    },
  };
}

/**
 * Closes the connection. Node.js would still read all requests that arrived with this one, which may be thousands. Its
 * parser gives up after a request for which `onIncoming` returns an error. This is not documented: where it changes,
 * reading them takes tens of milliseconds.
 */
function stopReading(socket: Socket & { parser?: { onIncoming?: unknown } | null }): void {
  if (socket.parser) socket.parser.onIncoming = () => -1;
  socket.destroy();
}
