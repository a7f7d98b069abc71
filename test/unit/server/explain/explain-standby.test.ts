/** Explain says of a standby whether it takes part. */
import { expect, test } from 'vitest';
import { PROBED } from '../../../../health/health-table.ts';
import { explainFrom } from '../../../../server/explain/explain-answer.ts';
import { answering, NO_GEOGRAPHY } from '../../../support/pharos.ts';

const server = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
services:
  www: { vips: { main: { A: 203.0.113.1 }, spare: { A: 203.0.113.2, weight: 0 } }, steer: [weighted] }
`,
});

function whyOf(vip: string, down: string[]): string | undefined {
  const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client: '192.0.2.1', down });
  if (!explained.ok) throw new Error(explained.message);
  return explained.trace.candidates.find((candidate) => candidate.vip === vip)?.why;
}

test.each<[title: string, vip: string, down: string[], why: string]>([
  [
    'held back while another is there',
    'spare',
    [],
    'not checked (counts as up); a standby (weight 0), not used while other VIPs can serve this client',
  ],
  [
    'joining if there is none',
    'spare',
    ['www.example.com/main'],
    'not checked (counts as up); a standby (weight 0), used because no other VIP can serve this client',
  ],
  ['not mentioned where it is down itself', 'spare', ['www.example.com/spare'], 'assumed down, as requested'],
  ['and not of others', 'main', [], 'not checked (counts as up)'],
])('a standby, %s', (_title, vip, down, why) => {
  expect(whyOf(vip, down)).toBe(why);
});

test('a standby that is not served gives the reason, also after probes', () => {
  server.set('www.example.com/main', { probed: PROBED.DOWN });
  const live = { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => 'connection refused' };
  const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client: '192.0.2.1' }, live);
  expect(explained.ok && explained.trace.answer.vips).toEqual(['spare']);
});
