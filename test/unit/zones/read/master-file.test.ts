import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createReport, type Diagnostic } from '../../../../config/diagnostics.ts';
import { formatName, parseName } from '../../../../wire/name.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { typeText } from '../../../../wire/types.ts';
import { readMasterFile } from '../../../../zones/read/master-file.ts';
import { createRecordStore, ownerOf, rdataOf } from '../../../../zones/read/record-store.ts';
import { createDice, printedSeed } from '../../../support/random.ts';

const folder = mkdtempSync(join(tmpdir(), 'pharos-master-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Result = { records: string[]; lines: string[]; diagnostics: readonly Diagnostic[]; files: string[] };

let folders = 0;

/** Reads the first of `texts`, each written under its name; records as `owner TTL type data`. */
function read(texts: Readonly<Record<string, string | Buffer>>): Result {
  const root = join(folder, String(folders++));
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const store = createRecordStore();
  const report = createReport();
  const path = join(root, Object.keys(texts)[0] ?? 'missing.db');
  const { files } = readMasterFile({ path, origin: parseName('example.com.'), defaultTtlSeconds: 99, store, report });
  const records: string[] = [];
  const lines: string[] = [];
  for (let row = 0; row < store.count; row++) {
    const type = store.type[row] ?? 0;
    const data = formatRdata(type, rdataOf(store, row));
    records.push(`${formatName(ownerOf(store, row))} ${store.ttlSeconds[row] ?? 0} ${typeText(type)} ${data}`);
    lines.push(`${(store.files[store.file[row] ?? 0] ?? '').slice(root.length + 1)}:${store.line[row] ?? 0}`);
  }
  return { records, lines, diagnostics: report.diagnostics, files: files.map((file) => file.slice(root.length + 1)) };
}

describe('each entry gives one record', () => {
  test.each<[string, string]>([
    ['www A 192.0.2.1', 'www.example.com 99 A 192.0.2.1'],
    ['www.example.net. A 192.0.2.1', 'www.example.net 99 A 192.0.2.1'],
    ['@ A 192.0.2.1', 'example.com 99 A 192.0.2.1'],
    ['. A 192.0.2.1', '. 99 A 192.0.2.1'],
    ['WwW a 192.0.2.1', 'WwW.example.com 99 A 192.0.2.1'],
    ['www 60 A 192.0.2.1', 'www.example.com 60 A 192.0.2.1'],
    ['www 60 IN A 192.0.2.1', 'www.example.com 60 A 192.0.2.1'],
    ['www in 60 A 192.0.2.1', 'www.example.com 60 A 192.0.2.1'],
    ['www CLASS1 60 TYPE1 192.0.2.1', 'www.example.com 60 A 192.0.2.1'],
    ['www 1h30m A 192.0.2.1', 'www.example.com 5400 A 192.0.2.1'],
    ['www 1W2D A 192.0.2.1', 'www.example.com 777600 A 192.0.2.1'],
    ['www 2147483647 A 192.0.2.1', 'www.example.com 2147483647 A 192.0.2.1'],
    ['www\tA\t192.0.2.1 ; comment', 'www.example.com 99 A 192.0.2.1'],
    ['www A 192.0.2.1;comment "(', 'www.example.com 99 A 192.0.2.1'],
    ['www A \\# 4 c0000201', 'www.example.com 99 A 192.0.2.1'],
    ['www ( A\n  192.0.2.1 ) ; c', 'www.example.com 99 A 192.0.2.1'],
    ['www A ( ; one\n ; two\n192.0.2.1\n)', 'www.example.com 99 A 192.0.2.1'],
    ['in A 192.0.2.1', 'in.example.com 99 A 192.0.2.1'],
    ['a A 192.0.2.1', 'a.example.com 99 A 192.0.2.1'],
    ['60 A 192.0.2.1', '60.example.com 99 A 192.0.2.1'],
    ['a\\.b\\046c A 192.0.2.1', 'a\\.b\\.c.example.com 99 A 192.0.2.1'],
    ['\\$x A 192.0.2.1', '\\$x.example.com 99 A 192.0.2.1'],
    ['ü A 192.0.2.1', '\\195\\188.example.com 99 A 192.0.2.1'],
    ['*.dev CNAME www', '*.dev.example.com 99 CNAME www.example.com.'],
    ['@ NS ns1.example.net.', 'example.com 99 NS ns1.example.net.'],
    ['@ NS .', 'example.com 99 NS .'],
    ['@ NS @', 'example.com 99 NS example.com.'],
    ['w AAAA 2001:db8::1', 'w.example.com 99 AAAA 2001:db8::1'],
    ['w AAAA ::', 'w.example.com 99 AAAA ::'],
    ['w AAAA 1::', 'w.example.com 99 AAAA 1::'],
    ['w AAAA ::ffff:1.2.3.4', 'w.example.com 99 AAAA ::ffff:102:304'],
    ['w AAAA 1:2:3:4:5:6:7:8', 'w.example.com 99 AAAA 1:2:3:4:5:6:7:8'],
    ['w AAAA 1:2:3:4:5:6:7::', 'w.example.com 99 AAAA 1:2:3:4:5:6:7:0'],
    ['@ MX 10 mail', 'example.com 99 MX 10 mail.example.com.'],
    ['_sip._tcp SRV 1 2 3 sip', '_sip._tcp.example.com 99 SRV 1 2 3 sip.example.com.'],
    ['1.2 PTR host.', '1.2.example.com 99 PTR host.'],
    ['t TXT "a;b" c "" "(d)"', 't.example.com 99 TXT "a;b" "c" "" "(d)"'],
    ['t TXT "a\\"b\\\\" c\\ d\\;', 't.example.com 99 TXT "a\\"b\\\\" "c d;"'],
    ['t TXT "a""b"', 't.example.com 99 TXT "a" "b"'],
    ['t TXT "ü"', 't.example.com 99 TXT "\\195\\188"'],
    ['t TYPE65400 \\# 2 beef', 't.example.com 99 TYPE65400 \\# 2 BEEF'],
    ['s HTTPS 1 . alpn="h2,h3" port=443', 's.example.com 99 HTTPS 1 . alpn="h2,h3" port=443'],
    [
      '@ SOA ns1 h ( 1 2h\n 30m 14d ; x\n 60 )',
      'example.com 60 SOA ns1.example.com. h.example.com. 1 7200 1800 1209600 60',
    ],
  ])('%j', (text, expected) => {
    for (const ending of ['\n', '', '\r\n']) {
      const { records, diagnostics } = read({
        'x.db': text.replaceAll('\n', ending === '\r\n' ? '\r\n' : '\n') + ending,
      });
      expect(diagnostics).toEqual([]);
      expect(records).toEqual([expected]);
    }
  });

  test('octets that are not UTF-8 are kept', () => {
    const { records } = read({ 'x.db': Buffer.from('caf\xe9 TXT "\xff" \\\xe9 a\n', 'latin1') });
    expect(records).toEqual(['caf\\233.example.com 99 TXT "\\255" "\\233" "a"']);
  });

  test('a byte order mark is skipped, and columns count without it', () => {
    const { records, diagnostics } = read({ 'x.db': '\ufeffwww A 192.0.2.1\n' });
    expect(records).toEqual(['www.example.com 99 A 192.0.2.1']);
    expect(diagnostics).toEqual([]);
    expect(read({ 'x.db': '\ufeffwww A 1.2\n' }).diagnostics[0]?.place).toMatchObject({
      line: 1,
      column: 7,
      excerpt: 'www A 1.2',
    });
  });

  test('an empty file has no records', () => {
    for (const text of ['', '\n\n', '; c', '\r\n  \r\n\t; c\r\n'])
      expect(read({ 'x.db': text })).toMatchObject({ records: [], diagnostics: [] });
  });
});

describe('omitted fields of a record', () => {
  test('a blank start means the last owner, over comments and empty lines', () => {
    const { records, lines } = read({
      'x.db': 'a A 192.0.2.1\n  A 192.0.2.2\n\n ; c\n\tTXT ( x\n y )\nb TXT z\n A 192.0.2.3\n',
    });
    expect(records).toEqual([
      'a.example.com 99 A 192.0.2.1',
      'a.example.com 99 A 192.0.2.2',
      'a.example.com 99 TXT "x" "y"',
      'b.example.com 99 TXT "z"',
      'b.example.com 99 A 192.0.2.3',
    ]);
    expect(lines).toEqual(['x.db:1', 'x.db:2', 'x.db:5', 'x.db:7', 'x.db:8']);
  });

  test('TTL: stated, else $TTL, else the last stated, else the zone’s (RFC 2308 4, RFC 1035 5.1)', () => {
    const { records } = read({
      'x.db': 'a A 192.0.2.1\na 7 A 192.0.2.2\na A 192.0.2.3\n$TTL 1h\na A 192.0.2.4\na 8 MX 1 a\na A 192.0.2.5\n',
    });
    expect(records.map((record) => record.split(' ')[1])).toEqual(['99', '7', '7', '3600', '8', '3600']);
  });

  test('$ORIGIN may be relative, and applies from there on', () => {
    const { records } = read({ 'x.db': '$ORIGIN sub\na CNAME b\n$origin net.\na CNAME @\n$ORIGIN .\na CNAME b\n' });
    expect(records).toEqual(['a.sub.example.com 99 CNAME b.sub.example.com.', 'a.net 99 CNAME net.', 'a 99 CNAME b.']);
  });
});

describe('$INCLUDE', () => {
  test('is relative to its file, has its own origin, and leaves origin and owner as they were', () => {
    const { records, lines, files } = read({
      'main.db': 'a A 192.0.2.1\n$INCLUDE more/one.db sub\n A 192.0.2.9\nb CNAME a\n',
      'more/one.db': '@ A 192.0.2.2\n$INCLUDE two.db ; same origin\n$ORIGIN other.\nx A 192.0.2.3\n',
      'more/two.db': 'y A 192.0.2.4',
    });
    expect(records).toEqual([
      'a.example.com 99 A 192.0.2.1',
      'sub.example.com 99 A 192.0.2.2',
      'y.sub.example.com 99 A 192.0.2.4',
      'x.other 99 A 192.0.2.3',
      'a.example.com 99 A 192.0.2.9',
      'b.example.com 99 CNAME a.example.com.',
    ]);
    expect(lines).toEqual(['main.db:1', 'more/one.db:1', 'more/two.db:1', 'more/one.db:4', 'main.db:3', 'main.db:4']);
    expect(files).toEqual(['main.db', 'more/one.db', 'more/two.db']);
  });

  test('a circle, a missing file and a folder are mistakes where they are named', () => {
    const { diagnostics, records } = read({
      'main.db': '$INCLUDE one.db\n$INCLUDE gone.db\n$INCLUDE more\na A 192.0.2.1\n',
      'one.db': '\n$INCLUDE main.db\n',
      'more/x.db': '',
    });
    expect(diagnostics.map(({ code, place }) => `${code} ${place.line}:${place.column}`)).toEqual([
      'PH301 2:10',
      'PH300 2:10',
      'PH300 3:10',
    ]);
    expect(records).toHaveLength(1);
  });

  test('has a limit of depth', () => {
    const texts = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}.db`, `$INCLUDE ${i + 1}.db\n`]));
    expect(read(texts).diagnostics.map(({ code }) => code)).toEqual(['PH302']);
  });

  test('the first file may be missing too', () => {
    const { diagnostics, files } = read({});
    expect(diagnostics.map(({ code, message }) => `${code} ${message}`)).toEqual([
      expect.stringMatching(/^PH300 cannot read .*no such file/),
    ]);
    expect(files).toEqual([]);
  });
});

describe('$GENERATE', () => {
  test.each([
    [
      '1-3 h$ A 192.0.2.$',
      ['h1.example.com 99 A 192.0.2.1', 'h2.example.com 99 A 192.0.2.2', 'h3.example.com 99 A 192.0.2.3'],
    ],
    [
      '0-4/4 ${10,3,d} 60 IN CNAME x${0,2,x}',
      ['010.example.com 60 CNAME x00.example.com.', '014.example.com 60 CNAME x04.example.com.'],
    ],
    ['10-10 ${0,4,X}\\$ PTR ${0,7,n}.$$', ['000A\\$.example.com 99 PTR a.0.0.0.\\$.example.com.']],
  ])('%s', (text, expected) => {
    const { records, diagnostics } = read({ 'x.db': `$GENERATE ${text}\n` });
    expect(diagnostics).toEqual([]);
    expect(records).toEqual(expected);
  });

  test.each(['3-1 h$ A 192.0.2.$', '1-2/0 h$ A 192.0.2.$', '0-99999999 h$ A 192.0.2.$', 'x h$ A 192.0.2.$'])(
    '%s is a mistake',
    (text) => {
      expect(read({ 'x.db': `$GENERATE ${text}\n` }).diagnostics.map(({ code }) => code)).toEqual(['PH314']);
    },
  );

  test('a wrong record ends it with one mistake', () => {
    const { records, diagnostics } = read({ 'x.db': '$GENERATE 254-300 h$ A 192.0.2.$\n' });
    expect(records).toHaveLength(2);
    expect(diagnostics.map(({ code }) => code)).toEqual(['PH312']);
  });
});

describe('mistakes: code and place, and the next record is read', () => {
  test.each([
    ['a A 1.2.3', 'PH312', 1, 5, 'IPv4 address'],
    ['a A 192.0.2.1 192.0.2.2', 'PH312', 1, 15, 'A needs an address'],
    ['a MX mail', 'PH312', 1, 6, 'write "10 mail"'],
    ['a A', 'PH312', 1, 4, 'A needs an address, got nothing'],
    ['a TXT "x', 'PH304', 1, 7, 'quote is not closed'],
    ['a TXT "x\ny"', 'PH304', 1, 7, 'quote is not closed'],
    ['a TXT ( x', 'PH303', 1, 7, 'parenthesis is not closed'],
    ['a TXT x )', 'PH303', 1, 9, 'closing parenthesis without an opening one'],
    ['a SOA ns1 h (\n 1 2 3\n x 5 )', 'PH312', 3, 2, 'expire'],
    ['a..b A 192.0.2.1', 'PH307', 1, 1, 'empty label'],
    [`${'x'.repeat(64)} A 192.0.2.1`, 'PH307', 1, 1, 'longer than 63'],
    [' A 192.0.2.1', 'PH308', 1, 2, 'first record has no owner'],
    ['a 2147483648 A 192.0.2.1', 'PH309', 1, 3, 'TTL must be 0 to 2147483647'],
    ['a CH A 192.0.2.1', 'PH310', 1, 3, 'class must be IN'],
    ['a IN IN A 192.0.2.1', 'PH311', 1, 6, 'not a record type'],
    ['a 1 2 A 192.0.2.1', 'PH311', 1, 5, 'not a record type'],
    ['a AX 192.0.2.1', 'PH311', 1, 3, '"AX" is not a record type'],
    ['a IN 60', 'PH313', 1, 8, 'no type'],
    ['$ORIGIN', 'PH306', 1, 8, 'takes one name'],
    ['$TTL x', 'PH306', 1, 6, 'seconds or a period'],
    ['$TTL 3000000000', 'PH309', 1, 6, 'TTL'],
    ['$INCLUDE', 'PH306', 1, 9, 'a file'],
    ['$INCLUDE a\\999', 'PH306', 1, 10, 'over'],
    ['$NOPE x', 'PH305', 1, 1, 'not a directive'],
    ['ü TXT "ü" "x', 'PH304', 1, 11, 'quote is not closed'],
  ])('%j: %s at %i:%i', (text, code, line, column, message) => {
    const { records, diagnostics } = read({ 'x.db': `${text}\nz CNAME z\n` });
    const [first] = diagnostics;
    expect(first).toMatchObject({
      code,
      severity: 'error',
      place: { line, column, excerpt: text.split('\n')[line - 1] },
    });
    expect(first?.message).toContain(message);
    expect(records.at(-1)).toMatch(/ CNAME z\.example\.com\.$/);
  });

  test('records after a wrong owner are not assigned to another', () => {
    const { records, diagnostics } = read({
      'x.db': 'a A 192.0.2.1\nb..c A 192.0.2.2\n A 192.0.2.3\n A 1.2.3\nd A 192.0.2.4\n',
    });
    expect(records).toEqual(['a.example.com 99 A 192.0.2.1', 'd.example.com 99 A 192.0.2.4']);
    expect(diagnostics.map(({ code }) => code)).toEqual(['PH307', 'PH312']);
  });

  test('a thousand of a file are shown, and the number of the rest', () => {
    const { diagnostics } = read({ 'x.db': 'a A x\n'.repeat(1150) });
    expect(diagnostics).toHaveLength(1001);
    expect(diagnostics.at(-1)).toMatchObject({
      code: 'PH319',
      message: expect.stringContaining('150 more mistakes') as string,
      place: { line: 1001 },
    });
  });
});

test('any octets are read without an exception', () => {
  const dice = createDice(printedSeed('master files of any octets'));
  const words = [
    'a',
    ' ',
    ' ',
    '\n',
    '"',
    '(',
    ')',
    ';',
    '\\',
    '\\0',
    '.',
    '@',
    '$',
    '$TTL',
    ' A ',
    ' TXT ',
    ' IN ',
    '1',
    '192.0.2.1',
    ':',
    '\0',
    '\xff',
    '\r\n',
    ' AAAA ',
    ' HTTPS ',
    '=',
  ];
  for (let round = 0; round < 300; round++) {
    let text = '';
    for (let i = dice.below(40); i >= 0; i--) text += dice.pick(words);
    expect(() => read({ 'x.db': Buffer.from(text, 'latin1') }), JSON.stringify(text)).not.toThrow();
  }
});

test('the fast path and the full reader agree', () => {
  // An empty pair of parentheses sends a line to the full reader.
  const lines = [
    'a A 192.0.2.1',
    '@ 60 IN AAAA ::1:2',
    'A.b. NS ns.',
    'x IN 5 MX 10 @',
    't TXT a "b c" "" d',
    '_s._t SRV 0 1 65535 h.',
    'c CNAME .',
    'p PTR a.b.c.d.',
    'x AAAA 0:0::0:1',
  ];
  for (const line of lines)
    expect(read({ 'x.db': `${line}\n` }).records).toEqual(read({ 'x.db': `${line} ()\n` }).records);
});
