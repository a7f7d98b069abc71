/**
 * Symbolic links that form a loop ended `check` and `serve` with the system's message (ELOOP), without place or hint,
 * and one such file in `zones` hid all others. A `pharos.yaml` that was a link to nothing counted as no configuration:
 * the defaults were served.
 */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatPlace } from '../../../config/diagnostics.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { bundledGeography, folderOf, type Files } from '../../support/pharos.ts';

const ZONE = 'zone: example.com\nnameservers: [ns.example.net.]\n';

test.each<[link: string, files: Files, mistake: string]>([
  ['pharos.yaml', { 'zones/example.com.yaml': ZONE }, 'pharos.yaml PH001'],
  ['zones', {}, 'zones PH030'],
  ['my-zones', { 'pharos.yaml': 'zones: ./my-zones\n' }, 'pharos.yaml:1:8 PH030'],
  [
    'zones/example.com.yaml',
    { 'zones/example.net.yaml': 'zone: example.net\nnameservers: [a.b.]\n' },
    'zones/example.com.yaml PH001',
  ],
  ['zones/bulk.db', { 'zones/example.com.yaml': `${ZONE}include: [bulk.db]\n` }, 'zones/example.com.yaml:3:11 PH038'],
  [
    'my.mmdb',
    { 'zones/example.com.yaml': ZONE, 'pharos.yaml': 'geo: { databases: [my.mmdb] }\n' },
    'pharos.yaml:1:20 PH400',
  ],
  [
    'tls.pem',
    { 'zones/example.com.yaml': ZONE, 'pharos.yaml': 'tls: { cert: tls.pem, key: tls.pem }\n' },
    'pharos.yaml:1:14 PH060',
  ],
])('%s', (link, files, mistake) => {
  using folder = folderOf(files);
  symlinkSync(join(folder.path, link), join(folder.path, link));
  const input = { file: undefined, cwd: folder.path, env: {}, cores: 1, geographyInUse: bundledGeography() };
  const { ok, diagnostics } = loadGeneration(input);
  expect(ok).toBe(false);
  const shown = diagnostics.map(({ place, code }) => `${formatPlace(place)} ${code}`);
  expect(shown).toContain(mistake);
});

test('pharos.yaml that is a link to nothing is a mistake, not a reason for defaults', () => {
  using folder = folderOf({ 'zones/example.com.yaml': ZONE });
  symlinkSync('../elsewhere/pharos.yaml', join(folder.path, 'pharos.yaml'));
  const { diagnostics } = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  expect(diagnostics).toMatchObject([{ code: 'PH001', place: { file: 'pharos.yaml' } }]);
});
