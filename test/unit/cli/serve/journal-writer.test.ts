import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openJournal } from '../../../../cli/serve/journal-writer.ts';
import { parseName } from '../../../../wire/name.ts';
import { readJournal, type JournalEntry } from '../../../../zones/journal/journal-file.ts';
import { folderOf } from '../../../support/pharos.ts';

const entry = (serial: number): JournalEntry => ({
  serial,
  sets: [{ name: parseName('a.example.'), type: 16, base: '', ttlSeconds: 60, data: [new Uint8Array(60_000)] }],
});

test('a journal that is compacted still has the order of the fleet that is in force', async () => {
  using folder = folderOf({});
  const path = join(folder.path, 'example.journal');
  const journal = openJournal(path);
  for (const serial of [1, 2, 3, 4, 5, 6]) {
    await journal.append([entry(serial)]);
    await journal.mark(serial === 5 ? 70 : undefined);
    expect(journal.order()).toBe(serial < 5 ? 0 : 70);
  }
  const { octets } = readJournal(path);
  await journal.compact();
  expect(readJournal(path).octets).toBeLessThan(octets / 4);
  expect(readJournal(path)).toMatchObject({ serial: 6, order: 70, tail: undefined });
  await journal.close();
});
