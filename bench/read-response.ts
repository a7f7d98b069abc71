/**
 * Asks one question and reads the parts of the answer that the check before the timing needs.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type Seen = {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: number;
  readonly authorities: number;
  /** Addresses of the A records in the answer section. */
  readonly addresses: readonly string[];
  /** Scope of the client subnet (RFC 7871); undefined if the answer has none. */
  readonly scopeBits: number | undefined;
};

/** RFC 7871 6 */
const OPTION_SUBNET = 8;
const TYPE_A = 1;
const TYPE_OPT = 41;

/** Asks over UDP. Undefined if nothing came in time. */
export async function ask(port: number, query: Buffer, timeoutMs: number): Promise<Seen | undefined> {
  const socket = createSocket('udp4');
  try {
    return await new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs, undefined);
      const settle = (message: Buffer | undefined): void => {
        clearTimeout(timer);
        resolve(message && readResponse(message));
      };
      socket.once('message', settle);
      socket.once('error', () => {
        settle(undefined);
      });
      // The socket is connected, so that a closed port is reported at once.
      socket.connect(port, '127.0.0.1', () => {
        socket.send(query);
      });
    });
  } finally {
    socket.close();
  }
}

/** Asks over a new connection, plain or TLS with any certificate. Undefined as for `ask`. */
export async function askStream(
  transport: 'tcp' | 'tls',
  port: number,
  query: Buffer,
  timeoutMs: number,
): Promise<Seen | undefined> {
  const options = { host: '127.0.0.1', port, timeout: timeoutMs };
  const socket = transport === 'tcp' ? connect(options) : connectTls({ ...options, rejectUnauthorized: false });
  socket.on('timeout', () => socket.destroy());
  socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]));
  let received = Buffer.alloc(0);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, chunk]);
      // RFC 1035 4.2.2: two octets of length before each message.
      if (received.length > 2 && received.length >= 2 + received.readUInt16BE(0)) {
        return readResponse(received.subarray(2));
      }
    }
  } catch {
    // Refused or reset: there is no answer.
  } finally {
    socket.destroy();
  }
  return undefined;
}

/** Throws RangeError if the message ends too early. */
export function readResponse(message: Buffer): Seen {
  const answers = message.readUInt16BE(6);
  const authorities = message.readUInt16BE(8);
  let at = 12;
  for (let question = 0; question < message.readUInt16BE(4); question++) at = skipName(message, at) + 4;
  const addresses: string[] = [];
  let scopeBits: number | undefined;
  for (let record = 0; record < answers + authorities + message.readUInt16BE(10); record++) {
    at = skipName(message, at);
    const type = message.readUInt16BE(at);
    const rdata = message.subarray(at + 10, at + 10 + message.readUInt16BE(at + 8));
    if (record < answers && type === TYPE_A && rdata.length === 4) addresses.push(rdata.join('.'));
    if (type === TYPE_OPT) scopeBits = readScope(rdata);
    at += 10 + rdata.length;
  }
  return {
    rcode: message.readUInt16BE(2) & 15,
    authoritative: (message.readUInt16BE(2) & 0x0400) !== 0,
    answers,
    authorities,
    addresses,
    scopeBits,
  };
}

function readScope(options: Buffer): number | undefined {
  for (let at = 0; at < options.length; at += 4 + options.readUInt16BE(at + 2)) {
    if (options.readUInt16BE(at) === OPTION_SUBNET) return options.readUInt8(at + 7);
  }
  return undefined;
}

function skipName(message: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const octets = message.readUInt8(at);
    if (octets >= 0xc0) return at + 2;
    if (octets === 0) return at + 1;
    at += octets + 1;
  }
}
