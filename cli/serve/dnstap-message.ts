/**
 * A sampled query as dnstap messages (dnstap.proto of dnstap.info), and the control frames of Frame Streams, in which
 * they are sent. Both formats are small, so no library writes them.
 */
import type { QuerySample } from '../../server/answer/query-samples.ts';
import { TRANSPORT } from '../../server/contract.ts';

/** Numbers of fields of the messages `Dnstap` and `Message`. */
const DNSTAP = { IDENTITY: 1, VERSION: 2, MESSAGE: 14, TYPE: 15 } as const;
const MESSAGE = {
  ...{ TYPE: 1, FAMILY: 2, PROTOCOL: 3, QUERY_ADDRESS: 4, QUERY_SECONDS: 8, QUERY_NANOSECONDS: 9 },
  ...{ QUERY: 10, RESPONSE_SECONDS: 12, RESPONSE_NANOSECONDS: 13, RESPONSE: 14 },
} as const;
const AUTH_QUERY = 1;
const AUTH_RESPONSE = 2;
const PROTOCOLS = { [TRANSPORT.UDP]: 1, [TRANSPORT.TCP]: 2, [TRANSPORT.TLS]: 3 } as const;

/** Wire types of Protocol Buffers. */
const VARINT = 0;
const OCTETS = 2;
const FIXED32 = 5;

function varint(value: number): Buffer {
  const octets: number[] = [];
  let rest = value;
  while (rest >= 128) {
    octets.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...octets, rest]);
}

const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8 + VARINT), varint(value)]);
const octets = (field: number, value: Uint8Array): Buffer =>
  Buffer.concat([varint(field * 8 + OCTETS), varint(value.length), value]);
function fixed32(field: number, value: number): Buffer {
  const four = Buffer.alloc(4);
  four.writeUInt32LE(value);
  return Buffer.concat([varint(field * 8 + FIXED32), four]);
}

export type DnstapSource = { readonly identity: Uint8Array; readonly version: Uint8Array };

/** AUTH_QUERY, and AUTH_RESPONSE if there was a response that the sample has whole. */
export function dnstapOf(sample: QuerySample, source: DnstapSource): Buffer[] {
  const { timeMs, transport, client, query, queryOctets, response, responseOctets } = sample;
  const seconds = Math.floor(timeMs / 1000);
  const nanoseconds = Math.floor(timeMs % 1000) * 1_000_000;
  const about = [
    number(MESSAGE.FAMILY, client.length === 4 ? 1 : 2),
    number(MESSAGE.PROTOCOL, PROTOCOLS[transport as keyof typeof PROTOCOLS]),
    octets(MESSAGE.QUERY_ADDRESS, client),
    number(MESSAGE.QUERY_SECONDS, seconds),
    fixed32(MESSAGE.QUERY_NANOSECONDS, nanoseconds),
  ];
  const messages: Buffer[][] = [];
  if (query.length === queryOctets) messages.push([number(MESSAGE.TYPE, AUTH_QUERY), ...about, octets(MESSAGE.QUERY, query)]); // prettier-ignore
  if (responseOctets > 0 && response.length === responseOctets) {
    messages.push([
      ...[number(MESSAGE.TYPE, AUTH_RESPONSE), ...about],
      ...[number(MESSAGE.RESPONSE_SECONDS, seconds), fixed32(MESSAGE.RESPONSE_NANOSECONDS, nanoseconds)],
      octets(MESSAGE.RESPONSE, response),
    ]);
  }
  return messages.map((parts) =>
    Buffer.concat([
      octets(DNSTAP.IDENTITY, source.identity),
      octets(DNSTAP.VERSION, source.version),
      octets(DNSTAP.MESSAGE, Buffer.concat(parts)),
      number(DNSTAP.TYPE, 1),
    ]),
  );
}

/** Control frames of Frame Streams (fstrm/control.h). */
export const CONTROL = { ACCEPT: 1, START: 2, STOP: 3, READY: 4, FINISH: 5 } as const;
const CONTENT_TYPE = Buffer.from('protobuf:dnstap.Dnstap');

export function controlFrame(type: number): Buffer {
  const hasContentType = type === CONTROL.READY || type === CONTROL.START;
  const fields = hasContentType ? Buffer.concat([u32(1), u32(CONTENT_TYPE.length), CONTENT_TYPE]) : Buffer.alloc(0);
  return Buffer.concat([u32(0), u32(4 + fields.length), u32(type), fields]);
}

export function dataFrame(payload: Uint8Array): Buffer {
  return Buffer.concat([u32(payload.length), payload]);
}

/** The type of the control frame that `received` begins with; undefined while it is incomplete. */
export function controlTypeOf(received: Buffer): number | undefined {
  if (received.length < 12) return undefined;
  return received.length < 8 + received.readUInt32BE(4) ? undefined : received.readUInt32BE(8);
}

function u32(value: number): Buffer {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(value);
  return four;
}
