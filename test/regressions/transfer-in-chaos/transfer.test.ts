/**
 * AXFR and IXFR for the names of class CH got NOERROR without an SOA, which is not a transfer: they are refused, as in
 * IN.
 */
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const { ask } = answering(
  { ...NO_GEOGRAPHY, 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1.example.net.]\n' },
  { version: Buffer.from('1.0'), nsid: Buffer.from('ams1') },
);

test.each([
  ['version.bind', T.AXFR, 5],
  ['hostname.bind', T.IXFR, 5],
  ['version.bind', T.TXT, 0],
  ['version.bind', T.A, 0],
])('%s type %i in CH: RCODE %i', (name, type, rcode) => {
  for (const overTcp of [false, true]) expect(ask(name, type, { class: 3, overTcp }).rcode).toBe(rcode);
});
