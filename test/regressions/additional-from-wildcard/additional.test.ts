/**
 * Name servers and mail exchangers whose addresses come from a wildcard got no additional data, nor did a delegation to
 * them. NSD and Knot add the wildcard's data (RFC 4592 3.3.1: it makes the RRset of that name).
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const { ask } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8'),
});
const additional = (name: string, type: number): string[] =>
  ask(name, type, { edns: {} }).additional.map((record) => `${record.name} ${record.type}`);

test.each([
  ['example.com', T.NS, ['ns1.hosts.example.com. 1', 'ns1.hosts.example.com. 28']],
  ['www.sub.example.com', T.A, ['ns.hosts.example.com. 1', 'ns.hosts.example.com. 28']],
  // The wildcard does not apply to a name that exists, or that has an existing name between it and the wildcard (RFC
  // 4592 2.2.1).
  ['mail.example.com', T.MX, ['mx.hosts.example.com. 1', 'mx.hosts.example.com. 28']],
])('%s %i', (name, type, expected) => {
  expect(additional(name, type)).toEqual(expected);
});
