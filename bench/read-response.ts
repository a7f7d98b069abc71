/**
 * Asks one question over UDP and reads what the check before the timing needs of the answer.
 */
import { createSocket } from 'node:dgram';

export type Seen = {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: number;
  readonly authorities: number;
  /** Addresses of the A records in the answer section. */
  readonly addresses: readonly string[];
};

/** Undefined when nothing came in time. */
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
      // Connected, so that "nobody listens" is told at once.
      socket.connect(port, '127.0.0.1', () => {
        socket.send(query);
      });
    });
  } finally {
    socket.close();
  }
}

/** Throws RangeError when the message ends too early. */
export function readResponse(message: Buffer): Seen {
  const answers = message.readUInt16BE(6);
  let at = 12;
  for (let question = 0; question < message.readUInt16BE(4); question++) at = skipName(message, at) + 4;
  const addresses: string[] = [];
  for (let answer = 0; answer < answers; answer++) {
    at = skipName(message, at);
    const octets = message.readUInt16BE(at + 8);
    if (message.readUInt16BE(at) === 1 && octets === 4) addresses.push(message.subarray(at + 10, at + 14).join('.'));
    at += 10 + octets;
  }
  return {
    rcode: message.readUInt16BE(2) & 15,
    authoritative: (message.readUInt16BE(2) & 0x0400) !== 0,
    answers,
    authorities: message.readUInt16BE(8),
    addresses,
  };
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
