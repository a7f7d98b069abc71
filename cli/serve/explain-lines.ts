/**
 * A trace as lines for `_explain.` TXT: those that `pharos explain` prints.
 */
import type { ExplainReply } from '../../server/answer/explain-query.ts';
import { traceDocument } from '../../status/trace-document.ts';
import type { Explained } from '../../steering/trace.ts';
import { renderTrace } from '../render-trace.ts';

/** Without the empty ones: a reader sees no space between records. */
export function explainInLines(explained: Explained): ExplainReply {
  if (!explained.ok) return [explained.message];
  return renderTrace(traceDocument(explained.trace), (_style, text) => text)
    .split('\n')
    .filter((line) => line !== '');
}
