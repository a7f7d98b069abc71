/**
 * If a DNAME leads to its own owner and the DNAME is queried, it was in the answer twice: as the link, and as the data.
 * A message contains an RRset once (RFC 2181 5).
 */
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const { ask } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml':
    'zone: example.com\nnameservers: [ns1.example.net.]\nrecords:\n  c.d: { DNAME: d }\n  e.d: { TXT: [e] }\n',
});

test.each([
  ['c.c.d.example.com', T.DNAME, [T.DNAME, T.CNAME]],
  ['c.d.example.com', T.DNAME, [T.DNAME]],
  ['e.c.d.example.com', T.TXT, [T.DNAME, T.CNAME, T.TXT]],
])('%s type %i: each RRset once', (name, type, types) => {
  expect(ask(name, type).answer.map((record) => record.type)).toEqual(types);
});
