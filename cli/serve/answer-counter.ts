/**
 * Counts the answers since the start that named a VIP. Threads count by slot, and slots differ between generations.
 */
import { servedOf, servedOfSlot, type Current } from './generation.ts';

export type AnswerCounter = {
  /** By slot of the generation in force. */
  readonly served: () => Float64Array;
  /** The count of one slot. */
  readonly of: (slot: number) => number;
  /** Keeps the counts of a generation that no thread uses any more. */
  readonly replaced: (before: Current, next: Current) => void;
};

/** `current` is the generation in force. */
export function createAnswerCounter(current: () => Current): AnswerCounter {
  const counted = new Map<string, number>();
  const targetOf = ({ catalog }: Current, slot: number): string => catalog.vips[slot]?.target ?? '';
  return {
    served: () => servedOf(current()).map((count, slot) => count + (counted.get(targetOf(current(), slot)) ?? 0)),
    of: (slot) => servedOfSlot(current(), slot) + (counted.get(targetOf(current(), slot)) ?? 0),
    replaced: (before, next) => {
      // The next generation continues with the same counters.
      if (next.served === before.served) return;
      for (const [slot, count] of servedOf(before).entries()) {
        const target = targetOf(before, slot);
        counted.set(target, (counted.get(target) ?? 0) + count);
      }
    },
  };
}
