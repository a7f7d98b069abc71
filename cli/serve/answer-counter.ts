/**
 * Counts the answers that named a VIP, since the start: threads count by slot, and a slot is a generation's own.
 */
import { servedOf, servedOfSlot, type Current } from './generation.ts';

export type AnswerCounter = {
  /** By slot of the generation in force. */
  readonly served: () => Float64Array;
  /** The same of one slot. */
  readonly of: (slot: number) => number;
  /** Keeps what was counted for a generation that no thread runs any more. */
  readonly replaced: (before: Current) => void;
};

/** `current` is the generation in force. */
export function createAnswerCounter(current: () => Current): AnswerCounter {
  const counted = new Map<string, number>();
  const targetOf = ({ catalog }: Current, slot: number): string => catalog.vips[slot]?.target ?? '';
  return {
    served: () => servedOf(current()).map((count, slot) => count + (counted.get(targetOf(current(), slot)) ?? 0)),
    of: (slot) => servedOfSlot(current(), slot) + (counted.get(targetOf(current(), slot)) ?? 0),
    replaced: (before) => {
      for (const [slot, count] of servedOf(before).entries()) {
        const target = targetOf(before, slot);
        counted.set(target, (counted.get(target) ?? 0) + count);
      }
    },
  };
}
