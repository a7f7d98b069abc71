import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const ROOMS = 'wire,config,dnssec,geo,health,steering,zones,server,status,cli,import';

function codesIn(files: readonly string[], pattern: RegExp): string[] {
  const codes = files.flatMap((file) => readFileSync(join(root, file), 'utf8').match(pattern) ?? []);
  return [...new Set(codes.map((code) => code.replace(/[^PH\d]/g, '')))].sort();
}

const inSource = codesIn(globSync(`{${ROOMS}}/**/*.ts`, { cwd: root }), /'PH\d{3}'/g);
const onPage = codesIn(['docs/diagnostics.md'], /^\| PH\d{3} (?=[W|])/gm);

test('docs/diagnostics.md lists every code that the source reports', () => {
  expect(inSource.filter((code) => !onPage.includes(code))).toEqual([]);
});

test('docs/diagnostics.md lists no code that nothing reports', () => {
  expect(onPage.filter((code) => !inSource.includes(code))).toEqual([]);
});

test('every code of the configuration and zone readers is in a test', () => {
  const readers = codesIn(globSync(['config/*.ts', 'zones/read/*.ts'], { cwd: root }), /'PH\d{3}'/g);
  const tables = ['test/unit/{config,dnssec,zones,cli}/**/*.test.ts', 'test/regressions/*/*.test.ts'];
  const tests = globSync(tables, { cwd: root });
  const tested = codesIn(tests, /PH\d{3}/g);
  expect(readers.filter((code) => !tested.includes(code))).toEqual([]);
});
