/**
 * Lets the compile thread sign the sets of VIPs that answering threads asked for (server/answer/rare-sets.ts).
 */
import { putRareSet, takeWishes } from '../../server/answer/rare-sets.ts';
import type { Loader } from '../../server/threads/load-thread.ts';
import type { Current } from './generation.ts';

export type RareSetSigner = { readonly start: () => void; readonly stop: () => void };

/** The time until a set is signed, unless a reload is under way. */
const LOOK_MS = 200;
/** Of P-256 signatures, at most 4 % of a core. */
const MOST_PER_LOOK = 200;

export function createRareSetSigner(current: () => Current, loader: Pick<Loader, 'signSets'>): RareSetSigner {
  let timer: NodeJS.Timeout | undefined;
  let isAsking = false;
  const look = async (): Promise<void> => {
    const { rareSets, loaded } = current();
    if (!rareSets || isAsking) return;
    const wishes = takeWishes(rareSets, MOST_PER_LOOK);
    if (wishes.length === 0) return;
    isAsking = true;
    try {
      const sets = await loader.signSets(loaded, wishes);
      for (const [index, signed] of sets.entries()) {
        const wish = wishes[index];
        if (wish && signed) putRareSet(rareSets, wish, signed);
      }
    } finally {
      isAsking = false;
    }
  };
  return {
    start: () => {
      timer ??= setInterval(() => void look(), LOOK_MS).unref();
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}
