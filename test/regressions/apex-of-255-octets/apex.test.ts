/**
 * A zone without `soa` whose apex leaves no room for `hostmaster` ended `check` and `serve` with a stack trace.
 */
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

test.each([61, 52, 51, 50, 49])('with %i octets in its first label it is served', (first) => {
  const apex = [first, 63, 63, 63].map((octets) => 'a'.repeat(octets)).join('.');
  const zone = `zone: ${apex}\nnameservers: [ns.example.net.]\n`;
  const server = answering({ ...NO_GEOGRAPHY, 'zones/long.yaml': zone });
  expect(server.ask(apex, T.SOA).answer).toHaveLength(1);
  // 11 octets more than the apex.
  expect(Buffer.from(server.generation.image.arena).includes('hostmaster')).toBe(first <= 50);
});
