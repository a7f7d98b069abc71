/**
 * Headers, opcodes and malformed messages (RFC 1035 4.1, RFC 6895 2, RFC 9619), each with every possible value.
 */
import { expect, test } from 'vitest';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../support/pharos.ts';

const { exchange } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml':
    'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 }, www: { A: 192.0.2.1 } }\n',
});
const [NOERROR, FORMERR, NOTIMP] = [0, 1, 4];
const [NXNAME, TSIG] = [128, 250];
const QUERY = 0;
const OPCODES = Array.from({ length: 16 }, (_, opcode) => opcode);
const WWW = 'www.example.com';

const ask = (message: Buffer) => {
  const response = exchange(message);
  return response && decodeMessage(response);
};
const withFlags = (flags: number): Buffer => encodeQuery(WWW, T.A, { flags });
/** A query with other counts: questions, answers, authorities, additionals. */
function withCounts(message: Buffer, ...counts: (number | undefined)[]): Buffer {
  const changed = Buffer.from(message);
  counts.forEach((count, i) => {
    if (count !== undefined) changed.writeUInt16BE(count, 4 + i * 2);
  });
  return changed;
}
const OPT = Buffer.of(0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0);
const RECORD = Buffer.from('c00c00010001000000000004c0000201', 'hex');

test('a response never gets a response, whatever else it contains', () => {
  for (let flags = 0x8000; flags <= 0xffff; flags++) {
    if (exchange(withFlags(flags)) !== undefined) expect.fail(`flags ${flags.toString(16)}`);
  }
});

test('every combination of opcode and flags: opcode and RD are returned, QR and AA are set, the rest is clear', () => {
  for (let flags = 0; flags < 0x8000; flags++) {
    const opcode = (flags >> 11) & 15;
    const response = ask(withFlags(flags));
    const expected = opcode === QUERY ? 0x8400 | (flags & 0x0100) : 0x8000 | (flags & 0x7900) | NOTIMP;
    if (response?.flags !== expected)
      expect.fail(`flags ${flags.toString(16)}: ${response?.flags.toString(16) ?? 'none'}`);
  }
});

test.each(OPCODES)('opcode %i without a question, with one, with two, with more than there are', (opcode) => {
  const flags = opcode << 11;
  const one = withFlags(flags);
  const none = withCounts(one, 0).subarray(0, 12);
  const two = withCounts(Buffer.concat([one, one.subarray(12)]), 2);
  // RFC 9619 3: a QUERY has one question. Other opcodes are not implemented, so their questions are not examined.
  const wrong = opcode === QUERY ? FORMERR : NOTIMP;
  expect([none, one, two, withCounts(one, 9)].map((message) => ask(message)?.rcode)).toEqual([
    wrong,
    opcode === QUERY ? NOERROR : NOTIMP,
    wrong,
    wrong,
  ]);
});

test('a truncated header gets no response, a truncated question gets FORMERR without a question', () => {
  const whole = encodeQuery(WWW, T.A);
  for (let length = 0; length < whole.length; length++) {
    const response = ask(whole.subarray(0, length));
    if (length < 12) expect(response, `${length}`).toBe(undefined);
    else expect([response?.rcode, response?.question, response?.id], `${length}`).toEqual([FORMERR, undefined, 0x1234]);
  }
});

test('a truncated OPT is FORMERR at every length, with the question', () => {
  const nsid = { code: 3, data: Buffer.alloc(0) };
  const whole = encodeQuery(WWW, T.A, { edns: { options: [nsid, { code: 10, data: Buffer.alloc(8) }] } });
  const question = encodeQuery(WWW, T.A).length;
  for (let length = question; length < whole.length; length++) {
    const response = ask(whole.subarray(0, length));
    expect([response?.rcode, response?.question?.length], `${length}`).toEqual([FORMERR, question - 12]);
  }
});

test.each([
  ['octets behind the question', Buffer.concat([encodeQuery(WWW, T.A), Buffer.alloc(7, 0xff)]), NOERROR],
  ['octets behind OPT', Buffer.concat([encodeQuery(WWW, T.A, { edns: {} }), Buffer.alloc(7, 0xff)]), NOERROR],
  ['a record in the answer section', withCounts(Buffer.concat([withFlags(0), RECORD]), 1, 1), NOERROR],
  ['a record in the authority section', withCounts(Buffer.concat([withFlags(0), RECORD]), 1, 0, 1), NOERROR],
  ['OPT before another record', withCounts(Buffer.concat([withFlags(0), OPT, RECORD]), 1, 0, 0, 2), NOERROR],
  ['OPT behind another record', withCounts(Buffer.concat([withFlags(0), RECORD, OPT]), 1, 0, 0, 2), NOERROR],
  ['two OPT', withCounts(Buffer.concat([withFlags(0), OPT, OPT]), 1, 0, 0, 2), FORMERR],
  ['OPT with an owner', withCounts(Buffer.concat([withFlags(0), Buffer.of(1, 0x61), OPT]), 1, 0, 0, 1), FORMERR],
  ['more answers than there are', withCounts(withFlags(0), 1, 1), FORMERR],
  ['more authorities than there are', withCounts(withFlags(0), 1, 0, 0xffff), FORMERR],
  ['more additionals than there are', withCounts(Buffer.concat([withFlags(0), OPT]), 1, 0, 0, 2), FORMERR],
  [
    'a question that is a pointer',
    Buffer.concat([withFlags(0).subarray(0, 12), Buffer.of(0xc0, 12, 0, 1, 0, 1)]),
    FORMERR,
  ],
  ['a label type of 01', Buffer.concat([withFlags(0).subarray(0, 12), Buffer.of(0x41, 1, 0, 0, 1, 0, 1)]), FORMERR],
  ['a label type of 10', Buffer.concat([withFlags(0).subarray(0, 12), Buffer.of(0x81, 1, 0, 0, 1, 0, 1)]), FORMERR],
])('%s', (_, message, rcode) => {
  const response = ask(message);
  expect(response?.rcode).toBe(rcode);
  expect(response?.answer.length).toBe(rcode === NOERROR ? 1 : 0);
});

test('a name of 255 octets is valid, a name of 256 is FORMERR', () => {
  const label = (length: number): Buffer => Buffer.concat([Buffer.of(length), Buffer.alloc(length, 0x61)]);
  const name = (last: number): Buffer => Buffer.concat([label(63), label(63), label(63), label(last), Buffer.of(0)]);
  expect([61, 62].map((last) => [name(last).length, ask(encodeQuery(name(last), T.A))?.rcode])).toEqual([
    [255, 5],
    [256, FORMERR],
  ]);
});

// Queries for OPT and TSIG, which are not data (RFC 6895 3.1), and NXNAME (RFC 9824 3.5) get FORMERR.
test('every type gets a response: only types that cannot be asked for, transfers and unknown classes are refused', () => {
  const refused: number[] = [];
  for (let type = 0; type <= 0xffff; type++) {
    const response = ask(encodeQuery(WWW, type));
    if (response === undefined) expect.fail(`type ${type}: silence`);
    if (response.rcode !== NOERROR) refused.push(type);
  }
  expect(refused).toEqual([T.OPT, NXNAME, TSIG, T.IXFR, T.AXFR]);
  expect([0, 2, 4, 254, 255, 0xffff].map((qclass) => ask(encodeQuery(WWW, T.A, { class: qclass }))?.rcode)).toEqual(
    Array.from({ length: 6 }, () => 5),
  );
});
