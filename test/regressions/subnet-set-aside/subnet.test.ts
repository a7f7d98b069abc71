/**
 * If a client subnet does not show where the client is (private, shared, loopback, link-local), the resolver's address
 * decided with scope 0, so the resolver gave this answer to all its clients. The answer holds only for the subnet. A
 * private network in `geo.networks` was ignored too, although the operator states its location there.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseAddress } from '../../../wire/address.ts';
import { subnetOption, T } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering } from '../../support/pharos.ts';

const file = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
const server = answering({
  'pharos.yaml': file('pharos.yaml'),
  'zones/example.com.yaml': file('example.com.yaml'),
  'place.mmdb': writeMmdb([['192.0.2.0/24', { country: { iso_code: 'KR' } }]]),
});
const SEOUL = 'cb007101';
const TOKYO = 'cb007102';

function ask(name: string, subnet: string, bits: number): [scope: number | undefined, data: string | undefined] {
  const options = [subnetOption(parseAddress(subnet) ?? new Uint8Array(4), bits)];
  // The resolver is in Korea.
  const { edns, answer } = server.ask(`${name}.example.com`, T.A, { from: '192.0.2.1', edns: { options } });
  return [edns?.scope, answer[0]?.data];
}

test.each([
  ['192.168.1.0', 24],
  ['172.16.0.0', 12],
  ['100.64.0.0', 10],
  ['127.0.0.1', 32],
  ['169.254.0.0', 16],
  ['fe80::', 64],
  ['fd77::', 48],
  ['::1', 128],
])('%s/%i is ignored: the resolver decides, and the scope is the length of the subnet', (subnet, bits) => {
  expect(ask('www', subnet, bits)).toEqual([bits, SEOUL]);
});

test.each([
  ['10.1.2.0', 24, TOKYO, 13],
  ['10.9.2.0', 24, SEOUL, 16],
  ['fd00:1:2::', 48, SEOUL, 32],
  ['198.51.100.0', 24, TOKYO, 1],
])('%s/%i is in geo.networks, so it decides', (subnet, bits, data, least) => {
  const [scope, got] = ask('www', subnet, bits);
  expect(got).toBe(data);
  expect(scope).toBeGreaterThanOrEqual(least);
});

test('a subnet larger than the network of geo.networks is ignored', () => {
  expect(ask('www', '10.0.0.0', 7)).toEqual([7, SEOUL]);
  expect(ask('www', 'fd00:1::', 31)).toEqual([31, SEOUL]);
});

test('if the client does not matter, the answer is for all clients', () => {
  expect(ask('everywhere', '192.168.1.0', 24)[0]).toBe(0);
});

test('sticky uses the client: the answer is for the subnet only', () => {
  expect(ask('kept', '192.168.1.0', 24)[0]).toBe(24);
});

test('no address bits mean that no subnet is wanted (RFC 7871 7.1.2): nothing is ignored', () => {
  expect(ask('www', '0.0.0.0', 0)).toEqual([0, SEOUL]);
});
