/**
 * A NODATA answer had the scope of the decision. Negative answers are cached for all clients (RFC 7871 7.4), so they
 * have scope 0, and `check` warns if a client's place decides between data and no data.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { subnetOption, T } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering, mistakesOf } from '../../support/pharos.ts';

const files = {
  'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
  'place.mmdb': writeMmdb([['192.0.2.0/24', { country: { iso_code: 'KR' } }]]),
  'zones/example.com.yaml': readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8'),
};
const server = answering(files);

function ask(name: string, type: number): { scope: number | undefined; answers: number } {
  const options = [subnetOption(Uint8Array.of(192, 0, 2, 0), 24)];
  const { edns, answer } = server.ask(`${name}.example.com`, type, { edns: { options } });
  return { scope: edns?.scope, answers: answer.length };
}

test.each([
  ['fenced', T.AAAA],
  ['fenced', T.TXT],
  ['nothing', T.A],
  ['missing', T.A],
])('%s, type %i: no data, scope 0', (name, type) => {
  expect(ask(name, type)).toEqual({ scope: 0, answers: 0 });
});

test('data has the scope of its decision', () => {
  expect(ask('fenced', T.A)).toEqual({ scope: 24, answers: 1 });
});

test('a steered CNAME keeps its scope if it leads to no data', () => {
  expect(ask('renamed', T.AAAA)).toEqual({ scope: 24, answers: 1 });
});

test('check names the services in which the place decides between data and no data', () => {
  const told = mistakesOf(files).filter((line) => line.includes('PH119'));
  expect(told).toEqual([
    expect.stringContaining('service fenced.example.com: clients of some places get no AAAA, and others do'),
    expect.stringContaining('service lost.example.com: clients of some places get no A while their regions are down'),
  ]);
});
