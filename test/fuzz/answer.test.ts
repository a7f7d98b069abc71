/**
 * For any input, `answer` neither throws nor writes outside its room, and what it writes is a valid message.
 */
import { expect, test } from 'vitest';
import { answer } from '../../server/answer/answer.ts';
import { packetOf, TRANSPORT } from '../../server/contract.ts';
import { decodeMessage, encodeQuery, subnetOption, T } from '../support/message.ts';
import { answering } from '../support/pharos.ts';
import { createDice, deepTrials, printedSeed, type Dice } from '../support/random.ts';

const RANDOM = deepTrials(20_000, 60_000);
const MUTATED = deepTrials(40_000, 120_000);
const FILL = 0xaa;
const MARGIN = 64;

const many = Array.from(
  { length: 90 },
  (_, i) => `v${i}: { A: 192.0.2.${i}, AAAA: "2001:db8::${i.toString(16)}" }`,
).join(', ');
const ZONE = `
zone: example.com
nameservers: [ns1, ns.sub]
regions: { seoul: { at: KR }, dublin: { at: IE } }
records:
  ns1: { A: 192.0.2.1, AAAA: "2001:db8::1" }
  "@": { MX: [10 ns1, 20 ns.sub, 30 www], TXT: ["${'x'.repeat(250)}"] }
  chain: { CNAME: chain2 }
  chain2: { CNAME: ${'l'.repeat(60)}.old }
  old: { DNAME: new }
  grow: { DNAME: ${'g'.repeat(63)}.grow }
  loop: { DNAME: x.loop2 }
  loop2: { DNAME: loop }
  ${'l'.repeat(60)}.new: { TXT: [${Array.from({ length: 12 }, (_, i) => `"${String(i).repeat(90)}"`).join(', ')}] }
  "*.wild": { CNAME: www }
  sub: { NS: [${Array.from({ length: 13 }, (_, i) => `ns${i}.sub`).join(', ')}], DS: "1 13 2 ${'ab'.repeat(32)}" }
  ${Array.from({ length: 13 }, (_, i) => `ns${i}.sub: { A: 192.0.2.${i}, AAAA: "2001:db8::${i}" }`).join('\n  ')}
services:
  www: { vips: { k: { region: seoul, A: 192.0.2.4 }, d: { region: dublin, A: 192.0.2.5 } }, ttl: { min: 5, max: 30 }, steer: [geo: { KR: seoul, default: dublin }, weighted] }
  sticky: { vips: { k: { A: 192.0.2.4, weight: 3 }, d: { A: 192.0.2.5 } }, steer: [sticky], answers: 2 }
  many: { vips: { ${many} }, steer: [all] }
  named: { vips: { one: { CNAME: chain }, two: { CNAME: many } }, steer: [weighted] }
`;
const NAMES = [
  'example.com',
  'www',
  'ns1',
  'chain',
  'chain2',
  'a.old',
  'b.grow',
  'c.loop',
  'd.loop2',
  'x.y.wild',
  'sub',
  'a.b.sub',
  'sticky',
  'many',
  'named',
  'nothere',
  `${'l'.repeat(60)}.old`,
];

const files = { 'zones/example.com.yaml': ZONE };
const nsid = Buffer.from('n'.repeat(128));
const payload = { nsid, version: Buffer.from('v'.repeat(255)), cookieSecrets: [Buffer.alloc(16, 7)] };
// Cookies contain the time: both responses to a query must be of the same second.
const { state } = answering(files, payload, 1, { ms: () => 0, seconds: () => 1_800_000_000 });

/** Two buffers filled with different octets: an octet that was not written differs. */
const canvases = [FILL, FILL ^ 0xff].map((fill) => ({ fill, tx: Buffer.alloc(65_535 + 2 * MARGIN) }));

/** Large buffers take long to fill, so most queries use UDP. */
function transportOf(n: number): number {
  return n % 50 === 0 ? TRANSPORT.TCP : n % 50 === 1 ? TRANSPORT.TLS : TRANSPORT.UDP;
}

function limitOf(transport: number): number {
  if (transport !== TRANSPORT.UDP) return 65_535;
  return state.query.hasEdns ? Math.min(1232, Math.max(512, state.query.udpOctets)) : 512;
}

