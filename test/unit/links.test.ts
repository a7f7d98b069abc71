/**
 * Links of the documentation lead somewhere: to a file that is there, and to a heading that it has. Its lines are short
 * enough to read beside code.
 */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const pages = globSync('{*.md,{docs,bench,examples,deploy,test}/**/*.md}', {
  cwd: root,
  exclude: ['**/node_modules', 'docs/site/**'],
});

/** As GitHub makes them: lower case, without signs, blanks as hyphens, and a number where a heading repeats. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title = ''] of withoutCode(text).matchAll(/^#{1,6}\s+(.*?)\s*#*$/gm)) {
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const base = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    let anchor = base;
    for (let i = 1; anchors.has(anchor); i++) anchor = `${base}-${i}`;
    anchors.add(anchor);
  }
  return anchors;
}

function withoutCode(text: string): string {
  return text.replace(/^( *)(```+|~~~+)[^]*?^ *\2.*$/gm, '');
}

function deadLinksOf(page: string): string[] {
  const text = withoutCode(readFileSync(join(root, page), 'utf8')).replace(/`[^`\n]*`/g, 'code');
  return [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z][a-z+.-]*:/i.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(root, page) : resolve(root, dirname(page), decodeURIComponent(path));
    if (!existsSync(file)) return [`${page}: ${target}: no file ${relative(root, file)}`];
    if (anchor === undefined || !statSync(file).isFile() || !file.endsWith('.md')) return [];
    return anchorsOf(readFileSync(file, 'utf8')).has(anchor) ? [] : [`${page}: ${target}: no such heading`];
  });
}

test('every page has links that lead somewhere', () => {
  expect(pages.length).toBeGreaterThan(20);
  expect(pages.flatMap(deadLinksOf)).toEqual([]);
});

test('lines of text have 120 characters at most', () => {
  // A program writes the results of benchmarks.
  const written = pages.filter((page) => page !== 'bench/RESULTS.md');
  const long = written.flatMap((page) =>
    withoutCode(readFileSync(join(root, page), 'utf8'))
      .split('\n')
      .filter((line) => line.length > 120 && !/^\s*(?:\||!\[)|https?:/.test(line))
      .map((line) => `${page}: ${line}`),
  );
  expect(long).toEqual([]);
});

test('every test that the threat model names is there', () => {
  const text = readFileSync(join(root, 'docs/security.md'), 'utf8');
  const rows = text
    .slice(text.indexOf('## Threat model'))
    .matchAll(/`((?:unit|integration|regressions|conformance|fuzz)\/[^`]+)`/g);
  const named = [...rows].map(([, path = '']) => path);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(join(root, 'test', path)))).toEqual([]);
});

test('a dead link is found', () => {
  expect([...anchorsOf('# A `code` title, twice\n## A `code` title, twice\n```\n# not one\n```\n')]).toEqual([
    'a-code-title-twice',
    'a-code-title-twice-1',
  ]);
});
