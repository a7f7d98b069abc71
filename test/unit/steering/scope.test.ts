/**
 * The scope of an answer (RFC 7871 7.2.1) over the bundled database, exactly: every leaf below the prefix is examined,
 * and nothing is sampled. Also whose address counts if a subnet does not show the client's place.
 */
import { describe, expect, test } from 'vitest';
import { ATLAS } from '../../../geo/find-class.ts';
import { locate } from '../../../steering/chain.ts';
import { HAS, SERVICE } from '../../../steering/plan.ts';
import { formatAddress, formatPrefix, networkOf, parseAddress } from '../../../wire/address.ts';
import { RCODE } from '../../../wire/types.ts';
import { subnetOption, T } from '../../support/message.ts';
import { answering } from '../../support/pharos.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const seed = printedSeed('scope');

/**
 * Countries, and networks of every length in both families, some within others; half of them have the outcome of their
 * country.
 */
function randomTable(): string {
  const dice = createDice(seed);
  const lines = ['KR,seoul,5', 'KR,tokyo,30', 'DE,dublin,20', 'DE,seoul,25', 'US,tokyo,90', 'US,dublin,80'];
  for (let n = 0; n < 3000; n++) {
    const octets = dice.pick([4, 16]);
    const address = Uint8Array.from({ length: octets }, () => dice.below(256));
    if (octets === 16) address.set([0x20 + dice.below(16), dice.below(16)]);
    const network = formatPrefix(networkOf(address, octets === 4 ? 6 + dice.below(27) : 12 + dice.below(53)));
    for (const region of dice.sample(['seoul', 'tokyo', 'dublin'], 1 + dice.below(3))) {
      lines.push(`${network},${region},${dice.below(12) * 10}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const server = answering({
  'zones/rtt.csv': randomTable(),
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: { at: KR }, tokyo: { at: JP }, dublin: { at: IE } }
services:
  w:
    vips:
      k: { region: seoul, A: 203.0.113.1 }
      j: { region: tokyo, A: 203.0.113.2 }
      i: { region: dublin, A: 203.0.113.3 }
    steer: [{ geo: { KR: seoul, 8.8.8.0/24: dublin, europe: [dublin, seoul], default: [tokyo, dublin, seoul] } }]
  near:
    vips: { k: { region: seoul, A: 203.0.113.1 }, j: { region: tokyo, A: 203.0.113.2 }, i: { region: dublin, A: 203.0.113.3 } }
  wide:
    vips: { k: { region: seoul, A: 203.0.113.1 }, j: { region: tokyo, A: 203.0.113.2 }, i: { region: dublin, A: 203.0.113.3 } }
    steer: [nearest: { bias: { tokyo: 40, dublin: -30 }, within: 900km }]
  fast:
    vips: { k: { region: seoul, A: 203.0.113.1 }, j: { region: tokyo, A: 203.0.113.2 }, i: { region: dublin, A: 203.0.113.3 } }
    steer: [latency: { table: rtt.csv, within: 20ms }]
  chain:
    vips: { k: { region: seoul, A: 203.0.113.1 }, j: { region: tokyo, A: 203.0.113.2 }, i: { region: dublin, A: 203.0.113.3 } }
    steer: [latency: { table: rtt.csv, within: 50ms }, nearest: { within: 500km }, geo: { 2001:200::/32: tokyo, asia: [seoul, tokyo], default: [dublin, tokyo, seoul] }]
  anywhere:
    vips: { a: { A: 203.0.113.1 }, b: { A: 203.0.113.2 } }
    steer: [failover: [b, a], weighted]
`,
});
const { plan } = server.state.steerer;
const serviceOf = (name: string): number =>
  server.generation.catalog.services.findIndex((service) => service.name === `${name}.example.com`);

/** Whether all addresses below the code have the outcome. */
function isAll(outcomes: Int32Array, code: number, outcome: number): boolean {
  if (code < 0) return outcomes[~code] === outcome;
  const row = code * ATLAS.WORDS;
  const { nodes } = plan.atlas;
  return (
    isAll(outcomes, nodes[row + ATLAS.LEFT] ?? 0, outcome) && isAll(outcomes, nodes[row + ATLAS.RIGHT] ?? 0, outcome)
  );
}

/** The code at a prefix of the address; a leaf stays the same further down. */
function codeAt(address: Uint8Array, bits: number): number {
  let code = address.length === 4 ? plan.atlas.v4Root : plan.atlas.v6Root;
  for (let depth = 0; depth < bits && code >= 0; depth++) {
    const bit = ((address[depth >> 3] ?? 0) >> (7 - (depth & 7))) & 1;
    code = plan.atlas.nodes[code * ATLAS.WORDS + bit] ?? 0;
  }
  return code;
}

test.each([
  ['geo', 'w', 4],
  ['geo', 'w', 16],
  ['nearest', 'near', 4],
  ['nearest', 'near', 16],
  ['nearest with bias and within', 'wide', 4],
  ['nearest with bias and within', 'wide', 16],
  ['latency', 'fast', 4],
  ['latency', 'fast', 16],
  ['three steps that look at the place', 'chain', 4],
  ['three steps that look at the place', 'chain', 16],
])('%s (%s), addresses of %i octets: the whole scope has one outcome, and one bit less has not', (_, name, octets) => {
  const service = serviceOf(name);
  const outcomes = plan.mapViews[plan.services[service * SERVICE.WORDS + SERVICE.MAP] ?? -1]?.outcomes;
  if (outcomes === undefined) throw new Error('the service has no map');
  const dice = createDice(seed);
  const scopes = new Set<number>();
  for (let n = 0; n < 3000; n++) {
    const address = Uint8Array.from({ length: octets }, () => dice.below(256));
    // Most of IPv6 is unassigned; half of these are in an assigned part.
    if (octets === 16 && dice.chance(0.5)) address.set([0x20 + dice.below(16), dice.below(16)]);
    const located = locate(server.state.steerer, service, HAS.A, address, octets * 8);
    const outcome = located >> 8;
    const scope = located & 255;
    scopes.add(scope);
    if (!isAll(outcomes, codeAt(address, scope), outcome))
      expect.fail(`${formatAddress(address)}/${scope} is too wide`);
    if (scope > 0 && isAll(outcomes, codeAt(address, scope - 1), outcome)) {
      expect.fail(`${formatAddress(address)}/${scope} is too narrow`);
    }
  }
  expect(scopes.size).toBeGreaterThan(5);
});

const subnet = (text: string, bits: number): { edns: { options: [ReturnType<typeof subnetOption>] } } => ({
  edns: { options: [subnetOption(parseAddress(text) ?? new Uint8Array(4), bits)] },
});

test('the scope that is sent is the one found', () => {
  const { edns, answer } = server.ask('w.example.com', T.A, subnet('8.8.8.8', 32));
  expect(edns?.scope).toBe(24);
  expect(answer[0]?.data).toBe('cb007103');
});

test('it is 0 if the client does not matter', () => {
  expect(server.ask('anywhere.example.com', T.A, subnet('8.8.8.8', 24)).edns?.scope).toBe(0);
});

describe('addresses without a public place', () => {
  const RESOLVERS = [
    ['1.208.0.1', 'cb007101'],
    ['85.214.0.1', 'cb007103'],
  ] as const;

  test.each([
    ['10.0.0.0', 8],
    ['127.0.0.1', 32],
    ['100.64.0.0', 10],
    ['169.254.1.0', 24],
    ['172.16.0.0', 12],
    ['192.168.7.0', 24],
    ['0.0.0.0', 0],
    ['::1', 128],
    ['fe80::', 64],
    ['fd00:1234::', 48],
    ['::', 0],
  ])('a subnet of %s/%i: the resolver decides, and the answer is only for clients in it', (text, bits) => {
    for (const [from, data] of RESOLVERS) {
      const response = server.ask('w.example.com', T.A, { ...subnet(text, bits), from });
      expect(response.edns?.scope).toBe(bits);
      expect(response.answer[0]?.data, from).toBe(data);
    }
  });

  test.each([
    ['a prefix longer than the address', '000121000102030405'],
    ['an unknown family', '00031800010203'],
    ['too few octets', '0001180001'],
    ['bits behind the prefix', '00010900ffff'],
    ['a scope in a query', '00011818010203'],
    ['nothing', ''],
  ])('%s in a subnet never steers', (_, hex) => {
    const options = { edns: { options: [{ code: 8, data: Buffer.from(hex, 'hex') }] } };
    for (const [from, data] of RESOLVERS) {
      const response = server.ask('w.example.com', T.A, { ...options, from });
      // RFC 7871 7.1.2: FORMERR. A subnet without a meaning is treated as absent.
      if (response.rcode === RCODE.NOERROR) expect(response.answer[0]?.data).toBe(data);
      else expect(response.rcode).toBe(RCODE.FORMERR);
      expect(response.edns?.scope ?? 0).toBe(0);
    }
  });
});
