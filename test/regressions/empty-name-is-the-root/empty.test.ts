/**
 * `zone: ""` was the root zone: the server answered with authority for all names outside its other zones.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const mistakes = (apex: string): string[] =>
  mistakesOf({ ...NO_GEOGRAPHY, 'zones/a.yaml': `zone: ${apex}\nnameservers: [ns.example.net.]\n` });

test('an empty name is not a name', () => {
  expect(mistakes('""')).toEqual(['zones/a.yaml:1 error PH100: zone must be a domain name, got an empty text']);
  expect(mistakes('.').filter((line) => line.includes('error'))).toEqual([]);
});
