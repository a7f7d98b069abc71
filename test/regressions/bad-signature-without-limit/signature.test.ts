/**
 * The response to a query with an invalid TSIG ignored response rate limiting and the limit of 512 octets: with a
 * forged address, an attacker could have it sent to a victim without limit.
 */
import { describe, expect, test } from 'vitest';
import { parseName } from '../../../wire/name.ts';
import { put16 } from '../../../wire/octets.ts';
import { decodeMessage, encodeQuery, T } from '../../support/message.ts';
import { ixfr, KEY, PEER, servePeers, sign, STRANGER } from '../../support/peer.ts';

const ZONE = {
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
};
const TSIG = 250;
const NOTAUTH = 9;
const query = (name: string, options = {}): Buffer => encodeQuery(name, T.A, options);
const STRANGE = { ...KEY, name: parseName('nobody.') };

function twice(message: Buffer): Buffer {
  const signed = sign(message).message;
  const both = Buffer.concat([signed, signed.subarray(message.length)]);
  put16(both, 10, 2);
  return both;
}

const longName = (octets: number): string =>
  Array.from({ length: Math.floor(octets / 50) }, () => 'k'.repeat(49)).join('.');

describe('the limit', () => {
  const PER_SECOND = 5;
  const { udp, tcp } = servePeers(ZONE, { rrl: { perSecond: PER_SECOND, slip: 0 } });

  test.each([
    ['an unknown key', sign(query('ns1.example.com'), STRANGE).message, '198.51.100.1'],
    ['a wrong signature', sign(query('ns1.example.com'), { ...KEY, secret: Buffer.of(1) }).message, '198.51.101.1'],
    ['an old signature', sign(query('ns1.example.com'), KEY, Date.now() / 1000 - 1000).message, '198.51.102.1'],
    ['two signatures', twice(query('ns1.example.com')), '198.51.103.1'],
  ])('%s: no more responses than other clients get', (_, message, from) => {
    const sent = Array.from({ length: 200 }, () => udp(message, from)).filter(({ length }) => length > 0);
    expect(sent.length).toBeGreaterThan(0);
    // A second or two may pass meanwhile.
    expect(sent.length).toBeLessThan(100);
  });

  test('IXFR over UDP from an address that is allowed without a key', () => {
    const sent = Array.from({ length: 200 }, () => udp(ixfr('example.com', 1), PEER)).filter(
      ({ length }) => length > 0,
    );
    expect(sent.length).toBeLessThan(100);
  });

  test('over TCP no client is limited, nor one that signs', async () => {
    const { message } = sign(query('ns1.example.com'), STRANGE);
    for (let n = 0; n < 50; n++) expect(await tcp(message, STRANGER)).toHaveLength(1);
  });
});

describe('the size', () => {
  const { udp } = servePeers(ZONE);
  const name = `${longName(200)}.example.com`;
  const key = { ...KEY, name: parseName(`${longName(240)}.`) };

  test.each([
    ['without EDNS', {}, 512],
    ['with a small size', { edns: { size: 600 } }, 600],
    ['with a large size', { edns: { size: 4096 } }, 1232],
  ])('%s: never larger than the client accepts, nor than its query', (_, options, limit) => {
    const message = sign(query(name, options), key).message;
    const response = udp(message, STRANGER);
    expect(response.length).toBeLessThanOrEqual(Math.min(limit, message.length));
    expect(decodeMessage(response).rcode).toBe(NOTAUTH);
  });

  test('one that fits has its TSIG (RFC 8945 5.3.2)', () => {
    const { rcode, tc, additional } = decodeMessage(udp(sign(query('ns1.example.com'), STRANGE).message, STRANGER));
    expect([rcode, tc, additional.map(({ type }) => type)]).toEqual([NOTAUTH, false, [TSIG]]);
  });

  test('one that does not fit says so', () => {
    // The key's name is a pointer to the question's: it is complete in the response.
    const plain = query(name);
    const signed = sign(plain, { ...KEY, name: parseName(`${name}.`) }).message;
    const pointer = Buffer.alloc(2);
    put16(pointer, 0, 0xc00c);
    const short = Buffer.concat([
      signed.subarray(0, plain.length),
      pointer,
      signed.subarray(plain.length + name.length + 2),
    ]);
    const response = udp(short, STRANGER);
    expect(response.length).toBeLessThanOrEqual(short.length);
    const { rcode, tc, additional } = decodeMessage(response);
    expect([rcode, tc, additional.length]).toEqual([NOTAUTH, true, 0]);
  });
});
