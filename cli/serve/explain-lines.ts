/**
 * A trace as lines for `_explain.` TXT records: the lines that `pharos explain` prints.
 */
import type { ExplainReply } from '../../server/answer/explain-query.ts';
import { traceDocument, type VotesOn } from '../../status/trace-document.ts';
import type { Explained } from '../../steering/trace.ts';
import { renderTrace } from '../render-trace.ts';

/** Without empty lines, which cannot be seen between records. */
export function explainInLines(explained: Explained, votesOn?: VotesOn): ExplainReply {
  if (!explained.ok) return [explained.message];
  return renderTrace(traceDocument(explained.trace, votesOn), (_style, text) => text)
    .split('\n')
    .filter((line) => line !== '');
}
