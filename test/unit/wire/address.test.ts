import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import {
  bitAt,
  formatAddress,
  formatEndpoint,
  formatPrefix,
  inPrefix,
  parseAddress,
  parseEndpoint,
  parsePrefix,
} from '../../../wire/address.ts';
import { createDice, moreThan, printedSeed, trials } from '../../support/random.ts';

function bytesOf(text: string): Uint8Array {
  const bytes = parseAddress(text);
  if (!bytes) throw new Error(`${text} is no address`);
  return bytes;
}

describe('addresses', () => {
  test.each([
    ['192.0.2.1', 'c0000201', '192.0.2.1'],
    ['::', '0'.repeat(32), '::'],
    ['::1', `${'0'.repeat(31)}1`, '::1'],
    ['1::', `0001${'0'.repeat(28)}`, '1::'],
    ['2001:DB8::8:0', '20010db8000000000000000000080000', '2001:db8::8:0'],
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '00010000000000020000000000000003', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '00010000000000020003000000000004', '1::2:3:0:0:4'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201', '::ffff:c000:201'],
    ['64:ff9b::1.2.3.4', '0064ff9b000000000000000001020304', '64:ff9b::102:304'],
  ])('%s', (text, wire, formatted) => {
    const bytes = bytesOf(text);
    expect(Buffer.from(bytes).toString('hex')).toBe(wire);
    expect(formatAddress(bytes)).toBe(formatted);
    const padded = Uint8Array.of(9, ...bytes, 9);
    expect(formatAddress(padded, 1, bytes.length)).toBe(formatted);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7',
    'g::',
    ' ::1',
    '::1.2.3',
  ])('%j is not an address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('random texts are addresses as for node:net, with the octets of URL', () => {
    const dice = createDice(printedSeed('addresses'));
    const pieces = ['0', '1', 'ff', '01', '255', '256', 'abcd', 'FFFF', '12345', 'g', '', '1.2.3.4', '01.2.3.4'];
    const separators = [':', ':', ':', ':', '::', '.'];
    const found = { v4: 0, v6: 0, none: 0 };
    for (let i = 0; i < trials(200_000); i++) {
      const separator = dice.pick(separators);
      const parts = Array.from({ length: 1 + dice.below(9) }, () => dice.pick(pieces.slice(0, 1 + dice.below(13))));
      const joins = parts.map((_, at) => (at === 0 ? '' : dice.chance(0.9) ? separator : dice.pick(separators)));
      const text = parts.map((part, at) => `${joins[at] ?? ''}${part}`).join('');
      const bytes = parseAddress(text);
      expect((bytes?.length ?? 0) === 4 ? 4 : bytes ? 6 : 0, text).toBe(isIP(text));
      if (bytes) found[bytes.length === 4 ? 'v4' : 'v6']++;
      else found.none++;
      if (bytes?.length === 16) {
        expect(new URL(`http://[${formatAddress(bytes)}]/`).hostname, text).toBe(new URL(`http://[${text}]/`).hostname);
      }
    }
    expect(Math.min(found.v4, found.v6, found.none)).toBeGreaterThan(moreThan(100));
  });
});

describe('prefixes', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['192.0.2.1', '192.0.2.1/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['::1', '::1/128'],
    ['10.0.0.1/8', undefined],
    ['10.0.0.0/33', undefined],
    ['::/129', undefined],
    ['10/8', undefined],
    ['10.0.0.0/', undefined],
    ['10.0.0.0/-1', undefined],
  ])('%s is %s', (text, formatted) => {
    const prefix = parsePrefix(text);
    expect(prefix && formatPrefix(prefix)).toBe(formatted);
  });

  test.each([
    ['10.255.255.255', '10.0.0.0/8', true],
    ['11.0.0.0', '10.0.0.0/8', false],
    ['10.0.0.1', '10.0.0.0/31', true],
    ['10.0.0.2', '10.0.0.0/31', false],
    ['::', '0.0.0.0/0', false],
    ['2001:db8::1', '::/0', true],
  ])('%s in %s: %s', (address, prefix, expected) => {
    expect(inPrefix(bytesOf(address), parsePrefix(prefix) ?? { bytes: new Uint8Array(), bits: 0 })).toBe(expected);
  });

  test('bitAt counts from the most significant', () => {
    expect([0, 1, 7, 8, 15].map((index) => bitAt(Uint8Array.of(0x81, 0x01), index))).toEqual([1, 0, 1, 0, 1]);
  });
});

describe('endpoints', () => {
  test.each([
    ['127.0.0.1:53', '127.0.0.1:53'],
    ['[::1]:53', '[::1]:53'],
    ['192.0.2.1', '192.0.2.1:5300'],
    ['::1', '[::1]:5300'],
    ['[::]', '[::]:5300'],
    ['127.0.0.1:65536', undefined],
    ['localhost:53', undefined],
    ['127.0.0.1:', undefined],
    [':53', undefined],
    ['', undefined],
  ])('%s is %s', (text, formatted) => {
    const endpoint = parseEndpoint(text, 5300);
    expect(endpoint && formatEndpoint(endpoint)).toBe(formatted);
  });

  test('without a default the port is required', () => {
    expect(parseEndpoint('127.0.0.1')).toBeUndefined();
  });
});
