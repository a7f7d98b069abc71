/**
 * `schedules:` with all its entries commented out gave "schedules needs the key at", although a map that is commented
 * out is an empty one; `transfer.allow:` likewise.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

test.each([
  'schedules:\n',
  'schedules:\n  # - { at: "0 22 * * *" }\n',
  'transfer:\n  allow:\n    # - { from: 192.0.2.54 }\n',
])('%j is an empty list', (text) => {
  const zone = { 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n' };
  const settings = { 'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}${text}` };
  expect(mistakesOf({ ...NO_GEOGRAPHY, ...zone, ...settings })).toEqual([]);
});
