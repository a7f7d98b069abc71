/**
 * Clients for the tests of the packet loops: they send and read messages and know nothing of DNS but the header.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket as TcpSocket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { startServer, type Server, type ServerOptions } from '../../../server/threads/supervisor.ts';
import type { Endpoint } from '../../../wire/address.ts';
import { DO } from './answer/answerer.ts';

export const LOOPBACK: Endpoint = { host: '127.0.0.1', port: 0 };

/** A query: ID, what to do, and what follows. */
export function query(id: number, what: number = DO.ECHO, body = ''): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id);
  return Buffer.concat([header, Buffer.of(what), Buffer.from(body)]);
}

/** A response, read. */
export function read(response: Buffer) {
  return {
    id: response.readUInt16BE(0),
    isResponse: (response.readUInt8(2) & 0x80) !== 0,
    generation: response[12],
    thread: response[13],
    transport: response[14],
    peer: [...response.subarray(16, 16 + (response[15] ?? 0))],
    body: response.subarray(33).toString(),
  };
}

export type LogLines = { info: string[]; warn: string[]; error: string[] };

export function collectLog() {
  const lines: LogLines = { info: [], warn: [], error: [] };
  const log = {
    info: (message: string) => void lines.info.push(message),
    warn: (message: string) => void lines.warn.push(message),
    error: (message: string) => void lines.error.push(message),
  };
  return { lines, log };
}

/** A server of the test answerer on a free port of 127.0.0.1, with what it logs; closed at the end of the block. */
export async function serve(options: Partial<ServerOptions> = {}) {
  const { lines, log } = collectLog();
  const server: Server = await startServer({
    listen: [LOOPBACK],
    workers: 1,
    answererModule: new URL('./answer/answerer.ts', import.meta.url),
    publication: { generation: 1, payload: undefined },
    tcpClients: 16,
    log,
    ...options,
  });
  const [endpoint] = server.addresses();
  if (!endpoint) throw new Error('a server without an address');
  return { server, endpoint, lines, [Symbol.asyncDispose]: () => server.stop() };
}

/** A UDP client of one server: connected, so that it does not see a response from another address. */
export async function udpClient(endpoint: Endpoint) {
  const socket: Socket = createSocket(endpoint.host.includes(':') ? 'udp6' : 'udp4');
  const responses: Buffer[] = [];
  const waiting: ((response: Buffer) => void)[] = [];
  socket.on('message', (response) => {
    const next = waiting.shift();
    if (next) next(response);
    else responses.push(response);
  });
  socket.on('error', () => undefined);
  socket.connect(endpoint.port, endpoint.host);
  await once(socket, 'connect');
  const receive = (): Promise<Buffer> => {
    const got = responses.shift();
    return got ? Promise.resolve(got) : new Promise((resolve) => void waiting.push(resolve));
  };
  return {
    port: socket.address().port,
    send: (message: Uint8Array) => {
      socket.send(message);
    },
    receive,
    ask: (message: Uint8Array): Promise<Buffer> => {
      socket.send(message);
      return receive();
    },
    /** Asks until there is a response: for servers that are not always there. */
    askAgain: async (message: Uint8Array): Promise<Buffer> => {
      const again = setInterval(() => {
        socket.send(message);
      }, 20);
      try {
        return await receive();
      } finally {
        clearInterval(again);
      }
    },
    [Symbol.dispose]: () => {
      socket.close();
    },
  };
}

/** A TCP client that reads messages. */
export async function tcpClient(endpoint: Endpoint, localAddress?: string) {
  const socket = connect({
    ...endpoint,
    allowHalfOpen: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const client = messageReader(socket);
  await once(socket, 'connect');
  return client;
}

export type TlsOptions = ConnectionOptions & { readonly localAddress?: string };

/** The same over TLS, once the handshake is done; throws when it fails. Takes any certificate. */
export async function tlsClient(endpoint: Endpoint, options: TlsOptions = {}) {
  // tls.connect takes the options of net.connect too.
  const all = { ...endpoint, allowHalfOpen: true, rejectUnauthorized: false, ALPNProtocols: ['dot'], ...options };
  const socket = connectTls(all);
  const client = messageReader(socket);
  await once(socket, 'secureConnect');
  return { ...client, socket };
}

/** Reads messages from a socket that is being connected. */
function messageReader(socket: TcpSocket) {
  socket.setNoDelay(true);
  // Segments as they arrived; joined only if a message needs more than the first.
  const segments: Buffer[] = [];
  let waitingOctets = 0;
  let closed = false;
  let wake: (() => void) | undefined;
  socket.on('data', (chunk: Buffer) => {
    segments.push(chunk);
    waitingOctets += chunk.length;
    wake?.();
  });
  const peek = (octets: number): Buffer | undefined => {
    if (waitingOctets < octets) return undefined;
    let taken = 0;
    let count = 0;
    while (taken < octets) taken += segments[count++]?.length ?? 0;
    if (count > 1) segments.unshift(Buffer.concat(segments.splice(0, count)));
    return segments[0];
  };
  const take = (length: number | undefined): Buffer | undefined => {
    const from = length === undefined ? undefined : peek(2 + length);
    if (length === undefined || !from) return undefined;
    segments[0] = from.subarray(2 + length);
    waitingOctets -= 2 + length;
    return from.subarray(2, 2 + length);
  };
  const end = Promise.withResolvers<undefined>();
  socket.on('error', () => undefined);
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      closed = true;
      end.resolve(undefined);
      wake?.();
    });
  }
  return {
    socket,
    /** Resolves when the server has closed its side. */
    ended: end.promise,
    /** The next message, undefined if the server closes first. */
    receive: async (): Promise<Buffer | undefined> => {
      for (;;) {
        const message = take(peek(2)?.readUInt16BE());
        if (message) return message;
        if (closed) return undefined;
        await new Promise<void>((woken) => {
          wake = woken;
        });
      }
    },
    [Symbol.dispose]: () => {
      socket.destroy();
    },
  };
}

/** A message as a stream carries it: its length first (RFC 1035 4.2.2). */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Calls until it is true. For counters, whose changes are not events. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((passed) => setTimeout(passed, 5));
}
