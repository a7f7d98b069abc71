/**
 * `simulate --down @` and `explain --down www.example.com/@` meant all VIPs without a region, although `drain @`
 * rejects that target.
 */
import { expect, test } from 'vitest';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { simulateFrom } from '../../../server/forecast/simulate-failure.ts';
import { load, NO_GEOGRAPHY } from '../../support/pharos.ts';

const generation = load({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
services:
  www: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }
`,
});
const nobody = { ok: false, parameter: 'down', message: expect.stringContaining('no VIP is in a region ""') as string };

test.each(['@', 'www.example.com/@'])('%s is not a target', (target) => {
  const down = [target];
  expect(simulateFrom(generation, { down, weigh: 'auto' })).toEqual(nobody);
  expect(explainFrom(generation, { name: 'www.example.com', type: 'A', client: '192.0.2.1', down })).toEqual(nobody);
});
