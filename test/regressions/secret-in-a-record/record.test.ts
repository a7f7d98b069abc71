/**
 * `TXT: "${PHAROS_TOKEN}"` published the token to every client, and messages showed the value of a variable.
 */
import { expect, test } from 'vitest';
import { createReport, formatDiagnostic } from '../../../config/diagnostics.ts';
import { readSettings } from '../../../config/read-settings.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const env = { PHAROS_TOKEN: 'hunter2hunter2' };

test.each([
  'records: { a: { TXT: "${PHAROS_TOKEN}" } }',
  'records: { a: { TXT: ["x", "${PHAROS_TOKEN} y"] } }',
  'records: { a: { CNAME: "${PHAROS_TOKEN}" } }',
  'records: { "${PHAROS_TOKEN}": { A: 192.0.2.1 } }',
  'services: { a: { vips: { b: { CNAME: "${PHAROS_TOKEN}" } } } }',
])('%s is an error that does not show the value', (line) => {
  const zone = `zone: example.com\nnameservers: [ns.example.net.]\n${line}\n`;
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  const { diagnostics } = loadGeneration({ file: undefined, cwd: folder.path, env, cores: 1 });
  expect(diagnostics.map(({ code }) => code)).toEqual(['PH095']);
  expect(JSON.stringify(diagnostics)).not.toContain('hunter2');
});

test.each(['listen: "${PHAROS_TOKEN}"', 'workers: "${PHAROS_TOKEN}"', 'log: { level: "${PHAROS_TOKEN}" }'])(
  'a mistake in a value does not show it: %s',
  (text) => {
    using folder = folderOf({ 'pharos.yaml': `${text}\n`, 'zones/a.yaml': '' });
    const report = createReport();
    readSettings({ file: 'pharos.yaml', baseDir: folder.path, env, cores: 1, report });
    expect(report.diagnostics).toHaveLength(1);
    expect(report.diagnostics.map(formatDiagnostic).join()).not.toContain('hunter2');
  },
);
