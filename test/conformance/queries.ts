/**
 * Random queries for generated zones, with and without EDNS, in random case.
 */
import type { Dice } from '../support/random.ts';
import type { Query } from './differential.ts';
import type { Asked } from './generate.ts';

/** A, NS, CNAME, SOA, PTR, HINFO, MX, TXT, AAAA, LOC, SRV, NAPTR, DNAME, DS, SVCB, HTTPS, CAA, and an unknown type. */
const TYPES = [1, 1, 2, 5, 6, 12, 13, 15, 16, 28, 28, 29, 33, 35, 39, 43, 64, 65, 257, 65_400];
const ANY = 255;
const OPCODE_AND_RD = [0x0000, 0x0100, 0x0110, 0x0130];

export function randomQuery(dice: Dice, names: readonly Asked[]): Query {
  const { name, types } = dice.pick(names);
  const roll = dice.below(100);
  const type = roll < 2 ? ANY : roll < 62 ? dice.pick(types) : dice.pick(TYPES);
  return makeQuery(dice.chance(0.3) ? withCase(dice, name) : name, type, {
    flags: dice.pick(OPCODE_AND_RD),
    size: dice.pick([0, 0, 512, 700, 1232, 1232, 1232, 1232, 1232, 4096]),
    dnssecOk: dice.chance(0.15),
  });
}

/** `size` is the client's, 0 for no EDNS. */
export function makeQuery(
  name: Buffer,
  type: number,
  { flags = 0, size = 1232, dnssecOk = false }: { flags?: number; size?: number; dnssecOk?: boolean } = {},
): Query {
  const withEdns = size > 0;
  const message = Buffer.alloc(12 + name.length + 4 + (withEdns ? 11 : 0));
  message.writeUInt16BE(flags, 2);
  message.writeUInt16BE(1, 4);
  name.copy(message, 12);
  const at = 12 + name.length;
  message.writeUInt16BE(type, at);
  message.writeUInt16BE(1, at + 2);
  if (withEdns) {
    message.writeUInt16BE(1, 10);
    message.writeUInt16BE(41, at + 5);
    message.writeUInt16BE(size, at + 7);
    message[at + 11] = dnssecOk ? 0x80 : 0;
  }
  return {
    message,
    type,
    dnssecOk: withEdns && dnssecOk,
    limit: withEdns ? Math.min(Math.max(size, 512), 1232) : 512,
  };
}

/** Letters in random case; octets of labels only, because length octets are below 64. */
function withCase(dice: Dice, name: Buffer): Buffer {
  const mixed = Buffer.from(name);
  for (let at = 0; (mixed[at] ?? 0) > 0;) {
    const end = at + (mixed[at] ?? 0);
    for (at++; at <= end; at++) {
      const octet = (mixed[at] ?? 0) | 0x20;
      if (octet >= 0x61 && octet <= 0x7a && ((mixed[at] ?? 0) & 0xc0) === 0x40 && dice.chance(0.5))
        mixed[at] = (mixed[at] ?? 0) ^ 0x20;
    }
  }
  return mixed;
}
