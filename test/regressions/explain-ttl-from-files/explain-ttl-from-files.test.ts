/**
 * From files, without health states, `explain` said of a TTL range that "no state can change by itself" and showed its
 * maximum, whatever the checks; and with `--down` always its minimum. It shows the TTL that answers have once checks
 * have settled.
 */
import { expect, test } from 'vitest';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { load, NO_GEOGRAPHY } from '../../support/pharos.ts';

const generation = load({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
checks:
  web: { type: http, interval: 10s, rise: 2, fall: 3 }
  told: { type: push, expires: 45s }
services:
  www: { ttl: { min: 5, max: 60 }, check: web, vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }
  pushed: { ttl: { min: 5, max: 60 }, check: told, vips: { a: { A: 192.0.2.1 } } }
  free: { ttl: { min: 5, max: 60 }, vips: { a: { A: 192.0.2.1 } } }
`,
});

test.each([
  ['www', [], 30, 'the earliest possible state change is that of a, in 30 s'],
  ['www', ['b'], 20, 'the earliest possible state change is that of b, in 20 s'],
  ['pushed', [], 45, 'the earliest possible state change is that of a, in 45 s'],
  ['pushed', ['a'], 5, 'the earliest possible state change is that of a, at once; raised to 5 s (min)'],
  ['free', [], 60, 'no state can change by itself, so the TTL is the maximum (max: 60)'],
])('%s with %j down: %i s', (service, vips, seconds, why) => {
  const name = `${service}.example.com`;
  const down = vips.map((vip) => `${name}/${vip}`);
  expect(explainFrom(generation, { name, type: 'A', client: '192.0.2.9', down })).toMatchObject({
    ok: true,
    trace: { ttl: { seconds, why } },
  });
});
