/**
 * ANY at a service returned its steered records or nothing: if steering left none for this client, the name's static
 * TXT or MX, or the addresses of the other family, were ignored. RFC 8482 4.1: one RRset that exists.
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

test.each([
  ['www', T.TXT],
  ['plain', T.MX],
  ['other', T.AAAA],
  ['own', T.AAAA],
])('%s: a client that has no A gets the RRset of type %i', (name, type) => {
  const elsewhere = { edns: { options: [subnetOption(Uint8Array.of(198, 51, 100, 0), 24)] } };
  const response = server.ask(`${name}.example.com`, T.ANY, elsewhere);
  expect(response.answer.map((record) => record.type)).toEqual([type]);
  // The client's location decided this.
  expect(response.edns?.scope).toBeGreaterThan(0);
});

test('a client that has an A gets it', () => {
  const { answer } = server.ask('www.example.com', T.ANY, { from: '192.0.2.1' });
  expect(answer.map((record) => record.type)).toEqual([T.A]);
});

test('a service with nothing else has no data', () => {
  const { answer, authority } = server.ask('bare.example.com', T.ANY, { from: '198.51.100.1' });
  expect([answer.length, authority.map((record) => record.type)]).toEqual([0, [T.SOA]]);
});
