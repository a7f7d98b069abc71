/**
 * The `/regex/` of a check. Targets are not trusted, and a crafted text takes a backtracking engine exponential time.
 * RE2 takes time linear in the text, for any expression.
 */
import { RE2JS } from 're2js';

export type Expression = { test(text: string): boolean };

/** Flags that a `/regex/` may have. `u` changes nothing: RE2 always matches whole characters. */
export const EXPRESSION_FLAGS = /^[imsu]*$/;

/**
 * Compiles an expression in RE2's syntax: no look-ahead and no back-references. Throws an Error that states the
 * mistake.
 */
export function compileExpression(source: string, flags: string): Expression {
  const bits =
    RE2JS.LOOKBEHINDS |
    (flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0) |
    (flags.includes('m') ? RE2JS.MULTILINE : 0) |
    (flags.includes('s') ? RE2JS.DOTALL : 0);
  return RE2JS.compile(RE2JS.translateRegExp(source), bits);
}

/** Describes the mistake in an expression; undefined: it is valid. */
export function expressionMistake(source: string, flags: string): string | undefined {
  try {
    compileExpression(source, flags);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.replace(/^error parsing regexp: /, '');
  }
}
