/**
 * Counts the clients that the answering threads sample (server/answer/client-samples.ts) by country.
 */
import { createClientCounts, type ClientCounts } from '../../server/forecast/client-counts.ts';
import type { Current } from './generation.ts';

export type ClientCounter = Pick<ClientCounts, 'of' | 'totals'> & {
  /** Begins to look. */
  readonly start: () => void;
  /** Takes what is left of a generation that no thread runs any more; services that `next` lacks are forgotten. */
  readonly replaced: (before: Current, next: Current) => void;
  /** Looks no more. */
  readonly stop: () => void;
};

/** What has room in a ring: server/answer/client-samples.ts. */
const LOOK_MS = 250;

/** `current` is the generation in force. */
export function createClientCounter(current: () => Current): ClientCounter {
  const counts = createClientCounts(() => performance.now());
  const take = ({ loaded, clients }: Current): void => {
    counts.take(loaded, clients);
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    of: counts.of,
    totals: counts.totals,
    start: () => {
      timer ??= setInterval(() => {
        take(current());
      }, LOOK_MS).unref();
    },
    replaced: (before, next) => {
      take(before);
      counts.keep(next.catalog.services.map(({ name }) => name));
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}
