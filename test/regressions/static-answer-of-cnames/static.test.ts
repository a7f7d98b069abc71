/**
 * If `when_all_down` of a service of CNAMEs has addresses, queries for AAAA, MX and all other types got the A record.
 * And an address that is listed twice in `when_all_down` was served twice (RFC 2181 5).
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PROBED } from '../../../health/health-table.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');
const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
for (const { target } of server.generation.catalog.vips) server.set(target, { probed: PROBED.DOWN });
const live = { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => undefined };

const V4 = [[T.A, 'c0000263']];
const V6 = [[T.AAAA, '20010db8000000000000000000000099']];

test.each([
  ['both', 'A', V4],
  ['both', 'AAAA', V6],
  ['both', 'MX', []],
  ['both', 'CNAME', []],
  ['six', 'A', []],
  ['six', 'AAAA', V6],
  ['addresses', 'A', V4],
  ['addresses', 'AAAA', V6],
  ['addresses', 'MX', []],
  ['new', 'A', []],
  ['new', 'AAAA', V6],
] as const)('%s %s: %j', (name, type, records) => {
  const { answer, authority } = server.ask(`${name}.example.com`, T[type]);
  expect(answer.map((record) => [record.type, record.data])).toEqual(records);
  expect(authority.map((record) => record.type)).toEqual(records.length === 0 ? [T.SOA] : []);
  const explained = explainFrom(server.generation, { name: `${name}.example.com`, type, client: '192.0.2.1' }, live);
  const has = explained.ok && explained.trace.answer.records.length;
  expect(has).toBe(records.length);
  if (explained.ok && explained.trace.allDown && records.length === 0) {
    expect(explained.trace.allDown).toContain(`which has no ${type} record`);
  }
});
