/**
 * If a service's CNAME leads to another service, explain showed only the last decision, so the reason for the CNAME was
 * missing, and gave its scope (0) as that of the response (24).
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderTrace } from '../../../cli/render-trace.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { traceDocument } from '../../../status/trace-document.ts';
import { parseAddress } from '../../../wire/address.ts';
import { subnetOption, T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');
const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });

test('both decisions are shown, and the scope is that of the response', () => {
  const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client: '192.0.2.7' });
  if (!explained.ok) throw new Error(explained.message);
  const { via, service, candidates, steps, answer, scope } = explained.trace;
  expect(via).toMatchObject([
    {
      service: 'www.example.com',
      candidates: [{ vip: 'asia' }, { vip: 'rest' }],
      steps: [{ step: 'geo', kept: ['asia'], why: 'KR -> seoul' }],
      allDown: undefined,
      vips: ['asia'],
      scope: { bits: 24 },
    },
  ]);
  expect(service).toBe('pool.example.com');
  expect(candidates.map(({ vip }) => vip)).toEqual(['a', 'b']);
  expect(steps).toMatchObject([{ step: 'failover', kept: ['a'] }]);
  expect(answer.vips).toEqual(['a']);
  const subnet = subnetOption(parseAddress('192.0.2.7') ?? new Uint8Array(4), 32);
  const { edns } = server.ask('www.example.com', T.A, { edns: { options: [subnet] } });
  expect(scope.bits).toBe(edns?.scope);
  expect(scope.why).toMatch(/^by www\.example\.com: /);
  const text = renderTrace(traceDocument(explained.trace), (_style, part) => part);
  expect(text).toMatch(/^www\.example\.com A = pool\.example\.com\., 203\.0\.113\.1 \(asia, a\)\n/);
  expect(text.match(/^\S+: its VIPs/gm)).toEqual(['www.example.com: its VIPs', 'pool.example.com: its VIPs']);
});
