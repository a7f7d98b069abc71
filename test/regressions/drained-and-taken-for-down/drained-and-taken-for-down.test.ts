/**
 * `--down` replaced an operator's drain: a drained VIP that was assumed down came back under `serve_all` in `explain`
 * and `simulate`, although the server leaves it out.
 */
import { expect, test } from 'vitest';
import { FORCED, PROBED, type Forced } from '../../../health/health-table.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { simulateFrom } from '../../../server/forecast/simulate-failure.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

test.each<[string, Forced]>([
  ['drained', FORCED.DRAIN],
  ['forced down', FORCED.DOWN],
])('a VIP that is %s stays out when all fail', (_, forced) => {
  const server = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
services:
  www: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } }, steer: weighted, answers: all }
`,
  });
  server.set('www.example.com/a', { forced });
  const health = { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => undefined };
  const down = ['www.example.com/a', 'www.example.com/b'];
  const explained = explainFrom(
    server.generation,
    { name: 'www.example.com', type: 'A', client: '192.0.2.9', down },
    health,
  );
  const simulated = simulateFrom(
    server.generation,
    { down, weigh: 'addresses' },
    { health, served: new Float64Array(2) },
  );
  server.set('www.example.com/a', { forced, probed: PROBED.DOWN });
  server.set('www.example.com/b', { probed: PROBED.DOWN });
  const served = server.ask('www.example.com', T.A).answer.map(({ data }) => data);
  expect(served).toEqual(['c0000202']);
  expect(explained).toMatchObject({ ok: true, trace: { answer: { vips: ['b'] } } });
  expect(simulated).toMatchObject({
    ok: true,
    simulation: {
      services: [
        {
          vips: [
            { vip: 'a', after: 0 },
            { vip: 'b', after: 1 },
          ],
        },
      ],
    },
  });
});
