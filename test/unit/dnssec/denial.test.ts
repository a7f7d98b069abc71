/** NSEC data (RFC 4034 4.1), and the next name of an NSEC that is made for one name (RFC 9824). */
import { expect, test } from 'vitest';
import { nextBelow, nextBeside, nsecData } from '../../../dnssec/rrsig.ts';
import { canonical, formatName, parseName } from '../../../wire/name.ts';
import { formatRdata } from '../../../wire/rdata.ts';
import { TYPE } from '../../../wire/types.ts';

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

test.each([
  ['one type', [1], '0001 40'],
  ['the last bit of an octet, and the first of the next', [7, 8], '0002 0180'],
  [
    'A MX RRSIG NSEC TYPE1234: the example of RFC 4034 4.3',
    [1, 15, 46, 47, 1234],
    `0006 400100000003 041b ${'00'.repeat(26)}20`,
  ],
  ['the last type of a window, and the first of the next', [255, 256], `0020 ${'00'.repeat(31)}01 0101 80`],
  ['the greatest type', [65_535], `ff20 ${'00'.repeat(31)}01`],
  ['a window between two others is left out', [2, 770], '0001 20 0301 20'],
])('the bitmap of %s', (_, types, bitmap) => {
  expect(hex(nsecData(parseName('a.'), types))).toBe(`016100${bitmap.replaceAll(' ', '')}`);
});

test('the text of a bitmap has its types', () => {
  const data = nsecData(parseName('host.example.com.'), [TYPE.A, TYPE.MX, TYPE.RRSIG, TYPE.NSEC, 1234]);
  expect(formatRdata(TYPE.NSEC, data)).toBe('host.example.com. A MX RRSIG NSEC TYPE1234');
});

/** A name of a number of octets. */
const nameOf = (octets: number): Uint8Array => {
  const labels: string[] = [];
  for (let left = octets - 1; left > 0;) {
    const label = left === 65 ? 62 : Math.min(63, left - 1);
    labels.push('a'.repeat(label));
    left -= label + 1;
  }
  return canonical(parseName(`${labels.join('.')}.`));
};

test('the next name has an octet 0 as its first label; if no label fits, it is the next one beside the name', () => {
  expect(formatName(nextBelow(parseName('www.example.com.')))).toBe('\\000.www.example.com');
  for (const octets of [10, 100, 252, 253]) {
    const name = nameOf(octets);
    expect(name).toHaveLength(octets);
    expect(hex(nextBelow(name))).toBe(`0100${hex(name)}`);
  }
  for (const octets of [254, 255]) expect(hex(nextBelow(nameOf(octets)))).toBe(hex(nextBeside(nameOf(octets))));
});
