import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createReport, type Diagnostic } from '../../../../config/diagnostics.ts';
import { parseName } from '../../../../wire/name.ts';
import { readMasterFile } from '../../../../zones/read/master-file.ts';
import { addFile, addRecord, createRecordStore, type RecordStore } from '../../../../zones/read/record-store.ts';
import { validateZone } from '../../../../zones/read/validate.ts';

const APEX = parseName('Example.com.');
const folder = mkdtempSync(join(tmpdir(), 'pharos-validate-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Two lines that a valid zone starts with; the records of a test follow on line 3. */
const HEAD = '@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n';

function storeOf(text: string): RecordStore {
  const path = join(folder, 'zone.db');
  writeFileSync(path, text);
  const store = createRecordStore();
  const report = createReport();
  readMasterFile({ path, origin: parseName('example.com.'), defaultTtlSeconds: 300, store, report });
  expect(report.diagnostics).toEqual([]);
  return store;
}

function validate(store: RecordStore, services: readonly string[] = []): readonly Diagnostic[] {
  const report = createReport();
  const serviceOwners = services.map((service, index) => ({
    owner: parseName(service, APEX),
    place: { file: 'zone.yaml', line: index + 1, column: 3 },
  }));
  validateZone({ apex: APEX, store, serviceOwners, report });
  return report.diagnostics;
}

/** `error PH350 3`: severity, code and line. */
function found(text: string, services: readonly string[] = []): string[] {
  return validate(storeOf(HEAD + text), services).map(
    ({ severity, code, place }) => `${severity} ${code} ${place.line}`,
  );
}

describe('valid zones give no report', () => {
  test.each<[string, string, string[]]>([
    ['only SOA and NS', '', []],
    ['several addresses', 'a A 192.0.2.1\na A 192.0.2.2\na AAAA ::1\nA TXT x\n', []],
    ['a CNAME with its KEY', 'a CNAME www.else.net.\na KEY 256 3 13 AA==\n', []],
    ['a delegation with DS and glue', 'sub NS ns.sub\nsub NS ns.else.net.\nsub DS 1 8 5 ab\nns.sub A 192.0.2.1\n', []],
    ['glue at the delegation itself', 'sub NS sub\nsub A 192.0.2.1\n', []],
    ['glue of a sibling delegation', 'a NS ns.b\nb NS ns.b\nns.b A 192.0.2.1\n', []],
    ['a DNAME with other data at its owner', 'd DNAME else.net.\nd A 192.0.2.1\nxd A 192.0.2.1\n', []],
    ['a service with records of other types', 'www TXT x\nwww MX 1 www\n', ['www', '@']],
    ['a service as name server', 'sub2 TXT x\n@ NS www\n', ['www']],
    ['a name server that a wildcard matches', '@ NS ns9\n* A 192.0.2.1\n', []],
    ['targets outside the zone', 'a MX 1 mail.example.net.\na SRV 1 1 1 .\n', []],
  ])('%s', (_, text, services) => {
    expect(found(text, services)).toEqual([]);
  });
});

describe('every mistake, at its line', () => {
  test.each<[string, string, string[], string[]]>([
    ['a meta type', 'a TYPE255 \\# 0\na TYPE41 \\# 0\n', [], ['error PH340 3', 'error PH340 4']],
    [
      'a duplicate record',
      'a A 192.0.2.1\nA.EXAMPLE.com. A 192.0.2.1\na A 192.0.2.2\na A 192.0.2.2\n',
      [],
      ['warning PH342 4', 'warning PH342 6'],
    ],
    ['a second SOA', '@ SOA ns h 2 2 3 4 5\n', [], ['error PH343 3']],
    ['a second CNAME', 'a CNAME b\na CNAME c\na CNAME d\n', [], ['error PH344 4', 'error PH344 5']],
    ['the same CNAME twice', 'a CNAME b\na CNAME b\n', [], ['warning PH342 4']],
    ['a second DNAME', 'a DNAME b\na DNAME c\n', [], ['error PH344 4']],
    [
      'TTLs that differ in an RRset',
      'a 1 A 192.0.2.1\na 2 A 192.0.2.2\na 1 A 192.0.2.3\na 5 TXT x\n',
      [],
      ['warning PH345 4'],
    ],
    ['a service outside the zone', '', ['www.example.net.'], ['error PH346 1']],
    [
      'a service with static addresses',
      'www A 192.0.2.1\nw6 AAAA ::1\nwc CNAME a\n',
      ['www', 'w6', 'wc'],
      ['error PH347 1', 'error PH347 2', 'error PH347 3'],
    ],
    [
      'names outside the zone',
      'example.net. A 192.0.2.1\nnotexample.com. A 192.0.2.1\ncom. A 192.0.2.1\n',
      [],
      ['error PH348 3', 'error PH348 4', 'error PH348 5'],
    ],
    ['a delegation at a wildcard', '*.x NS ns.example.net.\n', [], ['warning PH349 3']],
    ['a CNAME beside other data', 'a TXT x\na CNAME b\nA.example.COM. CAA 0 issue ""\n', [], ['error PH350 4']],
    ['a CNAME at the apex', '@ CNAME a\n', [], ['error PH350 3']],
    ['a SOA below the apex', 'a SOA ns h 1 2 3 4 5\n', [], ['error PH351 3']],
    [
      'pointers to a CNAME',
      'c CNAME d\n@ NS c\na MX 1 c\na SRV 1 1 1 C\n',
      [],
      ['warning PH352 4', 'warning PH352 5', 'warning PH352 6'],
    ],
    ['a name server of the zone without address', '@ NS ns1\n', [], ['warning PH353 3']],
    [
      'a delegation without its glue',
      'sub NS ns.sub\nsub2 NS sub2\nsub3 NS ns.other\n',
      [],
      ['warning PH353 3', 'warning PH353 4'],
    ],
    ['data below a DNAME', 'd DNAME e\na.d A 192.0.2.1\nx.y.d TXT x\n', [], ['error PH354 4', 'error PH354 5']],
    ['data below a DNAME at the apex', '@ DNAME e.\na TXT x\n', [], ['error PH354 4']],
    [
      'data below a delegation',
      'sub NS ns.example.net.\na.sub A 192.0.2.1\nx.y.SUB TXT x\nb.sub NS ns.example.net.\n',
      [],
      ['warning PH355 4', 'warning PH355 5', 'warning PH355 6'],
    ],
    [
      'data beside a delegation',
      'sub NS ns.example.net.\nsub TXT x\nsub A 192.0.2.1\n',
      [],
      ['warning PH355 4', 'warning PH355 5'],
    ],
    [
      'a service below a delegation or at it',
      'sub NS ns.example.net.\n',
      ['www.sub', 'sub'],
      ['error PH356 1', 'error PH356 2'],
    ],
    ['a service below a DNAME', 'd DNAME e\n', ['www.d'], ['error PH356 1']],
  ])('%s', (_, text, services, expected) => {
    expect(found(text, services)).toEqual(expected);
  });

  test('no SOA, no NS at the apex', () => {
    const codes = (text: string): string[] => validate(storeOf(text)).map(({ code }) => code);
    expect(codes('')).toEqual(['PH357', 'PH358']);
    expect(codes('@ NS ns.example.net.\n')).toEqual(['PH357']);
    expect(codes('@ SOA ns h 1 2 3 4 5\nsub NS ns.example.net.\n')).toEqual(['PH358']);
  });

  test('a TTL over 2^31-1, from either reader', () => {
    const store = storeOf(HEAD);
    addRecord(store, parseName('a', APEX), 1, 2 ** 31, Uint8Array.of(192, 0, 2, 1), addFile(store, 'gone.yaml'), 7);
    expect(validate(store)).toMatchObject([
      { code: 'PH341', severity: 'error', place: { file: 'gone.yaml', line: 7 } },
    ]);
  });
});

test('a mistake shows its line, the conflicting one, and the effect', () => {
  const [ttl, twin] = validate(storeOf(`${HEAD}a 1 A 192.0.2.1\n\n  2 A 192.0.2.1 ; again\n`)).toReversed();
  expect(twin?.message).toBe('the same A record is at zone.db:3: this one is dropped');
  expect(twin?.place.excerpt).toBe('  2 A 192.0.2.1 ; again');
  expect(ttl?.message).toContain('all of them get 1');
});

test('a thousand of a kind are shown, each with its line, and the number of the rest', () => {
  const text = Array.from({ length: 1150 }, (_, i) => `a${i}.example.net. A 192.0.2.1\n`).join('');
  const diagnostics = validate(storeOf(HEAD + text));
  expect(diagnostics).toHaveLength(1001);
  for (const [at, { place }] of diagnostics.entries()) {
    expect(place).toMatchObject({ line: at + 3, excerpt: `a${at}.example.net. A 192.0.2.1` });
  }
  expect(diagnostics.at(-1)).toMatchObject({
    severity: 'error',
    code: 'PH348',
    message: '150 more mistakes of this kind',
    place: { line: 1003 },
  });
});

test('time grows with the records, not with their square: many owners, and one owner with many', () => {
  const many = (owner: (i: number) => string): RecordStore => {
    const store = storeOf(HEAD);
    for (let i = 0; i < 100_000; i++) {
      const data = Uint8Array.of(10, i >> 16, (i >> 8) & 255, i & 255);
      addRecord(store, parseName(owner(i), APEX), 1, 300, data, 0, 1);
    }
    return store;
  };
  for (const owner of [(i: number): string => `h${i}`, (): string => 'one']) {
    const store = many(owner);
    const start = process.cpuUsage();
    expect(validate(store)).toEqual([]);
    // A square would be 10^10 comparisons, tens of seconds; this takes about 50 ms.
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(3000);
  }
});
