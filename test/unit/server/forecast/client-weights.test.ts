/** How simulate weights clients if their countries were sampled. */
import { describe, expect, test } from 'vitest';
import type { CountedClients } from '../../../../server/forecast/client-counts.ts';
import { MIN_SAMPLES, scaleCountries, type Cell } from '../../../../server/forecast/country-scale.ts';
import { simulateFrom, type SimulateRequest } from '../../../../server/forecast/simulate-failure.ts';
import type { Traffic } from '../../../../server/forecast/traffic.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering } from '../../../support/pharos.ts';

/** KR has 7/8 of the addresses, IE 1/16, US 1/16: its east and west are equal. SE has only IPv6. */
const FILES = {
  'pharos.yaml':
    'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, dublin: { at: IE }, east: { at: US }, west: { at: US } }\n',
  'small.mmdb': writeMmdb([
    ['20.0.0.0/8', { country: { iso_code: 'KR' } }],
    ['20.0.0.0/12', { country: { iso_code: 'IE' } }],
    ['20.16.0.0/13', { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'NY' }] }],
    ['20.24.0.0/13', { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'CA' }] }],
    ['2001:db8::/32', { country: { iso_code: 'SE' } }],
  ]),
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns.example.net.]
services:
  geo:
    vips:
      s1: { region: seoul, A: 203.0.113.1 }
      s2: { region: seoul, A: 203.0.113.2, weight: 3 }
      d: { region: dublin, A: 203.0.113.3 }
      e: { region: east, A: 203.0.113.4 }
      w: { region: west, A: 203.0.113.5 }
    steer: [geo: { KR: [seoul, dublin], US-CA: [west, east], US-NY: [east, west], default: [dublin, seoul] }, weighted]
  order: { vips: { a: { region: seoul, A: 203.0.113.6 }, b: { region: dublin, A: 203.0.113.7 } }, steer: [failover: [seoul, dublin]] }
