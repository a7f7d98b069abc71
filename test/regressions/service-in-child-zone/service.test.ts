/**
 * A parent zone's service below the apex of a child zone that is served too was put into the child: answers came from
 * the parent's file, with the parent's SOA.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const file = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

test('it is a mistake, at the service', () => {
  const mistakes = mistakesOf({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': file('example.com.yaml'),
    'zones/sub.example.com.yaml': file('sub.example.com.yaml'),
  });
  expect(mistakes).toEqual([
    expect.stringMatching(/^zones\/example\.com\.yaml:4 error PH381: service www\.sub\.example\.com /),
  ]);
});
