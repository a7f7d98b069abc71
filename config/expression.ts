/**
 * The `/regex/` of a check. A target is a stranger, and backtracking engines take more than a lifetime over a text that
 * is made for them. RE2 takes time in proportion to the text, whatever the expression.
 */
import { RE2JS } from 're2js';

export type Expression = { test(text: string): boolean };

/** Flags that a `/regex/` may have. `u` changes nothing: RE2 always reads whole characters. */
export const EXPRESSION_FLAGS = /^[imsu]*$/;

/**
 * Compiles it, as RE2 has it: no look-ahead and no back-references. Throws an Error that says what is wrong with it.
 */
export function compileExpression(source: string, flags: string): Expression {
  const bits =
    RE2JS.LOOKBEHINDS |
    (flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0) |
    (flags.includes('m') ? RE2JS.MULTILINE : 0) |
    (flags.includes('s') ? RE2JS.DOTALL : 0);
  return RE2JS.compile(RE2JS.translateRegExp(source), bits);
}

/** What is wrong with it, in words; undefined for one that can be compiled. */
export function expressionMistake(source: string, flags: string): string | undefined {
  try {
    compileExpression(source, flags);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.replace(/^error parsing regexp: /, '');
  }
}
