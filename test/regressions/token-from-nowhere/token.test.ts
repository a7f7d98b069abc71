/**
 * If `status.token` named an environment variable that was not set, a warning beside that error said that there was no
 * token.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const ZONE = { 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n' };

test.each([
  ['status: { listen: "0.0.0.0:8053", token: "${NOWHERE}" }', [/PH008/]],
  ['status: { listen: "0.0.0.0:8053", token: "a b" }', [/PH025/]],
  ['status: { listen: "0.0.0.0:8053" }', [/warning PH039/]],
])('%s', (text, mistakes) => {
  const settings = { 'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}${text}\n` };
  const found = mistakesOf({ ...NO_GEOGRAPHY, ...ZONE, ...settings });
  expect(found).toEqual(mistakes.map((mistake) => expect.stringMatching(mistake) as string));
});
