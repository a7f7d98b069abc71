/**
 * A region in `failover` without a VIP of the service was compiled to -1, which is the code of the first VIP: that VIP
 * came first.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

test('it is skipped', () => {
  const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');
  const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  expect(server.ask('www.example.com', T.A).answer.map(({ data }) => data)).toEqual(['cb007102']);
});
