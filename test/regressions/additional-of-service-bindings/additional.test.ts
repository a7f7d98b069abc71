/**
 * RFC 9460 4.1: SVCB and HTTPS records come with the addresses of the names they point to, and with the records of that
 * type there. A target of ".", which means the owner (2.5.2), added nothing, and an alias added no record of its
 * target.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const { ask } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8'),
});

test.each([
  ['example.com', ['example.com. 1', 'example.com. 28']],
  ['alias.example.com', ['www.example.com. 65', 'www.example.com. 65', 'www.example.com. 1']],
  ['www.example.com', ['www.example.com. 1']],
  // In AliasMode "." says that the service does not exist.
  ['gone.example.com', []],
  ['x.wild.example.com', ['x.wild.example.com. 1']],
  // Only a query for the address itself is steered.
  ['steered.example.com', []],
])('%s', (name, expected) => {
  const response = ask(name, T.HTTPS, { edns: {} });
  expect(response.additional.map((record) => `${record.name} ${record.type}`)).toEqual(expected);
});
