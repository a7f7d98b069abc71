import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createReport, formatDiagnostic, type Diagnostic } from '../../../config/diagnostics.ts';
import { fromEnvironment, text, type Read } from '../../../config/fields.ts';
import { parseYaml, readYaml } from '../../../config/parse-yaml.ts';
import { placeInText, nodePlace, type YamlNode } from '../../../config/yaml.ts';
import { LONG_TESTS } from '../../support/random.ts';
import { expectMistake, lines, placesOf, type Mistake } from './mistakes.ts';

const folder = mkdtempSync(join(tmpdir(), 'pharos-yaml-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function parse(text: string, env = {}): { value: unknown; node: YamlNode | undefined; diagnostics: Diagnostic[] } {
  const report = createReport();
  const node = parseYaml('x.yaml', text, env, report);
  return { value: node && plain(node), node, diagnostics: report.diagnostics };
}

function plain(node: YamlNode): unknown {
  if (node.kind === 'scalar') return node.text;
  if (node.kind === 'list') return node.items.map(plain);
  if (node.kind === 'map') return Object.fromEntries(node.entries.map(({ key, value }) => [key.text, plain(value)]));
  return node.kind === 'null' ? null : `(${node.kind})`;
}

test.each<[string, unknown]>([
  ['version: 1.10', { version: '1.10' }],
  ['TXT: 123', { TXT: '123' }],
  ['a: 0x1F\nb: 0o17\nc: 12:30:00\nd: 1_000\ne: .5', { a: '0x1F', b: '0o17', c: '12:30:00', d: '1_000', e: '.5' }],
  ['a: NO\nb: yes\nc: true', { a: 'NO', b: 'yes', c: 'true' }],
  ['AAAA: 2001:db8::1', { AAAA: '2001:db8::1' }],
  ['{ AAAA: 2001:db8::1, B: ::1 }', { AAAA: '2001:db8::1', B: '::1' }],
  ['{ 10.0.0.0/8: KR, 2001:db8::/32: JP }', { '10.0.0.0/8': 'KR', '2001:db8::/32': 'JP' }],
  ['ns1: { A: 192.0.2.53 }', { ns1: { A: '192.0.2.53' } }],
  ['1: a\n2.50: b\nnull: c\ntrue: d', { 1: 'a', '2.50': 'b', null: 'c', true: 'd' }],
  ['a:\nb: ~\nc: null\nd: "null"\ne: ""', { a: null, b: null, c: null, d: 'null', e: '' }],
  ['a: "x\\ty"\nb: \'it\'\'s\'\nc: |\n  two\n  lines\nd: >\n  one\n  line\n', { a: 'x\ty', b: "it's", c: 'two\nlines\n', d: 'one line\n' }], // prettier-ignore
  ['- geo: { KR: seoul }\n  fence: true', [{ geo: { KR: 'seoul' }, fence: 'true' }]],
  ['base: &b { x: 1, y: 2 }\nmine: { <<: *b, y: 3 }', { base: { x: '1', y: '2' }, mine: { y: '3', x: '1' } }],
  ['a: &x 192.0.2.1\nb: *x', { a: '192.0.2.1', b: '192.0.2.1' }],
  ['a: !!str 123', { a: '123' }],
  ['a: 1\r\nb: 2\r\n', { a: '1', b: '2' }],
  ['', null],
  ['# nothing\n', null],
])('%j is read as written', (text, value) => {
  expect(parse(text)).toMatchObject({ value, diagnostics: [] });
});

test('a variable of the environment is resolved only by readers that accept it', () => {
  const env = { HOST: 'www', PORT: '8443', EMPTY: '' };
  const read = (yaml: string, reader: Read<string>) => {
    const report = createReport();
    const node = parseYaml('a.yaml', yaml, env, report);
    return { value: node && reader(node, 'a', report), codes: report.diagnostics.map(({ code }) => code) };
  };
  expect(read('x-${HOST}:${PORT}', fromEnvironment(text()))).toEqual({ value: 'x-www:8443', codes: [] });
  expect(read('x${EMPTY}', fromEnvironment(text()))).toEqual({ value: 'x', codes: [] });
  expect(read('"$${HOST}"', text())).toEqual({ value: '${HOST}', codes: [] });
  // As the whole value it was not passed on.
  expect(read('${EMPTY}', fromEnvironment(text())).codes).toEqual(['PH008']);
  expect(read('x-${HOST}', text()).codes).toEqual(['PH095']);
  expect(read('${NOPE}', text()).codes).toEqual(['PH095']);
});

test('a missing variable is reported once, however often it is read', () => {
  const report = createReport();
  const node = parseYaml('a.yaml', '${NOPE}', {}, report);
  for (let round = 0; round < 2; round++) if (node) fromEnvironment(text())(node, 'a', report);
  expect(report.diagnostics.map(({ code }) => code)).toEqual(['PH008']);
});

describe('every mistake has its place and a hint', () => {
  test.each<Mistake>([
    ['a: 1\nb: [1, 2\n', '2:9 PH002', 'Flow sequence'],
    ['a:\n\t- b\n', '2:1 PH002', 'indent with spaces'],
    ['a: 1\n---\nb: 2\n', '2:1 PH002', 'a file has one document'],
    ['a: !secret x\n', '1:4 PH002', 'tags such as !name'],
    ['probe: [::1]:443\n', '1:13 PH002', 'put quotes around an IPv6 address'],
    ['a: 2001:db8::\n', '1:4 PH002', 'put quotes around an IPv6 address'],
    ['status: { token: ${TOKEN} }\n', '1:19 PH002', 'put quotes around "${NAME}"'],
    ['TXT: "one" "two"\n', '1:12 PH002', `'"one" "two"'`],
    ['a: b: c\n', '1:4 PH002', 'quotes around a value that contains ": "'],
    ['a: 1\nb\nc: 2\n', '2:1 PH002', 'a colon is missing'],
    ['a: "b\nc: 1\n', '2:5 PH002', 'an earlier quote is not closed'],
    ['a:\n    b: 1\n  c: 2\nd: 3\ne: 4\n', '3:1 PH002', 'check the indentation'],
    ['x:\n  a: 1\n c: 1\nd: 2\ne: 3\n', '3:1 PH002', 'check the indentation'],
    ['r:\n  a: 1\n  b: !{ A: 1 }\n  c: 1\nd: 2\n', '3:7 PH002', 'Tags and anchors'],
    ['a: 1\nb: 2\na: 3\n', '3:1 PH004', 'first defined on line 1'],
    ['{ a: { x: 1, x: 2 } }', '1:14 PH004', 'duplicate key "x"'],
    ['1: a\n"1": b\n', '2:1 PH004', 'duplicate key "1"'],
    ['a: *nowhere\n', '1:4 PH005', 'not above it'],
    ['a: &a [1, *a]\n', '1:11 PH005', 'refers to a value that contains it'],
    ['a: { <<: 3 }\n', '1:6 PH005', 'takes a map'],
    ['? [a, b]\n: c\n', '1:3 PH006', 'a key must be'],
    ['a: 1\n: 2\n', '2:1 PH006', 'a key must be'],
    [`${'['.repeat(60)}${']'.repeat(60)}`, '1:52 PH007', 'nested'],
    ['a: &x "${NAME}"\nb: *x\n', '2:4 PH096', 'write the ${NAME} itself'],
    ['a: &x [1, "${NAME}"]\nb: *x\n', '2:4 PH096', 'to another key'],
    ['"${NAME}": 1\n', '1:1 PH095', 'a key takes no ${NAME}'],
    ['? &x "${NAME}"\n: 1\n', '1:6 PH095', 'a key takes no ${NAME}'],
    ['a: "${1}"\n', '1:5 PH009', 'write ${NAME}'],
  ])('%j', (text, at, part) => {
    expectMistake(parse(text).diagnostics, at, part);
  });
});

test('a mistake leaves its surroundings readable', () => {
  expect(parse('a: "${1}"\nb: 1\nb: 2\n')).toMatchObject({ value: { a: '(broken)', b: '1' } });
});

test('all syntax errors of a file are reported, one per line', () => {
  expect(placesOf(parse('a: "x" y z\nb: 1\nc: "x" y z\n').diagnostics)).toEqual(['1:8 PH002', '3:8 PH002']);
});

test('aliases that multiply are rejected', () => {
  const text = lines('a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]', ...'bcdefghi'.split('').map((name, index) => {
    const last = 'abcdefgh'[index] ?? '';
    return `${name}: &${name} [${Array<string>(10).fill(`*${last}`).join(', ')}]`;
  })); // prettier-ignore
  expectMistake(parse(text).diagnostics, '5:36 PH005', 'more than 100000 values');
});

test('nesting that would overflow the stack is a mistake of the file', () => {
  const { node, diagnostics } = parse('['.repeat(20_000));
  expect(node).toBeUndefined();
  expect(diagnostics.map(({ code }) => code)).toEqual(['PH007']);
});

test.runIf(LONG_TESTS)('the keys of a large map are compared once each', () => {
  const count = 20_000;
  const text = Array.from({ length: count }, (_, i) => `name${i}: 1`).join('\n');
  const { diagnostics } = parse(`${text}\nname7: 2\n`);
  expect(placesOf(diagnostics)).toEqual([`${count + 1}:1 PH004`]);
});

test.each<[string, string | Uint8Array, string, string]>([
  ['latin1.yaml', Buffer.from('a: 1\nb: caf\xe9\n', 'latin1'), '2:1 PH003', 'save it as UTF-8'],
  ['utf16.yaml', Buffer.from('\ufeffa: 1', 'utf16le'), '1:1 PH003', 'not UTF-8'],
])('a file that is not UTF-8 is rejected: %s', (name, content, at, part) => {
  writeFileSync(join(folder, name), content);
  const report = createReport();
  expect(readYaml(join(folder, name), {}, report)).toBeUndefined();
  expectMistake(report.diagnostics, at, part);
});

test('a byte order mark is not part of the first key', () => {
  const path = join(folder, 'bom.yaml');
  writeFileSync(path, '\ufeffa: ü\n');
  const report = createReport();
  const node = readYaml(path, {}, report);
  expect(node && plain(node)).toEqual({ a: 'ü' });
});

test.each([
  ['missing.yaml', 'there is no such file'],
  ['.', 'it is a folder'],
])('a file that cannot be read is a mistake: %s', (name, part) => {
  const report = createReport();
  expect(readYaml(join(folder, name), {}, report)).toBeUndefined();
  expectMistake(report.diagnostics, 'file PH001', part);
});

test('a place within a text is the column of that character', () => {
  const column = (text: string, offset: number): number | undefined => {
    const { node } = parse(text);
    const value = node?.kind === 'map' ? node.entries[0]?.value : undefined;
    return value?.kind === 'scalar' ? placeInText(value, offset).column : undefined;
  };
  expect(column('a: 10 mail', 3)).toBe(7);
  expect(column('a: "10 mail"', 3)).toBe(8);
  expect(column("a: '10 mail'", 3)).toBe(8);
  expect(column('a: "10\\tmail"', 3)).toBe(4); // escapes: the scalar as a whole
});

test('an excerpt is the whole line with a caret under the value', () => {
  const { node } = parse('x:\n  weight: -3\n');
  const x = node?.kind === 'map' ? node.entries[0]?.value : undefined;
  const weight = x?.kind === 'map' ? x.entries[0]?.value : undefined;
  const place = weight && nodePlace(weight);
  expect(place).toEqual({ file: 'x.yaml', line: 2, column: 11, length: 2, excerpt: '  weight: -3' });
  const text = formatDiagnostic({ code: 'PH014', severity: 'error', message: 'no', place: place ?? { file: '', line: 0, column: 0 }, hint: 'yes' }); // prettier-ignore
  expect(text).toBe('x.yaml:2:11 error PH014: no\n    weight: -3\n            ^^ yes');
});
