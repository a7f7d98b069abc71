/**
 * A journal that could be opened and not be cut to its length (EIO) left its file handle open. When the collector found
 * that handle, Node.js ended the server. The same handle was lost if the smaller journal could not be written.
 */
import { readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openJournal } from '../../../cli/serve/journal-writer.ts';
import { parseName } from '../../../wire/name.ts';
import { TYPE } from '../../../wire/types.ts';
import { folderOf } from '../../support/pharos.ts';

/** How often this process has a file open. */
function handlesOf(path: string): number {
  const open = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return open.filter((each) => each === path).length;
}

/** Updates of one set with this many octets. */
const entries = (octets: number, count: number) =>
  Array.from({ length: count }, (_, serial) => ({
    serial,
    sets: [
      { name: parseName('a.example.com.'), type: TYPE.TXT, base: '', ttlSeconds: 60, data: [new Uint8Array(octets)] },
    ],
  }));

test.runIf(process.platform === 'linux')('no file handle is left when the system refuses', async () => {
  using folder = folderOf({});
  const path = join(folder.path, 'example.com.journal');
  const journal = openJournal(path);
  // Nothing can be cut off /dev/full.
  symlinkSync('/dev/full', path);
  const before = handlesOf('/dev/full');
  await expect(journal.append(entries(1, 1))).rejects.toThrow('EINVAL');
  expect(handlesOf('/dev/full')).toBe(before);
  await journal.close();

  const other = openJournal(join(folder.path, 'other.journal'));
  await other.append(entries(200, 2000));
  symlinkSync('/dev/full', join(folder.path, 'other.journal.new'));
  await expect(other.compact()).rejects.toThrow('ENOSPC');
  expect(handlesOf('/dev/full')).toBe(before);
  await other.close();
});
