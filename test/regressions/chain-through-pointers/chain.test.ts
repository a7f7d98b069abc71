/**
 * A chain's names are compressed in the message. The zone's apex was assumed at a fixed distance after the start of the
 * name, which is wrong beyond a pointer: SOA and NS records then had owners made of other octets. And pointers led to
 * pointers, one more per link, which some resolvers follow only ten times.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const file = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
const server = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': file('example.com.yaml'),
  'zones/sub.example.com.yaml': file('sub.example.com.yaml'),
});

test.each([
  ['x.old.example.com', T.A, 3, ['example.com.']],
  ['up.sub.example.com', T.DS, 0, ['example.com.']],
  ['cut.old.example.com', T.A, 0, ['cut.new.example.com.']],
  ['c0.example.com', T.A, 3, ['example.com.']],
])('%s %i ends in a section that its zone owns', (name, type, rcode, owners) => {
  // The decoder rejects pointers to pointers.
  const response = server.ask(name, type, { overTcp: true });
  expect([response.rcode, response.authority.map((record) => record.name)]).toEqual([rcode, owners]);
});

test('a chain through one DNAME twice has it once, and a loop of DNAMEs ends where it began', () => {
  const types = (name: string): number[] => server.ask(name, T.A).answer.map(({ type }) => type);
  expect(types('a.old.example.com')).toEqual([T.DNAME, T.CNAME, T.CNAME, T.CNAME, T.A]);
  expect(types('a.loop.example.com')).toEqual([T.DNAME, T.CNAME, T.DNAME, T.CNAME]);
});
