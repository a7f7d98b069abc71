/**
 * For tests that read as tables of mistakes: what was reported, as `line:column CODE`.
 */
import { expect } from 'vitest';
import type { Diagnostic } from '../../../config/diagnostics.ts';

/** The file, the one mistake in it (`4:7 PH010`), and a part of its message or hint. */
export type Mistake = readonly [text: string, at: string, part: string];

export function placesOf(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(
    ({ place: { line, column }, code }) => `${line === undefined ? 'file' : `${line}:${column}`} ${code}`,
  );
}

/** Exactly one mistake, there, with these words; it comes with the source line and a caret under the column. */
export function expectMistake(diagnostics: readonly Diagnostic[], at: string, part: string): void {
  expect(placesOf(diagnostics)).toEqual([at]);
  const [diagnostic] = diagnostics;
  expect(`${diagnostic?.message ?? ''} | ${diagnostic?.hint ?? ''}`).toContain(part);
}

/** A text of several lines without the indentation that the test's own source gives it. */
export function lines(...text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}
