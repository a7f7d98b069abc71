/**
 * If `when_all_down` is a static answer or none, explain gave the TTL that an answer with VIPs would have had; and it
 * announced the static answer also if that has no record of this type.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PROBED } from '../../../health/health-table.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');
const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
for (const service of ['own', 'nothing']) {
  server.set(`${service}.example.com/a`, { probed: PROBED.DOWN, holdSeconds: 30 });
}
const live = { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => undefined };

test.each([
  ['own', 'A', 5, 'no VIP is available: the static answer of when_all_down is served'],
  ['own', 'AAAA', 7, 'no VIP is available: the static answer of when_all_down is served, which has no AAAA record'],
  ['nothing', 'A', 7, 'no VIP is available: when_all_down is none, so the answer is NODATA'],
] as const)('%s %s: TTL %i, %s', (service, type, ttl, allDown) => {
  const name = `${service}.example.com`;
  const explained = explainFrom(server.generation, { name, type, client: '192.0.2.7' }, live);
  if (!explained.ok) throw new Error(explained.message);
  expect(explained.trace.ttl.seconds).toBe(ttl);
  expect(explained.trace.allDown).toBe(allDown);
  const { answer, authority } = server.ask(name, type === 'A' ? T.A : T.AAAA);
  expect([...answer, ...authority].map((record) => record.ttl)).toEqual([ttl]);
});
