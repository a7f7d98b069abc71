/**
 * For tests that read as tables of mistakes: the reported diagnostics, as `line:column CODE`.
 */
import { expect } from 'vitest';
import type { Diagnostic } from '../../../config/diagnostics.ts';

/** The file, its one mistake (`4:7 PH010`), and a part of its message or hint. */
export type Mistake = readonly [text: string, at: string, part: string];

export function placesOf(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(
    ({ place: { line, column }, code }) => `${line === undefined ? 'file' : `${line}:${column}`} ${code}`,
  );
}

/** Exactly one mistake, at this place, with these words; it has the source line and a caret under the column. */
export function expectMistake(diagnostics: readonly Diagnostic[], at: string, part: string): void {
  expect(placesOf(diagnostics)).toEqual([at]);
  const [diagnostic] = diagnostics;
  expect(`${diagnostic?.message ?? ''} | ${diagnostic?.hint ?? ''}`).toContain(part);
}

/** Text of several lines without the indentation of the test's source. */
export function lines(...text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}
