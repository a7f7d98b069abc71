/**
 * Of a long line the first 160 characters were shown, and for a mistake further on a caret after them that pointed at
 * nothing. A tab before the mistake moved the caret, and an empty first line was shown as an excerpt.
 */
import { expect, test } from 'vitest';
import { createReport, formatDiagnostic } from '../../../config/diagnostics.ts';

function shown(excerpt: string, word: string): readonly string[] {
  const column = excerpt.indexOf(word) + 1;
  const place = { file: 'a.yaml', line: 1, column, length: word.length, excerpt };
  const report = createReport();
  report.error('PH014', 'wrong', place, 'mend it');
  return report.diagnostics.map(formatDiagnostic).join('\n').split('\n');
}

/** The character above the caret. */
function underlined([, line = '', carets = '']: readonly string[]): string {
  const from = carets.indexOf('^');
  return line.slice(from, carets.lastIndexOf('^') + 1);
}

test.each([0, 50, 99, 100, 150, 158, 159, 160, 161, 400, 5000])('a mistake after %i characters', (before) => {
  for (const after of [0, 30, 5000]) {
    const lines = shown(`  ${'x'.repeat(before)}WRONG${'y'.repeat(after)}`, 'WRONG');
    expect(underlined(lines)).toBe('WRONG');
    expect((lines[1] ?? '').length).toBeLessThanOrEqual(4 + 160 + 8);
  }
});

test('control characters do not move it, and are not printed', () => {
  const lines = shown('\ta:\t\u001b[31m{\tWRONG: 1 }', 'WRONG');
  expect(underlined(lines)).toBe('WRONG');
  expect(lines.join('')).not.toContain('\u001b');
});

test('an empty line is not shown', () => {
  const place = { file: 'a.yaml', line: 1, column: 1, length: 1, excerpt: '' };
  const lines = formatDiagnostic({ code: 'PH012', severity: 'error', message: 'm', place, hint: 'h' });
  expect(lines).toBe('a.yaml:1:1 error PH012: m\n    h');
});
