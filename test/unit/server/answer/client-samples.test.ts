/** Which clients are sampled, and how they are counted. */
import { describe, expect, test } from 'vitest';
import { createClientCounter } from '../../../../cli/serve/client-counter.ts';
import { prepare } from '../../../../cli/serve/generation.ts';
import { createClientRing, QUERIES_A_SAMPLE, takeClients } from '../../../../server/answer/client-samples.ts';
import { COUNTER } from '../../../../server/counters.ts';
import { createClientCounts, HALF_LIFE_MS, type CountedClients } from '../../../../server/forecast/client-counts.ts';
import { formatAddress, parseAddress } from '../../../../wire/address.ts';
import { expectShare } from '../../../support/chance.ts';
import { encodeQuery, subnetOption, T, type QueryOptions } from '../../../support/message.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering, type Answering, type AskOptions, type Files, loadPacked } from '../../../support/pharos.ts';
import { createDice, printedSeed, trials } from '../../../support/random.ts';

const SETTINGS: Files = {
  'pharos.yaml': 'geo: { databases: [small.mmdb], networks: { 198.51.100.0/24: JP } }\n',
  'small.mmdb': writeMmdb([
    ['20.0.0.0/9', { country: { iso_code: 'KR' } }],
    ['20.128.0.0/9', { country: { iso_code: 'IE' } }],
    ['2001:db8:1::/48', { country: { iso_code: 'KR' } }],
  ]),
};
const zone = (services: string): Files => ({
  ...SETTINGS,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns.example.net.]
records:
  alias: { CNAME: two }
  plain: { A: 192.0.2.1 }
services:
${services}`,
});
const ONE = '  one: { vips: { v: { A: 203.0.113.1 } } }\n';
const TWO = '  two: { vips: { w: { A: 203.0.113.2 } } }\n';
const NAMED = '  named: { vips: { v: { CNAME: one } } }\n';
const DARK = '  dark: { vips: { v: { A: 203.0.113.3 } }, when_all_down: none }\n';
const ALL = zone(ONE + TWO + NAMED + DARK);

type Sampling = Answering & {
  readonly ring: SharedArrayBuffer;
  /** Asks for a name, and returns the samples: `two 20.0.0.1`. */
  readonly sampled: (name: string, options?: AskOptions) => string[];
};

function sampling(files: Files, seed = 1): Sampling {
  const ring = createClientRing();
  const server = answering(files, { clients: [ring] }, seed);
  return {
    ...server,
    ring,
    sampled: (name, options = {}) => {
      if (server.state.sampler) server.state.sampler.left = 1;
      server.exchange(encodeQuery(`${name}.example.com`, T.A, options), options);
      return [...takeClients(ring)].map(({ service, address }) => {
        const { name: own = '' } = server.generation.catalog.services[service] ?? {};
        return `${own.replace('.example.com', '')} ${formatAddress(address)}`;
      });
    },
  };
}

function from(subnet: string, bits: number): QueryOptions {
  return { edns: { options: [subnetOption(parseAddress(subnet) ?? new Uint8Array(4), bits)] } };
}

describe('a sample is the service, and the address that steering used', () => {
  test.each<[title: string, name: string, options: AskOptions, samples: string[]]>([
    ['the resolver', 'one', { from: '20.0.0.1' }, ['one 20.0.0.1']],
    ['an IPv6 resolver', 'one', { from: '2001:db8:1::1' }, ['one 2001:db8:1::1']],
    ['the client subnet', 'two', { from: '20.0.0.1', ...from('20.128.7.0', 24) }, ['two 20.128.7.0']],
    ['a subnet of the other family', 'two', { from: '20.0.0.1', ...from('2001:db8:1::', 48) }, ['two 2001:db8:1::']],
    ['not a private subnet', 'two', { from: '20.0.0.1', ...from('10.0.0.0', 8) }, ['two 20.0.0.1']],
    ['over TCP too', 'one', { from: '20.0.0.1', overTcp: true }, ['one 20.0.0.1']],
    ['where an alias leads', 'alias', { from: '20.0.0.1' }, ['two 20.0.0.1']],
    ['nothing for static names', 'plain', { from: '20.0.0.1' }, []],
    ['nothing for nonexistent names', 'none', { from: '20.0.0.1' }, []],
  ])('%s', (_title, name, options, samples) => {
    expect(sampling(ALL).sampled(name, options)).toEqual(samples);
  });

  test('clients without a VIP are counted too', () => {
    const server = sampling(ALL);
    server.health.states.fill(0);
    server.set('dark.example.com/v', { probed: 1 });
    expect(server.sampled('dark', { from: '20.0.0.1' })).toEqual(['dark 20.0.0.1']);
  });

  test('a chain through two services counts at both', () => {
    const server = sampling(ALL);
    const query = encodeQuery('named.example.com', T.A);
    const ASKED = 4000;
    const found = [0, 0, 0, 0];
    for (let i = 0; i < ASKED; i++) server.exchange(query, { from: '20.0.0.1' });
    for (const { service } of takeClients(server.ring)) found[service] = (found[service] ?? 0) + 1;
    expect(found.map((count) => count > 0)).toEqual([true, false, true, false]);
  });
});

test('a taken address does not stay in memory', () => {
  const server = sampling(ALL);
  server.sampled('one', { from: '20.7.7.7' });
  expect(
    Buffer.from(server.ring)
      .subarray(64)
      .every((octet) => octet === 0),
  ).toBe(true);
});

describe('sampling favours no client, in whatever order they come', () => {
  // The longest gap is 128 queries, a batch 64.
  test.each([1, 2, 64, 128, 200])('%d clients in turn', (period) => {
    const seed = printedSeed(`sampling ${period} in turns`);
    const server = sampling(ALL, seed);
    const query = encodeQuery('one.example.com', T.A);
    const clients = Array.from({ length: period }, (_, number) => `20.0.0.${number}`);
    const found = new Map<string, number>();
    // Forty samples of each client or more: one that is never sampled cannot be chance.
    const ASKED = trials(Math.max(200_000, 40 * QUERIES_A_SAMPLE * period));
    for (let i = 0; i < ASKED; i++) {
      server.exchange(query, { from: clients[i % period] ?? '' });
      if (i % 20_000 !== 0 && i !== ASKED - 1) continue;
      for (const { address } of takeClients(server.ring)) {
        found.set(formatAddress(address), (found.get(formatAddress(address)) ?? 0) + 1);
      }
    }
    expect(server.state.counters[COUNTER.CLIENT_SAMPLES_DROPPED]).toBe(0);
    for (const client of clients) {
      const share = (found.get(client) ?? 0) / (ASKED / period);
      // As if drawn independently, which is more than it varies.
      expectShare(share, 1 / QUERIES_A_SAMPLE, ASKED / period, `${client}, seed ${seed}`);
    }
  });
});

test('two threads do not sample the same queries', () => {
  const gaps = [1, 2].map((seed) => {
    const { state, exchange } = sampling(ALL, seed);
    const query = encodeQuery('one.example.com', T.A);
    return Array.from({ length: 2000 }, () => {
      exchange(query, { from: '20.0.0.1' });
      return state.sampler?.left;
    });
  });
  expect(gaps[0]).not.toEqual(gaps[1]);
});

test('a full ring drops, counts, still answers, and continues when there is room', () => {
  const server = sampling(ALL);
  const { sampler, counters } = server.state;
  if (!sampler) throw new Error('nothing is sampled');
  const query = encodeQuery('one.example.com', T.A);
  const ask = (from: string): void => {
    sampler.left = 1;
    expect(server.exchange(query, { from })?.length).toBeGreaterThan(12);
  };
  const { slots } = sampler.ring;
  for (let i = 0; i < slots; i++) ask('20.0.0.1');
  for (let i = 0; i < 5; i++) ask('20.0.0.2');
  expect(counters[COUNTER.CLIENT_SAMPLES_DROPPED]).toBe(5);
  expect([...takeClients(server.ring)].map(({ address }) => formatAddress(address))).toEqual(
    Array.from({ length: slots }, () => '20.0.0.1'),
  );
  ask('20.0.0.3');
  expect([...takeClients(server.ring)].map(({ address }) => formatAddress(address))).toEqual(['20.0.0.3']);
  expect(counters[COUNTER.CLIENT_SAMPLES_DROPPED]).toBe(5);
});

/** The counts after this many clients of each address have asked for a name. */
function count(
  counts: ReturnType<typeof createClientCounts>,
  server: Sampling,
  name: string,
  clients: Readonly<Record<string, number>>,
): void {
  const query = encodeQuery(`${name}.example.com`, T.A);
  for (const [client, times] of Object.entries(clients)) {
    for (let i = 0; i < times; i++) {
      if (server.state.sampler) server.state.sampler.left = 1;
      server.exchange(query, { from: client });
    }
  }
  counts.take(server.generation, [server.ring]);
}

function plain({ samples, countries }: CountedClients): { samples: number; countries: Record<string, number> } {
  return { samples, countries: Object.fromEntries(countries) };
}

describe('counts', () => {
  test('are by service and country, of both families, of listed networks, and of unknown places', () => {
    const server = sampling(ALL);
    const counts = createClientCounts(() => 0);
    count(counts, server, 'one', { '20.0.0.1': 3, '2001:db8:1::1': 2, '20.128.0.1': 4, '198.51.100.1': 1 });
    count(counts, server, 'two', { '192.0.2.1': 6, '20.0.0.1': 1 });
    expect(plain(counts.of('one.example.com'))).toEqual({ samples: 10, countries: { KR: 5, IE: 4, JP: 1 } });
    expect(plain(counts.of('two.example.com'))).toEqual({ samples: 7, countries: { '': 6, KR: 1 } });
    expect(plain(counts.of('named.example.com'))).toEqual({ samples: 0, countries: {} });
    expect(Object.fromEntries(counts.totals())).toEqual({ KR: 6, IE: 4, JP: 1, '': 6 });
  });

  test('fade by half every half-life, and the totals do not', () => {
    const server = sampling(ALL);
    let now = 1000;
    const counts = createClientCounts(() => now);
    count(counts, server, 'one', { '20.0.0.1': 64 });
    now += HALF_LIFE_MS;
    count(counts, server, 'one', { '20.128.0.1': 32 });
    expect(plain(counts.of('one.example.com'))).toEqual({ samples: 64, countries: { KR: 32, IE: 32 } });
    now += 2 * HALF_LIFE_MS;
    expect(plain(counts.of('one.example.com'))).toEqual({ samples: 16, countries: { KR: 8, IE: 8 } });
    expect(Object.fromEntries(counts.totals())).toEqual({ KR: 64, IE: 32 });
    now += 100 * HALF_LIFE_MS;
    expect(plain(counts.of('one.example.com'))).toEqual({ samples: 0, countries: {} });
  });

  test('fade equally whether they are read once or often', () => {
    const server = sampling(ALL);
    let now = 0;
    const counts = createClientCounts(() => now);
    count(counts, server, 'one', { '20.0.0.1': 100 });
    const seed = printedSeed('fading');
    const dice = createDice(seed);
    while (now < HALF_LIFE_MS) {
      counts.of('one.example.com');
      now = Math.min(HALF_LIFE_MS, now + dice.below(3_600_000));
    }
    // Counts newer than FADE_EVERY_MS have not faded yet.
    expect(counts.of('one.example.com').samples, `seed ${seed}`).toBeCloseTo(50, 0);
  });

  test('follow the name of a service: a reload that renumbers services changes nothing', () => {
    const before = sampling(zone(ONE + TWO));
    const after = sampling(zone(TWO + DARK + ONE));
    const counts = createClientCounts(() => 0);
    count(counts, before, 'one', { '20.0.0.1': 3 });
    count(counts, before, 'two', { '20.0.0.1': 1 });
    counts.keep(after.generation.catalog.services.map(({ name }) => name));
    count(counts, after, 'one', { '20.128.0.1': 2 });
    expect(plain(counts.of('one.example.com'))).toEqual({ samples: 5, countries: { KR: 3, IE: 2 } });
    expect(plain(counts.of('two.example.com'))).toEqual({ samples: 1, countries: { KR: 1 } });
    counts.keep(['one.example.com']);
    expect(plain(counts.of('two.example.com'))).toEqual({ samples: 0, countries: {} });
    expect(counts.of('one.example.com').samples).toBe(5);
  });

  test('include what was left in the rings of a replaced generation', () => {
    const [before, next] = [1, 2].map((number) => prepare(loadPacked(ALL), number, [], 1));
    if (!before || !next) throw new Error('two were prepared');
    const counter = createClientCounter(() => before);
    const { state, exchange } = answering(ALL, { clients: before.clients });
    if (state.sampler) state.sampler.left = 1;
    exchange(encodeQuery('one.example.com', T.A), { from: '20.0.0.1' });
    counter.replaced(before, next);
    expect(plain(counter.of('one.example.com'))).toEqual({ samples: 1, countries: { KR: 1 } });
  });
});
