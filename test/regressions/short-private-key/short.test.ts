/**
 * dnssec-keygen of BIND writes the number of an ECDSA key without its leading zeros: one key in 256 has fewer octets
 * than the curve. Such a key was refused ("the field PrivateKey has 31 octets instead of 32").
 */
import { createECDH } from 'node:crypto';
import { expect, test } from 'vitest';
import { ALGORITHMS } from '../../../dnssec/algorithms.ts';

const UNCOMPRESSED = 1;
const DATA = Buffer.from('to be signed');

test.each([
  [13, 'prime256v1', 32, 31],
  [13, 'prime256v1', 32, 30],
  [13, 'prime256v1', 32, 33],
  [14, 'secp384r1', 48, 47],
])('algorithm %i: a private key of %s, %i octets, in %i', (number, curve, octets, written) => {
  const algorithm = ALGORITHMS.get(number);
  const value = Buffer.alloc(octets, 0x5a);
  value.fill(0, 0, Math.max(0, octets - written));
  const pair = createECDH(curve);
  pair.setPrivateKey(value);
  const publicKey = pair.getPublicKey().subarray(UNCOMPRESSED);
  const inFile = Buffer.concat([Buffer.alloc(Math.max(0, written - octets)), value]).subarray(-written);

  const key = algorithm?.read(new Map([['PrivateKey', inFile]]), publicKey);
  const signature = key && algorithm?.sign(DATA, key);
  expect(signature && algorithm?.verify(DATA, publicKey, signature)).toBe(true);
});

test('a private key that is longer than its curve is refused', () => {
  const read = (): unknown =>
    ALGORITHMS.get(13)?.read(new Map([['PrivateKey', Buffer.alloc(33, 0x5a)]]), Buffer.alloc(64, 1));
  expect(read).toThrow('the field PrivateKey has 33 octets instead of 32');
});
