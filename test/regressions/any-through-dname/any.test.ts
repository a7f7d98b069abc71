/**
 * A query for ANY below a DNAME ended at the CNAME that the DNAME makes. RFC 6672 3.2 stops there only for CNAME: NSD
 * and Knot continue to the target, and return NXDOMAIN if there is none.
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
  ['x.old.example.com', T.ANY, 0, [T.DNAME, T.CNAME, T.A]],
  ['y.old.example.com', T.ANY, 3, [T.DNAME, T.CNAME]],
  ['y.old.example.com', T.CNAME, 0, [T.DNAME, T.CNAME]],
])('%s %i', (name, type, rcode, types) => {
  const response = ask(name, type);
  expect([response.rcode, response.answer.map((record) => record.type)]).toEqual([rcode, types]);
});
