/**
 * Shares were rounded to millionths of all clients before the moves of a country were shown as parts of the country:
 * those of a small country were `a -> c 60.0 %, a -> b 60.0 %`, and the smallest had none. Also, clients without an
 * answer before the failure were counted as stranded by it, and the text about them was applied to all.
 */
import { expect, test } from 'vitest';
import { renderSimulation } from '../../../cli/render-simulation.ts';
import { simulateFrom } from '../../../server/forecast/simulate-failure.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { load } from '../../support/pharos.ts';

const country = (code: string) => ({ country: { iso_code: code } });
const generation = load({
  'pharos.yaml': 'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, dublin: { at: IE } }\n',
  'small.mmdb': writeMmdb([
    ['16.0.0.0/4', country('IE')],
    ['20.0.0.0/24', country('KR')],
    ['20.0.1.0/29', country('JP')],
  ]),
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
services:
  www:
    vips: { a: { region: seoul, A: 192.0.2.1 }, b: { A: 192.0.2.2 }, c: { A: 192.0.2.3 }, d: { region: dublin, A: 192.0.2.4 } }
    steer: [{ geo: { asia: seoul, europe: dublin, default: dublin } }, weighted]
  all: { vips: { a: { region: seoul, A: 192.0.2.1, weight: 2 }, b: { A: 192.0.2.2 }, c: { A: 192.0.2.3 } }, steer: weighted }
  fenced:
    vips: { a: { region: seoul, A: 192.0.2.1, AAAA: '2001:db8::1' }, d: { region: dublin, A: 192.0.2.4 } }
    steer: [{ geo: { asia: seoul, europe: dublin, default: dublin }, fence: true }]
`,
});

function simulated(down: string) {
  const found = simulateFrom(generation, { down: [down], weigh: 'addresses' });
  if (!found.ok) throw new Error(found.message);
  return found.simulation;
}

test('the moves of a country add up to what moves of it', () => {
  const [traffic] = simulated('all.example.com/a').services;
  const countries = traffic?.countries ?? [];
  expect(countries.map((each) => each.country)).toEqual(['IE', 'KR', 'JP']);
  for (const { moved, moves } of countries) {
    expect(moves).toHaveLength(2);
    for (const { share } of moves) expect(share / moved).toBeCloseTo(0.5, 4);
  }
});

test('the smallest country is not left out', () => {
  const [traffic] = simulated('www.example.com/a').services;
  expect(traffic?.countries.map((each) => each.country)).toEqual(['KR', 'JP']);
});

test('clients without an answer before are not reported to lose it', () => {
  const text = renderSimulation(simulated('fenced.example.com/@seoul'), false, (_style, words) => words);
  expect(text).toContain(
    '! no VIP is left for <0.1 % more of its clients: when_all_down is serve_all: they are still sent to VIPs that are down',
  );
});
