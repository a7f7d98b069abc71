import { describe, expect, test } from 'vitest';
import { createQueryLog, lineOf, type QueryLine } from '../../../../cli/serve/query-log.ts';
import { createAnswerer } from '../../../../server/answer/answerer.ts';
import { createQueryRing, sampleQueries, takeSamples } from '../../../../server/answer/query-samples.ts';
import { packetOf, TRANSPORT } from '../../../../server/contract.ts';
import { COUNTER, createCounters } from '../../../../server/counters.ts';
import { parseAddress } from '../../../../wire/address.ts';
import { encodeQuery, subnetOption, T, type QueryOptions } from '../../../support/message.ts';
import { load, NO_GEOGRAPHY, payloadOf } from '../../../support/pharos.ts';

const generation = load({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.1 }
  chain: { CNAME: ns1 }
  large: { TXT: [${Array.from({ length: 20 }, (_, i) => `"${String(i).repeat(100)}"`).join(', ')}] }
`,
});

function thread(share: number) {
  const ring = createQueryRing();
  const counters = createCounters();
  const payload = payloadOf(generation, { queryLog: { share, rings: [ring] } });
  const answer = createAnswerer({ generation: 1, payload }, counters, 0);
  const memory = Buffer.alloc(65_535);
  return {
    ring,
    counters,
    ask: (query: Uint8Array, from = '192.0.2.9', transport: number = TRANSPORT.UDP): number => {
      memory.set(query);
      const peer = parseAddress(from) ?? new Uint8Array(4);
      return answer({ ...packetOf(memory, peer, transport, memory), length: query.length });
    },
    lines: (): QueryLine[] => [...takeSamples(ring)].map(lineOf),
  };
}

const subnet = { edns: { options: [subnetOption(Uint8Array.of(198, 51, 100, 0), 24)] } };

describe('a sample', () => {
  test.each<[string, number, QueryOptions, string, number, Partial<QueryLine>]>([
    [
      'NS1.example.com',
      T.A,
      {},
      '192.0.2.9',
      0,
      {
        name: 'ns1.example.com',
        type: 'A',
        client: '192.0.2.9',
        subnet: null,
        transport: 'udp',
        rcode: 'NOERROR',
        answer: ['A 192.0.2.1'],
      },
    ],
    [
      'chain.example.com',
      T.A,
      subnet,
      '2001:db8::1',
      1,
      {
        client: '2001:db8::1',
        subnet: '198.51.100.0/24',
        transport: 'tcp',
        answer: ['CNAME ns1.example.com.', 'A 192.0.2.1'],
      },
    ],
    [
      'nothere.example.com',
      T.AAAA,
      {},
      '192.0.2.9',
      2,
      { type: 'AAAA', transport: 'tls', rcode: 'NXDOMAIN', answer: [], truncated: false },
    ],
    ['example.org', T.A, {}, '192.0.2.9', 0, { name: 'example.org', rcode: 'REFUSED' }],
    ['example.com', T.A, { edns: { version: 1 } }, '192.0.2.9', 0, { rcode: 'BADVERS' }],
    ['large.example.com', T.TXT, {}, '192.0.2.9', 0, { truncated: true }],
    ['large.example.com', T.TXT, {}, '192.0.2.9', 1, { truncated: false, answer: null }],
    ['ns1.example.com', T.A, { flags: 0x8000 }, '192.0.2.9', 0, { name: null, type: null, rcode: null, answer: [] }],
  ])('of %s, type %d, with %j from %s, transport %d: %j', (name, type, options, from, transport, wanted) => {
    const { ask, lines } = thread(1);
    ask(encodeQuery(name, type, options), from, transport);
    expect(lines()).toEqual([expect.objectContaining(wanted)]);
  });

  test('of a malformed query has no name if none could be read', () => {
    const { ask, lines } = thread(1);
    ask(encodeQuery('ns1.example.com', T.A).subarray(0, 20));
    ask(encodeQuery('ns1.example.com', T.A, { edns: {} }).subarray(0, -1));
    expect(lines()).toMatchObject([
      { name: null, rcode: 'FORMERR' },
      { name: 'ns1.example.com', rcode: 'FORMERR' },
    ]);
  });

  test('has the time of the answer', () => {
    const { ask, lines } = thread(1);
    const before = Date.now();
    ask(encodeQuery('ns1.example.com', T.A));
    const at = Date.parse(lines()[0]?.at ?? '');
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
  });
});

test('a response is the same whether its query is logged or not', () => {
  const query = encodeQuery('chain.example.com', T.A, subnet);
  const lengths = [0, 1].map((share) => thread(share || 1e-9).ask(query));
  expect(lengths[0]).toBe(lengths[1]);
});

test.each([0.5, 0.01])('a share of %d is that share', (share) => {
  const ring = createQueryRing();
  const answer = sampleQueries(() => 0, share, ring, createCounters(), 20_261_121);
  let logged = 0;
  for (let i = 0; i < 20_000; i++) {
    answer(packetOf(new Uint8Array(12), new Uint8Array(4), TRANSPORT.UDP, new Uint8Array(12)));
    logged += [...takeSamples(ring)].length;
  }
  // Six standard deviations to either side.
  const spread = 6 * Math.sqrt(20_000 * share * (1 - share));
  expect(Math.abs(logged - 20_000 * share)).toBeLessThan(spread);
});

test('a full ring drops, counts, still answers, and continues when there is room', () => {
  const { ask, lines, counters } = thread(1);
  const query = (i: number) => encodeQuery(`n${i}.example.com`, T.A);
  for (let i = 0; i < 200; i++) expect(ask(query(i))).toBeGreaterThan(12);
  const first = lines();
  expect(first.map(({ name }) => name)).toEqual(Array.from({ length: 128 }, (_, i) => `n${i}.example.com`));
  expect(counters[COUNTER.SAMPLES_DROPPED]).toBe(72);
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 100; i++) ask(query(i));
    expect(lines()).toHaveLength(100);
  }
  expect(counters[COUNTER.SAMPLES_DROPPED]).toBe(72);
});

test('the log adds nothing while the share is 0, and writes the rest when it stops', () => {
  const written: object[] = [];
  const log = createQueryLog(2, { info: (fields, message) => void written.push({ ...fields, message }) });
  const settings = (queries: number) => ({ ...generation.settings, log: { level: 'info' as const, queries } });
  expect(log.payload(settings(0))).toBeUndefined();
  const payload = log.payload(settings(1));
  expect(payload?.rings).toHaveLength(2);
  // A reload keeps the same rings: threads change over one after the other.
  expect(log.payload(settings(0.5))?.rings).toBe(payload?.rings);
  const ring = payload?.rings[1];
  if (!ring) throw new Error('there is no ring');
  const answer = createAnswerer(
    { generation: 1, payload: payloadOf(generation, { queryLog: payload }) },
    createCounters(),
    1,
  );
  const query = encodeQuery('ns1.example.com', T.A);
  answer(packetOf(query, Uint8Array.of(192, 0, 2, 9), TRANSPORT.UDP, Buffer.alloc(2048)));
  log.stop();
  expect(written).toMatchObject([{ name: 'ns1.example.com', message: 'query' }]);
});
