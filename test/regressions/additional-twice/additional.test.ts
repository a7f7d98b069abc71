/**
 * Records of one RRset that point to one name, such as SRV records for two ports of a host, each added its addresses to
 * the additional section. RFC 2181 5: RRsets have no duplicates.
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
  ['ports.example.com', T.SRV, ['ns1.example.com. 1', 'ns1.example.com. 28']],
  ['mail.example.com', T.MX, ['ns1.example.com. 1', 'ns1.example.com. 28', 'other.example.com. 1']],
  // One wildcard, two names: two RRsets.
  ['wild.example.com', T.MX, ['a.hosts.example.com. 1', 'b.hosts.example.com. 1']],
])('%s %i', (name, type, expected) => {
  expect(additional(name, type)).toEqual(expected);
});
