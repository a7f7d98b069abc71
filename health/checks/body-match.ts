/**
 * Searches the data that a target sent for `body` or `expect` of a check. Targets are not trusted: an expression takes
 * time linear in the text, and still has a limit, since this thread has other work.
 */
import { createContext, Script } from 'node:vm';
import type { BodyMatch } from '../../config/check-fields.ts';
import { compileExpression, type Expression } from '../../config/expression.ts';
import { MAX_MATCH_MS, MAX_MATCH_TURNS, MAX_UNLIMITED_MATCH_CHARACTERS } from '../limits.ts';
import { ProbeFailure } from './probe.ts';

/**
 * The text or expression for messages, and the search in what was received. Throws ProbeFailure if it takes too long.
 */
export type BodyMatcher = { readonly words: string; test(received: Buffer): boolean };

/** For one probe. Throws for an invalid expression, which the readers of the configuration refuse. */
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

/** Only a script can be stopped from outside. Starting one costs 0.1 ms, so only long texts are searched by script. */
const search = new Script('expression.test(text)');
let room: { expression?: Expression; text?: string } | undefined;

/** Limits all searches of one probe to MAX_MATCH_MS of this thread's CPU time, without tries that were interrupted. */
function limited(match: Regex, words: string): (text: string) => boolean {
  let leftMs = MAX_MATCH_MS;
  expressionOf(match);
  /** `found` is undefined if it was interrupted. */
  const within = (text: string, limitMs: number): { readonly found: boolean | undefined; readonly spentMs: number } => {
    room ??= createContext({}) as NonNullable<typeof room>;
    const before = process.threadCpuUsage();
    const spentMs = (): number => {
      const { user, system } = process.threadCpuUsage(before);
      return (user + system) / 1000;
    };
    Object.assign(room, { expression: expressionOf(match), text });
    try {
      const found = search.runInContext(room, { timeout: Math.max(1, Math.ceil(limitMs)) }) === true;
      return { found, spentMs: spentMs() };
    } catch {
      // Its internal state cannot be trusted.
      compiled.delete(match);
      return { found: undefined, spentMs: spentMs() };
    }
  };
  return (text) => {
    if (text.length <= MAX_UNLIMITED_MATCH_CHARACTERS) return expressionOf(match).test(text);
    // The script's limit is wall-clock time, which other processes may have used on a busy machine. A search with
    // less CPU time than is left is tried again: otherwise a target would fail because this node is busy. The limit may
    // come a little before its time.
    for (let turn = 1; turn <= MAX_MATCH_TURNS && leftMs > 1; turn++) {
      const { found, spentMs } = within(text, leftMs * turn);
      if (found === undefined && spentMs < 0.9 * leftMs) continue;
      leftMs -= spentMs;
      if (found !== undefined) return found;
    }
    throw new ProbeFailure(`${words} takes more than ${String(MAX_MATCH_MS)} ms over what was received; simplify it`);
  };
}
