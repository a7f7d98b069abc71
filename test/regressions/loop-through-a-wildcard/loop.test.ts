/**
 * A wildcard's CNAME makes a record for every name below it. A second visit to the wildcard, with another name, was
 * taken for a loop: the record of that name was missing. NSD and Knot have it.
 */
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const { ask } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
records:
  "*.w": { CNAME: a.w }
  in: { CNAME: X.W }
  self: { CNAME: self }
`,
});

test.each([
  ['x.w.example.com', ['x.w.example.com.', 'a.w.example.com.']],
  ['A.W.example.com', ['a.w.example.com.']],
  ['in.example.com', ['in.example.com.', 'x.w.example.com.', 'a.w.example.com.']],
  ['*.w.example.com', ['*.w.example.com.', 'a.w.example.com.']],
  ['self.example.com', ['self.example.com.']],
])('%s', (name, owners) => {
  expect(ask(name, T.A).answer.map((record) => record.name)).toEqual(owners);
});
