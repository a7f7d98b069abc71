/**
 * Packets to fuzz with: whole queries with every kind of option, and edits of them. They also come as a pool that a
 * fast loop changes further.
 */
import * as fc from 'fast-check';
import { TRANSPORT } from '../../server/contract.ts';
import { encodeQuery, subnetOption, T, wireName, type Option } from '../support/message.ts';
import { editedOctets } from './mutations.ts';
import { NAMES } from './packet-world.ts';

const label = fc.uint8Array({ minLength: 1, maxLength: 63 });
const randomName = fc.tuple(fc.array(label, { maxLength: 5 }), fc.constantFrom(...NAMES)).map(([labels, below]) => {
  const octets = labels.flatMap((each) => [each.length, ...each]);
  return Buffer.concat([Buffer.from(octets), wireName(below)]);
});
/** Case does not matter (RFC 4343), and the question comes back as it was. */
const knownName = fc.tuple(fc.constantFrom(...NAMES), fc.boolean()).map(([name, isLoud]) => {
  return wireName(isLoud ? name.toUpperCase() : name);
});
const name = fc.oneof({ weight: 5, arbitrary: knownName }, { weight: 1, arbitrary: randomName });

const data = (most: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: most });
const option: fc.Arbitrary<Option> = fc.oneof(
  fc
    .tuple(fc.constantFrom(4, 16), fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(128))
    .map(([octets, address, bits]) => subnetOption(address.subarray(0, octets), Math.min(bits, octets * 8))),
  fc.record({ code: fc.constant(8), data: data(24) }),
  fc.record({ code: fc.constant(3), data: data(2) }),
  fc.record({ code: fc.constant(10), data: data(42) }),
  fc.record({ code: fc.constantFrom(11, 12), data: data(3) }),
  fc.record({ code: fc.nat(65_535), data: data(30) }),
);
const edns = fc.record({
  size: fc.oneof(fc.constantFrom(0, 512, 1232, 4096, 65_535), fc.nat(65_535)),
  dnssecOk: fc.boolean(),
  compactOk: fc.boolean(),
  version: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(255) }),
  options: fc.array(option, { maxLength: 4 }),
});
const TYPES = [...Object.values(T), 0, 48, 59, 60, 128, 249, 250, 65_400, 65_535];
const type = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...TYPES) }, { weight: 1, arbitrary: fc.nat(65_535) });
const flags = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 0x100) }, { weight: 1, arbitrary: fc.nat(65_535) });
const query = fc
  .record({
    ...{ id: fc.nat(65_535), name, type, flags },
    class: fc.oneof(
      { weight: 8, arbitrary: fc.constant(1) },
      { weight: 2, arbitrary: fc.constantFrom(0, 3, 254, 255) },
    ),
    edns: fc.option(edns, { nil: undefined, freq: 4 }),
  })
  .map((parts) => {
    const options = parts.edns === undefined ? {} : { edns: parts.edns };
    return encodeQuery(parts.name, parts.type, { id: parts.id, flags: parts.flags, class: parts.class, ...options });
  });

/** Messages: whole queries, edited ones, and octets after a header that is right. */
export const MESSAGES: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 3, arbitrary: query },
  { weight: 5, arbitrary: editedOctets(query) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.uint8Array({ maxLength: 120 }))
      .map(([head, body]) => Buffer.concat([head.subarray(0, 2), Buffer.of(head[2] ?? 0, head[3] ?? 0, 0, 1, 0, 0, 0, 0, 0, (head[4] ?? 0) & 1), body])), // prettier-ignore
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }).map((octets) => Buffer.from(octets)) },
);

export type PacketInput = {
  readonly message: Buffer;
  readonly transport: number;
  readonly peer: Uint8Array;
  readonly random: number;
};

const peer = fc.oneof(
  fc.constantFrom(Buffer.of(192, 0, 2, 9), Buffer.of(127, 0, 0, 1)),
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((octets) => Buffer.from(octets)),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((octets) => Buffer.from(octets)),
);

export const PACKETS: fc.Arbitrary<PacketInput> = fc.record({
  message: MESSAGES,
  transport: fc.oneof(
    { weight: 8, arbitrary: fc.constant(TRANSPORT.UDP) },
    { weight: 1, arbitrary: fc.constantFrom(TRANSPORT.TCP, TRANSPORT.TLS) },
  ),
  peer,
  random: fc.nat(),
});
