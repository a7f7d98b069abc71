/**
 * Queries over UDP, TCP and TLS, through `answer`. Two threads answer each query. Their buffers are filled with
 * different octets, they have just answered different queries, and the second writes its response over the query, as
 * the packet loop does. Their responses must be equal: so no octet of a response comes from the buffers, from octets
 * after the query, or from an earlier query.
 */
import type { Answerer } from '../../../server/answer/answer-state.ts';
import { answer } from '../../../server/answer/answer.ts';
import { TRANSPORT, type Packet } from '../../../server/contract.ts';
import { TCP_OCTETS, UDP_OCTETS, UDP_OCTETS_WITHOUT_EDNS } from '../../../wire/limits.ts';
import { decodeMessage, encodeQuery, T, type DecodedMessage } from '../../support/message.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { PACKETS, type PacketInput } from '../packet-inputs.ts';
import { createPacketWorld } from '../packet-world.ts';

/** Octets before and after what may be written. */
const MARGIN = 64;
const FILLS = [0xaa, 0x55];

/** Gives a thread the random numbers of one packet. */
export function seedPacket(state: Answerer, random: number): void {
  state.steerer.random.state.set([random, random ^ 0x9e37_79b9, 0x6a09_e667, 1]);
}

/** The largest response that this query allows; the thread has just read it. */
export function limitOf({ query }: Answerer, transport: number): number {
  if (transport !== TRANSPORT.UDP) return TCP_OCTETS;
  return query.hasEdns ? Math.min(UDP_OCTETS, Math.max(UDP_OCTETS_WITHOUT_EDNS, query.udpOctets)) : UDP_OCTETS_WITHOUT_EDNS; // prettier-ignore
}

/** Throws if a response does not belong to its query. Undefined for no response. */
export function judgeResponse(message: Buffer, response: Buffer, transport: number): DecodedMessage | undefined {
  const isResponse = message.length < 12 || ((message[2] ?? 0) & 0x80) !== 0;
  if (isResponse !== (response.length === 0)) throw new Error(isResponse ? 'a response to a response' : 'no response');
  if (response.length === 0) return undefined;
  const decoded = decodeMessage(response);
  if (decoded.id !== message.readUInt16BE(0)) throw new Error('another ID');
  if (!decoded.isResponse || decoded.ra) throw new Error('wrong flags');
  if (decoded.tc && transport !== TRANSPORT.UDP) throw new Error('TC over a stream');
  if (decoded.question && !decoded.question.equals(message.subarray(12, 12 + decoded.question.length))) {
    throw new Error('another question');
  }
  return decoded;
}

export const packets = fuzzTarget<PacketInput>({
  name: 'packets',
  about: 'queries through answer(): UDP, TCP, TLS',
  trials: 8000,
  inputs: PACKETS,
  open: () => {
    const world = createPacketWorld();
    const spare = Buffer.alloc(TCP_OCTETS);
    const limited = world.answering({ rrl: { perSecond: 1, slip: 2 } }).state;
    const threads = FILLS.map((fill) => ({
      fill,
      state: world.answering().state,
      tx: Buffer.alloc(TCP_OCTETS + 2 * MARGIN),
      rx: Buffer.alloc(TCP_OCTETS),
      before: encodeQuery(fill === 0xaa ? 'many.example.com' : 'b.ent.example.org', fill === 0xaa ? T.AAAA : T.MX, {
        edns: { dnssecOk: fill !== 0xaa, options: [{ code: 10, data: Buffer.alloc(8, fill) }] },
      }),
    }));
    return {
      run: ({ message, transport, peer, random }) => {
        const room = transport === TRANSPORT.UDP ? UDP_OCTETS : TCP_OCTETS;
        const responses = threads.map(({ fill, state, tx, rx, before }) => {
          const packet: Packet = {
            ...{ rx: before, rxAt: 0, length: before.length, transport, tx, txAt: MARGIN },
            ...{ peer, peerAt: 0, peerOctets: peer.length === 4 ? 4 : 16 },
          };
          answer(state, packet);
          tx.fill(fill, 0, MARGIN + room + MARGIN);
          const isInPlace = fill !== FILLS[0];
          const from = isInPlace ? tx : rx;
          from.fill(fill, 0, message.length + 2 * MARGIN);
          from.set(message, MARGIN);
          seedPacket(state, random);
          const length = answer(state, { ...packet, rx: from, rxAt: MARGIN, length: message.length });
          const isFill = (start: number, end: number): boolean =>
            tx.subarray(start, end).every((octet) => octet === fill);
          if (!isInPlace && !rx.subarray(MARGIN, MARGIN + message.length).equals(message)) {
            throw new Error('the query was changed');
          }
          if (length > limitOf(state, transport)) throw new Error(`a response of ${length} octets`);
          if (!isFill(0, MARGIN)) throw new Error('octets before the response');
          if (!isFill(MARGIN + room, MARGIN + room + MARGIN)) throw new Error('octets behind the limit');
          return Buffer.from(tx.subarray(MARGIN, MARGIN + length));
        });
        const [response = Buffer.alloc(0), other = Buffer.alloc(0)] = responses;
        if (!response.equals(other)) throw new Error('octets that are neither of the query nor of the zones');
        const decoded = judgeResponse(message, response, transport);
        if (decoded) world.judgeRecords(decoded);
        answer(limited, {
          ...{ rx: message, rxAt: 0, length: message.length, transport, tx: spare, txAt: 0 },
          ...{ peer, peerAt: 0, peerOctets: peer.length === 4 ? 4 : 16 },
        });
      },
    };
  },
});
