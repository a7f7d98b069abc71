/**
 * `check` did not report addresses that `serve` could not open, because the configuration itself had them twice: a
 * wildcard beside an address, one address in two spellings, `status` where DNS listens.
 */
import { expect, test } from 'vitest';
import { checkListen } from '../../../server/io/check-listen.ts';
import type { Endpoint } from '../../../wire/address.ts';
import { freePort } from '../../support/free-port.ts';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const mistakes = (settings: string): string[] =>
  mistakesOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `${NO_GEOGRAPHY['pharos.yaml'] as string}${settings}\n`,
    'zones/a.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n',
  });

test.each<[settings: string, mistake: RegExp | undefined]>([
  ['listen: ["0.0.0.0:5300", "127.0.0.1:5300"]', /PH035: 127\.0\.0\.1:5300 and 0\.0\.0\.0:5300 cannot both be opened/],
  ['listen: ["[::1]:5300", "[::]:5300"]', /PH035/],
  ['listen: ["[::1]:5300", "[0:0::1]:5300"]', /PH035: duplicate address \[0:0::1\]:5300/],
  ['listen: ["[::ffff:127.0.0.1]:5300"]', /PH021: \[::ffff:127\.0\.0\.1\]:5300 is an IPv4-mapped IPv6 address/],
  ['listen: ["0.0.0.0:5300", "[::]:5300", "127.0.0.1:5301"]', undefined],
  ['listen: ["0.0.0.0:0", "127.0.0.1:0", "127.0.0.1:0"]', undefined],
  [
    'listen: "127.0.0.1:5300"\nstatus: { listen: "127.0.0.1:5300" }',
    /PH035: status listens on .*which listen uses too/,
  ],
  ['listen: "127.0.0.1:8053"', /:2 error PH035: status listens on 127\.0\.0\.1:8053/],
  ['listen: "0.0.0.0:5300"\nstatus: { listen: "127.0.0.1:5300" }', /PH035: .*a wildcard covers all addresses/],
  ['listen: "[::]:8053"', undefined],
  ['listen: "127.0.0.1:8053"\nstatus: off', undefined],
])('%s', (settings, mistake) => {
  const found = mistakes(settings);
  if (mistake === undefined) expect(found).toEqual([]);
  else {
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(mistake);
  }
});

/** The system decides: what is rejected above cannot be opened, and the rest can. */
test.each<[first: string, second: string, both: boolean]>([
  ['0.0.0.0', '127.0.0.1', false],
  ['127.0.0.1', '0.0.0.0', false],
  ['::', '0.0.0.0', true],
  ['127.0.0.1', '127.0.0.2', true],
])('%s and %s on one port: %s', async (first, second, both) => {
  const port = await freePort();
  const endpoints = [first, second].map((host): Endpoint => ({ host, port }));
  expect((await checkListen(endpoints)) === undefined).toBe(both);
});
