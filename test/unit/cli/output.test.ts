import { describe, expect, it } from 'vitest';
import { apiAt } from '../../../cli/api-client.ts';
import { countDiagnostics, paintDiagnostic, plural, table } from '../../../cli/output.ts';
import { formatDiagnostic, type Diagnostic } from '../../../config/diagnostics.ts';

const place = { file: 'a.yaml', line: 3, column: 9, length: 2 };
const error: Diagnostic = { code: 'PH014', severity: 'error', message: 'too much', place };
const warning: Diagnostic = { ...error, severity: 'warning' };

describe('counting diagnostics', () => {
  it.each<[diagnostics: Diagnostic[], text: string]>([
    [[], ''],
    [[error], '1 error'],
    [[warning], '1 warning'],
    [[error, warning, error], '2 errors, 1 warning'],
  ])('%#', (diagnostics, text) => {
    expect(countDiagnostics(diagnostics)).toBe(text);
  });
});

describe('painting a diagnostic', () => {
  it.each<[title: string, diagnostic: Diagnostic]>([
    ['alone', error],
    ['with a hint', { ...warning, hint: 'take less' }],
    ['with its line', { ...error, place: { ...place, excerpt: '    w: 99' } }],
    ['with both', { ...error, hint: 'take less', place: { ...place, excerpt: '    w: 99' } }],
    ['with words in its file that look like its head', { ...error, place: { ...place, file: 'my error file.yaml' } }],
  ])('changes no other character: %s', (_title, diagnostic) => {
    expect(paintDiagnostic(diagnostic, (_style, text) => text)).toBe(formatDiagnostic(diagnostic));
  });

  it('marks errors red and warnings yellow', () => {
    const paint = (diagnostic: Diagnostic): string => paintDiagnostic(diagnostic, (style, text) => `<${style}>${text}`);
    expect(paint(error)).toContain('<red>error PH014:');
    expect(paint(warning)).toContain('<yellow>warning PH014:');
  });
});

describe('words and columns', () => {
  it.each([
    [0, '0 zones'],
    [1, '1 zone'],
    [1_234_567, '1,234,567 zones'],
  ])('%i is %s', (count, text) => {
    expect(plural(count, 'zone')).toBe(text);
  });

  it('a table is as wide as its cells, without trailing blanks', () => {
    const rows = [
      ['a', 'long cell', 'x'],
      ['bcd', '', ''],
    ];
    expect(table(rows)).toBe('a    long cell  x\nbcd');
  });
});

describe('the URL of --api', () => {
  it.each<[given: string, url: string | undefined]>([
    ['http://127.0.0.1:8053', 'http://127.0.0.1:8053'],
    ['http://127.0.0.1:8053/', 'http://127.0.0.1:8053'],
    ['127.0.0.1:8053', 'http://127.0.0.1:8053'],
    ['[::1]:8053', 'http://[::1]:8053'],
    ['localhost:8053', 'http://localhost:8053'],
    ['https://ops.example/pharos/', 'https://ops.example/pharos'],
    ['ftp://127.0.0.1', undefined],
    ['http://', undefined],
    ['', undefined],
  ])('%s', (given, url) => {
    const found = apiAt(given, 'secret');
    if (url === undefined) expect(found).toEqual({ ok: false, message: `--api ${given} is not an http or https URL` });
    else expect(found).toEqual({ ok: true, api: { url, token: 'secret' } });
  });
});
