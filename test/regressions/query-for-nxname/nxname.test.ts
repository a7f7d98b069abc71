/**
 * A query for the type NXNAME (128) got NODATA. RFC 9824 3.5: FORMERR, with the extended error "Invalid Query Type".
 */
import { expect, test } from 'vitest';
import { RCODE } from '../../../wire/types.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const NXNAME = 128;
const OPT = 41;
const TSIG = 250;

const { ask } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1.example.net.]\nrecords: { www: { A: 192.0.2.1 } }\n',
});

test.each(['www.example.com', 'missing.example.com', 'example.net'])('%s', (name) => {
  const response = ask(name, NXNAME, { edns: {} });
  expect([response.rcode, response.edns?.error, response.answer.length, response.authority.length]).toEqual([
    RCODE.FORMERR,
    30,
    0,
    0,
  ]);
});

test.each([OPT, TSIG])('type %i belongs to messages and cannot be queried either', (type) => {
  const response = ask('www.example.com', type, { edns: {} });
  expect([response.rcode, response.edns?.error]).toEqual([RCODE.FORMERR, 30]);
});

test('types without a meaning here are ordinary questions', () => {
  expect(ask('www.example.com', 129).rcode).toBe(RCODE.NOERROR);
  expect(ask('www.example.com', T.ANY).answer).toHaveLength(1);
});
