import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { isUnchanged, type FileStamp } from '../../../../zones/read/file-stamp.ts';
import { writeMmdb } from '../../../support/mmdb.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-stamp-'));
  mkdirSync(join(folder, 'zones'));
  writeFileSync(join(folder, 'pharos.yaml'), 'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR } }\n');
  writeFileSync(join(folder, 'small.mmdb'), writeMmdb([['192.0.2.0/24', { country: { iso_code: 'KR' } }]]));
  writeFileSync(
    join(folder, 'zones/example.com.yaml'),
    'zone: example.com\nnameservers: [ns.example.net.]\ninclude: [bulk.db]\nservices:\n' +
      '  www: { vips: { a: { region: seoul, A: 192.0.2.1 } }, steer: [latency: { table: rtt.csv }] }\n',
  );
  writeFileSync(join(folder, 'zones/bulk.db'), 'a 60 IN A 192.0.2.1\n');
  writeFileSync(join(folder, 'zones', 'rtt.csv'), 'KR,seoul,1\n');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function stamp(): FileStamp {
  const outcome = loadGeneration({ file: join(folder, 'pharos.yaml'), cwd: folder, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.value.files;
}

test.for<[string, () => void, boolean]>([
  ['no change', () => undefined, true],
  ['a file of another folder', () => { writeFileSync(join(folder, 'notes'), 'x'); }, true], // prettier-ignore
  ['pharos.yaml', () => { appendFileSync(join(folder, 'pharos.yaml'), '# x\n'); }, false], // prettier-ignore
  ['a zone', () => { appendFileSync(join(folder, 'zones/example.com.yaml'), '# x\n'); }, false], // prettier-ignore
  ['an included file', () => { appendFileSync(join(folder, 'zones/bulk.db'), '; x\n'); }, false], // prettier-ignore
  ['a latency table', () => { appendFileSync(join(folder, 'zones', 'rtt.csv'), '# x\n'); }, false], // prettier-ignore
  ['a new zone', () => { writeFileSync(join(folder, 'zones/example.net.yaml'), ''); }, false], // prettier-ignore
  ['a removed zone', () => { renameSync(join(folder, 'zones/example.com.yaml'), join(folder, 'x')); }, false], // prettier-ignore
])('files of a generation: %s', async ([, change, unchanged]) => {
  const before = stamp();
  change();
  expect(await isUnchanged(before)).toBe(unchanged);
});
