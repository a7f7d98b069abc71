/**
 * A drained VIP was still in answers if it was the only one with a type, or the only one that a fence leaves to a
 * client. Draining and down VIPs must never appear (docs/steering.md#no-candidate-left): the operator is about to stop
 * them.
 */
import { expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../health/health-table.ts';
import { parseAddress } from '../../../wire/address.ts';
import { subnetOption, T } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering } from '../../support/pharos.ts';

const server = answering({
  'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
  'place.mmdb': writeMmdb([['1.0.0.0/8', { country: { iso_code: 'KR' } }]]),
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1.example.net.]
regions: { seoul: { at: KR }, dublin: { at: IE } }
services:
  www:
    vips:
      seoul: { region: seoul, A: 192.0.2.1, AAAA: "2001:db8::1" }
      dublin: { region: dublin, A: 192.0.2.2 }
    steer: [{ geo: { KR: seoul, default: [dublin, seoul], fence: true } }]
`,
});

const DRAIN = { forced: FORCED.DRAIN } as const;
const DOWN = { probed: PROBED.DOWN } as const;
const ABROAD = '9.9.9.9';

test.each([
  ['all are up', {}, {}, T.AAAA, '1.0.0.1', 1],
  ['the only one with AAAA is drained', DRAIN, {}, T.AAAA, '1.0.0.1', 0],
  ['the only one with AAAA is drained, the other down', DRAIN, DOWN, T.AAAA, ABROAD, 0],
  ['the only one with AAAA is down: serve_all', DOWN, {}, T.AAAA, '1.0.0.1', 1],
  ['the only one within the fence is drained', DRAIN, {}, T.A, '1.0.0.1', 0],
  ['and other clients get the other one', DRAIN, {}, T.A, ABROAD, 1],
  ['the only one within the fence is down: serve_all', DOWN, {}, T.A, '1.0.0.1', 1],
  ['the drained one never replaces one that is down', DRAIN, DOWN, T.A, ABROAD, 1],
  ['all are drained: serve_all', DRAIN, DRAIN, T.AAAA, ABROAD, 1],
])('%s', (_, seoul, dublin, type, client, count) => {
  server.set('www.example.com/seoul', seoul);
  server.set('www.example.com/dublin', dublin);
  const { answer } = server.ask('www.example.com', type, {
    edns: { options: [subnetOption(parseAddress(client) ?? new Uint8Array(4), 32)] },
  });
  expect(answer).toHaveLength(count);
});
