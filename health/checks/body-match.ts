/**
 * Whether `body` or `expect` of a check is in what a target sent. The target is a stranger, and some expressions take
 * more than a lifetime over a text that is made for them: the time for one is limited, since this thread has much to do.
 */
import { createContext, Script } from 'node:vm';
import type { BodyMatch } from '../../config/settings.ts';
import { MAX_MATCH_MS, MAX_MATCH_TURNS } from '../limits.ts';
import { ProbeFailure } from './probe.ts';

/** What is looked for, in words, and whether it is in what was received; throws ProbeFailure when that takes too long. */
export type BodyMatcher = { readonly words: string; test(received: Buffer): boolean };

/** For one probe. Throws SyntaxError for an expression that is none; readers of the configuration have seen to that. */
export function bodyMatcher(match: BodyMatch): BodyMatcher {
  switch (match.kind) {
    case 'text': {
      const wanted = Buffer.from(match.text);
      return { words: JSON.stringify(match.text), test: (received) => received.includes(wanted) };
    }
    case 'regex': {
      // `g` and `y` would make a RegExp remember where it was.
      const pattern = new RegExp(match.source, match.flags.replaceAll(/[gy]/g, ''));
      const words = `/${match.source}/${match.flags}`;
      const search = repeats(match.source) ? limited(pattern, words) : (text: string): boolean => pattern.test(text);
      return { words, test: (received) => search(received.toString('utf8')) };
    }
  }
}

/** Whether something in the expression may come again and again; without, its time is a matter of its length. */
function repeats(source: string): boolean {
  const bare = source.replaceAll(/\\.|\[(?:\\.|[^\]\\])*\]/gs, '_').replaceAll('(?', '(');
  return /[*+?{]/.test(bare);
}

/** Only a script can be stopped from without, and to begin one costs 0.1 ms: so it is for those that need it. */
const search = new Script('pattern.test(text)');
let room: { pattern?: RegExp; text?: string } | undefined;

/** MAX_MATCH_MS of this thread's own time for all that comes in one probe. */
function limited(pattern: RegExp, words: string): (text: string) => boolean {
  let leftMs = MAX_MATCH_MS;
  const within = (text: string, limitMs: number): boolean => {
    room ??= createContext({}) as NonNullable<typeof room>;
    const before = process.threadCpuUsage();
    Object.assign(room, { pattern, text });
    try {
      return search.runInContext(room, { timeout: Math.max(1, Math.ceil(limitMs)) }) === true;
    } finally {
      const { user, system } = process.threadCpuUsage(before);
      leftMs -= (user + system) / 1000;
    }
  };
  return (text) => {
    // The script's limit is of the wall clock's kind, and on a busy machine another may have had the time: whoever has
    // had little of his own is given another chance, for else a target would be down because this node is busy.
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
