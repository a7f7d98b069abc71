/**
 * A large estate has hundreds of zones: while others are read, the records of a zone are in columns.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { countRecords } from '../../../../cli/import/draft.ts';
import { importZones } from '../../../../cli/import/formats.ts';
import { writeZone } from '../../../../cli/import/write-zone.ts';
import { createReport } from '../../../../config/diagnostics.ts';
import { parseName, type Name } from '../../../../wire/name.ts';
import { folderOf } from '../../../support/pharos.ts';

const ZONES = {
  'a.example': `@ 600 SOA ns h 1 2 3 4 5
@ 600 NS ns
@ 600 MX 10 ns
ns 600 A 192.0.2.1
www 60 A 192.0.2.2
www 60 A 192.0.2.3
www 90 TXT "one" "two"
WWW2 60 A 192.0.2.4
www2 60 A 192.0.2.5
www 60 A 192.0.2.6
www 60 A 192.0.2.2
sub NS ns.sub
ns.sub 5 A 192.0.2.7
elsewhere.test. A 192.0.2.8
`,
  'b.example': '@ 600 SOA ns h 1 2 3 4 5\n@ 600 NS ns\nns A 192.0.2.1\n',
  'c.example': '@ 600 SOA ns h 1 2 3 4 5\nx A 192.0.2.1\n',
};

function drafts(folder: string, zone?: Name) {
  return importZones({ format: 'gdnsd', path: folder, zone, nameServers: [] }, createReport());
}

test('only the last zone has its records as objects, and all are written as if they were imported alone', () => {
  using folder = folderOf({ config: 'options => { zones_default_ttl => 300 }\n' });
  mkdirSync(join(folder.path, 'zones'));
  for (const [name, text] of Object.entries(ZONES)) writeFileSync(join(folder.path, 'zones', name), text);
  const all = drafts(folder.path);
  expect(all.map(({ owners }) => owners.size)).toStrictEqual([0, 0, 2]);
  expect(all.map(countRecords)).toStrictEqual([12, 3, 3]);
  const names = Object.keys(ZONES);
  for (const included of [undefined, 'zone.records']) {
    const alone = names.map((name) => {
      const [draft] = drafts(folder.path, parseName(`${name}.`));
      expect(draft?.packed).toBeUndefined();
      return draft && writeZone(draft, included);
    });
    expect(all.map((draft) => writeZone(draft, included))).toStrictEqual(alone);
  }
});
