import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseName } from '../../../../wire/name.ts';
import {
  formatEntry,
  formatMark,
  journalPath,
  NO_RECORDS,
  readJournal,
  readJournalSet,
  writeJournalSet,
  type JournalEntry,
} from '../../../../zones/journal/journal-file.ts';
import { setKey } from '../../../../zones/journal/record-set.ts';

const folder = mkdtempSync(join(tmpdir(), 'pharos-journal-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const NAME = parseName('a\\.b.example.com.');
const entry = (serial: number, ...data: string[]): JournalEntry => ({
  serial,
  sets: [
    { name: NAME, type: 16, base: '', ttlSeconds: 60, data: data.map((each) => Uint8Array.from(Buffer.from(each))) },
  ],
});
const dataOf = (path: string): string[] =>
  (readJournal(path).sets.get(setKey(NAME, 16))?.data ?? []).map((each) => Buffer.from(each).toString());

test('the last entry of a set counts, and a forgotten set is gone', () => {
  const path = join(folder, 'last');
  writeFileSync(path, formatEntry(entry(1, 'x')) + formatEntry(entry(2, 'y', 'z')));
  expect(dataOf(path)).toEqual(['y', 'z']);
  expect(readJournal(path)).toMatchObject({ serial: 2, damage: undefined });
  const [set] = entry(3).sets;
  appendFileSync(path, formatEntry({ serial: 3, sets: set ? [{ ...set, isForgotten: true }] : [] }));
  expect(readJournal(path).sets.size).toBe(0);
});

test('a crash at any octet leaves the entries before it', () => {
  const path = join(folder, 'cut');
  const first = formatEntry(entry(1, 'x'));
  const second = formatEntry(entry(2, 'y'));
  for (let octets = 0; octets < second.length; octets++) {
    writeFileSync(path, first + second.slice(0, octets));
    expect(dataOf(path)).toEqual(['x']);
    expect(readJournal(path)).toMatchObject({ octets: first.length, damage: undefined });
  }
});

test('damage before the last line is reported', () => {
  const path = join(folder, 'damage');
  writeFileSync(path, formatEntry(entry(1, 'x')) + formatEntry(entry(2, 'y')) + formatEntry(entry(3, 'z')));
  writeFileSync(path, readFileSync(path, 'latin1').replace('"serial":2', '"serial":7'));
  expect(readJournal(path).damage).toBe('line 2 is damaged');
  expect(dataOf(path)).toEqual(['x']);
});

test('no file is an empty journal, and its path has no octets of the name that leave the folder', () => {
  expect(readJournal(join(folder, 'none'))).toMatchObject({ octets: 0, serial: 0 });
  expect(journalPath('/s', parseName('A/b.example.com.'))).toBe('/s/journal/a%2fb.example.com.journal');
});

test('updates after the last mark are the tail: the last batch, and what was before it', () => {
  const path = join(folder, 'tail');
  const settled = formatEntry(entry(1, 'x')) + formatMark();
  writeFileSync(path, settled);
  expect(readJournal(path)).toMatchObject({ serial: 1, octets: settled.length, tail: undefined });
  const [other] = entry(2, 'z').sets;
  if (!other) throw new Error('no set');
  const batch = [entry(2, 'y'), { serial: 2, sets: [{ ...other, type: 99 }] }];
  appendFileSync(path, batch.map(formatEntry).join(''));
  const read = readJournal(path);
  expect([dataOf(path), read.sets.size, read.serial]).toEqual([['y'], 2, 2]);
  expect(read.tail?.sets).toEqual(batch.flatMap(({ sets }) => sets));
  expect(read.tail?.before).toMatchObject({ serial: 1, octets: settled.length });
  expect([...(read.tail?.before.sets.values() ?? [])].map(({ data }) => Buffer.from(data[0] ?? []).toString())).toEqual(
    ['x'],
  );
  // A later batch was begun when the earlier one was in force.
  appendFileSync(path, formatEntry(entry(3, 'w')));
  expect(readJournal(path)).toMatchObject({ serial: 3, tail: { sets: entry(3, 'w').sets, before: { serial: 2 } } });
  appendFileSync(path, formatMark());
  expect(readJournal(path)).toMatchObject({ serial: 3, tail: undefined, damage: undefined });
  // A batch that the next process begins may have the serial of the last one.
  appendFileSync(path, formatEntry(entry(3, 'v')));
  expect(readJournal(path)).toMatchObject({ serial: 3, tail: { sets: entry(3, 'v').sets, before: { serial: 3 } } });
});

test('the last mark with an order names the one that is in force', () => {
  const path = join(folder, 'order');
  writeFileSync(path, formatEntry(entry(1, 'x')) + formatMark(7));
  expect(readJournal(path)).toMatchObject({ order: 7, tail: undefined });
  appendFileSync(path, formatEntry(entry(2, 'y')));
  expect(readJournal(path)).toMatchObject({ order: 7, tail: { before: { serial: 1 } } });
  appendFileSync(path, formatMark());
  expect(readJournal(path)).toMatchObject({ order: 7, tail: undefined });
  expect(readJournal(join(folder, 'none')).order).toBe(0);
});

test.each([
  ['text', 'junk\n'],
  ['an empty line', '\n'],
  ['octets before a line', `x${formatEntry(entry(2, 'y'))}`],
  ['lines that end with CR and LF', formatEntry(entry(2, 'y')).replace('\n', '\r\n')],
  ['another length', formatEntry(entry(2, 'y')).replace(/ (\d+) /, ' 1$1 ')],
  ['another checksum', formatEntry(entry(2, 'y')).replace(/^./, (digit) => (digit === '0' ? '1' : '0'))],
])('%s in place of a line is damage if lines follow, and a crash otherwise', (_, line) => {
  const path = join(folder, 'lines');
  const first = formatEntry(entry(1, 'x'));
  writeFileSync(path, first + line);
  expect(readJournal(path)).toMatchObject({ serial: 1, octets: first.length, damage: undefined });
  writeFileSync(path, first + line + formatEntry(entry(3, 'z')));
  expect(readJournal(path)).toMatchObject({ serial: 1, octets: first.length, damage: 'line 2 is damaged' });
  writeFileSync(path, line + first);
  expect(readJournal(path)).toMatchObject({ octets: 0, damage: 'line 1 is damaged' });
});

test('a journal that cannot be read is an error, and a set is read as it was written', () => {
  expect(() => readJournal(folder)).toThrow('EISDIR');
  expect(NO_RECORDS).toEqual({ sets: new Map(), serial: 0 });
  const [set] = entry(1, 'x', 'y').sets;
  if (!set) throw new Error('no set');
  expect(readJournalSet(writeJournalSet(set))).toEqual(set);
  const forgotten = { ...set, ttlSeconds: 0, data: [], isForgotten: true };
  expect(readJournalSet(writeJournalSet({ ...set, isForgotten: true }))).toEqual(forgotten);
});
