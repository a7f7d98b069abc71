/**
 * Pharos for peers, in-process: zones with a key and with addresses that may transfer them, and signed queries.
 */
import type { TransferSettings } from '../../config/settings.ts';
import { createAnswerer, createAnswerLong, type AnswererPayload } from '../../server/answer/answerer.ts';
import { packetOf, TRANSPORT } from '../../server/contract.ts';
import { createCounters } from '../../server/counters.ts';
import { parseAddress, parsePrefix } from '../../wire/address.ts';
import { parseName } from '../../wire/name.ts';
import { createSigner, type TsigKey } from '../../wire/tsig.ts';
import { encodeQuery, T, wireName } from './message.ts';
import { load, NO_GEOGRAPHY, payloadOf, type Files } from './pharos.ts';

export const KEY: TsigKey = {
  label: 'second',
  name: parseName('second.'),
  algorithm: 'hmac-sha256',
  secret: Buffer.from('secretsecretsecretsecretsecretse'),
};
/** An address that gets nothing, one that may transfer, and one that may if it signs. */
export const [STRANGER, PEER, SIGNING] = ['192.0.2.1', '192.0.2.54', '192.0.2.55'];
/** An address that may transfer zones without their steered records. */
export const LISTING = '192.0.2.57';

function prefix(text: string) {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
}

const SETTINGS: TransferSettings = {
  keys: [KEY],
  allow: [
    { from: prefix(`${PEER}/32`), key: undefined, steered: 'default' },
    { from: prefix(`${SIGNING}/32`), key: 'second', steered: 'default' },
    { from: prefix('2001:db8::/32'), key: undefined, steered: 'default' },
    { from: prefix(`${LISTING}/32`), key: undefined, steered: 'omit' },
  ],
  notify: [],
  catalog: undefined,
};

/** One generation, as a peer queries it. */
export function servePeers(files: Files, more: Partial<AnswererPayload> = {}) {
  const generation = load({ ...NO_GEOGRAPHY, ...files });
  const settings = { ...SETTINGS, catalog: generation.settings.transfer.catalog };
  const weights = Int32Array.from(generation.catalog.vips, ({ weight }) => weight);
  const publication = {
    generation: 1,
    payload: payloadOf(generation, { transfer: { settings, weights }, ...more }),
  };
  const answer = createAnswerer(publication, createCounters(), 0);
  const counters = createCounters();
  const long = createAnswerLong(publication, counters, 0, () => Promise.resolve(undefined));
  const peerOf = (from: string) => {
    const bytes = parseAddress(from) ?? new Uint8Array(4);
    return { bytes, at: 0, octets: bytes.length === 4 ? 4 : 16 } as const;
  };
  const once = (query: Buffer, from: string, transport: number): Buffer => {
    const tx = Buffer.alloc(65_535);
    return tx.subarray(0, answer(packetOf(query, peerOf(from).bytes, transport, tx)));
  };
  return {
    counters,
    udp: (query: Buffer, from: string) => once(query, from, TRANSPORT.UDP),
    /** All messages of the response, as the stream thread gets them. */
    tcp: async (query: Buffer, from: string, goesAfter = Infinity): Promise<Buffer[]> => {
      const messages: Buffer[] = [];
      const client = {
        peer: peerOf(from),
        transport: TRANSPORT.TCP,
        send: (message: Uint8Array) => {
          messages.push(Buffer.from(message));
          return Promise.resolve(messages.length < goesAfter);
        },
      };
      const work = long(client, query, 0, query.length);
      if (!work) return [once(query, from, TRANSPORT.TCP)];
      await work;
      return messages;
    },
  };
}

/** A query and the MAC of its signature, made `now` seconds after 1970. */
export function sign(query: Buffer, key = KEY, now = Date.now() / 1000): { message: Buffer; mac: Uint8Array } {
  const message = Buffer.alloc(query.length + 1024);
  message.set(query);
  const signer = createSigner(key, () => Math.floor(now));
  const length = signer.sign(message, query.length);
  return { message: message.subarray(0, length), mac: signer.mac() };
}

/** IXFR with the serial that the client has (RFC 1995 3). */
export function ixfr(zone: string, serial: number, options = {}): Buffer {
  const query = encodeQuery(zone, T.IXFR, options);
  const soa = Buffer.concat([Buffer.of(0xc0, 0x0c, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22), Buffer.alloc(22)]);
  soa.writeUInt32BE(serial, soa.length - 20);
  query.writeUInt16BE(1, 8);
  const questionEnd = 12 + wireName(zone).length + 4;
  return Buffer.concat([query.subarray(0, questionEnd), soa, query.subarray(questionEnd)]);
}
