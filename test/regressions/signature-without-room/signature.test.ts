/**
 * A signed response without room for its signature was reduced to question and signature: OPT was removed too, although
 * the query had one (RFC 6891 6.1.1), and AA with it. NSD and Knot keep both.
 */
import { expect, test } from 'vitest';
import { readTsig } from '../../../wire/tsig-record.ts';
import { verifyTsig } from '../../../wire/tsig.ts';
import { decodeMessage, encodeQuery, T } from '../../support/message.ts';
import { KEY, servePeers, sign, STRANGER } from '../../support/peer.ts';

const { udp } = servePeers({
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
records:
  big: { TXT: [${['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => letter.repeat(184)).join(', ')}] }
  mid: { TXT: [${['a', 'b'].map((letter) => letter.repeat(210)).join(', ')}] }
`,
});

test.each([
  ['with EDNS', 'big', { edns: { dnssecOk: true } }, { size: 1232, version: 0, dnssecOk: true }],
  ['without EDNS', 'mid', {}, undefined],
])('a response %s that is truncated for its signature', (_, owner, options, edns) => {
  const query = encodeQuery(`${owner}.example.com`, T.TXT, options);
  expect(decodeMessage(udp(query, STRANGER)).tc, 'it fits without').toBe(false);
  const { message, mac } = sign(query);
  const response = udp(message, STRANGER);
  const decoded = decodeMessage(response);
  expect([decoded.tc, decoded.aa, decoded.rcode, decoded.answer.length]).toEqual([true, true, 0, 0]);
  if (edns) expect(decoded.edns).toMatchObject(edns);
  else expect(decoded.edns).toBe(undefined);
  const tsig = readTsig(response);
  if (typeof tsig === 'string') throw new Error(tsig);
  expect(verifyTsig(response, tsig, [KEY], Date.now() / 1000, mac).kind).toBe('valid');
});
