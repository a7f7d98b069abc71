/**
 * `AS0` was a key of `geo`, and it matched every client whose AS no database knows. AS 0 is reserved (RFC 7607).
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');

test.each(['AS0', 'AS000', 'as0'])('%s is not a valid key', (key) => {
  const files = { ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone.replace('AS0', key) };
  expect(mistakesOf(files).join('\n')).toContain(`PH212: ${key} is not a valid key of geo`);
});