function check(query: Buffer, transport: number, told: string): void {
  const peer = Buffer.from([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  const before = Buffer.from(query);
  const random = Int32Array.from(state.steerer.random.state);
  const responses = canvases.map(({ fill, tx }) => {
    const seen = MARGIN + (transport === TRANSPORT.UDP ? 1232 : 65_535);
    tx.fill(fill, 0, seen + MARGIN);
    // The same random numbers for both.
    state.steerer.random.state.set(random);
    const length = answer(state, { ...packetOf(query, peer, transport, tx), peerOctets: 16, txAt: MARGIN });
    expect(length, told).toBeLessThanOrEqual(limitOf(transport));
    const isFill = (octets: Buffer): boolean => octets.every((octet) => octet === fill);
    if (!isFill(tx.subarray(0, MARGIN))) expect.fail(`${told}: octets before the response`);
    // Beyond its end, a response that did not fit may have left octets, but never beyond the limit.
    if (!isFill(tx.subarray(MARGIN + (transport === TRANSPORT.UDP ? 1232 : 65_535), seen + MARGIN))) {
      expect.fail(`${told}: octets behind the limit`);
    }
    return Buffer.from(tx.subarray(MARGIN, MARGIN + length));
  });
  const [response = Buffer.alloc(0), other] = responses;
  if (!before.equals(query)) expect.fail(`${told}: the query was changed`);
  if (!response.equals(other ?? Buffer.alloc(0))) expect.fail(`${told}: octets that nobody wrote`);
  if (response.length === 0) {
    const isQuery = query.length >= 12 && ((query[2] ?? 0) & 0x80) === 0;
    if (isQuery) expect.fail(`${told}: a query without a response`);
    return;
  }
  if (((query[2] ?? 0) & 0x80) !== 0) expect.fail(`${told}: a response to a response`);
  let decoded;
  try {
    decoded = decodeMessage(response);
  } catch (error) {
    expect.fail(`${told}: ${String(error)} in ${response.toString('hex')}`);
  }
  if (decoded.id !== query.readUInt16BE(0)) expect.fail(`${told}: another ID`);
  if (decoded.tc && transport !== TRANSPORT.UDP) expect.fail(`${told}: TC over TCP`);
  if (decoded.question && !decoded.question.equals(query.subarray(12, 12 + decoded.question.length)))
    expect.fail(`${told}: another question`);
}

function randomQuery(dice: Dice): Buffer {
  const base = dice.pick(NAMES);
  const name = base === 'example.com' ? base : `${base}.example.com`;
  const options = [
    ...(dice.chance(0.5)
      ? [
          subnetOption(
            Uint8Array.from({ length: dice.pick([4, 16]) }, () => dice.below(256)),
            dice.below(33),
          ),
        ]
      : []),
    ...(dice.chance(0.4) ? [{ code: 3, data: Buffer.alloc(0) }] : []),
    ...(dice.chance(0.3) ? [{ code: dice.below(70), data: Buffer.alloc(dice.below(9)) }] : []),
    ...(dice.chance(0.3) ? [{ code: 10, data: Buffer.alloc(dice.pick([0, 7, 8, 15, 16, 24, 40, 41]), 1) }] : []),
    ...(dice.chance(0.2) ? [{ code: dice.pick([11, 12]), data: Buffer.alloc(dice.pick([0, 0, 2, 100])) }] : []),
  ];
  const size = dice.pick([0, 512, 513, 700, 1232, 4096, 65_535]);
  const edns = dice.chance(0.7)
    ? { edns: { size, dnssecOk: dice.chance(0.5), version: dice.chance(0.9) ? 0 : 1, options } }
    : {};
  return encodeQuery(name, dice.pick(Object.values(T)), {
    id: dice.below(65_536),
    flags: dice.chance(0.8) ? 0x100 : 0,
    class: dice.pick([1, 1, 1, 1, 3, 255]),
    ...edns,
  });
}

function mutated(dice: Dice, query: Buffer): Buffer {
  const message = Buffer.from(query);
  for (let n = dice.below(4); n > 0; n--) {
    const at = dice.chance(0.4) ? dice.below(12) : dice.below(message.length);
    message[at] = dice.pick([0, 1, 0x3f, 0x40, 0xc0, 0xff, dice.below(256)]);
  }
  const cut = dice.below(10);
  if (cut === 0) return message.subarray(0, dice.below(message.length + 1));
  if (cut === 1)
    return Buffer.concat([message, Buffer.from(Array.from({ length: dice.below(40) }, () => dice.below(256)))]);
  return message;
}

test('random octets', () => {
  const dice = createDice(printedSeed('fuzz: random octets'));
  for (let n = 0; n < RANDOM; n++) {
    const query = Buffer.from(Array.from({ length: dice.below(80) }, () => dice.below(256)));
    // A header with one question gets further.
    if (query.length >= 12 && dice.chance(0.7)) Buffer.of(0, 0, 0, 1, 0, 0, 0, 0, 0, dice.below(2)).copy(query, 2);
    check(query, transportOf(n), `${n}: ${query.toString('hex')}`);
  }
});

test('queries with and without mistakes', () => {
  const dice = createDice(printedSeed('fuzz: mutated queries'));
  for (let n = 0; n < MUTATED; n++) {
    const query = dice.chance(0.2) ? randomQuery(dice) : mutated(dice, randomQuery(dice));
    check(query, transportOf(n), `${n}: ${query.toString('hex')}`);
  }
});
