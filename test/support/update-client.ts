/**
 * Sends dynamic updates and transfer requests as messages that a test makes octet by octet: also wrong ones.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { parseName } from '../../wire/name.ts';
import { parseRdataText } from '../../wire/rdata.ts';
import type { TsigKey } from '../../wire/tsig.ts';
import { typeNumber } from '../../wire/types.ts';
import { decodeMessage, encodeQuery, T, wireName, type DecodedRecord } from './message.ts';
import { PATIENCE_MS } from './patience.ts';
import { sign } from './peer.ts';

export const UPDATE_SECRET = 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';

export function keyNamed(label: string): TsigKey {
  const secret = Buffer.from(UPDATE_SECRET, 'base64');
  return { label, name: parseName(`${label}.`), algorithm: 'hmac-sha256', secret };
}

export const CLASSES = { IN: 1, CH: 3, NONE: 254, ANY: 255 } as const;

/** A record of a prerequisite or an update. `data`: octets. */
export type Change = {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: Uint8Array;
};

/** `name class type data`, with TTL 60 in class IN and 0 in others: `www IN A 192.0.2.1`, `www ANY A`. */
export function change(zone: string, line: string, ttl?: number): Change {
  const [name = '', of = '', type = '', ...text] = line.split(' ');
  const number = type === 'ANY' ? T.ANY : (typeNumber(type) ?? 0);
  const data = text.length === 0 ? new Uint8Array(0) : parseRdataText(number, text.join(' '), parseName(`${zone}.`));
  return {
    name: name === '@' ? zone : name.endsWith('.') ? name : `${name}.${zone}`,
    type: number,
    class: CLASSES[of as keyof typeof CLASSES],
    ttl: ttl ?? (of === 'IN' ? 60 : 0),
    data,
  };
}

export type SentUpdate = {
  readonly zone: string;
  readonly prerequisites?: readonly Change[];
  readonly updates: readonly Change[];
};

let lastId = 0;

/** RFC 2136 2. */
export function encodeUpdate({ zone, prerequisites = [], updates }: SentUpdate): Buffer {
  lastId = (lastId + 1) & 0xffff;
  const head = Buffer.alloc(12);
  head.writeUInt16BE(lastId);
  head[2] = 5 << 3;
  for (const [at, count] of [1, prerequisites.length, updates.length].entries()) head.writeUInt16BE(count, 4 + 2 * at);
  const records = [...prerequisites, ...updates].flatMap(({ name, type, class: of, ttl, data }) => {
    const fixed = Buffer.alloc(10);
    fixed.writeUInt16BE(type);
    fixed.writeUInt16BE(of, 2);
    fixed.writeUInt32BE(ttl, 4);
    fixed.writeUInt16BE(data.length, 8);
    return [wireName(name), fixed, data];
  });
  return Buffer.concat([head, wireName(zone), Buffer.of(0, T.SOA, 0, 1), ...records]);
}

/** Resolves to the RCODE; undefined if there was no response in `ms`. */
export async function sendUpdate(
  port: number,
  update: SentUpdate,
  key?: TsigKey,
  ms = 30_000,
): Promise<number | undefined> {
  const message = encodeUpdate(update);
  const signed = key ? sign(message, key).message : message;
  const response = signed.length > 1232 ? await overTcp(port, signed, ms) : await overUdp(port, signed, ms);
  return response && (response[3] ?? 0) & 15;
}

/** The first message of the response. */
export async function ask(
  port: number,
  message: Buffer,
  how: 'udp' | 'tcp',
  from = '127.0.0.1',
  ms = PATIENCE_MS,
): Promise<Buffer | undefined> {
  if (how === 'udp') return await overUdp(port, message, ms);
  for await (const response of messagesOf(port, message, ms, from)) return response;
  return undefined;
}

async function overUdp(port: number, message: Buffer, ms: number): Promise<Buffer | undefined> {
  const socket = createSocket('udp4');
  try {
    // A refused port is an event of a connected socket.
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.send(message);
    const [response] = (await once(socket, 'message', { signal: AbortSignal.timeout(ms) })) as [Buffer];
    return response;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

async function overTcp(port: number, message: Buffer, ms: number): Promise<Buffer | undefined> {
  for await (const response of messagesOf(port, message, ms)) return response;
  return undefined;
}

/** The messages of a connection, until it ends. */
async function* messagesOf(
  port: number,
  query: Buffer,
  ms: number,
  from = '127.0.0.1',
): AsyncGenerator<Buffer, undefined> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  socket.setTimeout(ms, () => socket.destroy());
  socket.write(Buffer.concat([Buffer.of(query.length >> 8, query.length & 255), query]));
  let pending: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE()) {
        const message = pending.subarray(2, 2 + pending.readUInt16BE());
        pending = pending.subarray(2 + message.length);
        yield message;
      }
    }
  } catch {
    // The connection was refused or reset.
  } finally {
    socket.destroy();
  }
  return undefined;
}

export type Transfer = {
  readonly serial: number;
  /** `name TTL type data` in hexadecimal, without the SOA, sorted. */
  readonly records: readonly string[];
};

/** The zone as a server transfers it; undefined if it does not. */
export async function axfr(port: number, zone: string, key?: TsigKey): Promise<Transfer | undefined> {
  const query = encodeQuery(zone, T.AXFR);
  const records: DecodedRecord[] = [];
  let soas = 0;
  for await (const message of messagesOf(port, key ? sign(query, key).message : query, PATIENCE_MS)) {
    const { rcode, answer } = decodeMessage(message);
    if (rcode !== 0) return undefined;
    records.push(...answer);
    soas += answer.filter(({ type }) => type === T.SOA).length;
    if (soas === 2) break;
  }
  const [soa] = records;
  if (soas !== 2 || !soa) return undefined;
  return {
    serial: serialOf(soa),
    records: records
      .filter(({ type }) => type !== T.SOA)
      .map(({ name, ttl, type, data }) => `${name} ${ttl} ${type} ${data}`)
      .sort(),
  };
}

function serialOf({ data }: DecodedRecord): number {
  return Number.parseInt(data.slice(-40, -32), 16);
}
