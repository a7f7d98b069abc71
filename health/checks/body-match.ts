/**
 * Whether `body` or `expect` of a check is in what a target sent. The target is a stranger: an expression takes time in
 * proportion to what was received, and has a limit all the same, since this thread has much to do.
 */
import { createContext, Script } from 'node:vm';
import { compileExpression, type Expression } from '../../config/expression.ts';
import type { BodyMatch } from '../../config/check-fields.ts';
import { MAX_MATCH_MS, MAX_MATCH_TURNS, MAX_UNLIMITED_MATCH_CHARACTERS } from '../limits.ts';
import { ProbeFailure } from './probe.ts';

/** What is looked for, in words, and whether it is in what was received; throws ProbeFailure when that takes too long. */
export type BodyMatcher = { readonly words: string; test(received: Buffer): boolean };

/** For one probe. Throws an Error for an expression that cannot be compiled; the configuration's readers refuse those. */
export function bodyMatcher(match: BodyMatch): BodyMatcher {
  switch (match.kind) {
    case 'text': {
      const wanted = Buffer.from(match.text);
      return { words: JSON.stringify(match.text), test: (received) => received.includes(wanted) };
    }
    case 'regex': {
      const search = limited(match, `/${match.source}/${match.flags}`);
      return { words: `/${match.source}/${match.flags}`, test: (received) => search(received.toString('utf8')) };
    }
  }
}

type Regex = Extract<BodyMatch, { kind: 'regex' }>;

/** Compiled once for all probes of a check. */
const compiled = new WeakMap<Regex, Expression>();

function expressionOf(match: Regex): Expression {
  const known = compiled.get(match);
  if (known !== undefined) return known;
  const expression = compileExpression(match.source, match.flags);
  compiled.set(match, expression);
  return expression;
}

/** Only a script can be stopped from without, and to begin one costs 0.1 ms: so it is for texts that may need it. */
const search = new Script('expression.test(text)');
let room: { expression?: Expression; text?: string } | undefined;

/** MAX_MATCH_MS of this thread's own time for all that comes in one probe. */
function limited(match: Regex, words: string): (text: string) => boolean {
  let leftMs = MAX_MATCH_MS;
  expressionOf(match);
  const within = (text: string, limitMs: number): boolean => {
    room ??= createContext({}) as NonNullable<typeof room>;
    const before = process.threadCpuUsage();
    Object.assign(room, { expression: expressionOf(match), text });
    try {
      return search.runInContext(room, { timeout: Math.max(1, Math.ceil(limitMs)) }) === true;
    } catch (error) {
      // Stopped in the middle of its work, so that what it remembers cannot be trusted.
      compiled.delete(match);
      throw error;
    } finally {
      const { user, system } = process.threadCpuUsage(before);
      leftMs -= (user + system) / 1000;
    }
  };
  return (text) => {
    if (text.length <= MAX_UNLIMITED_MATCH_CHARACTERS) return expressionOf(match).test(text);
    // The script's limit is by the wall clock, and on a busy machine other processes may have had that time. A match that
    // has had little processor time is tried again, for else a target would be down because this node is busy.
    for (let turn = 0; turn < MAX_MATCH_TURNS && leftMs > 1; turn++) {
      try {
        return within(text, leftMs);
      } catch {
        // It took too long by the wall clock; `leftMs` says whether by its own.
      }
    }
    throw new ProbeFailure(`${words} takes more than ${String(MAX_MATCH_MS)} ms over what was received; simplify it`);
  };
}
