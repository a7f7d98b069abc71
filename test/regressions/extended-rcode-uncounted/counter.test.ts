/**
 * Responses with an extended RCODE were not counted: `pharos_extended_rcode_total` always stayed 0.
 */
import { expect, test } from 'vitest';
import { COUNTER } from '../../../server/counters.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

test('BADVERS is counted, NXDOMAIN is not', () => {
  const { ask, state } = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1.example.net.]\n',
  });
  ask('nothere.example.com', T.A, { edns: {} });
  expect(state.counters[COUNTER.RCODE_EXTENDED]).toBe(0);
  ask('example.com', T.SOA, { edns: { version: 1 } });
  expect(state.counters[COUNTER.RCODE_EXTENDED]).toBe(1);
});
