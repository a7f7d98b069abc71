/**
 * MX and SRV answers came with addresses from below a delegation. Those are glue, for referrals; the name's own zone
 * may have other addresses (RFC 2181 5.4.1). NSD and Knot leave them out.
 */
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const { ask } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
records:
  "@": { MX: [10 host.sub, 20 here], SRV: [1 1 5060 host.sub] }
  here: { A: 192.0.2.1 }
  sub: { NS: [host.sub] }
  host.sub: { A: 192.0.2.2 }
`,
});

test.each([
  ['example.com', T.MX, ['here.example.com.']],
  ['example.com', T.SRV, []],
  ['www.sub.example.com', T.A, ['host.sub.example.com.']],
])('%s %i', (name, type, owners) => {
  expect(ask(name, type).additional.map((record) => record.name)).toEqual(owners);
});
