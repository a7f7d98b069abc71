/**
 * A client subnet that is ignored, because it is private, has its own length as scope in the response. Explain named
 * the scope of the resolver's address instead.
 */
import { expect, test } from 'vitest';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { parseAddress } from '../../../wire/address.ts';
import { subnetOption, T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const server = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: {}, dublin: {} }
services:
  www: { vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: dublin, A: 192.0.2.2 } }, steer: [ { geo: { "198.51.100.0/24": seoul, default: dublin } } ] }
  one: { vips: { a: { region: seoul, A: 192.0.2.1 } }, steer: [ { geo: { default: seoul } } ] }
  all: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } }, steer: [all] }
`,
});

test.each([
  ['www', '172.16.5.0', 24, 24],
  ['www', '172.16.0.0', 12, 12],
  ['www', '10.1.2.3', 32, 32],
  ['www', '198.51.100.0', 24, 24],
  ['www', '198.51.100.7', 32, 24],
  ['all', '172.16.5.0', 24, 0],
])('%s for %s/%d has the scope %d in the response and in explain', (label, address, bits, scope) => {
  const name = `${label}.example.com`;
  const resolver = '203.0.113.9';
  const { edns } = server.ask(name, T.A, {
    from: resolver,
    edns: { options: [subnetOption(parseAddress(address) ?? new Uint8Array(4), bits)] },
  });
  expect(edns?.scope).toBe(scope);
  const explained = explainFrom(server.generation, { name, type: 'A', client: `${address}/${bits}`, resolver });
  expect(explained.ok && explained.trace.scope.bits).toBe(scope);
});

test('for the scope 0, every client is named', () => {
  const explained = explainFrom(server.generation, { name: 'one.example.com', type: 'A', client: '198.51.100.7/32' });
  expect(explained.ok && explained.trace.scope).toMatchObject({
    bits: 0,
    why: 'every client gets the same candidates',
  });
});
