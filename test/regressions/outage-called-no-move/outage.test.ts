/**
 * `simulate` of a total outage began with "no client moves", because with serve_all all clients are still sent to the
 * VIPs that are down.
 */
import { expect, test } from 'vitest';
import { renderSimulation } from '../../../cli/render-simulation.ts';
import { simulateFrom } from '../../../server/forecast/simulate-failure.ts';
import { load, NO_GEOGRAPHY } from '../../support/pharos.ts';

const generation = load({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1.example.net.]
services:
  www: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }
  api: { vips: { a: { A: 192.0.2.3 } }, when_all_down: none }
`,
});

test.each([
  [['www.example.com/a', 'www.example.com/b'], /^OUTAGE for 100 % of clients: www\.example\.com A\n/],
  [['api.example.com/a'], /^OUTAGE for 100 % of clients: api\.example\.com A\n/],
  [
    ['www.example.com/a', 'www.example.com/b', 'api.example.com/a'],
    /^OUTAGE for 100 % of clients: (?:www|api)\.example\.com A, (?:www|api)\.example\.com A\n/,
  ],
  [['www.example.com/a'], /^If www/],
])('%j', (down, beginning) => {
  const simulated = simulateFrom(generation, { down, weigh: 'auto' });
  if (!simulated.ok) throw new Error(simulated.message);
  const text = renderSimulation(simulated.simulation, false, (_, words) => words);
  expect(text).toMatch(beginning);
  expect(text).not.toContain('no client moves');
});
