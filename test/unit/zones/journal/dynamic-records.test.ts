import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createReport } from '../../../../config/diagnostics.ts';
import { formatName, parseName } from '../../../../wire/name.ts';
import { formatRdata, parseRdataText, soaSerial } from '../../../../wire/rdata.ts';
import { typeNumber, typeText } from '../../../../wire/types.ts';
import { formatEntry, journalPath, NO_RECORDS } from '../../../../zones/journal/journal-file.ts';
import { digestOfData } from '../../../../zones/journal/record-set.ts';
import { mergeDynamic, readDynamic } from '../../../../zones/read/dynamic-records.ts';
import {
  addFile,
  addRecord,
  createRecordStore,
  findSoaRow,
  ownerOf,
  rdataOf,
  recordTtl,
  recordType,
} from '../../../../zones/read/record-store.ts';

const APEX = parseName('example.com.');
let stateDir: string;
beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'pharos-dynamic-'));
  mkdirSync(dirname(journalPath(stateDir, APEX)));
});
afterAll(() => {
  rmSync(stateDir, { recursive: true });
});

type Line = readonly [name: string, type: string, data: string];

const dataOf = (type: number, text: string): Uint8Array => parseRdataText(type, text, APEX);

/** Sets of the journal: the data that the update made, and those of the files when it came. */
function journal(
  ...sets: (readonly [name: string, type: string, data: readonly string[], before: readonly string[]])[]
) {
  return formatEntry({
    serial: 9,
    sets: sets.map(([name, typed, data, before]) => {
      const type = typeNumber(typed) ?? 0;
      const base = digestOfData(type, before.map((each) => dataOf(type, each))); // prettier-ignore
      return { name: parseName(name, APEX), type, ttlSeconds: 60, base, data: data.map((each) => dataOf(type, each)) };
    }),
  });
}

function merged(written: string, files: readonly Line[], services: readonly string[] = []) {
  writeFileSync(journalPath(stateDir, APEX), written);
  const store = createRecordStore();
  const file = addFile(store, '/zone.yaml');
  for (const [name, type, data] of [['@', 'SOA', 'ns1 h 5 1 1 1 1'] as const, ...files]) {
    const number = typeNumber(type) ?? 0;
    addRecord(store, parseName(name, APEX), number, 300, dataOf(number, data), file, 1);
  }
  const report = createReport();
  const place = { file: '/zone.yaml' };
  const { store: all } = mergeDynamic(store, readDynamic(APEX, stateDir, place, report) ?? NO_RECORDS, {
    ...{ apex: APEX, stateDir, madeFrom: store.count, report, autoSerial: false, place },
    services: services.map((name) => ({ owner: parseName(name, APEX) })),
  });
  const lines = Array.from({ length: all.count }, (_, row) => {
    const type = recordType(all, row);
    return `${formatName(ownerOf(all, row)).split('.')[0] ?? ''} ${recordTtl(all, row)} ${typeText(type)} ${formatRdata(type, rdataOf(all, row))}`;
  }).slice(1);
  const serial = soaSerial(rdataOf(all, findSoaRow(all)));
  return { lines: lines.sort(), serial, codes: report.diagnostics.map(({ code }) => code) };
}

test('dynamic records are added, replace those of the files, and remove them', () => {
  const written = journal(['new', 'A', ['192.0.2.9'], []], ['www', 'A', ['192.0.2.8'], ['192.0.2.1']], ['old', 'A', [], ['192.0.2.2']]); // prettier-ignore
  const files: Line[] = [['www', 'A', '192.0.2.1'], ['www', 'TXT', 'x'], ['old', 'A', '192.0.2.2']]; // prettier-ignore
  expect(merged(written, files)).toEqual({
    lines: ['new 60 A 192.0.2.9', 'www 300 TXT "x"', 'www 60 A 192.0.2.8'],
    serial: 9,
    codes: [],
  });
});

test('files that have changed win', () => {
  const written = journal(['new', 'A', ['192.0.2.9'], []], ['www', 'A', [], ['192.0.2.1']], ['other', 'TXT', ['a'], []]); // prettier-ignore
  const files: Line[] = [['www', 'A', '192.0.2.3'], ['new', 'A', '192.0.2.4']]; // prettier-ignore
  expect(merged(written, files)).toMatchObject({
    lines: ['new 300 A 192.0.2.4', 'other 60 TXT "a"', 'www 300 A 192.0.2.3'],
    codes: ['PH426', 'PH426'],
  });
});

test('a service or a CNAME of the files wins, and a CNAME may replace records that an update has deleted', () => {
  expect(merged(journal(['www', 'TXT', ['a'], []]), [], ['www'])).toMatchObject({ lines: [], codes: ['PH426'] });
  expect(merged(journal(['www', 'A', ['192.0.2.1'], []]), [['www', 'CNAME', 'new']])).toMatchObject({
    lines: ['www 300 CNAME new.example.com.'],
    codes: ['PH426'],
  });
  const replaced = journal(['www', 'A', [], ['192.0.2.1']], ['www', 'CNAME', ['new'], []]);
  expect(merged(replaced, [['www', 'A', '192.0.2.1']])).toMatchObject({
    lines: ['www 60 CNAME new.example.com.'],
    codes: [],
  });
});

test('damage is reported, and the lines before it count', () => {
  const first = journal(['a', 'TXT', ['a'], []]);
  const broken = journal(['b', 'TXT', ['b'], []]).replace('"serial":9', '"serial":8');
  expect(merged(first + broken + first, [])).toMatchObject({ lines: ['a 60 TXT "a"'], codes: ['PH427'] });
});

test('records that the files state too are those of the files, without a warning', () => {
  const written = journal(['www', 'A', ['192.0.2.8'], ['192.0.2.1']], ['old', 'A', [], ['192.0.2.2']]);
  expect(merged(written, [['www', 'A', '192.0.2.8']])).toEqual({
    lines: ['www 300 A 192.0.2.8'],
    serial: 9,
    codes: [],
  });
  // An update that changed nothing but the TTL.
  expect(merged(journal(['www', 'A', ['192.0.2.1'], ['192.0.2.1']]), [['www', 'A', '192.0.2.1']]).lines).toEqual(['www 60 A 192.0.2.1']); // prettier-ignore
});
