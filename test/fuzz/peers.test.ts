/**
 * Messages of peers, with and without mistakes, signed before or after the mistake: no exception, a well-formed
 * response or none, a signature if one is required, and no zone for unauthorized clients.
 */
import { expect, test } from 'vitest';
import { readTsig } from '../../wire/tsig-record.ts';
import { verifyTsig } from '../../wire/tsig.ts';
import { decodeMessage, encodeQuery, subnetOption, T } from '../support/message.ts';
import { ixfr, KEY, PEER, servePeers, sign, SIGNING, STRANGER } from '../support/peer.ts';
import { createDice, deepTrials, printedSeed, type Dice } from '../support/random.ts';

const QUERIES = deepTrials(6_000, 20_000);
const ZONES = ['example.com', 'sub.example.com', 'example.org', 'www.example.com', 'eXample.cOm'];
const TSIG = 250;
const FORMERR = 1;

const { udp, tcp } = servePeers({
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1, ns2]
soa: { serial: 100 }
records:
  ns1: { A: 192.0.2.53 }
  ns2: { A: 192.0.2.54 }
  sub: { NS: [ns.sub], DS: "1 13 2 ${'ab'.repeat(32)}" }
  ns.sub: { A: 192.0.2.60 }
  mid: { TXT: [${'m'.repeat(200)}, ${'n'.repeat(200)}] }
  big: { TXT: [${Array.from({ length: 6 }, (_, i) => String(i).repeat(184)).join(', ')}] }
services:
  www: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }
`,
  'zones/sub.example.com.yaml': 'zone: sub.example.com\nnameservers: [ns]\nrecords: { ns: { A: 192.0.2.60 } }\n',
});

function randomQuery(dice: Dice): Buffer {
  const cookie = { code: 10, data: Buffer.alloc(dice.pick([8, 8, 24, 9]), 1) };
  const subnet = subnetOption(Uint8Array.of(192, 0, 2, 1), 24);
  const options = dice.sample([cookie, subnet, { code: 3, data: Buffer.alloc(0) }], dice.below(3));
  const edns = dice.chance(0.5)
    ? { edns: { size: dice.pick([512, 1232, 4096]), version: dice.chance(0.95) ? 0 : 1, options } }
    : {};
  const more = { id: dice.below(65_536), flags: dice.chance(0.9) ? 0x100 : dice.below(0x8000), ...edns };
  const zone = dice.pick(ZONES);
  if (dice.chance(0.4)) return ixfr(zone, dice.pick([0, 99, 100, 101, 0xffff_ffff]), more);
  const name = dice.pick([zone, 'mid.example.com', 'big.example.com', 'nothere.example.com']);
  const type = dice.pick([T.AXFR, T.AXFR, T.IXFR, T.SOA, T.A, T.TXT, T.ANY]);
  return encodeQuery(name, type, { ...more, class: dice.chance(0.9) ? 1 : dice.pick([3, 255]) });
}

function mutated(dice: Dice, query: Buffer): Buffer {
  const message = Buffer.from(query);
  for (let n = dice.below(4); n > 0; n--) {
    const at = dice.chance(0.3) ? dice.below(12) : dice.below(message.length);
    message[at] = dice.pick([0, 1, 0x3f, 0x40, 0xc0, 0xff, dice.below(256)]);
  }
  if (dice.chance(0.1)) return message.subarray(0, dice.below(message.length + 1));
  return message;
}

/** The message, and the MAC of its signature if it is to be valid. */
function randomMessage(dice: Dice): { message: Buffer; mac: Uint8Array | undefined } {
  const query = dice.chance(0.5) ? randomQuery(dice) : mutated(dice, randomQuery(dice));
  const roll = dice.below(10);
  if (roll < 3) return { message: query, mac: undefined };
  if (roll < 7) return query.length < 12 ? { message: query, mac: undefined } : sign(query);
  const key = dice.pick([KEY, { ...KEY, secret: Buffer.of(1) }, { ...KEY, algorithm: 'hmac-sha512' } as const]);
  const signed = query.length < 12 ? query : sign(query, key, Date.now() / 1000 - dice.pick([0, 0, 1000])).message;
  return { message: mutated(dice, signed), mac: undefined };
}

test('messages of peers', async () => {
  const dice = createDice(printedSeed('fuzz: peers'));
  let transfers = 0;
  let verified = 0;
  for (let n = 0; n < QUERIES; n++) {
    const { message, mac } = randomMessage(dice);
    const from = dice.pick([STRANGER, PEER, SIGNING]);
    const overTcp = dice.chance(0.5);
    const told = `${n}: ${from} ${overTcp ? 'TCP' : 'UDP'} ${message.toString('hex')}`;
    const before = Buffer.from(message);
    const responses = (overTcp ? await tcp(message, from) : [udp(message, from)]).filter(({ length }) => length > 0);
    if (!before.equals(message)) expect.fail(`${told}: the query was changed`);
    const isQuery = message.length >= 12 && ((message[2] ?? 0) & 0x80) === 0;
    if (isQuery !== responses.length > 0) expect.fail(`${told}: ${responses.length} responses`);
    for (const response of responses) {
      const { id, answer, edns, additional, rcode } = decodeMessage(response);
      if (id !== message.readUInt16BE(0)) expect.fail(`${told}: another ID`);
      if (!overTcp && response.length > (edns ? 1232 : 512)) expect.fail(`${told}: ${response.length} octets`);
      const isTransfer = answer.length > 1 && answer.at(-1)?.type === T.SOA;
      if (isTransfer) transfers++;
      if (isTransfer && (from === STRANGER || !overTcp)) expect.fail(`${told}: a zone`);
      if (isTransfer && from === SIGNING && additional.at(-1)?.type !== TSIG) expect.fail(`${told}: an unsigned zone`);
      // A signed part of a query with mistakes may be read differently.
      const own = readTsig(message);
      if (mac === undefined || rcode === FORMERR || typeof own === 'string' || own.name.length !== KEY.name.length)
        continue;
      const tsig = readTsig(response);
      if (typeof tsig === 'string') expect.fail(`${told}: no signature`);
      const verdict = verifyTsig(response, tsig, [KEY], Date.now() / 1000, mac).kind;
      if (verdict !== 'valid') expect.fail(`${told}: a signature that is ${verdict}`);
      verified++;
    }
  }
  expect(
    [transfers, verified].every((times) => times > QUERIES / 100),
    `${transfers}, ${verified}`,
  ).toBe(true);
});
