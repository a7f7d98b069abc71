/**
 * Framing of streams (RFC 1035 4.2.2) and PROXY headers, beside slow readers: however the octets are divided, the same
 * messages come out, and nothing is read beyond the octets that have arrived.
 */
import * as fc from 'fast-check';
import type { Packet } from '../../../server/contract.ts';
import { append, discard, eachMessage, nothingPending } from '../../../server/io/frames.ts';
import { copyProxied, MAX_PROXY_OCTETS, PROXY, proxyOctets, unwrapDatagram } from '../../../server/io/proxy-header.ts';
import { parsePrefix } from '../../../wire/address.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { divide, editedOctets, PIECES } from '../mutations.ts';

const framed = fc
  .array(fc.oneof(fc.uint8Array({ minLength: 12, maxLength: 60 }), fc.uint8Array({ maxLength: 14 })), { maxLength: 6 })
  .map((messages) =>
    Buffer.concat(messages.map((each) => Buffer.from([each.length >> 8, each.length & 255, ...each]))),
  );

type FramesInput = { readonly octets: Buffer; readonly pieces: readonly number[]; readonly takes: readonly boolean[] };

/** All messages of a stream that is there as a whole; `isBad`: an impossible length follows. */
function messagesOf(octets: Buffer): { readonly messages: Buffer[]; readonly isBad: boolean } {
  const messages: Buffer[] = [];
  let at = 0;
  while (at + 2 <= octets.length) {
    const length = octets.readUInt16BE(at);
    if (length < 12) return { messages, isBad: true };
    if (at + 2 + length > octets.length) break;
    messages.push(octets.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return { messages, isBad: false };
}

export const frames = fuzzTarget<FramesInput>({
  name: 'frames',
  about: 'messages of a TCP stream, divided anywhere',
  trials: 3000,
  inputs: fc.record({
    octets: editedOctets(framed),
    pieces: PIECES,
    takes: fc.array(fc.boolean(), { maxLength: 20 }),
  }),
  open: () => ({
    run: ({ octets, pieces, takes }) => {
      const expected = messagesOf(octets);
      const pending = nothingPending();
      const found: Buffer[] = [];
      let turn = 0;
      const seen = { isBad: false };
      // The client is not always read from: `each` returns false when the rest has to wait.
      const read = (mayWait: boolean): void => {
        const end = eachMessage(pending.bytes, 0, pending.length, (bytes, at, length) => {
          if (at + length > pending.length) throw new Error('a message that has not arrived');
          found.push(Buffer.from(bytes.subarray(at, at + length)));
          return !mayWait || (takes[turn++ % Math.max(1, takes.length)] ?? true);
        });
        if (end < 0) seen.isBad = true;
        else discard(pending, end);
      };
      for (const piece of divide(octets, pieces)) {
        if (seen.isBad) break;
        append(pending, piece, 0);
        read(true);
      }
      for (let before = -1; !seen.isBad && before !== found.length;) {
        before = found.length;
        read(false);
      }
      if (seen.isBad !== expected.isBad) throw new Error(`an impossible length: ${seen.isBad}`);
      if (Buffer.compare(Buffer.concat(found), Buffer.concat(expected.messages)) !== 0)
        throw new Error('other messages');
      if (found.length !== expected.messages.length) throw new Error('another number of messages');
    },
  }),
});

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const proxied = fc
  .record({
    command: fc.constantFrom(0x20, 0x21),
    family: fc.constantFrom(0x00, 0x11, 0x12, 0x21, 0x22, 0x31),
    addresses: fc.oneof(
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      fc.uint8Array({ minLength: 36, maxLength: 36 }),
    ),
    mapped: fc.boolean(),
    extensions: fc.uint8Array({ maxLength: 40 }),
    query: fc.uint8Array({ minLength: 10, maxLength: 60 }),
  })
  .map(({ command, family, addresses, mapped, extensions, query }) => {
    const own = Buffer.from(addresses);
    if (mapped && own.length === 36) own.fill(0, 0, 10).fill(0xff, 10, 12);
    const rest = Buffer.concat([own, extensions]);
    return Buffer.concat([SIGNATURE, Buffer.of(command, family, rest.length >> 8, rest.length & 255), rest, query]);
  });

/** What a header says, read slowly. Undefined: more octets are needed. */
type SlowHeader = { readonly octets: number; readonly client: Buffer } | 'invalid' | undefined;
function slowHeader(octets: Buffer): SlowHeader {
  const start = octets.subarray(0, 12);
  if (start.length === 0 || !SIGNATURE.subarray(0, start.length).equals(start)) return 'invalid';
  if (octets.length < 16) return undefined;
  const [command = 0, family = 0] = octets.subarray(12, 14);
  if (command !== 0x20 && command !== 0x21) return 'invalid';
  const length = octets.readUInt16BE(14);
  const bits = command === 0x20 ? 0 : family >> 4;
  const needed = bits === 1 ? 12 : bits === 2 ? 36 : 0;
  if (length < needed || 16 + length > MAX_PROXY_OCTETS) return 'invalid';
  if (octets.length < 16 + length) return undefined;
  const source = Buffer.from(octets.subarray(16, 16 + (bits === 1 ? 4 : bits === 2 ? 16 : 0)));
  const isMapped =
    source.length === 16 && source.subarray(0, 12).equals(Buffer.from('00000000000000000000ffff', 'hex'));
  return { octets: 16 + length, client: isMapped ? source.subarray(12) : source };
}

const PROXIES = [parsePrefix('10.0.0.0/8')].filter((each) => each !== undefined);

export const proxyHeaders = fuzzTarget<Buffer>({
  name: 'proxy-headers',
  about: 'PROXY protocol version 2, of streams and datagrams',
  trials: 4000,
  inputs: editedOctets(proxied),
  open: () => ({
    run: (octets) => {
      const expected = slowHeader(octets);
      const found = proxyOctets(octets, 0, octets.length);
      const wanted = expected === 'invalid' ? PROXY.INVALID : expected === undefined ? PROXY.PARTIAL : expected.octets;
      if (found !== wanted) throw new Error(`a header of ${found} octets, expected ${wanted}`);
      const client = Buffer.alloc(16, 0xee);
      const isHeader = typeof expected === 'object';
      if (isHeader) {
        const length = copyProxied(octets, 0, client);
        if (!client.subarray(0, length).equals(expected.client)) throw new Error('another client');
      }
      for (const [peer, isProxy] of [
        [Buffer.of(10, 1, 2, 3), true],
        [Buffer.of(192, 0, 2, 1), false],
      ] as const) {
        // prettier-ignore
        const rx = Buffer.concat([Buffer.alloc(8, 0xaa), octets, Buffer.alloc(8, 0xaa)]);
        const packet: Packet = {
          ...{ rx, rxAt: 8, length: octets.length, transport: 0, tx: rx, txAt: 8 },
          ...{ peer, peerAt: 0, peerOctets: 4 },
        };
        const isTaken = unwrapDatagram(packet, PROXIES, Buffer.alloc(16));
        if (!isProxy) {
          if (isTaken !== !(octets.length > 0 && SIGNATURE.subarray(0, Math.min(12, octets.length)).equals(octets.subarray(0, 12)))) throw new Error(`a header of a stranger: ${isTaken}`); // prettier-ignore
          continue;
        }
        if (isTaken !== (isHeader && octets.length - expected.octets >= 12)) throw new Error(`taken: ${isTaken}`);
        if (!isTaken || !isHeader) continue;
        const rest = rx.subarray(packet.rxAt, packet.rxAt + packet.length);
        if (!rest.equals(octets.subarray(expected.octets))) throw new Error('another query');
        const named = Buffer.from(packet.peer.subarray(packet.peerAt, packet.peerAt + packet.peerOctets));
        if (!named.equals(expected.client.length === 0 ? peer : expected.client)) throw new Error('another client');
        if (rx.subarray(0, 8).some((octet) => octet !== 0xaa)) throw new Error('octets before the datagram');
      }
    },
  }),
});
