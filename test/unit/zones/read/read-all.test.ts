import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatPlace } from '../../../../config/diagnostics.ts';
import { formatName } from '../../../../wire/name.ts';
import { readConfiguration, shownPath } from '../../../../zones/read/read-all.ts';
import { makeFolder } from '../read-helper.ts';

const ZONE = 'zone: example.com\nnameservers: ns.example.net.\n';

function read(files: Readonly<Record<string, string>>, file?: string) {
  const cwd = makeFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true });
    writeFileSync(join(cwd, name), content);
  }
  const found = readConfiguration({ ...(file === undefined ? {} : { file }), cwd, env: {}, cores: 2 });
  const mistakes = found.diagnostics.map(({ place, code }) => `${formatPlace(place)} ${code}`);
  return { ...found, mistakes, names: found.zones.map(({ apex }) => formatName(apex)) };
}

describe('where the configuration is', () => {
  test('a folder zones is enough', () => {
    const { mistakes, names, settings } = read({ 'zones/a.yaml': ZONE });
    expect(mistakes).toEqual([]);
    expect(names).toEqual(['example.com']);
    expect(settings).toMatchObject({ file: undefined, listen: [{ host: '127.0.0.1', port: 5300 }] });
  });

  test('pharos.yaml is found', () => {
    const { mistakes, names } = read({ 'pharos.yaml': 'zones: z', 'z/a.yaml': ZONE });
    expect([mistakes, names]).toEqual([[], ['example.com']]);
  });

  test('a named file is read, with paths relative to it', () => {
    const { mistakes, names } = read({ 'etc/my.yaml': 'zones: z', 'etc/z/a.yaml': ZONE }, 'etc/my.yaml');
    expect([mistakes, names]).toEqual([[], ['example.com']]);
  });

  test.each<[string, Record<string, string>, string | undefined, string[]]>([
    ['neither pharos.yaml nor zones', {}, undefined, ['pharos.yaml PH031']],
    ['a missing file that was named', { 'zones/a.yaml': ZONE }, 'my.yaml', ['my.yaml PH001']],
    ['no zones with pharos.yaml', { 'pharos.yaml': '' }, undefined, ['pharos.yaml PH030']],
    ['no zones in the folder', { 'zones/a.txt': '' }, undefined, ['zones PH030']],
  ])('%s is a mistake', (_title, files, file, expected) => {
    expect(read(files, file).mistakes).toEqual(expected);
  });
});

test('a zone in two files is a mistake', () => {
  const { diagnostics, mistakes } = read({ 'zones/a.yaml': ZONE, 'zones/b.yaml': ZONE.replace('example', 'EXAMPLE') });
  expect(mistakes).toEqual(['zones/b.yaml:1:7 PH101']);
  expect(diagnostics[0]?.message).toContain('zones/a.yaml');
});

test('mistakes of all files are shown at once, with paths from here', () => {
  const { mistakes } = read({
    'pharos.yaml': 'listn: 1\n',
    'zones/a.yaml': `${ZONE}records:\n  www: { A: x }\n`,
    'zones/b.yaml': 'zone: [\n',
    'zones/c.yaml': `${ZONE.replace('example.com', 'example.org')}include: bulk.db\n`,
    'zones/bulk.db': 'www A x\n',
  });
  expect(mistakes.map((each) => each.replace(/:\d+:\d+ /, ' '))).toEqual([
    'pharos.yaml PH010',
    'zones/a.yaml PH106',
    'zones/b.yaml PH002',
    'zones/bulk.db PH312',
  ]);
});

test.each([
  ['/etc/pharos/zones/a.yaml', 'zones/a.yaml'],
  ['/etc/other.yaml', '/etc/other.yaml'],
  ['/etc/pharos', '/etc/pharos'],
  ['/etc/pharos/..hidden', '..hidden'],
])('%s is shown as %s from /etc/pharos', (path, shown) => {
  expect(shownPath(path, '/etc/pharos')).toBe(shown);
});
