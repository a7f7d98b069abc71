/**
 * Counts the clients that the answering threads sample (server/answer/client-samples.ts) by country.
 */
import { createClientCounts, type ClientCounts } from '../../server/forecast/client-counts.ts';
import type { Current } from './generation.ts';

export type ClientCounter = Pick<ClientCounts, 'of' | 'totals'> & {
  /** Starts reading the samples at intervals. */
  readonly start: () => void;
  /** Reads the last samples of a generation that no thread uses any more. Drops services that `next` lacks. */
  readonly replaced: (before: Current, next: Current) => void;
  /** Stops reading. */
  readonly stop: () => void;
};

/** Short enough for the size of a ring (server/answer/client-samples.ts). */
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
