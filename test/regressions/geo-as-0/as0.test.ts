/**
 * `AS0` was a key of `geo`, and every client whose AS no database knows was answered by it. Nobody has AS 0 (RFC 7607).
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');

test.each(['AS0', 'AS000', 'as0'])('%s is no place', (key) => {
  const files = { ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone.replace('AS0', key) };
  expect(mistakesOf(files).join('\n')).toContain(`PH212: ${key} is not a valid key of geo`);
});