`,
};
const server = answering(FILES);
const { vips } = server.generation.catalog;

function clientsOf(countries: Readonly<Record<string, number>>, others = 0): CountedClients {
  const samples = Object.values(countries).reduce((sum, count) => sum + count, others);
  return { samples, countries: new Map(Object.entries(countries)), others };
}

/** `served` is by VIP. */
function simulate(
  down: string,
  clients: CountedClients,
  served: Readonly<Record<string, number>> = {},
  weigh: SimulateRequest['weigh'] = 'auto',
): Traffic {
  const simulated = simulateFrom(
    server.generation,
    { down: [down.replace('/', '.example.com/')], weigh },
    {
      health: { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => undefined },
      served: Float64Array.from(vips, ({ name }) => served[name] ?? 0),
      clients: () => clients,
    },
  );
  const [traffic] = simulated.ok ? simulated.simulation.services : [];
  if (!traffic) throw new Error(JSON.stringify(simulated));
  return traffic;
}

const shares = ({ vips: found }: Traffic): Record<string, number> =>
  Object.fromEntries(found.map(({ vip, before }) => [vip, before]));
const moved = ({ countries }: Traffic): Record<string, number> =>
  Object.fromEntries(countries.map(({ country, moved: share }) => [country, share]));

describe('clients are weighted by their countries', () => {
  const SPLIT = clientsOf({ KR: 200, IE: 1400, US: 400 });

  test('whatever the address space is like', () => {
    const traffic = simulate('geo/@seoul', SPLIT);
    expect(traffic).toMatchObject({ weighed: 'countries', moved: 0.1 });
    expect(traffic.moves).toEqual([
      { from: 's2', to: 'd', share: 0.075 },
      { from: 's1', to: 'd', share: 0.025 },
    ]);
    expect(simulate('geo/@seoul', SPLIT, {}, 'addresses')).toMatchObject({ weighed: 'addresses', moved: 0.875 });
  });

  test('also if all countries get the same VIP, so that its answers show nothing about them', () => {
    const served = { a: 1_000_000 };
    expect(moved(simulate('order/a', SPLIT, served))).toEqual({ IE: 0.7, US: 0.2, KR: 0.1 });
    expect(moved(simulate('order/a', clientsOf({}), served))).toEqual({ KR: 0.875, IE: 0.0625, US: 0.0625 });
  });

  test('within a country by the answers of regions, and within a region by weights', () => {
    const traffic = simulate('geo/@west', SPLIT, { e: 1000, w: 3000, s1: 9000, s2: 1, d: 14_000 });
    expect(shares(traffic)).toEqual({ s1: 0.025, s2: 0.075, d: 0.7, e: 0.05, w: 0.15 });
    expect(moved(traffic)).toEqual({ US: 0.15 });
  });

  test('within a country by addresses, if a region has no answers yet', () => {
    expect(shares(simulate('geo/@west', SPLIT, { e: 4000, s1: 2000, d: 14_000 }))).toMatchObject({ e: 0.1, w: 0.1 });
  });

  test('countries without IPv4 addresses, and unknown places, are left out', () => {
    const traffic = simulate('geo/@seoul', clientsOf({ KR: 500, IE: 500, SE: 1000, '': 3000 }));
    expect(traffic).toMatchObject({ weighed: 'countries', moved: 0.5 });
  });

  test('what cannot be distinguished is shared by addresses', () => {
    expect(moved(simulate('order/a', clientsOf({ KR: 1000 }, 1000)))).toEqual({ KR: 0.5, IE: 0.25, US: 0.25 });
  });

  test.each<[title: string, clients: CountedClients, weigh: SimulateRequest['weigh'], weighed: Traffic['weighed']]>([
    ['if there are enough', clientsOf({ KR: MIN_SAMPLES }), 'auto', 'countries'],
    ['not if there are fewer', clientsOf({ KR: MIN_SAMPLES - 1 }), 'auto', 'served'],
    ['not if most are of unknown places', clientsOf({ KR: MIN_SAMPLES - 1, '': 1e6 }), 'auto', 'served'],
    ['if answers are requested', clientsOf({ KR: MIN_SAMPLES }), 'served', 'countries'],
    ['not if addresses are requested', clientsOf({ KR: MIN_SAMPLES }), 'addresses', 'addresses'],
  ])('%s', (_title, clients, weigh, weighed) => {
    expect(simulate('geo/@seoul', clients, { s1: 1000, d: 9000 }, weigh).weighed).toBe(weighed);
  });
});

describe('countries get their totals', () => {
  const cell = (country: string, region: string, addresses: number): Cell => ({ country, region, addresses });
  const fitted = (
    cells: readonly Cell[],
    clients: CountedClients,
    served: Readonly<Record<string, number>>,
  ): number[] =>
    scaleCountries(cells, clients, new Map(Object.entries(served))).map(
      (scale, index) => Math.round(scale * (cells[index]?.addresses ?? 0) * 1000) / 1000,
    );

  test.each<[title: string, cells: Cell[], clients: CountedClients, served: Record<string, number>, counts: number[]]>([
    [
      'and regions get theirs, if both can',
      [cell('A', 'x', 10), cell('A', 'y', 10), cell('B', 'y', 10)],
      clientsOf({ A: 60, B: 40 }),
      { x: 3, y: 7 },
      [30, 30, 40],
    ],
    [
      'against the answers, if both cannot',
      [cell('A', 'x', 10), cell('B', 'y', 10)],
      clientsOf({ A: 60, B: 40 }),
      { x: 1e12, y: 1 },
      [60, 40],
    ],
    ['without answers', [cell('A', 'x', 30), cell('A', 'y', 10)], clientsOf({ A: 8 }), {}, [6, 2]],
    ['without clients', [cell('A', 'x', 30), cell('B', 'x', 10)], clientsOf({ B: 8 }), { x: 5 }, [0, 8]],
    ['without addresses', [cell('A', 'x', 0), cell('B', 'x', 10)], clientsOf({ A: 8, B: 8 }), { x: 5 }, [0, 8]],
  ])('%s', (_title, cells, clients, served, counts) => {
    expect(fitted(cells, clients, served)).toEqual(counts);
  });
});
