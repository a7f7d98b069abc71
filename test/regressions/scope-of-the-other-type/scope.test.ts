/**
 * The scope came from the whole service: if all clients got the same AAAA and only A differed, AAAA had the scope of A.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { subnetOption, T } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering } from '../../support/pharos.ts';

const server = answering({
  'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
  'place.mmdb': writeMmdb([['192.0.2.0/24', { country: { iso_code: 'KR' } }]]),
  'zones/example.com.yaml': readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8'),
});

const scopeOf = (name: string, type: number): number | undefined =>
  server.ask(`${name}.example.com`, type, { edns: { options: [subnetOption(Uint8Array.of(192, 0, 2, 0), 24)] } }).edns
    ?.scope;

test.each([
  ['one-family', 24],
  ['near', 24],
  ['kept', 24],
])('%s: A differs by place, AAAA does not', (name, a) => {
  expect(scopeOf(name, T.A)).toBe(a);
  expect(scopeOf(name, T.AAAA)).toBe(0);
});

test('a step without a choice does not count', () => {
  expect(scopeOf('behind-failover', T.A)).toBe(0);
});
