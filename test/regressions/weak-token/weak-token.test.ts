/**
 * A status server that other machines can reach accepted `token: secret` without a warning. Now `check` warns, and does
 * not show the token. And `open_reading: false` without a token would make reading impossible.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const ZONE = { 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n' };
const GOOD = '5f2c9a0d17be43c8a6f0d1e2';

test.each([
  ['{ listen: "0.0.0.0:8053", token: secret }', [/warning PH074: .*easy to guess/]],
  ['{ listen: "[::]:8053", token: changeme }', [/warning PH074/]],
  ['{ listen: "192.0.2.1:8053", token: aaaaaaaaaaaaaaaaaaaaaaaa }', [/warning PH074/]],
  ['{ listen: "192.0.2.1:8053", token: pharos-admin-token-123 }', [/warning PH074/]],
  [`{ listen: "0.0.0.0:8053", token: ${GOOD} }`, []],
  ['{ listen: "127.0.0.1:8053", token: secret }', []],
  ['{ open_reading: false }', [/error PH075: .*needs a token/]],
  [`{ open_reading: false, token: ${GOOD} }`, []],
])('status: %s', (text, mistakes) => {
  const settings = { 'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}status: ${text}\n` };
  const found = mistakesOf({ ...NO_GEOGRAPHY, ...ZONE, ...settings });
  expect(found).toEqual(mistakes.map((mistake) => expect.stringMatching(mistake) as string));
  expect(found.join('\n')).not.toMatch(/changeme|aaaaaaaa|admin-token/);
});
