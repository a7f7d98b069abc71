/**
 * A region in `failover` that none of the service's VIPs is in was compiled to -1, which is how the first VIP is
 * written: that VIP came first.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

test('it is passed over', () => {
  const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');
  const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  expect(server.ask('www.example.com', T.A).answer.map(({ data }) => data)).toEqual(['cb007102']);
});
