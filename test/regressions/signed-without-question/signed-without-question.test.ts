/**
 * The responses to signed messages without a question, or with two, had no signature: the search for TSIG gave up
 * unless there was exactly one question.
 */
import { expect, test } from 'vitest';
import { readTsig } from '../../../wire/tsig-record.ts';
import { verifyTsig } from '../../../wire/tsig.ts';
import { decodeMessage, encodeQuery, T } from '../../support/message.ts';
import { KEY, PEER, servePeers, sign } from '../../support/peer.ts';

const { udp, tcp } = servePeers({ 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n' });
const [QUERY, IQUERY, STATUS, NOTIFY] = [0, 1, 2, 4];
const [FORMERR, NOTIMP] = [1, 4];

function message(opcode: number, questions: number): Buffer {
  const one = encodeQuery('example.com', T.A, { flags: opcode << 11 });
  const head = Buffer.from(one.subarray(0, 12));
  head.writeUInt16BE(questions, 4);
  return Buffer.concat([head, ...Array.from({ length: questions }, () => one.subarray(12))]);
}

test.for([
  { opcode: QUERY, questions: 0, rcode: FORMERR },
  { opcode: QUERY, questions: 2, rcode: FORMERR },
  { opcode: IQUERY, questions: 0, rcode: NOTIMP },
  { opcode: STATUS, questions: 0, rcode: NOTIMP },
  { opcode: NOTIFY, questions: 1, rcode: NOTIMP },
])('opcode $opcode with $questions questions', async ({ opcode, questions, rcode }) => {
  const { message: signed, mac } = sign(message(opcode, questions));
  for (const response of [udp(signed, PEER), ...(await tcp(signed, PEER))]) {
    expect(decodeMessage(response).rcode).toBe(rcode);
    const tsig = readTsig(response);
    if (typeof tsig === 'string') expect.fail(`signature: ${tsig}`);
    expect(verifyTsig(response, tsig, [KEY], Date.now() / 1000, mac).kind).toBe('valid');
  }
});
