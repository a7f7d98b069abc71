import { describe, expect, test } from 'vitest';
import {
  canonical,
  formatName,
  isWildcard,
  isWithin,
  labelOffsets,
  nameKey,
  NameError,
  parseName,
} from '../../../wire/name.ts';

const ORIGIN = parseName('example.com.');
const label63 = 'x'.repeat(63);
/** 255 octets: three labels of 63, one of 61, their lengths and the root. */
const longest = `${label63}.${label63}.${label63}.${'x'.repeat(61)}.`;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('parseName: text to wire form', () => {
  test.each([
    ['.', '00', '.'],
    ['@', '076578616d706c6503636f6d00', 'example.com'],
    ['a', '0161076578616d706c6503636f6d00', 'a.example.com'],
    ['a.', '016100', 'a'],
    ['A.b.', '0141016200', 'A.b'],
    ['a\\.b.', '03612e6200', 'a\\.b'],
    ['\\000\\255.', '0200ff00', '\\000\\255'],
    ['\\@.', '014000', '\\@'],
    ['a\\.', '02612e076578616d706c6503636f6d00', 'a\\..example.com'],
    ['\\032.', '012000', '\\032'],
    ['ü.', '02c3bc00', '\\195\\188'],
    ['*.x.', '012a017800', '*.x'],
    ['_sip._tcp.', '045f736970045f74637000', '_sip._tcp'],
  ])('%s', (text, wire, formatted) => {
    const name = parseName(text, ORIGIN);
    expect(hex(name)).toBe(wire);
    expect(formatName(name)).toBe(formatted);
    expect(hex(parseName(formatted === '.' ? '.' : `${formatted}.`))).toBe(wire);
  });

  test('255 octets are the maximum', () => {
    expect(parseName(longest).length).toBe(255);
    expect(() => parseName(`x${longest}`)).toThrow(NameError);
    expect(() => parseName(`a.${longest}`)).toThrow('longer than 255');
    expect(() => parseName(longest.slice(0, -1), ORIGIN)).toThrow('longer than 255');
    expect(parseName(longest.slice(0, -13), ORIGIN).length).toBe(255);
  });

  test.each([
    ['', 'empty'],
    ['a..b.', 'empty label'],
    ['.a.', 'empty label'],
    ['..', 'empty label'],
    [`${label63}x.`, 'longer than 63'],
    ['a\\256.', 'over'],
    ['a\\', 'escape'],
  ])('%j is rejected: %s', (text, why) => {
    expect(() => parseName(text, ORIGIN)).toThrow(NameError);
    expect(() => parseName(text, ORIGIN)).toThrow(why);
  });

  test('a relative name needs an origin', () => {
    expect(() => parseName('a')).toThrow('must end with a dot');
    expect(() => parseName('@')).toThrow('origin');
  });
});

describe('names compare case-insensitively, by whole labels', () => {
  test.each([
    ['www.example.com.', 'example.com.', true],
    ['WWW.EXAMPLE.com.', 'example.COM.', true],
    ['example.com.', 'example.com.', true],
    ['example.com.', 'www.example.com.', false],
    ['notexample.com.', 'example.com.', false],
    ['a.', '.', true],
    ['.', '.', true],
    ['.', 'a.', false],
    // The octets of "example.com." end this label, where no label starts.
    ['x\\007example\\003com.', 'example.com.', false],
  ])('%s within %s: %s', (name, ancestor, expected) => {
    expect(isWithin(parseName(name), parseName(ancestor))).toBe(expected);
  });

  test('canonical folds only ASCII letters', () => {
    expect(formatName(canonical(parseName('A-Z[\\]@`{.\\193.')))).toBe('a-z[]\\@`{.\\193');
    expect(nameKey(parseName('Ab.'))).toBe(nameKey(parseName('aB.')));
  });

  test('labelOffsets, isWildcard', () => {
    expect(labelOffsets(parseName('a.bc.d.'))).toEqual([0, 2, 5]);
    expect(labelOffsets(parseName('.'))).toEqual([]);
    expect(['*.', '*a.', 'a.*.', '\\042.', '.'].map((text) => isWildcard(parseName(text)))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
  });
});
