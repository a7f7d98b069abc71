import { describe, expect, test } from 'vitest';
import { parseName } from '../../../wire/name.ts';
import { additionalNameOffset, formatRdata, nameOffsets, parseRdataText, RdataError } from '../../../wire/rdata.ts';
import { TYPE_NUMBERS, typeNumber } from '../../../wire/types.ts';
import { createDice, printedSeed } from '../../support/random.ts';
import { SAMPLES } from './rdata-samples.ts';

const ORIGIN = parseName('example.com.');
const SEED = printedSeed('octets to text');

function wireOf(mnemonic: string, text: string): Uint8Array {
  return parseRdataText(typeNumber(mnemonic) ?? -1, text, ORIGIN);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const samples = Object.entries(SAMPLES).flatMap(([mnemonic, texts]) => texts.map((text) => ({ mnemonic, text })));

test('every type has a sample', () => {
  expect([...TYPE_NUMBERS.keys()].filter((mnemonic) => !(mnemonic in SAMPLES))).toEqual([]);
});

describe('text to octets to text to the same octets', () => {
  test.each(samples)('$mnemonic $text', ({ mnemonic, text }) => {
    const type = typeNumber(mnemonic) ?? -1;
    const wire = wireOf(mnemonic, text);
    const formatted = formatRdata(type, wire);
    // Only data written as octets is shown as octets, if the type has its own format.
    if (!text.startsWith('\\#')) expect(formatted).not.toContain('\\#');
    expect(hex(parseRdataText(type, formatted, parseName('other.')))).toBe(hex(wire));
    expect(hex(parseRdataText(type, `\\# ${wire.length} ${hex(wire)}`, ORIGIN))).toBe(hex(wire));
  });
});

describe('octets as the RFCs print them', () => {
  test.each([
    ['A', '192.0.2.1', 'c0000201'],
    ['MX', '10 a.b.', '000a0161016200'],
    ['TXT', '"ab" c', '02616201' + '63'],
    ['CAA', '0 issue "ca"', '00056973737565' + '6361'],
    ['URI', '10 1 "x"', '000a000178'],
    [
      'NSEC',
      'host.example.com. A MX RRSIG NSEC TYPE1234', // RFC 4034 4.3
      '04686f7374076578616d706c6503636f6d00' + '0006400100000003' + '041b' + '00'.repeat(26) + '20',
    ],
    ['GPOS', '-32.6882 116.8652 10.0', '082d33322e36383832083131362e383635320431302e30'],
    [
      'HIP',
      '2 200100107B1A74DF365639CC39F1D578 AwEAAbdx rvs.', // RFC 8005 5
      '10020006200100107b1a74df365639cc39f1d57803010001b771' + '0372767300',
    ],
    ['LOC', '42 21 54 N 71 06 18 W -24m 30m', '00331613' + '89172dd0' + '70be15f0' + '00988d20'],
    ['APL', '1:192.168.32.0/21 !1:192.168.38.0/28', '0001150 3c0a820 0001 1c 83 c0a826'.replaceAll(' ', '')],
    ['WKS', '192.0.2.1 tcp smtp', 'c0000201' + '06' + '00000040'],
    [
      'SVCB',
      '16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1', // RFC 9460 D.2
      '001003666f6f076578616d706c65036f72670000000004000100040001000902683205' + '68332d3139' + '00040004c0000201',
    ],
    [
      'SVCB',
      '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
      '001003666f6f076578616d706c65036f7267000001000c08665c6f6f2c626172026832',
    ],
    [
      'SVCB',
      '1 foo.example.com. key667="hello\\210qoo"',
      '000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f',
    ],
    [
      'SVCB',
      '1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"',
      '000103666f6f076578616d706c6503636f6d000006002020010db800000000000000000000000120010db8000000000000000000530001',
    ],
    ['NSEC3PARAM', '1 0 0 -', '0100000000'],
    [
      'RRSIG',
      'A 5 3 86400 20300101000000 19700101000001 2642 . AA==',
      '00010503000151807' + '0dbd880' + '00000001' + '0a52' + '00' + '00',
    ],
  ])('%s %s', (mnemonic, text, expected) => {
    expect(hex(wireOf(mnemonic, text))).toBe(expected);
  });
});

describe('text in one line', () => {
  test.each([
    ['v=spf1 -all', '"v=spf1 -all"'],
    ['v=DMARC1; p=none', '"v=DMARC1; p=none"'],
    ['a \\"b\\" "c"', '"a \\"b\\" \\"c\\""'],
    ['"a" "b"', '"a" "b"'],
    ['"a""b"', '"a" "b"'],
    ['', '""'],
    ['ü\\001', '"\\195\\188\\001"'],
    ['x'.repeat(256), `"${'x'.repeat(255)}" "x"`],
    ['\\# 2 0161', '"a"'],
  ])('TXT %s', (text, expected) => {
    expect(formatRdata(16, wireOf('TXT', text))).toBe(expected);
  });

  test('parentheses group nothing on one line', () => {
    expect(hex(wireOf('MX', '( 10 mail )'))).toBe(hex(wireOf('MX', '10 mail')));
  });

  test('data that does not fit its type is shown as octets', () => {
    expect(formatRdata(1, Uint8Array.of(1, 2, 3))).toBe('\\# 3 010203');
    expect(formatRdata(2, Uint8Array.of(0xc0, 12))).toBe('\\# 2 C00C');
    expect(formatRdata(65, Uint8Array.of(0, 0, 0, 0, 3, 0, 2, 0, 53))).toMatch(/^\\# 9/);
    expect(formatRdata(65_400, new Uint8Array(0))).toBe('\\# 0');
  });
});

describe('mistakes say what was expected', () => {
  test.each([
    ['MX', 'mail', 'MX needs a preference and a host name, got "mail": write "10 mail"', 0],
    ['MX', 'x mail', 'MX preference must be a number from 0 to 65535, got "x"', 0],
    ['MX', '65536 mail', '0 to 65535', 0],
    ['MX', '10 a..b', 'MX host name: a..b has an empty label', 3],
    ['MX', '10 mail extra', 'MX needs a preference and a host name', 8],
    ['A', '1.2.3', 'A address must be an IPv4 address such as 192.0.2.1, got "1.2.3"', 0],
    ['A', '2001:db8::1', 'write it as AAAA', 0],
    ['AAAA', '192.0.2.1', 'write it as A', 0],
    ['A', '', 'A needs an address, got nothing', 0],
    ['TXT', '"abc', 'closing quote is missing', 0],
    ['TXT', '"a" b"c', 'quote in the middle', 4],
    ['TXT', `"${'x'.repeat(256)}"`, 'at most 255', 0],
    ['TXT', '"a\\999"', 'over \\255', 0],
    ['CAA', '0 issue ca.example.net; x', 'starts a comment', 22],
    ['CAA', '0 is_sue x', 'letters and digits', 2],
    ['SOA', 'ns1 host 1 2 3 4 5x', 'negative TTL must be seconds', 17],
    ['DS', '1 8 2 abcd', 'DS with digest type 2 has 64 hexadecimal digits, got 4', 6],
    ['DS', '1 8 5 abc', 'odd number', 6],
    ['DS', '1 NOPE 2 ab', 'DS algorithm must be a number', 2],
    ['SSHFP', '1 1 xy', 'hexadecimal', 4],
    ['DNSKEY', '257 3 13 abc', 'truncated base64', 9],
    ['NSEC', 'a NOPE', 'unknown type "NOPE"', 2],
    ['RRSIG', 'A 5 3 60 20300230000000 20290101000000 1 . AA==', 'must be a time (YYYYMMDDHHmmSS)', 9],
    ['NSEC3', '1 0 0 - w A', 'base32hex', 8],
    ['LOC', '91 N 0 E 0m', 'over 90 degrees', 3],
    ['LOC', '1 60 N 0 E 0m', 'degrees, minutes, seconds', 2],
    ['APL', '1:2001:db8::/32', 'APL takes items', 0],
    ['IPSECKEY', '10 0 2 192.0.2.1 AA==', 'write "."', 7],
    ['EUI48', '00:00:5e:00:53:2a', '00-00-5e-00-53-2a', 0],
    ['NSAP', '47.00', '0x', 0],
    ['NULL', 'x', 'only be written as octets', 0],
    ['TYPE65400', 'deadbeef', '\\# 4 deadbeef', 0],
    ['TYPE65400', '\\# 3 deadbeef', 'declares 3 octets, but 4 follow', 3],
    ['A', '\\# 3 010203', 'these octets are not valid A data (an address)', 5],
    ['SVCB', '1 . port=53 port=54', 'port twice', 12],
    ['SVCB', '1 . nope=1', 'unknown SVCB parameter "nope"', 4],
    ['SVCB', '1 . port', 'lacks its value', 4],
    ['SVCB', '1 . no-default-alpn', 'needs alpn', 4],
    ['SVCB', '1 . mandatory=port', 'lists port, which the record does not have', 4],
    ['SVCB', '1 . mandatory=mandatory', 'not itself', 4],
    ['SVCB', '1 . alpn=h2,,h3', 'empty', 4],
    ['SVCB', '1 . ipv4hint=::1', 'IPv4', 4],
    ['SVCB', '1 . key65535=x', 'unknown SVCB parameter "key65535"', 4],
    ['SVCB', '0 . port=53', 'alias', 4],
    ['HTTPS', '1 . dohpath=/x', 'dns', 4],
  ])('%s %s', (mnemonic, text, message, offset) => {
    let caught: unknown;
    try {
      wireOf(mnemonic, text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(RdataError);
    expect((caught as RdataError).message).toContain(message);
    expect((caught as RdataError).offset).toBe(offset);
  });
});

describe('octets to text to the same octets', () => {
  test.each(Object.keys(SAMPLES))('%s', (mnemonic) => {
    const dice = createDice(SEED + (typeNumber(mnemonic) ?? 0));
    const type = typeNumber(mnemonic) ?? -1;
    let readable = 0;
    for (const text of SAMPLES[mnemonic] ?? []) {
      for (let round = 0; round < 200; round++) {
        // A sample with some octets changed, cut or added: some still fit the type, some do not.
        const wire = [...wireOf(mnemonic, text)];
        for (let changes = dice.below(3); changes >= 0; changes--) {
          const at = dice.below(wire.length + 1);
          const change = dice.fraction();
          if (change < 0.8 && at < wire.length) wire[at] = dice.below(256);
          else if (change < 0.9) wire.splice(at, 1);
          else wire.splice(at, 0, dice.below(256));
        }
        const octets = Uint8Array.from(wire);
        const formatted = formatRdata(type, octets);
        if (formatted.startsWith('\\#') && !text.startsWith('\\#')) continue;
        let read: Uint8Array;
        try {
          read = parseRdataText(type, formatted, ORIGIN);
        } catch (error) {
          // A digest of the wrong length, and octets that are not of the type, can be shown and not read.
          if (error instanceof RdataError && /digest type|these octets/.test(error.message)) continue;
          throw new Error(`${mnemonic} ${hex(octets)} as ${formatted}`, { cause: error });
        }
        expect(hex(read), formatted).toBe(hex(octets));
        readable++;
      }
    }
    expect(readable).toBeGreaterThan(0);
  });
});

describe('where names are', () => {
  test.each([
    ['NS', 'ns1', [0]],
    ['CNAME', '.', [0]],
    ['MX', '10 mail', [2]],
    ['SOA', 'a.b. c. 1 2 3 4 5', [0, 5]],
    ['SOA', '. . 1 2 3 4 5', [0, 1]],
    ['MINFO', 'a.b. c.', [0, 5]],
    ['SRV', '1 2 3 a.', []],
    ['DNAME', 'a.', []],
    ['A', '192.0.2.1', []],
    ['RP', 'a. b.', []],
  ])('%s %s: %j may be compressed', (mnemonic, text, expected) => {
    expect(nameOffsets(typeNumber(mnemonic) ?? -1, wireOf(mnemonic, text))).toEqual(expected);
  });

  test.each([
    ['NS', 0],
    ['MX', 2],
    ['SRV', 6],
    ['SVCB', 2],
    ['HTTPS', 2],
    ['CNAME', undefined],
    ['A', undefined],
    ['SOA', undefined],
  ])('%s: the additional section is about the name at %s', (mnemonic, expected) => {
    expect(additionalNameOffset(typeNumber(mnemonic) ?? -1)).toBe(expected);
  });
});
