/**
 * A query with two questions got FORMERR without OPT, whether it had one or not (RFC 6891 6.1.1). An OPT among answers
 * or authorities, where none is allowed (RFC 6891 6.1.1), was ignored and the query answered; NSD and Knot return
 * FORMERR.
 */
import { expect, test } from 'vitest';
import { decodeMessage, encodeQuery, T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const { exchange } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1.example.net.]\n',
});
const OPT = Buffer.of(0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0);
const one = encodeQuery('example.com', T.SOA);
const question = one.subarray(12);

/** Header with these counts, then the parts. */
function message(counts: readonly number[], ...parts: Buffer[]): Buffer {
  const all = Buffer.concat([one.subarray(0, 12), ...parts]);
  counts.forEach((count, i) => all.writeUInt16BE(count, 4 + 2 * i));
  return all;
}

test.each<[string, boolean, Buffer]>([
  ['two questions and OPT', true, message([2, 0, 0, 1], question, question, OPT)],
  ['two questions, an answer and OPT', true, message([2, 1, 0, 1], question, question, question, Buffer.alloc(6), OPT)],
  ['two questions without OPT', false, message([2, 0, 0, 0], question, question)],
  ['fewer questions than the header says, and OPT', false, message([3, 0, 0, 1], question, question, OPT)],
  ['the most questions that can be announced', false, message([0xffff, 0, 0, 1], question, OPT)],
  ['two questions and half of an OPT', false, message([2, 0, 0, 1], question, question, OPT.subarray(0, 6))],
  ['OPT among the answers', false, message([1, 1, 0, 0], question, OPT)],
  ['OPT among the authorities', false, message([1, 0, 1, 0], question, OPT)],
  ['OPT among the answers and where it belongs', false, message([1, 1, 0, 1], question, OPT, OPT)],
])('%s: FORMERR, with OPT: %s', (_, hasOpt, query) => {
  const response = exchange(query);
  if (!response) throw new Error('silence');
  const decoded = decodeMessage(response);
  expect([decoded.rcode, decoded.edns !== undefined, decoded.answer.length]).toEqual([1, hasOpt, 0]);
});
