/**
 * SipHash-2-4 against the paper's example, and against the paper's own formulas in 64 bits.
 */
import { expect, test } from 'vitest';
import { sipHash, sipHashKey } from '../../../wire/siphash.ts';
import { createDice, printedSeed } from '../../support/random.ts';

function hashed(key: Uint8Array, message: Uint8Array): bigint {
  const out = new Int32Array(2);
  sipHash(sipHashKey(key), message, message.length, out);
  return (BigInt((out[1] ?? 0) >>> 0) << 32n) | BigInt((out[0] ?? 0) >>> 0);
}

/** 2.2 of the paper, literally. */
function reference(key: Buffer, message: Buffer): bigint {
  const rotated = (value: bigint, by: bigint): bigint => BigInt.asUintN(64, (value << by) | (value >> (64n - by)));
  const [k0, k1] = [key.readBigUInt64LE(0), key.readBigUInt64LE(8)];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = (): void => {
    v0 = BigInt.asUintN(64, v0 + v1);
    v2 = BigInt.asUintN(64, v2 + v3);
    v1 = rotated(v1, 13n) ^ v0;
    v3 = rotated(v3, 16n) ^ v2;
    v0 = rotated(v0, 32n);
    v2 = BigInt.asUintN(64, v2 + v1);
    v0 = BigInt.asUintN(64, v0 + v3);
    v1 = rotated(v1, 17n) ^ v2;
    v3 = rotated(v3, 21n) ^ v0;
    v2 = rotated(v2, 32n);
  };
  const padded = Buffer.alloc(8 * ((message.length >> 3) + 1));
  message.copy(padded);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at);
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  v2 ^= 0xffn;
  for (let rounds = 4; rounds > 0; rounds--) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

const counting = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, octet) => octet));

test("the paper's example (appendix A)", () => {
  expect(hashed(counting(16), counting(15))).toBe(0xa129ca6149be45e5n);
});

test('every length up to 64 octets, with random keys and octets, is as the formulas say', () => {
  const dice = createDice(printedSeed('siphash'));
  const octets = (length: number): Buffer => Buffer.from(Array.from({ length }, () => dice.below(256)));
  for (let n = 0; n < 1300; n++) {
    const [key, message] = [octets(16), octets(n % 65)];
    expect(hashed(key, message), `${key.toString('hex')} ${message.toString('hex')}`).toBe(reference(key, message));
  }
});

test('octets after the length do not count', () => {
  const out = new Int32Array(2);
  sipHash(sipHashKey(counting(16)), counting(24), 20, out);
  const cut = new Int32Array(2);
  sipHash(sipHashKey(counting(16)), counting(20), 20, cut);
  expect([...out]).toEqual([...cut]);
});
