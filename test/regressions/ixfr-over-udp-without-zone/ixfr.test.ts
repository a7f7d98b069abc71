/**
 * Errors in a peer's IXFR were reported only over TCP: over UDP a missing zone was REFUSED, as for an unknown client,
 * and a missing SOA was ignored. docs/transfer.md makes no difference, nor do NSD and Knot.
 */
import { expect, test } from 'vitest';
import { decodeMessage, encodeQuery, T } from '../../support/message.ts';
import { ixfr, PEER, servePeers, sign, SIGNING } from '../../support/peer.ts';

const { udp, tcp } = servePeers({
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1.example.net.]\nrecords: { www: { A: 192.0.2.1 } }\n',
});
const [FORMERR, NOTAUTH] = [1, 9];

test.each([
  ['a zone elsewhere', ixfr('example.org', 1), NOTAUTH],
  ['a name within a zone', ixfr('www.example.com', 1), NOTAUTH],
  ['no SOA', encodeQuery('example.com', T.IXFR), FORMERR],
])('IXFR with %s is the same over UDP and TCP, signed or not', async (_, query, rcode) => {
  const signed = sign(query).message;
  for (const [message, from] of [
    [query, PEER],
    [signed, SIGNING],
  ] as const) {
    const [overTcp = Buffer.alloc(0)] = await tcp(message, from);
    expect([decodeMessage(udp(message, from)).rcode, decodeMessage(overTcp).rcode]).toEqual([rcode, rcode]);
  }
});
