/**
 * Every response with EDNS kept six octets free for an extended error, which responses with data do not have: a
 * response that needed the last of them was truncated.
 */
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

// Header 12, question 19, record 12, strings 5 × 236 = 1180 less the spare octets, OPT 11: 1232 without spare octets.
const FULL = 1232 - 12 - 19 - 12 - 11;
const strings = (octets: number): string =>
  [200, 200, 200, 200, 200, octets - 5 * 201 - 1].map((length) => `"${'x'.repeat(length)}"`).join(' ');

test.each([
  ['what fills the message', FULL, false],
  ['one octet more', FULL + 1, true],
])('%s', (_, octets, tc) => {
  const { ask } = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com\nnameservers: [ns1.example.net.]\nrecords: { b: { TXT: ['${strings(octets)}'] } }\n`,
  });
  expect(ask('b.example.com', T.TXT, { edns: { size: 1232 } }).tc).toBe(tc);
});
